"""`covsup combine` beside processes that write, beside itself, and on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage import CoverageData

from tests.datafile.handmade import DEAD_PID, HandMade, handmade_session
from tests.supervisor.live import PATIENCE, Live, beside, covsup, wait_until

if TYPE_CHECKING:
    from tests.world import World

FUNCTIONS = 240

# Calls as many functions as it is told that it has not called yet, each a line of its own.
WRITER = """
import os, sys
import many

done = 0
for word in sys.stdin:
    if word == "child\\n":
        if os.fork() == 0:
            many.f239()
            os._exit(0)
        os.wait()
        continue
    end = done + int(word)
    while done < end:
        getattr(many, f"f{done}")()
        done += 1
        if done == end - 5:
            print("nearly", flush=True)
    print("called", done, flush=True)
"""


def executed(data_file: Path, name: Path) -> set[int]:
    data = CoverageData(str(data_file))
    data.read()
    found = set(data.lines(str(name)) or ())
    data.close()
    return found


def start_combining(world: World, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (world.python, "-m", "covsup", "combine", *options),
        cwd=world.directory,
        env=world.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_combining_twice_at_once_while_processes_write_loses_nothing(world: World) -> None:
    many = world.directory / "many.py"
    world.write("many.py", "".join(f"def f{n}():\n    return {n}\n" for n in range(FUNCTIONS)))
    world.write("target.py", WRITER)
    data_file = world.directory / ".coverage"
    lines = 0
    with Live(world, *covsup(world, "target.py")) as live:
        for turn in range(3):
            live.send("child\n70\n")
            if turn:
                live.wait_for("nearly")  # and goes on while we combine
            else:
                live.wait_for("called 70")
            lines = 70 * (turn + 1) - (5 if turn else 0)
            both = [start_combining(world), start_combining(world, "--keep")]
            told = [each.communicate(timeout=PATIENCE)[0] for each in both]
            assert [each.returncode for each in both] == [0, 0], told
            assert not any("Traceback" in each for each in told), told
            found = executed(data_file, many)
            expected = {2 * n + 2 for n in (*range(lines), FUNCTIONS - 1)}
            assert expected <= found
            if turn:
                live.wait_for(f"called {70 * (turn + 1)}")
        assert live.process.stdin is not None
        live.process.stdin.close()
        assert live.ended() == 0
    bodies = {2 * n + 2 for n in (*range(210), FUNCTIONS - 1)}
    definitions = {2 * n + 1 for n in range(FUNCTIONS)}
    assert executed(data_file, many) == bodies | definitions
    assert not (world.directory / ".covsup").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_grows_with_the_result_and_not_with_the_journals(world: World) -> None:
    made = HandMade().ran("/a.py", *range(1, 1001))
    made.words *= 250  # 2 MiB
    session = handmade_session(world.directory / ".coverage")
    for number in range(60):
        made.pid, made.image_id = DEAD_PID + number, f"{number:032x}"
        made.write(session.path)
    program = (
        "from covsup.supervisor.cli import main; status = main(['combine']);"
        " print(open('/proc/self/status').read()); raise SystemExit(status)"
    )
    run = world.run(world.python, "-c", program)
    assert run.ended == 0, run
    assert "60 processes" in run.stdout
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", run.stdout, re.MULTILINE)
    assert int(peak) < 90 << 10
    assert executed(world.directory / ".coverage", Path("/a.py")) == set(range(1, 1001))


def many_journals(world: World, count: int) -> None:
    handmade_session(
        world.directory / ".coverage",
        [HandMade(pid=DEAD_PID + number).ran("/a.py", 1) for number in range(count)],
    )


def test_a_long_combination_shows_a_bar_on_a_terminal_of_80_columns(world: World) -> None:
    many_journals(world, 1000)
    script = 'stty cols 80 rows 24; exec "$0" -m covsup combine'
    with Live(world, "sh", "-c", script, world.python, terminal=True) as live:
        fcntl.ioctl(live._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        live.wait_for("reading journals")
        shown = live.rest()
        assert live.ended() == 0
    assert "1000 processes" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert all(len(line) <= 80 for line in re.split(r"[\r\n]+", plain) if "journals" in line)


def test_without_a_terminal_or_with_few_journals_there_is_no_bar(world: World) -> None:
    many_journals(world, 1000)
    combined = beside(world, "combine")
    assert (combined.returncode, combined.stderr) == (0, "")
    assert combined.stdout.startswith("Combined 1 session (1000 processes) into ")
    many_journals(world, 3)
    with Live(world, world.python, "-m", "covsup", "combine", terminal=True) as live:
        shown = live.rest()
        assert live.ended() == 0
    assert "reading" not in shown


STAYS = """\
import os
if os.fork() == 0:
    print("up", flush=True)
    os.read(0, 1)
    late = 1
    os._exit(0)
"""


def is_mapped(session: Path) -> bool:
    """Whether a process has a journal of the session."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            if session.name in maps.read_text():
                return True
    return False


def held_open(world: World, *options: str) -> Live:
    """A run whose grace is over while a process that it left goes on, until something is sent."""
    world.write("stays.py", STAYS)
    return Live(world, *covsup(world, "stays.py", options=["--grace=0", *options]))


