"""A forked process that can make no file has its journal in a slot of the one that it inherited."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.header import StartKind
from covsup.datafile.journal.reader import read_borrowers, read_journal, read_slots
from tests.journal.harness import (
    NO_POPULATE,
    Harness,
    executed,
    go_on,
    journals_in,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("how", ["fork", "clone"])
def test_children_and_their_children_have_a_slot_each(harness: Harness, how: str) -> None:
    done = harness.run(f"""
        start DIR -
        property argv parent
        file 1 /a.py a
        line 1 1 0
        limit fsize 0
        {how}
        ensure
        file 1 /a.py a
        line 1 2 0
        {how}
        ensure
        line 1 3 0
        end
        line 1 4 0
        end
        {how}
        ensure
        line 1 5 0
        end
        line 1 6 0
        descriptors
    """)
    assert [set(each.lines[1, 0]) for each in done.journals()] == [{1, 6}, {2, 4}, {3}, {5}]
    parent, child, grandchild, second = (each.header for each in done.journals())
    size = parent.slot_size
    assert [child.offset, grandchild.offset, second.offset] == [
        parent.slots_at + n * size for n in range(3)
    ]
    assert (child.start_kind, child.parent_image_id) == (StartKind.FORKED, parent.image_id)
    assert grandchild.parent_image_id == child.image_id
    assert done.journals()[1].properties == {"argv": b"parent"}
    (path,) = done.directory.iterdir()
    assert read_borrowers(path) == {
        (each.pid, each.image_id) for each in (child, grandchild, second)
    }
    # Nothing of it stands in the parent's own words, and little of it on the disk.
    assert path.stat().st_blocks * 512 <= 5 * 8192


def test_a_slot_that_is_full_is_followed_by_others(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        limit fsize 0
        fork
        ensure
        lines 1 1 20000
        fork
        ensure
        lines 2 1 5000
        end
        lines 1 20001 40000
        end
    """)
    parent, *others = done.journals()
    assert executed(others, 1) == set(range(1, 40001))
    assert executed(others, 2) == set(range(1, 5001))
    assert sum(each.header.lost_facts for each in others) == 0
    (child,) = {each.header.image_id for each in others if (1, 0) in each.lines}
    segments = [each.header.segment for each in others if each.header.image_id == child]
    assert segments == list(range(len(segments)))
    assert parent.lines == {}


def test_a_process_that_can_make_no_further_segment_goes_on_in_its_own_slots(
    harness: Harness,
) -> None:
    done = harness.run("""
        limit fsize 1048576
        start DIR -
        limit fsize 0
        lines 1 1 70000
        fork
        ensure
        line 2 1 0
        end
        line 1 70001 0
    """)
    assert executed(done.journals(), 1) == set(range(1, 70002))
    assert executed(done.journals(), 2) == {1}
    assert len(list(done.directory.iterdir())) == 1


def test_when_all_slots_are_used_what_is_lost_is_counted(harness: Harness) -> None:
    slots = (512 << 10) >> 14
    child = "fork\nensure\nline 1 1 0\nend\n"
    done = harness.run(
        "limit fsize 1048576\nstart DIR -\nlimit fsize 0\n" + child * (slots + 2) + "line 1 2 0"
    )
    parent, *children = done.journals()
    assert len(children) == parent.header.slot_count == parent.header.slots_used == slots
    assert parent.header.forks_lost_facts == 2
    assert parent.header.forks_lost_errno == errno.EFBIG
    assert parent.lines == {(1, 0): {2}}


def test_where_no_blocks_can_be_had_behind_a_mapping_what_is_lost_is_counted(
    seam_program: Path, session: Path
) -> None:
    done = Harness(seam_program, session).run(
        "start DIR -\nlimit fsize 0\nfork\nensure\nlose\nend", {"SEAM_ALWAYS": NO_POPULATE}
    )
    assert done.journal().header.forks_lost_facts == 1


def test_slots_are_read_while_their_processes_write(harness: Harness) -> None:
    with harness.running("""
        start DIR -
        limit fsize 0
        fork
        ensure
        line 1 1 0
        wait
        line 1 2 0
        wait
        end
    """) as process:
        for expected in ({1}, {1, 2}):
            wait_for(process, "waiting")
            _, child = journals_in(harness.directory)
            assert child.lines == {(1, 0): expected}
            go_on(process)


@pytest.mark.parametrize(("at", "byte"), [(24, 1), (128, 1), (8, 9)])
def test_a_damaged_slot_is_told_and_the_others_are_read(
    harness: Harness, at: int, byte: int
) -> None:
    done = harness.run(
        "start DIR -\nlimit fsize 0\n" + "fork\nensure\nline 1 1 0\nend\n" * 2 + "line 1 2 0"
    )
    (path,) = done.directory.iterdir()
    header = read_journal(path).header
    with path.open("r+b") as file:
        file.seek(header.slots_at + at)
        file.write(bytes([byte]))
    slots = read_slots(path, header)
    assert len(slots.journals) == len(slots.problems) == 1
    assert str(header.slots_at) in slots.problems[0]
    assert read_journal(path).lines == {(1, 0): {2}}
