"""The words of docs/journal-format.md, the writer's bytes and the reader's view are one format."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.datafile import _fold
from covsup.datafile.journal.events import (
    AboutToExec,
    Ended,
    EndedHow,
    ExecFailed,
    LibraryUsed,
    Note,
    Reaped,
    Spawned,
    Unexecuted,
    UserTracer,
)
from covsup.datafile.journal.header import Core, StartKind
from covsup.datafile.journal.reader import FileDef, read_journal
from tests.journal.harness import TRACER_C, Done, Harness, executed

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "journal-format.md").read_text("utf-8")
TYPES = {"u8[8]": "8s", "u8[16]": "16s", "u32": "I", "u64": "Q"}


def documented_fields() -> dict[str, tuple[int, str]]:
    """Offset and type of each header field, from the document's tables."""
    rows = re.findall(r"^\| (\d+) \| (u[\d\[\]]+) \| `(\w+)` \|", DOCUMENT, re.MULTILINE)
    return {name: (int(offset), kind) for offset, kind, name in rows}


def documented_examples() -> dict[str, list[int]]:
    rows = re.findall(r"^\| (.+?) \| `([0-9a-f ]+)` \|$", DOCUMENT, re.MULTILINE)
    return {text: [int(word, 16) for word in words.split()] for text, words in rows}


def raw(done: Done) -> bytes:
    """The bytes of the one journal, up to its tail."""
    (path,) = done.directory.glob("*.journal~")
    with path.open("rb") as file:
        head = file.read(512)
        (tail,) = struct.unpack_from("=Q", head, 256)
        return head + file.read(tail - 512)


def words_of(done: Done) -> list[int]:
    return list(memoryview(raw(done)[512:]).cast("Q"))


def test_the_document_names_every_field_of_the_c_header_at_its_offset() -> None:
    source = (TRACER_C / "journal" / "format.h").read_text()
    body = source[
        source.index("typedef struct {\n    /* Identity") : source.index("} journal_header;")
    ]
    offset = 0
    found = {}
    sizes = {"char": 1, "uint8_t": 1, "uint32_t": 4, "uint64_t": 8}
    lengths = {
        "JOURNAL_MAGIC_SIZE": 8,
        "JOURNAL_IMAGE_ID_SIZE": 16,
        "JOURNAL_CHECKED_TO - 152": 96,
        "JOURNAL_HEADER_SIZE - 336": 176,
    }
    for kind, name, length in re.findall(r"^    (\w+) (\w+)(?:\[(.+?)\])?;", body, re.MULTILINE):
        if not name.startswith("reserved"):
            found[name] = offset
        offset += sizes[kind] * (lengths[length] if length else 1)
    assert offset == 512
    assert found == {name: offset for name, (offset, _) in documented_fields().items()}


def test_the_reader_sees_in_each_header_field_what_the_document_says(harness: Harness) -> None:
    done = harness.run("""
        start DIR 00112233445566778899aabbccddeeff.1.4
        line 1 1 0
        lose
    """)
    header = done.journal().header
    data = raw(done)
    values = {
        name: struct.unpack_from(f"={TYPES[kind]}", data, offset)[0]
        for name, (offset, kind) in documented_fields().items()
    }
    assert values.pop("magic") == _fold.JOURNAL_MAGIC
    assert values.pop("version") == _fold.JOURNAL_VERSION
    assert values.pop("header_size") == _fold.JOURNAL_HEADER_SIZE
    assert values.pop("byte_order") == 0x0102030405060708
    values.pop("identity_check")
    assert values.pop("image_id").hex() == header.image_id
    assert values.pop("parent_image_id").hex() == header.parent_image_id
    assert bool(values.pop("flags") & 1) == header.branch
    for name, value in values.items():
        assert getattr(header, name) == value, name
    assert header.lost_facts == 1
    assert data[152:248] == bytes(96)
    assert data[336:512] == bytes(176)


