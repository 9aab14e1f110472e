"""A view of processes that run, fork, exec and are killed while it looks."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.database.read_result import read_result
from covsup.datafile.fold.sets import lines_in
from covsup.datafile.journal.reader import read_journal, read_slots
from covsup.datafile.provenance.model import End, signal_name
from covsup.datafile.session.directory import open_session
from covsup.views.model.session_view import SessionView
from tests.supervisor.live import Live, beside, covsup, wait_until
from tests.views.model.plain_reading import as_viewed, read_plainly

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.journal.header import Header
    from tests.world import World

STEPS = """\
import os, resource, signal, subprocess, sys

def one():
    return 1

def two():
    return 2

def forked():
    return 3

def execed():
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(100)"])

def words():
    while True:
        word = sys.stdin.readline().strip()
        if not word:
            return
        yield word

children = []
print("ready", flush=True)
for word in words():
    if word == "one":
        one()
    elif word == "two":
        two()
    elif word == "fork":
        begun, begin = os.pipe()
        pid = os.fork()
        if pid == 0:
            forked()
            os.write(begin, b"x")
            signal.pause()
        os.read(begun, 1)
        children.append(pid)
    elif word == "slot":
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        pid = os.fork()
        if pid == 0:
            two()
            print("in a slot", flush=True)
            signal.pause()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        children.append(pid)
    elif word == "exec":
        pid = os.fork()
        if pid == 0:
            execed()
        children.append(pid)
    elif word == "program":
        children.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]).pid)
    elif word == "kill":
        pid = children.pop()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print("did", word, *children[-1:], flush=True)
