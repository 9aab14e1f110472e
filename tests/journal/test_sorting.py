"""The reader's inner loop, in C, says of any words what the format's plain reading says."""

from __future__ import annotations

import os
import random
import struct
import time
from binascii import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covsup.datafile._fold import JOURNAL_VERSION, FactUnion, JournalFacts, decode_words, unite_arcs
from covsup.datafile.fold.sets import (
    LARGEST_LINE,
    arc_set_of,
    arcs_in,
    line_set_of,
    lines_in,
)
from covsup.datafile.journal.reader import MEMORY_LIMIT
from tests.journal import reference
from tests.journal.reference import Said

NATIVE = "little" if struct.pack("=H", 1) == b"\1\0" else "big"
ORDERS = ("little", "big")

small = st.integers(0, 3)
anything = st.integers(0, (1 << 56) - 1)
numbers = st.integers(-70, 70) | st.integers(-(1 << 55), (1 << 55) - 1)


def bits(number: int, width: int) -> int:
    return number & ((1 << width) - 1)


def blob(kind: int, payload: bytes, damage: int = 0) -> list[int]:
    pieces = [payload[at : at + 7] for at in range(0, len(payload), 7)]
    head = 0x40 << 56 | kind << 48 | len(payload) << 24 | (crc32(payload) & 0xFFFFFF) ^ damage
    return [head, *(0x31 << 56 | int.from_bytes(piece, "little") for piece in pieces)]


lines = st.builds(
    lambda file, line, context: [1 << 60 | file << 42 | line << 22 | context],
    small | st.integers(0, (1 << 18) - 1),
    st.integers(0, 200) | st.integers(0, (1 << 20) - 1),
    small | st.integers(0, (1 << 22) - 1),
)
arcs = st.builds(
    lambda file, context, begin, end: [
        0x20 << 56 | file << 32 | context,
        0x30 << 56 | bits(begin, 28) << 28 | bits(end, 28),
    ],
    small, small, numbers, numbers,
)  # fmt: skip
near_arcs = st.builds(
    lambda kind, file, line, difference, context: [
        kind << 60 | file << 44 | line << 26 | bits(difference, 11) << 15 | context
    ],
    st.sampled_from((0x7, 0xB, 0xD)),
    small | st.integers(0, (1 << 16) - 1),
    st.integers(0, 70) | st.integers(0, (1 << 18) - 1),
    st.integers(-70, 70) | st.integers(-1024, 1023),
    small | st.integers(0, (1 << 15) - 1),
)
wide_lines = st.builds(
    lambda file, line: [0x21 << 56 | file << 32, 0x30 << 56 | bits(line, 56)], small, numbers
)
wide_arcs = st.builds(
    lambda file, begin, end: [
        0x22 << 56 | file << 32, 0x30 << 56 | bits(begin, 56), 0x30 << 56 | bits(end, 56)
    ],
    small, numbers, numbers,
)  # fmt: skip
texts = st.builds(
    blob,
    st.sampled_from((1, 1, 2, 3, 4, 9)),
    st.binary(max_size=40)
    | st.builds(
        lambda number, path, module: struct.pack("=I", number) + path + b"\0" + module,
        small,
        st.sampled_from((b"/a.py", b"/b.py", b"", b"/\xff")),
        st.sampled_from((b"", b"a", b"a\0b")),
    ),
    st.sampled_from((0, 0, 0, 1 << 23)),
)
strange = st.builds(
    lambda tag, rest: [tag << 56 | rest],
    st.sampled_from((0, 0, 0x10, 0x20, 0x21, 0x22, 0x30, 0x30, 0x31, 0x40, 0x50, 0xFF)),
    anything | st.just(0),
)
any_words = st.lists(
    lines | arcs | near_arcs | wide_lines | wide_arcs | texts | strange, max_size=60
).map(lambda records: [word for record in records for word in record])  # fmt: skip