def test_an_image_says_who_it_is(harness: Harness) -> None:
    done = harness.run("start DIR -\nparent")
    header = done.journal().header
    assert header.parent_image_id is None
    assert header.start_kind is StartKind.SPAWNED
    assert header.generation == 0
    assert header.core is Core.SETTRACE
    assert header.branch
    assert header.python_hexversion == 0x030B07F0
    assert header.capacity == header.slots_at == 1 << 20
    assert header.slot_size * header.slot_count == 32 << 20
    assert done.answers("parent") == [f"{header.image_id}.{header.pid}.0"]
    (path,) = done.directory.iterdir()
    assert path.name == f"{header.pid}-{header.image_id}.0.journal~"


@pytest.mark.parametrize(
    ("value", "parent"),
    [
        ("00112233445566778899aabbccddeeff.1.7", "00112233445566778899aabbccddeeff"),
        ("00112233445566778899aabbccddeef.1.7", None),
        ("00112233445566778899AABBCCDDEEFF.1.7", None),
        ("00112233445566778899aabbccddeeff.1.", None),
        ("00112233445566778899aabbccddeeff.1.7x", None),
        ("00112233445566778899aabbccddeeff.1", None),
        ("00112233445566778899aabbccddeeff.1111111111111111111111.7", None),
        ("garbage", None),
    ],
)
def test_a_spawned_image_has_the_parent_that_its_environment_names_well(
    harness: Harness, value: str, parent: str | None
) -> None:
    header = harness.run(f"start DIR {value}").journal().header
    assert header.parent_image_id == parent
    assert (header.start_kind, header.generation) == (StartKind.SPAWNED, 0)


@pytest.mark.parametrize(
    ("example", "command"),
    [
        ("line 5 of file 1 in context 0", "line 1 5 0"),
        ("line 1048575 of file 262143 in context 4194303", "line 262143 1048575 4194303"),
        ("line 1048576 of file 1 in context 0", "line 1 1048576 0"),
        ("arc 5 to 7 of file 1 in context 2", "arc 1 5 7 2"),
        ("arc -3 to 5 of file 1 in context 2", "arc 1 -3 5 2"),
        ("arc 5 to -3 of file 1 in context 2", "arc 1 5 -3 2"),
        (
            "arc 262143 to 261119 of file 65535 in context 32767",
            "arc 65535 262143 261119 32767",
        ),
        ("arc 5 to -3 of file 65536 in context 2", "arc 65536 5 -3 2"),
        ("arc 200000000 to -1 of file 1 in context 0", "arc 1 200000000 -1 0"),
        ("file 1, path `/a.py`, module `a`", "file 1 /a.py a"),
    ],
)
def test_the_writer_stores_the_documented_words(
    harness: Harness, example: str, command: str
) -> None:
    assert words_of(harness.run(f"start DIR -\n{command}")) == documented_examples()[example]


@pytest.mark.parametrize(
    ("file_id", "line", "context"),
    [
        (0, 1, 0),
        (1, (1 << 20) - 1, 0),
        (1, 1 << 20, 0),
        ((1 << 18) - 1, 1, (1 << 22) - 1),
        (1 << 18, 1, 0),
        (1, 1, 1 << 22),
        ((1 << 24) - 1, (1 << 32) - 1, (1 << 32) - 1),
    ],
)
def test_a_line_is_read_as_it_was_written(
    harness: Harness, file_id: int, line: int, context: int
) -> None:
    journal = harness.run(f"start DIR -\nline {file_id} {line} {context}").journal()
    assert journal.lines == {(file_id, context): {line}}
    assert journal.arcs == {}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (1, 2),
        (-1, 1),
        (1, -1),
        (-3, -4),
        (0, 0),
        (0, 1023),
        (0, -1023),
        (-1, 1025),
        (1024, -1025),
        (2000, 976),
        (2000, 975),
        (-2000, 975),
        (-(1 << 18) + 1, (1 << 18) + 1022),
        (1 << 18, 1 << 18),
        ((1 << 27) - 1, -(1 << 27)),
        (1 << 27, 1),
        (-1, 1 << 27),
        (-(1 << 27) - 1, -(1 << 31)),
        ((1 << 31) - 1, 0),
    ],
)
def test_an_arc_is_read_as_it_was_written(harness: Harness, start: int, end: int) -> None:
    places = [(7, 0), (7, (1 << 15) - 1), (7, 1 << 15), (7, (1 << 32) - 1)]
    places += [((1 << 16) - 1, 0), (1 << 16, 0), ((1 << 24) - 1, (1 << 32) - 1)]
    script = "".join(f"arc {file} {start} {end} {context}\n" for file, context in places)
    journal = harness.run(f"start DIR -\n{script}").journal()
    assert journal.arcs == {place: {(start, end)} for place in places}
    assert journal.lines == {}


