"""Any bytes give a journal or one clear error, and what is sound is used."""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
from binascii import crc32
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covsup.datafile._fold import JOURNAL_VERSION
from covsup.datafile.errors import (
    CovsupError,
    JournalDamaged,
    JournalError,
    JournalNotBegun,
    JournalUnreadable,
    JournalVersionUnsupported,
)
from covsup.datafile.journal.events import Note
from covsup.datafile.journal.reader import (
    Journal,
    read_any_journal,
    read_borrowers,
    read_journal,
    read_slots,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.journal.harness import Harness

IMAGE = bytes(range(16))


def header(
    *,
    order: str = "=",
    version: int = JOURNAL_VERSION,
    tail: int = 512,
    image: bytes = IMAGE,
    start_kind: int = 1,
    core: int = 1,
    magic: bytes = b"COVSUPJ\n",
    damage: int = 0,
) -> bytes:
    identity = struct.pack(
        f"{order}IIQ16s16sQQQQIIIIIIQQ120x",
        *(version, 512, 0x0102030405060708, image, bytes(16), 11, 10, 1_000, 2_000),
        *(0, start_kind, 0x030D00F0, core, 1, 0, 64 << 20, 0),
    )
    check = crc32(identity) ^ damage
    changing = struct.pack(f"{order}QQQQIIQ208x", tail, 8192, 0, 0, 0, 0, 0)
    return magic + identity + struct.pack(f"{order}Q", check) + changing


def line(file_id: int, number: int, context: int = 0) -> int:
    return 1 << 60 | file_id << 42 | number << 22 | context


def arc(file_id: int, start: int, end: int, context: int = 0) -> list[int]:
    mask = (1 << 28) - 1
    return [0x20 << 56 | file_id << 32 | context, 0x30 << 56 | (start & mask) << 28 | end & mask]


def near(file_id: int, start: int, end: int, context: int = 0) -> int:
    """The same in one word."""
    kind = 0xB if start < 0 else 0xD if end < 0 else 0x7
    difference = (abs(end) - abs(start)) & 0x7FF
    return kind << 60 | file_id << 44 | abs(start) << 26 | difference << 15 | context


def blob(kind: int, payload: bytes) -> list[int]:
    pieces = [payload[at : at + 7] for at in range(0, len(payload), 7)]
    head = 0x40 << 56 | kind << 48 | len(payload) << 24 | crc32(payload) & 0xFFFFFF
    return [head, *(0x31 << 56 | int.from_bytes(piece, "little") for piece in pieces)]


def packed(words: list[int], order: str = "=") -> bytes:
    return struct.pack(f"{order}{len(words)}Q", *words)


def journal_of(path: Path, words: list[int], *, tail: int | None = None) -> Journal:
    tail = 512 + 8 * len(words) if tail is None else tail
    path.write_bytes(header(tail=tail) + packed(words))
    return read_journal(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "11-00.0.journal~"


def refused(path: Path, data: bytes, error: type[JournalError]) -> str:
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        read_journal(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(512), bytes(9000)])
def test_a_file_without_the_magic_was_not_begun(path: Path, data: bytes) -> None:
    refused(path, data, JournalNotBegun)


def test_a_header_whose_magic_is_missing_was_not_begun(path: Path) -> None:
    refused(path, header(magic=bytes(8)) + packed([line(1, 1)]), JournalNotBegun)


@pytest.mark.parametrize(
    "data", [b"x", b"SQLite format 3\0" * 64, b"COVSUPJ\n", header()[:511], header(damage=1)]
)
def test_what_is_no_journal_is_damaged(path: Path, data: bytes) -> None:
    refused(path, data, JournalDamaged)


def test_a_header_with_impossible_values_is_damaged(path: Path) -> None:
    refused(path, header(start_kind=9), JournalDamaged)
    refused(path, header(core=9), JournalDamaged)
    refused(path, header().replace(struct.pack("=Q", 0x0102030405060708), bytes(8)), JournalDamaged)


def test_a_newer_version_is_refused_by_its_number(path: Path) -> None:
    assert f"format {JOURNAL_VERSION + 1}" in refused(
        path, header(version=JOURNAL_VERSION + 1), JournalVersionUnsupported
    )
    with pytest.raises(JournalVersionUnsupported) as caught:
        read_journal(path)
    assert caught.value.version == JOURNAL_VERSION + 1
    assert isinstance(caught.value, CovsupError)


def test_what_cannot_be_opened_is_unreadable(path: Path, tmp_path: Path) -> None:
    with pytest.raises(JournalUnreadable, match="No such file"):
        read_journal(path)
    with pytest.raises(JournalUnreadable, match="not a regular file"):
        read_journal(tmp_path)
    os.mkfifo(path)
    with pytest.raises(JournalUnreadable, match="not a regular file"):
        read_journal(path)
    link = tmp_path / "link.0.journal~"
    link.symlink_to(path)
    with pytest.raises(JournalUnreadable, match="it is a link"):
        read_journal(link)


def test_records_around_damage_are_used(path: Path) -> None:
    garbage = 0xFEDCBA9876543210
    words = [
        line(1, 1),
        garbage,
        *arc(1, 2, 3),
        arc(1, 4, 5)[1],  # numbers without a head
        arc(1, 6, 7)[0],  # a head without numbers
        *blob(1, b"\1\0\0\0/a.py\0a"),
        blob(3, b"x" * 20)[1],
        line(1, 8),
    ]
    journal = journal_of(path, words)
    assert journal.lines == {(1, 0): {1, 8}}
    assert journal.arcs == {(1, 0): {(2, 3)}}
    assert journal.files[1].path == "/a.py"
    assert journal.problems == [f"4 of its {len(words)} words make no sense"]
    assert journal.torn == 0


def test_a_journal_of_the_first_version_has_no_arcs_of_one_word(path: Path) -> None:
    words = [line(1, 1), near(1, 2, 3), *arc(1, 4, 5), near(1, -1, 1), near(1, 5, -1)]
    path.write_bytes(header(version=1, tail=512 + 8 * len(words)) + packed(words))
    journal = read_journal(path)
    assert journal.lines == {(1, 0): {1}}
    assert journal.arcs == {(1, 0): {(4, 5)}}
    assert journal.problems == ["3 of its 6 words make no sense"]


def test_records_that_were_not_finished_are_no_damage(path: Path) -> None:
    words = [
        line(1, 1),
        0,
        line(1, 2),
        0,
        arc(1, 2, 3)[1],
        line(1, 3),
        0,
        *blob(3, b"x" * 20)[1:],
        0,
        *arc(1, -1, 4),
        0,
    ]
    journal = journal_of(path, words)
    assert journal.lines == {(1, 0): {1, 2, 3}}
    assert journal.arcs == {(1, 0): {(-1, 4)}}
    assert journal.torn == 5
    assert journal.problems == []


def test_damaged_texts_are_left_out_and_counted(path: Path) -> None:
    good = blob(4, b"cwd\0/x")
    flipped = blob(4, b"host\0here")
    flipped[1] ^= 1 << 9
    short = blob(4, b"argv\0" + b"y" * 40)[:3]
    no_path = blob(1, b"\1\0\0\0\0mod")
    no_number = blob(2, b"\1")
    no_such_end = blob(3, struct.pack("=IQBi", 5, 9, 77, 0))
    words = [*good, *flipped, *short, line(1, 1), *no_path, *no_number, *no_such_end]
    journal = journal_of(path, words)
    assert journal.properties == {"cwd": b"/x"}
    assert journal.files == {}
    assert journal.contexts == {}
    assert journal.events == []
    assert journal.lines == {(1, 0): {1}}
    assert journal.problems == ["5 of its texts are damaged"]


def test_unknown_kinds_of_texts_are_named(path: Path) -> None:
    words = [*blob(77, b"x"), *blob(3, struct.pack("=IQ", 99, 1)), *blob(77, b"y")]
    assert journal_of(path, words).problems == [
        "it holds events of an unknown kind (99)",
        "it holds texts of an unknown kind (77)",
    ]


def test_nothing_behind_the_tail_is_read(path: Path) -> None:
    words = [line(1, 1), line(1, 2), line(1, 3)]
    journal = journal_of(path, words, tail=512 + 16)
    assert journal.lines == {(1, 0): {1, 2}}
    assert journal.problems == []


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 23])
def test_a_file_that_was_cut_short_gives_what_it_has(path: Path, kept: int) -> None:
    words = [line(1, 1), line(1, 2), line(1, 3)]
    path.write_bytes((header(tail=512 + 24) + packed(words))[: 512 + kept])
    journal = read_journal(path)
    assert journal.lines.get((1, 0), set()) == set(range(1, kept // 8 + 1))
    assert journal.problems == [f"it is cut short: {24 - kept} of 536 bytes are missing"]


@pytest.mark.parametrize("tail", [0, 1, 504, 513, 2**64 - 1])
def test_with_an_impossible_tail_the_whole_file_is_searched(path: Path, tail: int) -> None:
    path.write_bytes(header(tail=tail) + packed([line(1, 1), 0, line(1, 2), 0, 0]))
    journal = read_journal(path)
    assert journal.lines == {(1, 0): {1, 2}}
    assert len(journal.problems) == 1
    assert journal.torn == 1


def test_a_giant_sparse_file_costs_no_more_than_the_largest_journal(path: Path) -> None:
    path.write_bytes(header(tail=1 << 40) + packed([line(1, 1)]))
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        journal = read_journal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert journal.lines == {(1, 0): {1}}
    assert peak < 512 << 20
    assert len(journal.problems) == 1


def test_a_journal_of_a_machine_with_the_other_byte_order_is_read(path: Path) -> None:
    other = ">" if struct.pack("=H", 1) == b"\1\0" else "<"
    words = [line(3, 4), *arc(3, -1, 4, 5), *blob(2, struct.pack(f"{other}I", 5) + b"label")]
    words += blob(3, struct.pack(f"{other}IQ", 8, 77) + b"note")
    path.write_bytes(header(order=other, tail=512 + 8 * len(words)) + packed(words, other))
    journal = read_journal(path)
    assert journal.header.pid == 11
    assert journal.header.image_id == IMAGE.hex()
    assert journal.lines == {(3, 0): {4}}
    assert journal.arcs == {(3, 5): {(-1, 4)}}
    assert journal.contexts == {5: "label"}
    assert journal.events == [Note(at_ns=77, text="note")]


def test_the_same_fact_twice_is_one_fact(path: Path) -> None:
    words = [line(1, 1), *arc(1, 1, 2), line(1, 1), *arc(1, 1, 2)]
    journal = journal_of(path, words)
    assert journal.lines == {(1, 0): {1}}
    assert journal.arcs == {(1, 0): {(1, 2)}}


any_line = st.tuples(st.integers(0, 5), st.integers(0, 50), st.integers(0, 2))
any_arc = st.tuples(
    st.integers(0, 5), st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 2)
)
any_text = st.tuples(st.sampled_from(["cwd", "host", "python"]), st.binary(max_size=30))
# Each example writes the test's one file anew; nothing is kept of a run.
own_file = settings(
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@own_file
@given(facts=st.lists(st.one_of(any_line, any_arc, any_text), max_size=60))
def test_every_record_is_found_among_all_others(
    path: Path, facts: list[tuple[int, ...] | tuple[str, bytes]]
) -> None:
    words: list[int] = []
    lines: dict[tuple[int, int], set[int]] = {}
    arcs: dict[tuple[int, int], set[tuple[int, int]]] = {}
    properties: dict[str, bytes] = {}
    for fact in facts:
        match fact:
            case (int(file_id), int(number), int(context)):
                words.append(line(file_id, number, context))
                lines.setdefault((file_id, context), set()).add(number)
            case (int(file_id), int(start), int(end), int(context)):
                words += (
                    arc(file_id, start, end, context)
                    if start <= 0 and end <= 0
                    else [near(file_id, start, end, context)]
                )
                arcs.setdefault((file_id, context), set()).add((start, end))
            case (str(key), bytes(value)):
                words += blob(4, key.encode() + b"\0" + value)
                properties[key] = value
    journal = journal_of(path, words)
    assert journal.lines == lines
    assert journal.arcs == arcs
    assert journal.properties == properties
    assert (journal.problems, journal.torn) == ([], 0)


@own_file
@given(data=st.binary(max_size=2000))
def test_any_bytes_after_a_header_give_a_journal(path: Path, data: bytes) -> None:
    path.write_bytes(header(tail=512 + len(data)) + data)
    read_journal(path)


tagged_words = st.lists(
    st.builds(
        lambda tag, rest: tag << 56 | rest,
        st.sampled_from([0, 0x10, 0x1F, 0x20, 0x21, 0x22, 0x30, 0x31, 0x40, 0x50, 0x7A, 0xFF]),
        st.integers(0, (1 << 56) - 1),
    ),
    max_size=80,
)


@own_file
@given(words=tagged_words)
def test_any_words_after_a_header_give_a_journal(path: Path, words: list[int]) -> None:
    journal = journal_of(path, words)
    assert all("\n" not in problem for problem in journal.problems)


@own_file
@given(data=st.binary(max_size=1200), keep=st.integers(0, 512))
def test_any_bytes_give_a_journal_or_one_error(path: Path, data: bytes, keep: int) -> None:
    path.write_bytes(header()[:keep] + data)
    with contextlib.suppress(JournalError):
        read_journal(path)


header_numbers = st.sampled_from([0, 1, 2, 3, 4, 504, 511, 512, 520, 600, 1 << 31, 1 << 63])


@own_file
@given(
    words=tagged_words,
    changes=st.lists(st.tuples(st.integers(0, 83), header_numbers), max_size=3),
    cut=st.integers(0, 100) | st.just(10_000),
)
def test_what_is_read_at_once_is_what_is_read_step_by_step(
    path: Path, words: list[int], changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(header(tail=512 + 8 * len(words)) + packed(words))
    for field, number in changes:
        struct.pack_into("=I", data, 4 * field, number & 0xFFFFFFFF)
    data[248:256] = struct.pack("=Q", crc32(data[8:248]))
    path.write_bytes(data[: max(512, len(data) - cut) if cut < 100 else len(data)])

    def read(how: Callable[[Path], Journal]) -> object:
        try:
            journal = how(path)
        except JournalError as error:
            return type(error), str(error)
        parts = (journal.lines, journal.arcs, journal.files, journal.contexts, journal.properties)
        return journal.header, parts, journal.events, journal.claims, journal.problems, journal.torn

    assert read(read_journal) == read(read_any_journal)


def test_slots_that_no_file_reaches_are_none(path: Path) -> None:
    for slots_at in (1 << 27, 1 << 63, (1 << 64) - 1):
        data = bytearray(header())
        struct.pack_into("=QII", data, 136, slots_at, 16384, 10)
        struct.pack_into("=Q", data, 304, 5)
        data[248:256] = struct.pack("=Q", crc32(data[8:248]))
        path.write_bytes(data)
        assert read_slots(path, read_journal(path).header).journals == []
        assert read_borrowers(path) == frozenset()


@own_file
@given(at=st.integers(8, 700), bit=st.integers(0, 7))
def test_a_flipped_bit_harms_only_its_own_record(path: Path, at: int, bit: int) -> None:
    words = [line(1, number) for number in range(1, 21)]
    words += [near(1, -1, 1), near(1, 1, 2), near(1, 2, -1)]
    data = bytearray(header(tail=512 + 8 * len(words)) + packed(words))
    data[min(at, len(data) - 1)] ^= 1 << bit
    path.write_bytes(data)
    try:
        journal = read_journal(path)
    except (JournalDamaged, JournalVersionUnsupported):
        assert at < 256  # the identity
        return
    kept = journal.lines.get((1, 0), set())
    arcs = journal.arcs.get((1, 0), set())
    if at >= 512:
        assert len(kept & set(range(1, 21))) + len(arcs & {(-1, 1), (1, 2), (2, -1)}) >= 22
        # A word that became another kind of word says nothing.
        assert at % 8 != 7 or bit < 4 or len(kept) + len(arcs) == 22
    elif at >= 264:
        assert kept == set(range(1, 21))
        assert arcs == {(-1, 1), (1, 2), (2, -1)}


def test_journals_of_one_image_do_not_depend_on_each_other(harness: Harness) -> None:
    done = harness.run("limit fsize 8192\nstart DIR -\nfile 1 /a.py a\nlines 1 1 3000")
    for path in done.directory.glob("*.1.journal~"):
        path.write_bytes(b"overwritten")
    kept: set[int] = set()
    damaged = 0
    for path in done.directory.iterdir():
        try:
            kept |= read_journal(path).lines[1, 0]
        except JournalDamaged:
            damaged += 1
    assert damaged == 1
    assert len(kept) > 1900