def packed(words: list[int], order: str) -> bytes:
    return b"".join(word.to_bytes(8, order) for word in words)  # type: ignore[arg-type]


def sorted_by_c(
    words: bytes, order: str, memory: int = MEMORY_LIMIT, version: int = JOURNAL_VERSION
) -> JournalFacts:
    return decode_words(words, order != NATIVE, version, LARGEST_LINE, memory)


def said_by_c(words: bytes, order: str, version: int = JOURNAL_VERSION) -> Said:
    found = sorted_by_c(words, order, version=version)
    torn, senseless, damaged, left_out = found.counts()
    assert left_out == 0
    said = Said(
        lines={key: set(lines_in(these)) for key, these in found.lines().items()},
        arcs={key: set(arcs_in(these)) for key, these in found.arcs().items()},
        files={number: (path, module) for number, path, module in found.files()},
        contexts=dict(found.contexts()),
        properties={os.fsencode(key): value for key, value in found.properties().items()},
        others=found.blobs(),
        torn=torn,
        senseless=senseless,
        damaged=damaged,
    )
    for each in found.out_of_range():
        if len(each) == 3:
            assert each[2] > LARGEST_LINE
            said.lines.setdefault(each[:2], set()).add(each[2])
        else:
            assert max(map(abs, each[2:])) > LARGEST_LINE
            said.arcs.setdefault(each[:2], set()).add(each[2:])
    return said


@settings(max_examples=200)
@given(any_words, st.sampled_from(ORDERS), st.sampled_from((1, JOURNAL_VERSION)))
def test_any_words_say_what_the_format_says_they_do(
    words: list[int], order: str, version: int
) -> None:
    expected = reference.read(words, order, version)
    assert said_by_c(packed(words, order), order, version) == expected


@given(any_words, st.data())
def test_damaged_words_say_what_is_left(words: list[int], data: st.DataObject) -> None:
    raw = bytearray(packed(words, "little"))
    for _ in range(data.draw(st.integers(1, 4)) if raw else 0):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(("flip", "zero", "cut"))):
            case "flip":
                raw[at] ^= data.draw(st.integers(1, 255))
            case "zero":
                raw[at : at + 8] = bytes(len(raw[at : at + 8]))
            case _:
                del raw[at - at % 8 :]
        if not raw:
            break
    left = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
    assert said_by_c(bytes(raw), "little") == reference.read(left, "little")


def random_words(chance: random.Random) -> list[int]:
    """Much faster than hypothesis, and nearer to what a disk gives back."""
    words: list[int] = []
    for _ in range(chance.randrange(80)):
        tag = chance.choice(
            (0, 0x10, 0x11, 0x20, 0x21, 0x22, 0x30, 0x30, 0x31, 0x40, 0x57, 0x70, 0xB0, 0xDF)
        )
        words += [tag << 56 | chance.getrandbits(chance.choice((8, 30, 56)))] * chance.choice(
            (1, 2)
        )
        if tag == 0x40 and chance.random() < 0.7:
            words += blob(chance.randrange(6), chance.randbytes(chance.randrange(30)))
    return words


def fuzz(seconds: float, seed: int) -> int:
    chance = random.Random(seed)
    begin = time.monotonic()
    count = 0
    while count < 100 or time.monotonic() - begin < seconds:
        words, order, version = random_words(chance), chance.choice(ORDERS), chance.choice((1, 2))
        expected = reference.read(words, order, version)
        assert said_by_c(packed(words, order), order, version) == expected, (seed, count)
        count += 1
    return count


def test_random_words_say_what_the_format_says_they_do() -> None:
    assert fuzz(0, seed=1) >= 100


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_words_for_minutes() -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"{fuzz(300, seed)} journals from seed {seed}")


