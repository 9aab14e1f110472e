"""A forked child has a journal of its own, whoever forked, and never writes its parent's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.header import StartKind
from tests.journal.harness import NO_WIPE, Harness, executed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("how", ["fork", "clone"])
def test_a_child_gets_a_journal_of_its_own_without_any_hook(harness: Harness, how: str) -> None:
    done = harness.run(f"""
        start DIR -
        property argv parent
        file 1 /a.py a
        line 1 1 0
        {how}
        ensure
        file 1 /a.py a
        line 1 2 0
        end
        line 1 3 0
    """)
    parent, child = done.journals()
    assert parent.lines == {(1, 0): {1, 3}}
    assert child.lines == {(1, 0): {2}}
    assert child.files == parent.files
    assert child.properties == {"argv": b"parent"}
    assert child.header.start_kind is StartKind.FORKED
    assert child.header.parent_image_id == parent.header.image_id
    assert child.header.ppid == parent.header.pid
    assert child.header.generation == 0
    assert child.header.image_id != parent.header.image_id


@pytest.mark.parametrize("how", ["fork", "clone"])
def test_where_no_page_can_be_wiped_the_child_still_gets_its_own(
    harness: Harness, seam_program: Path, how: str
) -> None:
    script = f"""
        start DIR -
        line 1 1 0
        {how}
        line 1 2 0
        ensure
        line 1 3 0
        {how}
        ensure
        line 1 4 0
        end
        end
        line 1 5 0
    """
    done = Harness(seam_program, harness.directory).run(script, {"SEAM_ALWAYS": NO_WIPE})
    parent, child, grandchild = done.journals()
    assert parent.lines == {(1, 0): {1, 5}}
    assert child.lines == {(1, 0): {3}}
    assert child.header.lost_facts == 1  # before ensure, as the interface says
    assert grandchild.lines == {(1, 0): {4}}
    assert grandchild.header.parent_image_id == child.header.image_id


def test_definitions_must_be_written_again_only_in_a_child(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        ensure
        fork
        ensure
        line 1 1 0
        ensure
        fork
        ensure
        end
        end
        ensure
    """)
    epochs = [answer.split()[2] for answer in done.answers("ensure")]
    assert epochs == ["1", "2", "2", "3", "1"]


def test_a_fact_never_makes_a_journal_that_lacks_definitions(harness: Harness) -> None:
    done = harness.run("start DIR -\nfork\nline 1 1 0\nfile 1 /a.py a\nline 1 2 0\nend")
    assert done.answers("line") == ["-1 1", "-1 2"]
    assert done.answers("file") == ["-1"]
    assert len(done.journals()) == 1


def test_an_event_makes_the_childs_journal(harness: Harness) -> None:
    done = harness.run("start DIR -\nfork\nevent 8 61\nend")
    parent, child = done.journals()
    assert parent.events == []
    assert [event.text for event in child.events] == ["a"]


def test_the_parent_value_is_the_childs_own_in_a_child(harness: Harness) -> None:
    done = harness.run("start DIR -\nfork\nparent\nend\nparent")
    parent, child = done.journals()
    assert done.answers("parent") == [
        f"{child.header.image_id}.{child.header.pid}.0",
        f"{parent.header.image_id}.{parent.header.pid}.0",
    ]


def test_a_childs_child_names_the_image_it_was_copied_from(harness: Harness) -> None:
    # The process in between recorded nothing, and so never was an image.
    done = harness.run("start DIR -\nfork\nfork\nforked\nend\nend")
    parent, grandchild = done.journals()
    assert grandchild.header.parent_image_id == parent.header.image_id
    assert grandchild.header.ppid != parent.header.pid


def test_an_exec_is_the_next_generation_of_its_image(harness: Harness) -> None:
    with harness.running("start DIR -\nparent\nwait") as process:
        assert process.stdout is not None
        value = [process.stdout.readline() for _ in range(2)][1].split()[1]
    first, pid, generation = value.split(".")
    # The program finds its own pid in what it left to itself.
    shell = f'exec "$0" "start $1 {first}.$$.{generation}"'
    done = Harness(harness.program.parent / "sh", harness.directory)
    done.program.write_text(f"#!/bin/sh\n{shell.replace('$0', str(harness.program))}\n")
    done.program.chmod(0o700)
    result = done.run("DIR")
    second = next(each for each in result.journals() if each.header.image_id != first)
    assert second.header.start_kind is StartKind.EXECED
    assert second.header.generation == 1
    assert second.header.parent_image_id == first
    assert second.header.pid != int(pid)  # another process here, and that is what $$ was for


def test_a_child_maps_its_own_journal_in_place_of_its_parents(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        lines 1 1 20000
        mappings
        fork
        mappings
        forked
        mappings
        fork
        forked
        mappings
        end
        end
    """)
    assert done.answers("mappings") == ["1", "1", "1", "1"]


def test_a_child_gives_back_all_segments_of_its_parent(harness: Harness) -> None:
    done = harness.run("""
        limit fsize 65536
        start DIR -
        lines 1 1 20000
        mappings
        fork
        forked
        mappings
        lines 2 1 20000
        mappings
        end
        lines 1 20001 20100
    """)
    assert done.answers("mappings") == ["3", "1", "3"]
    assert executed(done.journals(), 1) == set(range(1, 20101))
    assert executed(done.journals(), 2) == set(range(1, 20001))


def test_a_chain_of_forks_keeps_every_generations_facts(harness: Harness) -> None:
    depth = 20
    script = "start DIR -\n" + "".join(
        f"line 1 {n} 0\nfork\nforked\nline 1 {n + 1000} 0\n" for n in range(1, depth + 1)
    )
    done = harness.run(script + "end\n" * depth)
    assert len(done.journals()) == depth + 1
    expected = set(range(1, depth + 1)) | set(range(1001, depth + 1001))
    assert executed(done.journals(), 1) == expected


def test_short_properties_are_repeated_in_children_and_long_ones_are_not(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        property host here
        long-property argv 5000
        property cwd /
        long-property executable 3000
        long-property python 3000
        fork
        forked
        end
    """)
    parent, child = done.journals()
    assert list(parent.properties) == ["host", "argv", "cwd", "executable", "python"]
    assert set(child.properties) == {"host", "cwd", "executable"}
    assert child.properties["executable"] == b"x" * 3000


def test_an_environment_of_another_process_makes_no_generation(harness: Harness) -> None:
    done = harness.run("start DIR 00112233445566778899aabbccddeeff.1.3\nfork\nforked\nend")
    first, second = done.journals()
    assert (first.header.start_kind, first.header.generation) == (StartKind.SPAWNED, 0)
    assert (second.header.start_kind, second.header.generation) == (StartKind.FORKED, 0)