def test_what_no_record_can_hold_is_counted_as_lost(harness: Harness) -> None:
    done = harness.run(f"""
        start DIR -
        line {1 << 24} 1 0
        arc {1 << 24} 1 2 0
        line 1 2 0
    """)
    assert done.answers("line") == ["-1 1", "0 2"]
    header = done.journal().header
    assert (header.lost_facts, header.lost_events) == (2, 0)
    assert (header.lost_errno, header.lost_stage) == (34, 11)  # ERANGE, documented stage


def test_a_text_that_no_record_can_hold_is_counted_as_lost(harness: Harness) -> None:
    done = harness.run(
        "limit fsize 8192\nstart DIR -\nlong-blob 4 9000\nlong-event 8 9000\nline 1 2 0"
    )
    assert done.answers("long-blob") == ["-1"]
    assert done.answers("long-event") == ["-1"]
    journal = done.journal()
    assert journal.lines == {(1, 0): {2}}
    assert (journal.header.lost_facts, journal.header.lost_events) == (0, 2)
    assert (journal.header.lost_errno, journal.header.lost_stage) == (errno.EFBIG, 3)


@pytest.mark.parametrize("size", [100_000, (1 << 20) - 12])
def test_a_long_text_is_read_as_it_was_written(harness: Harness, size: int) -> None:
    done = harness.run(f"start DIR -\nline 1 1 0\nlong-event 8 {size}\nline 1 2 0")
    (event,) = [event for journal in done.journals() for event in journal.events]
    assert isinstance(event, Note)
    assert event.text == "x" * size
    assert executed(done.journals(), 1) == {1, 2}


def test_a_long_property_is_cut(harness: Harness) -> None:
    done = harness.run("start DIR -\n" + "\n".join(f"long-property k{n} 100000" for n in range(3)))
    assert done.journal().properties == {f"k{n}": b"x" * 4096 for n in range(3)}
    (path,) = done.directory.iterdir()
    assert path.stat().st_blocks * 512 <= 16384


def packed(*parts: bytes | tuple[str, int]) -> str:
    return b"".join(
        part if isinstance(part, bytes) else struct.pack(f"={part[0]}", part[1]) for part in parts
    ).hex()


EVENTS: list[tuple[int, str, Callable[[int], object]]] = [
    (
        1,
        packed(b"/bin/x\0x\0-a\0"),
        lambda at: AboutToExec(at_ns=at, path="/bin/x", argv=("x", "-a", "")),
    ),
    (1, packed(b"/bin/x\0"), lambda at: AboutToExec(at_ns=at, path="/bin/x", argv=())),
    (2, packed(("i", -2)), lambda at: ExecFailed(at_ns=at, errno=-2)),
    (
        3,
        packed(("I", 77), b"python\0\xff"),
        lambda at: Spawned(at_ns=at, pid=77, argv=("python", "\udcff")),
    ),
    (4, packed(("I", 77), ("i", -9)), lambda at: Reaped(at_ns=at, pid=77, status=-9)),
    (
        5,
        packed(b"\2", ("i", 3)),
        lambda at: Ended(at_ns=at, how=EndedHow.UNDERSCORE_EXIT, status=3),
    ),
    (
        6,
        packed(b"gevent\x0025.4"),
        lambda at: LibraryUsed(at_ns=at, name="gevent", version="25.4"),
    ),
    (7, packed(b"pdb"), lambda at: UserTracer(at_ns=at, text="pdb")),
    (8, "-", lambda at: Note(at_ns=at, text="")),
    (9, packed(("I", 77)), lambda at: Unexecuted(at_ns=at, pid=77)),
]


