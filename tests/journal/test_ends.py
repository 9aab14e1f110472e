"""Whatever ends the process: what it had stored is in the file, and needs nothing more."""

from __future__ import annotations

import signal

import pytest

from covsup.datafile.journal.reader import read_journal
from tests.journal.harness import Harness, executed, go_on, journals_in, wait_for


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGXCPU]
)
def test_a_process_that_a_signal_ends_keeps_its_facts(harness: Harness, number: int) -> None:
    done = harness.run(f"""
        start DIR -
        limit fsize 1048576
        lines 1 1 3000
        fork
        forked
        lines 1 3001 6000
        kill {number}
        end
        kill {number}
    """)
    assert done.status == -number
    assert executed(done.journals(), 1) == set(range(1, 6001))


@pytest.mark.parametrize("facts", [1, 100, 5000])
def test_a_process_killed_while_it_stores_keeps_what_it_had_told(
    harness: Harness, facts: int
) -> None:
    with harness.running("start DIR -\nforever 1") as process:
        wait_for(process, f"{facts}\n")
        process.kill()
        assert process.stdout is not None
        told = {int(line) for line in process.stdout if line.endswith("\n")}
    assert executed(journals_in(harness.directory), 1) >= told | set(range(1, facts + 1))


def test_a_journal_is_read_while_its_process_runs(harness: Harness) -> None:
    with harness.running("start DIR -\nline 1 1 0\nwait\nlines 1 2 9000\nwait") as process:
        wait_for(process, "waiting")
        assert executed(journals_in(harness.directory), 1) == {1}
        go_on(process)
        wait_for(process, "waiting")
        assert executed(journals_in(harness.directory), 1) == set(range(1, 9001))


def test_a_stopped_process_is_read_as_well(harness: Harness) -> None:
    with harness.running("start DIR -\nforever 1") as process:
        wait_for(process, "50\n")
        process.send_signal(signal.SIGSTOP)
        assert executed(journals_in(harness.directory), 1) >= set(range(1, 51))
        process.send_signal(signal.SIGCONT)
        wait_for(process, "500\n")
    assert executed(journals_in(harness.directory), 1) >= set(range(1, 501))


def test_reading_again_and_again_never_finds_less(harness: Harness) -> None:
    seen: set[int] = set()
    with harness.running("start DIR -\nforever 1") as process:
        wait_for(process, "1\n")
        (path,) = harness.directory.iterdir()
        for round_ in range(1, 30):
            wait_for(process, f"{round_ * 40}\n")
            now = read_journal(path).lines[1, 0]
            assert now >= seen | set(range(1, round_ * 40 + 1))
            seen = now


@pytest.mark.parametrize("before", ["", "limit fsize 8192"])
def test_a_process_that_leaves_the_session_stores_nothing_until_it_joins_again(
    harness: Harness, before: str
) -> None:
    """In a file of its own, and with more segments in slots of it."""
    done = harness.run(f"""
        start DIR -
        {before}
        property argv x
        lines 1 1 3000
        stop
        mappings
        line 1 4000 0
        event 8 61
        fork
        forked
        line 1 4001 0
        ensure
        end
        parent
        start DIR -
        line 1 4002 0
    """)
    assert done.status == 0
    at = done.said.index("stop 0")
    assert done.said[at + 1 : at + 4] == ["mappings 0", "line -1 4000", "event -1"]
    assert done.said[-3:-2] == ["parent "]
    journals = done.journals()
    assert executed(journals, 1) == {*range(1, 3001), 4002}
    (again,) = (each for each in journals if 4002 in executed([each], 1))
    assert executed([each for each in journals if each is not again], 1) == set(range(1, 3001))
    assert {each.header.image_id for each in journals if each is not again} != {
        again.header.image_id
    }
