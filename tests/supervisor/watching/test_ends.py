"""How each process of the tree ended is known, whoever waited for it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.database.database import read_provenance
from covsup.datafile.provenance.model import End
from covsup.supervisor.watching import linux
from tests.supervisor.live import UNTIL_OBSERVED, on_linux

if TYPE_CHECKING:
    from tests.world import World


@pytest.mark.skipif(not on_linux, reason="pidfds are Linux's")
def test_the_end_of_a_grandchild_that_a_shell_waited_for_is_known(world: World) -> None:
    """The shell tells nobody; a pidfd does."""
    world.write("worker.py", UNTIL_OBSERVED + "os.kill(os.getpid(), 9)\n")
    world.write("other.py", UNTIL_OBSERVED + "os._exit(12)\n")
    run = world.covsup_run("sh", "-c", f"{world.python} worker.py; {world.python} other.py; exit 0")
    assert run.ended == 0
    killed, left = read_provenance(run.data_file).processes
    if linux_tells_ends():
        assert (killed.ending.end, killed.ending.signal) == (End.KILLED, signal.SIGKILL)
    else:
        assert killed.ending.end is End.UNKNOWN
    assert (left.ending.end, left.ending.status) == (End.EXITED, 12)


def linux_tells_ends() -> bool:
    with subprocess.Popen(["true"]) as process:
        pidfd = linux.open_pidfd(process.pid)
    if pidfd is None:
        return False
    known = linux.exit_status_of(pidfd)
    os.close(pidfd)
    return known is not None


def test_the_end_of_a_program_that_is_not_python_is_known(world: World) -> None:
    run = world.covsup_run("sh", "-c", "sh -c 'sleep 0.3; exit 3'; true")
    seen = read_provenance(run.data_file).observed
    inner = [each for each in seen if "sleep 0.3; exit 3" in each.argv[-1] and each.argv[2:3]]
    statuses = {each.argv: each.ending.status for each in seen}
    assert statuses["sh", "-c", "sleep 0.3; exit 3"] == 3, (seen, inner)


def test_a_hundred_short_lived_processes_are_all_kept(world: World) -> None:
    world.write("child.py", "import sys\nif sys.argv[1] == '99':\n    last = 1\n")
    world.write(
        "target.py",
        "import subprocess, sys\n"
        "for start in range(0, 100, 10):\n"
        "    children = [subprocess.Popen([sys.executable, 'child.py', str(start + i)])\n"
        "                for i in range(10)]\n"
        "    for child in children:\n"
        "        assert child.wait() == 0\n",
    )
    run = world.covsup_run("target.py", timeout=55)
    assert (run.ended, run.stderr) == (0, "")
    processes = read_provenance(run.data_file).processes
    assert len(processes) == 101
    assert {(each.ending.end, each.ending.status) for each in processes} == {(End.EXITED, 0)}
    assert run.lines("child.py") == {1, 2, 3}


def test_few_descriptors_limit_what_is_known_but_nothing_else(world: World) -> None:
    world.write(
        "target.py",
        "import os, subprocess, sys\n"
        "reading, writing = os.pipe()\n"
        "code = 'import sys; sys.stdin.read()'\n"
        "children = [subprocess.Popen([sys.executable, '-c', code], stdin=reading)\n"
        "            for _ in range(60)]\n"
        "os.close(writing)\n"
        "assert [child.wait() for child in children] == [0] * 60\n",
    )
    run = world.run("sh", "-c", f"ulimit -n 50; exec {world.python} -m covsup run target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert len(read_provenance(run.data_file).processes) == 61