@pytest.mark.parametrize(("kind", "payload", "expected"), EVENTS)
def test_an_event_is_read_as_it_was_written(
    harness: Harness, kind: int, payload: str, expected: Callable[[int], object]
) -> None:
    journal = harness.run(f"start DIR -\nevent {kind} {payload}").journal()
    (event,) = journal.events
    assert event == expected(event.at_ns)
    assert 0 <= event.at_ns - journal.header.start_realtime_ns < 60_000_000_000


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 13, 14, 15, 4000])
def test_a_text_of_any_length_is_read_as_it_was_written(harness: Harness, length: int) -> None:
    text = bytes(i % 255 + 1 for i in range(length))
    done = harness.run(f"start DIR -\nblob 4 {(b'k' + bytes(1) + text).hex()}\nline 1 2 0")
    journal = done.journal()
    assert journal.properties == {"k": text}
    assert journal.lines == {(1, 0): {2}}
    assert len(words_of(done)) == 1 + -(-(length + 2) // 7) + 1


def test_definitions_and_properties_are_read_as_they_were_written(harness: Harness) -> None:
    journal = harness.run("""
        start DIR -
        property cwd /here
        property cwd /there
        file 3 /x/y.py x.y
        file 4 /x/z.py -
        context 9 test_one|run
        line 3 1 9
        thread-started
        thread-started
    """).journal()
    assert journal.properties == {"cwd": b"/there"}
    assert journal.files == {
        3: FileDef(path="/x/y.py", module="x.y"),
        4: FileDef(path="/x/z.py", module=""),
    }
    assert journal.contexts == {9: "test_one|run"}
    assert journal.lines == {(3, 9): {1}}
    assert journal.header.threads_started == 2


def test_a_process_with_nothing_new_costs_at_most_16_kib(harness: Harness) -> None:
    done = harness.run("start DIR -\nproperty argv python\nproperty cwd /\nfork\nforked\nend")
    assert len(done.journals()) == 2
    for path in done.directory.iterdir():
        assert path.stat().st_blocks * 512 <= 16384


def test_a_fact_costs_8_bytes_and_a_rare_one_more(harness: Harness) -> None:
    done = harness.run("start DIR -\nlines 1 1 100000\narc 1 1 2 0\narc 1 1 2000 0")
    journal = done.journal()
    assert done.answers("lines") == ["100000"]
    assert journal.lines[1, 0] == set(range(1, 100001))
    assert journal.header.tail == 512 + 100000 * 8 + 8 + 16
    (path,) = done.directory.iterdir()
    assert path.stat().st_blocks * 512 <= journal.header.tail + (256 << 10) + 4096
    assert path.stat().st_blocks * 512 <= journal.header.allocated + 4096


def test_every_journal_that_is_written_is_short_enough_to_be_read() -> None:
    sources = "".join(path.read_text() for path in (TRACER_C / "journal").iterdir())
    mib = dict(re.findall(r"#define (\w+) \(UINT64_C\((\d+)\) << 20\)", sources))
    words, slots = int(mib["SEGMENT_LONGEST"]), int(mib["SLOTS_LENGTH"])
    assert max(words, int(mib["FIRST_LENGTH"]) + slots) << 20 <= _fold.JOURNAL_LONGEST
    assert f"at most {words} MiB" in DOCUMENT
    assert f"{slots} MiB of slots" in DOCUMENT


def test_every_stage_of_a_loss_is_documented() -> None:
    source = (TRACER_C / "journal" / "format.h").read_text()
    stages = {int(n) for n in re.findall(r"JOURNAL_STAGE_\w+ = (\d+)", source)}
    table = DOCUMENT[DOCUMENT.index("| `lost_stage` | what failed") : DOCUMENT.index("## Words")]
    assert {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == stages


def test_a_second_segment_goes_on_where_the_first_was_full(harness: Harness) -> None:
    done = harness.run("""
        limit fsize 65536
        start DIR -
        file 1 /a.py a
        lines 1 1 20000
        thread-started
        descriptors
    """)
    journals = done.journals()
    assert [journal.header.segment for journal in journals] == [0, 1, 2]
    assert len({journal.header.image_id for journal in journals}) == 1
    assert set().union(*(journal.lines[1, 0] for journal in journals)) == set(range(1, 20001))
    assert [journal.header.threads_started for journal in journals] == [1, 0, 0]
    for path in done.directory.iterdir():
        assert read_journal(path).header.capacity == path.stat().st_size == 65536