def test_hostile_words_cost_no_more_than_their_limit() -> None:
    # Each of these lines alone takes a set of 128 KiB.
    words = [1 << 60 | file << 42 | 0xFFFFF << 22 for file in range(2000)]
    words += [word for file in range(2000) for word in (0x20 << 56 | file << 32, 0x30 << 56 | 5)]
    words += [word for line in range(2000) for word in (0x21 << 56, 0x3F << 56 | line)]
    words += [0x7 << 60 | line << 26 for line in range(2000)]
    limit = 4 << 20
    found = sorted_by_c(packed(words, NATIVE), NATIVE, memory=limit)
    kept = sum(len(lines_in(these)) for these in found.lines().values())
    kept += sum(len(arcs_in(these)) for these in found.arcs().values())
    *_, left_out = found.counts()
    assert 10 < kept < 100
    assert kept + left_out == 6000
    assert sum(these.bit_length() // 8 for these in found.lines().values()) < limit


def test_a_row_without_room_is_counted_word_by_word() -> None:
    arcs = [0x7 << 60 | line << 26 for line in range(1000)]
    assert sorted_by_c(packed(arcs, NATIVE), NATIVE, memory=0).counts() == (0, 0, 0, 1000)
    torn = [1 << 60, 0, 1 << 60 | 5 << 22, 0x30 << 56]
    assert sorted_by_c(packed(torn, NATIVE), NATIVE, memory=0).counts() == (1, 1, 0, 2)
    words = [1 << 60 | line << 22 for line in range(1, 64_000, 64)]
    assert sorted_by_c(packed(words, NATIVE), NATIVE, memory=0).counts() == (0, 0, 0, 1000)
    found = sorted_by_c(packed(words, NATIVE), NATIVE, memory=1 << 10)
    kept = sum(len(lines_in(these)) for these in found.lines().values())
    assert 0 < kept < 1000
    assert found.counts() == (0, 0, 0, 1000 - kept)


def test_what_is_no_words_is_refused() -> None:
    for wrong in (b"1234567", b"123456789"):
        with pytest.raises(ValueError, match="not words"):
            decode_words(wrong, False, JOURNAL_VERSION, LARGEST_LINE, MEMORY_LIMIT)
    with pytest.raises(ValueError, match="wrong limit"):
        decode_words(b"", False, JOURNAL_VERSION, LARGEST_LINE, -1)
    with pytest.raises(ValueError, match="not a set of arcs"):
        unite_arcs(b"", b"1234")
    with pytest.raises(TypeError):
        FactUnion().add((b"",), 0, "", "", False)  # type: ignore[arg-type]


pairs = st.sets(st.tuples(st.integers(-300, 300), st.integers(-300, 300)), max_size=60)


@given(pairs, pairs)
def test_arcs_are_united_as_sets_are(
    one: set[tuple[int, int]], other: set[tuple[int, int]]
) -> None:
    assert unite_arcs(arc_set_of(one), arc_set_of(other)) == arc_set_of(one | other)
    assert arcs_in(arc_set_of(one)) == sorted(one)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=400), st.randoms())
def test_many_arcs_are_sorted_and_none_is_there_twice(
    found: list[tuple[int, int]], chance: random.Random
) -> None:
    found = [*found, *chance.choices(found or [(1, 2)], k=200)]
    words = [
        word
        for begin, end in found
        for word in (0x20 << 56, 0x30 << 56 | bits(begin, 28) << 28 | bits(end, 28))
    ]
    assert sorted_by_c(packed(words, NATIVE), NATIVE).arcs() == {(0, 0): arc_set_of(found)}


def test_lines_are_exported_as_coverage_py_has_them() -> None:
    for these in ({0}, {7}, {8}, {63}, {64}, {1, 65, 127, 128}, {(1 << 20) - 1}, {1, 1 << 19}):
        words = [1 << 60 | line << 22 for line in these]
        assert sorted_by_c(packed(words, NATIVE), NATIVE).lines() == {(0, 0): line_set_of(these)}
