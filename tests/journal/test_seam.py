"""Faults are walked: at every call of the writer in turn, the call fails or the process dies.

Every system call and every publishing store of the writer goes through one seam, which this build
counts. A scenario is run once for its count, then once for each n.
"""

from __future__ import annotations

import errno
import re
import signal
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.errors import JournalNotBegun
from covsup.datafile.journal.reader import read_journal
from tests.journal.harness import (
    NO_FALLOCATE,
    NO_POPULATE,
    TRACER_C,
    Harness,
    executed,
    go_on,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.journal.harness import Done

SCENARIOS = {
    "start": """
        start DIR -
        property argv x
        file 1 /a.py a
        line 1 1 0
        arc 1 1 2 0
        arc 1 200000000 2 0
        event 8 61
    """,
    # The first blocks end after 960 words; lines are told one by one around that.
    "growth": "start DIR -\nfile 1 /a.py a\nlines 1 1 950\n"
    + "\n".join(f"line 1 {n} 0" for n in range(951, 961)),
    "segments": "limit fsize 8192\nstart DIR -\nfile 1 /a.py a\nlines 1 1 950\n"
    + "\n".join(f"line 1 {n} 0" for n in range(951, 961)),
    "forks": """
        start DIR -
        property argv x
        line 1 1 0
        fork
        ensure
        line 1 2 0
        fork
        forked
        line 1 3 0
        end
        line 1 4 0
        end
        line 1 5 0
    """,
    "stop": """
        start DIR -
        property argv x
        line 1 1 0
        stop
        line 1 2 0
        fork
        line 1 3 0
        end
        start DIR -
        line 1 4 0
    """,
    "slots": """
        start DIR -
        property argv x
        line 1 1 0
        limit fsize 0
        fork
        ensure
        line 1 2 0
        fork
        forked
        line 1 3 0
        end
        line 1 4 0
        end
        line 1 5 0
    """,
    "namespace": """
        start DIR -
        new-pids
        fork
        ensure
        line 1 2 0
        end
        line 1 5 0
    """,
    # Root makes a place for another user; anybody else makes none, and asks the system nothing.
    "place": """
        start DIR -
        let-in 54321
        let-in 54321
        line 1 1 0
    """,
}


def stored_lines(done: Done) -> set[int]:
    """The lines that a process was told are stored."""
    answers = (answer.split() for answer in done.answers("line"))
    return {int(line) for rc, line in answers if rc == "0"}


def check(done: Done) -> None:
    """What was told is there; what is there is sound, and was executed."""
    journals = done.journals()  # without problems
    read = executed(journals, 1)
    assert read >= stored_lines(done)
    if done.answers("lines"):
        assert len(read & set(range(1, 951))) >= int(done.answers("lines")[0])
    for journal in journals:
        assert set(journal.lines) <= {(1, 0)}
        assert journal.arcs.get((1, 0), set()) <= {(1, 2), (200000000, 2)}
        assert set(journal.properties) <= {"argv", "pid_namespace"}


def calls_of(program: Harness, scenario: str, environment: dict[str, str]) -> int:
    done = program.run(f"{scenario}\nseams", environment)
    assert done.status == 0
    check(done)
    return int(done.answers("seams")[0])


def begun(path: Path) -> bool:
    """Whether the journal was made; killed while it makes one, a process has told nothing to it."""
    try:
        read_journal(path)
    except JournalNotBegun:
        return False
    return True


def clear(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_death_at_any_call_keeps_every_fact_told_before(
    seam_program: Path, session: Path, name: str
) -> None:
    harness = Harness(seam_program, session)
    scenario = SCENARIOS[name]
    count = calls_of(harness, scenario, {})
    assert count > 10
    # The lines of a full first page are all alike: look at some of them, and at all others.
    dull = range(60, count - 60) if name in {"growth", "segments"} else range(0)
    for n in range(1, count + 1):
        if n in dull and n % 97:
            continue
        clear(session)
        done = harness.run(scenario, {"SEAM_MODE": "die", "SEAM_AT": str(n)})
        if name not in {"forks", "slots", "namespace"}:
            assert done.status == -signal.SIGKILL
        for path in session.glob("*.journal~"):
            if not begun(path):
                path.unlink()
        check(done)


@pytest.mark.parametrize("error", ["ENOSPC", "ENOMEM", "EMFILE", "EINTR", "EINVAL", "EIO"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_failure_of_any_call_harms_nobody_and_is_counted(
    seam_program: Path, session: Path, name: str, error: str
) -> None:
    harness = Harness(seam_program, session)
    scenario = SCENARIOS[name] + "\nline 1 7 0\ndescriptors\nmappings\n"
    plain = harness.run(scenario)
    calls = walk(harness, scenario, error)
    assert calls
    for done in calls:
        assert done.status == 0
        assert done.answers("child") == ["0"] * len(done.answers("child"))
        assert done.answers("descriptors") == plain.answers("descriptors")


def system_calls() -> set[str]:
    """The names under which the writer's system calls go through the seam."""
    sources = [path.read_text() for path in (TRACER_C / "journal").glob("*.c")]
    calls = {name for text in sources for name in re.findall(r'SYSTEM\(\s*"(.+?)"', text)}
    assert len(calls) > 15
    return calls


def walk(
    harness: Harness, scenario: str, error: str, always: Mapping[str, str] | None = None
) -> list[Done]:
    """The scenario with the n-th system call failing, for each n; each checked while it is there."""
    results = []
    for call in sorted(system_calls()):
        environment = {"SEAM_CALL": call, **(always or {})}
        clear(harness.directory)
        count = int(harness.run(f"{scenario}\nseams", environment).answers("seams")[0])
        for n in range(1, count + 1):
            clear(harness.directory)
            failing = {"SEAM_MODE": "fail", "SEAM_AT": str(n), "SEAM_ERRNO": str(number(error))}
            done = harness.run(scenario, {**environment, **failing})
            check(done)
            losses_are_counted(done)
            results.append(done)
    return results


def number(error: str) -> int:
    value: int = getattr(errno, error)
    return value


def losses_are_counted(done: Done) -> None:
    """What was refused while there was a journal is in a header."""
    refused = sum(answer.startswith("-1") for answer in done.answers("line"))
    started = done.answers("start")[0].startswith("0 ")
    journals = done.journals()
    if refused and started and not done.answers("child"):
        assert sum(journal.header.lost_facts for journal in journals) >= refused
        assert any(journal.header.lost_stage for journal in journals)


@pytest.mark.parametrize("name", ["start", "forks", "segments", "slots"])
def test_a_signal_handler_may_write_at_any_call(
    seam_program: Path, session: Path, name: str
) -> None:
    harness = Harness(seam_program, session)
    scenario = SCENARIOS[name]
    count = calls_of(harness, scenario, {})
    dull = range(60, count - 60) if name == "segments" else range(0)
    for n in range(1, count + 1):
        if n in dull and n % 97:
            continue
        clear(session)
        done = harness.run(scenario, {"SEAM_MODE": "interrupt", "SEAM_AT": str(n)})
        assert done.status == 0
        journals = done.journals()
        assert executed(journals, 1) >= stored_lines(done)
        (answer,) = done.answers("interrupt")
        assert executed(journals, 9) == ({1} if answer == "0" else set())


@pytest.mark.parametrize("name", ["growth", "segments"])
@pytest.mark.parametrize("missing", [[NO_POPULATE], [NO_POPULATE, NO_FALLOCATE]])
def test_where_the_kernel_cannot_allocate_behind_a_mapping_the_path_serves(
    seam_program: Path, session: Path, name: str, missing: list[str]
) -> None:
    done = Harness(seam_program, session).run(
        SCENARIOS[name] + "\ndescriptors", {"SEAM_ALWAYS": ",".join(missing)}
    )
    assert executed(done.journals(), 1) == set(range(1, 961))
    plain = Harness(seam_program, session).run("descriptors")
    assert done.answers("descriptors") == plain.answers("descriptors")


@pytest.mark.parametrize("missing", [[NO_POPULATE], [NO_POPULATE, NO_FALLOCATE]])
def test_a_journal_that_was_replaced_is_not_written_to(
    seam_program: Path, session: Path, missing: list[str]
) -> None:
    harness = Harness(seam_program, session)
    environment = {"SEAM_ALWAYS": ",".join(missing)}
    with harness.running("start DIR -\nwait\nlines 1 1 2000\nwait", environment) as process:
        wait_for(process, "waiting")
        (path,) = session.iterdir()
        path.unlink()
        path.write_bytes(b"somebody's")
        go_on(process)
        assert wait_for(process, "lines") == f"lines {(8192 - 512) // 8}"
        wait_for(process, "waiting")
        assert path.read_bytes() == b"somebody's"


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EINTR"])
def test_a_failure_of_any_call_of_an_old_kernel_harms_nobody(
    seam_program: Path, session: Path, error: str
) -> None:
    harness = Harness(seam_program, session)
    always = {"SEAM_ALWAYS": NO_POPULATE}
    for scenario in (SCENARIOS["growth"], SCENARIOS["segments"]):
        for done in walk(harness, f"{scenario}\nline 1 7 0", error, always):
            assert done.status == 0