"""


class Steps:
    """The program above, its commands, and a view of it."""

    def __init__(self, live: Live, directory: Path) -> None:
        self.live = live
        live.wait_for("ready")
        self.place = next(directory.glob(".covsup/2*"))
        self.view = SessionView(self.place)

    def do(self, word: str) -> str:
        self.live.send(f"{word}\n")
        return self.live.wait_for(rf"did {word} ?(\d*)").group(1)

    def lines(self) -> set[int]:
        """The lines of the program that are new."""
        change = self.view.refresh()
        (bits,) = list(change.lines.values()) or [0]
        return set(lines_in(bits))


def line_of(text: str) -> int:
    return STEPS.splitlines().index(text) + 1


@pytest.fixture
def steps(world: World) -> object:
    program = world.write("steps.py", STEPS)
    with Live(world, *covsup(world, str(program), options=["--branch"])) as live:
        yield Steps(live, world.directory)


def test_lines_are_new_once_and_in_the_process_that_ran_them(steps: Steps) -> None:
    assert line_of("def one():") in steps.lines()
    steps.do("one")
    new = steps.lines()
    assert line_of("    return 1") in new
    assert line_of("    return 2") not in new
    steps.do("one")
    assert steps.lines() == set()
    steps.do("two")
    assert line_of("    return 2") in steps.lines()
    steps.do("fork")
    change = steps.view.refresh()
    assert change.processes
    child = max(steps.view.provenance.processes, key=lambda each: each.started_ns)
    (bits,) = change.lines.values()
    assert bits >> line_of("    return 3") & 1
    assert child.image_id in change.by_image
    assert sum(steps.view.history.counts(100, change.at_ns)) > 0


def compare_with_tree(steps: Steps, world: World) -> None:
    """The processes are those of `covsup tree` at the same moment."""
    while True:
        shown = beside(world, "tree", "--json", str(steps.place))
        assert shown.returncode == 0, shown.stderr
        before = steps.view.result.lines.copy()  # type: ignore[attr-defined] # it is a dict
        steps.view.refresh()
        # The program may still have been on its way to its next line.
        if steps.view.result.lines == before:
            break
    (session,) = json.loads(shown.stdout)["sessions"]
    expected = {
        (
            each["pid"],
            each["generation"],
            each["end"]["how"],
            each["end"]["status"],
            each["end"]["signal"],
            each["end"]["known_from"],
            each["lines"],
            each["lines_only_here"],
        )
        for each in session["processes"]
        if each["measured"]
    }
    found = {
        (
            each.pid,
            each.generation,
            each.ending.end.value,
            each.ending.status,
            signal_name(each.ending.signal) if each.ending.signal else None,
            each.ending.known_from.value or None,
            each.lines,
            each.unique_lines,
        )
        for each in steps.view.provenance.processes
    }
    assert found == expected


def ends(steps: Steps) -> list[End]:
    steps.view.refresh()
    return sorted((each.ending.end for each in steps.view.provenance.processes), key=str)


def test_processes_end_as_in_the_tree(steps: Steps, world: World) -> None:
    assert ends(steps) == [End.RUNNING]
    compare_with_tree(steps, world)
    steps.do("fork")
    wait_until(lambda: ends(steps) == [End.RUNNING] * 2, "it has forked")
    steps.do("exec")
    wait_until(lambda: ends(steps) == [End.EXECED, *[End.RUNNING] * 3], "it has execed")
    compare_with_tree(steps, world)
    steps.do("program")
    wait_until(lambda: ends(steps) == [End.EXECED, *[End.RUNNING] * 4], "it has started")
    for killed in (1, 2, 3):
        steps.do("kill")
        # The parent has waited for it.
        assert ends(steps) == [End.EXECED, *[End.KILLED] * killed, *[End.RUNNING] * (4 - killed)]
        compare_with_tree(steps, world)


def test_a_process_that_something_else_kills_ends_in_the_view(steps: Steps) -> None:
    child = int(steps.do("fork"))
    assert ends(steps) == [End.RUNNING] * 2
    os.kill(child, signal.SIGKILL)

    def has_ended() -> bool:
        steps.view.refresh()
        (record,) = [each for each in steps.view.provenance.processes if each.pid == child]
        return record.ending.end is not End.RUNNING

    wait_until(has_ended, "the view shows the end")


def test_the_view_of_a_running_session_equals_a_reading_of_all_of_it(steps: Steps) -> None:
    for word in ("one", "fork", "two", "program", "fork", "kill"):
        steps.do(word)
        steps.view.refresh()
    wait_until(lambda: len(ends(steps)) == 4, "all are there")
    session = open_session(steps.place)
    viewed, expected = as_viewed(steps.view.result), as_viewed(read_plainly(session))
    for name in expected._fields:
        assert getattr(viewed, name) == getattr(expected, name), name


def test_a_journal_in_a_slot_is_read(steps: Steps, world: World) -> None:
    steps.view.refresh()
    steps.do("slot")
    steps.live.wait_for("in a slot")
    if not any(each.offset for each in _headers(steps.place)):
        pytest.skip("this system has no slots")
    new: set[int] = set()

    def is_there() -> bool:
        new.update(steps.lines())
        return len(steps.view.provenance.processes) == 2

    wait_until(is_there, "the child is there")
    assert line_of("    return 2") in new
    compare_with_tree(steps, world)
    steps.do("kill")
    wait_until(lambda: End.KILLED in ends(steps), "the child has ended")
    compare_with_tree(steps, world)


def _headers(place: Path) -> list[Header]:
    """The headers of all journals of a session."""
    found = []
    for file in open_session(place).journals():
        header = read_journal(file.path).header
        found += [header, *(each.header for each in read_slots(file.path, header).journals)]
    return found


def test_a_session_that_is_combined_while_it_runs_loses_nothing(steps: Steps, world: World) -> None:
    steps.do("fork")
    steps.do("one")
    steps.do("kill")
    steps.view.refresh()
    assert beside(world, "combine", str(steps.place)).returncode == 0
    steps.do("two")
    change = steps.view.refresh()
    (bits,) = change.lines.values()
    assert line_of("    return 2") in lines_in(bits)
    assert line_of("    return 3") not in lines_in(bits)
    fresh = SessionView(steps.place)
    fresh.refresh()
    viewed, expected = as_viewed(steps.view.result), as_viewed(fresh.result)
    for name in ("lines", "arcs", "first", "shared", "modules", "child_exits"):
        assert getattr(viewed, name) == getattr(expected, name), name
    assert {each: viewed.images[each].lines for each in viewed.images} == {
        each: expected.images[each].lines for each in expected.images
    }
    assert [each.ending for each in fresh.provenance.processes] == [
        each.ending for each in steps.view.provenance.processes
    ]


def test_relative_names_in_the_data_file_are_no_new_files(world: World) -> None:
    world.write(".coveragerc", "[run]\nrelative_files = true\n")
    world.write("steps.py", STEPS)
    with Live(world, *covsup(world, "steps.py")) as live:
        steps = Steps(live, world.directory)
        steps.do("one")
        steps.view.refresh()
        paths = set(steps.view.paths())
        live.send("\n")
        assert live.ended() == 0
        change = steps.view.refresh()
    assert not steps.view.is_live
    assert set(steps.view.paths()) == paths
    assert line_of("    return 1") not in {n for b in change.lines.values() for n in lines_in(b)}


def test_a_view_goes_over_to_the_data_file_when_the_run_has_ended(
    steps: Steps, world: World
) -> None:
    steps.do("one")
    steps.view.refresh()
    assert steps.view.is_live
    before = dict(steps.view.result.lines)
    steps.do("two")
    steps.live.send("\n")
    assert steps.live.ended() == 0
    change = steps.view.refresh()
    assert not steps.view.is_live
    new = {line for bits in change.lines.values() for line in lines_in(bits)}
    assert line_of("    return 2") in new
    assert line_of("    return 1") not in new
    assert dict(steps.view.result.lines) != before
    stored = as_viewed(read_result(world.directory / ".coverage"))
    viewed = as_viewed(steps.view.result)
    for name in stored._fields:
        assert getattr(viewed, name) == getattr(stored, name), name
    assert not steps.view.refresh()
    (record,) = steps.view.provenance.processes
    assert record.ending.end is End.EXITED