@pytest.mark.parametrize("branch", [(), ("--branch",)])
def test_what_a_process_of_an_earlier_run_does_is_no_part_of_the_next_run(
    world: World, branch: tuple[str, ...]
) -> None:
    world.write("next.py", "print(1)\n")
    with held_open(world) as live:
        live.wait_for("up")
        assert live.ended() == 0
        (session,) = (world.directory / ".covsup").glob("*-*")
        assert f" of session {session.name} still runs" in beside(world, "report").stderr
        run = beside(world, "run", *branch, "next.py")
        assert (run.returncode, run.stderr) == (0, "")
        assert beside(world, "report").stderr == "", "of another result"
        during = beside(world, "combine")
        assert "still running" in during.stderr
        assert during.stderr.count("is older than the result in") == 1
        live.send("x")
        live.rest()
        wait_until(lambda: not is_mapped(session), "the process had ended")
    after = beside(world, "combine")
    assert (after.returncode, after.stderr) == (0, "")
    assert not (world.directory / ".covsup").exists()
    assert executed(world.data_file, world.directory / "next.py") == {1}
    assert executed(world.data_file, world.directory / "stays.py") == set()
    (aside,) = world.directory.glob(".coverage-*")
    assert executed(aside, world.directory / "stays.py") == {1, 2, 3, 4, 5, 6}
    assert beside(world, "combine").returncode == 0, "what is set aside stays there"
    assert "stays.py" not in beside(world, "report").stdout
    assert "stays.py" in beside(world, "report", f"--data-file={aside}").stdout
    assert beside(world, "erase").returncode == 0
    assert not aside.exists()


def test_a_run_of_no_python_leaves_the_data_that_there_are(world: World) -> None:
    world.write("target.py", "print(1)\n")
    world.covsup_run("target.py")
    for options in ((), ("--append",), ("--source=.",)):
        run = world.covsup_run("true", options=options)
        assert run.ended == 0
        (line,) = run.stderr.splitlines()
        assert line.startswith(f"covsup: no data was collected: {world.data_file} has the result")
        assert run.lines("target.py") == {1}
    below = world.covsup_run("true", options=["--fail-under=1"])
    assert below.ended == 2, below
    opened = beside(world, "env", "--shell=path")
    empty = beside(world, "combine")
    assert empty.returncode == 1
    assert "nothing to combine" in empty.stderr
    assert Path(opened.stdout.strip()).exists()
    assert executed(world.data_file, world.directory / "target.py") == {1}


@pytest.mark.skipif(sys.platform != "linux", reason="locks are read from /proc")
def test_of_many_runs_that_wait_for_a_combination_one_says_so(world: World) -> None:
    world.write("target.py", "import sys\nif sys.argv[1] == '0':\n    a = 1\nb = 1\n")
    world.covsup_run("target.py", "0", options=["-p"])  # so that sessions have their directory
    directory = os.open(world.directory, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        runs = [
            subprocess.Popen(
                covsup(world, "target.py", str(number), options=["--branch", "--append"]),
                cwd=world.directory, env=world.environment(), stderr=subprocess.PIPE, text=True,
            )
            for number in range(4)
        ]  # fmt: skip
        inode = f":{os.fstat(directory).st_ino} "

        def waiting() -> int:
            locks = Path("/proc/locks").read_text().splitlines()
            return sum("-> FLOCK" in line and inode in line for line in locks)

        wait_until(lambda: waiting() == len(runs), "all of them wait for the lock")
    finally:
        os.close(directory)
    told = [each.communicate(timeout=PATIENCE)[1] for each in runs]
    assert [each.returncode for each in runs] == [0] * 4, told
    expected = f"covsup: waiting for another covsup that combines in {world.directory}\n"
    assert sorted(told) == ["", "", "", expected]
    assert executed(world.data_file, world.directory / "target.py") == {1, 2, 3, 4}


@pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc")
@pytest.mark.parametrize("status", [0, 5])
def test_runs_of_lines_and_of_branches_that_end_together_have_both_results(
    world: World, status: int
) -> None:
    world.write(
        "target.py", "import sys\nprint('here', flush=True)\nsys.stdin.read()\n"
        f"sys.exit({status})\n"
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(Live(world, *covsup(world, "target.py", options=options)))
            for options in (["--branch"], ["--strict"], ["--branch", "--strict"], [])
        ]
        for run in runs:
            run.wait_for("here")
        # All wait for this lock, so three of them find a result that was made meanwhile.
        directory = os.open(world.directory, os.O_RDONLY)
        stack.callback(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        for run in runs:
            assert run.process.stdin is not None
            run.process.stdin.close()
        for run in runs:
            children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
            wait_until(lambda of=children: not of.read_text(), "the target has ended")
        fcntl.flock(directory, fcntl.LOCK_UN)
        told = [run.rest() for run in runs]
        assert [run.ended() for run in runs] == [status] * 4, told
    files = [world.data_file, *world.directory.glob(".coverage-2*")]
    kinds = set()
    for file in files:
        data = CoverageData(str(file))
        data.read()
        kinds.add(data.has_arcs())
        assert executed(file, world.directory / "target.py") == {1, 2, 3, 4}
        data.close(force=True)
    assert kinds == {True, False}
    for file in files[1:]:
        (line,) = [line for text in told for line in text.splitlines() if file.name in line]
        assert line.startswith("covsup: session ")
    assert not (world.directory / ".covsup").exists()
