"""What the target leaves behind: adopted, waited for, and never lost."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.database.database import read_provenance
from covsup.datafile.provenance.model import End
from tests.supervisor.live import Live, beside, covsup, on_linux, state, wait_until

if TYPE_CHECKING:
    from tests.world import World

# The child outlives the target by as long as argv[1] says, and then dies as argv[2] says.
ORPHANER = """\
import os, signal, sys, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.read(reading, 1)
        time.sleep(float(sys.argv[1]))
        late = "in the orphan"
        os.kill(os.getpid(), int(sys.argv[2]))
        os._exit(23)
    os._exit(0)
os.wait()
print("leaving", os.getpid(), flush=True)
os.write(writing, b"x")
"""


@pytest.mark.skipif(not on_linux, reason="orphans are adopted on Linux")
def test_a_chain_of_processes_each_of_which_starts_the_next_and_ends_is_waited_for(
    world: World,
) -> None:
    world.write(
        "target.py",
        "import os\nfor number in range(300):\n    if os.fork():\n        os._exit(0)\n"
        "late = 'at the end of the chain'\nprint(late)\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, "at the end of the chain\n", "")
    assert run.lines("target.py") == {1, 2, 3, 4, 5, 6}
    assert len(read_provenance(run.data_file).processes) == 301


@pytest.mark.skipif(not on_linux, reason="orphans are adopted on Linux")
def test_an_orphan_is_waited_for_and_its_end_is_known(world: World) -> None:
    world.write("target.py", ORPHANER)
    run = world.covsup_run("target.py", "0.3", "9")
    assert (run.ended, run.stderr) == (0, "")
    assert 8 in run.lines("target.py")
    ends = [
        (each.ending.end, each.ending.signal)
        for each in read_provenance(run.data_file).processes
        if each.started.name == "FORKED"
    ]
    assert sorted(ends, key=str) == [(End.EXITED, None), (End.KILLED, 9)]


@pytest.mark.skipif(not on_linux, reason="orphans are adopted on Linux")
def test_an_orphan_sees_the_supervisor_as_its_parent_unless_left_alone(world: World) -> None:
    world.write(
        "target.py",
        "import os, time\n"
        "me = os.getpid()\n"
        "supervisor = os.getppid()\n"
        "if os.fork() == 0:\n"
        "    while os.getppid() == me:\n"
        "        time.sleep(0.01)\n"
        "    open('parent', 'w').write(str(os.getppid() == supervisor))\n",
    )
    world.covsup_run("target.py")
    assert (world.directory / "parent").read_text() == "True"
    world.covsup_run("target.py", options=["--leave-orphans"])
    assert (world.directory / "parent").read_text() == "False"


def test_what_outlives_the_grace_is_named_kept_and_combined_later(world: World) -> None:
    world.write(
        "target.py",
        "import os, sys\n"
        "if os.fork() == 0:\n"
        "    print('pid', os.getpid(), flush=True)\n"
        "    sys.stdin.readline()\n"
        "    late = 1\n"
        "    print('done', flush=True)\n"
        "    os._exit(0)\n",
    )
    with Live(world, *covsup(world, "target.py", options=["--grace=0.2"])) as live:
        pid = int(live.wait_for(r"pid (\d+)")[1])
        live.wait_for(rf"covsup: process {pid} .* still running")
        assert live.ended() == 0
        report = beside(world, "report", "-m")
        assert "5-7" in report.stdout, report
        snapshot = beside(world, "combine", "--keep")
        assert (snapshot.returncode, len(list((world.directory / ".covsup").iterdir()))) == (0, 2)
        live.send("go\n")
        live.wait_for("done")
        wait_until(lambda: state(pid) in {"", "Z"}, "it ended")
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert combined.ended == 0, combined
    assert combined.lines("target.py") == {1, 2, 3, 4, 5, 6, 7}
    assert not (world.directory / ".covsup").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_signal_cuts_the_grace_short(world: World, number: int) -> None:
    world.write("target.py", ORPHANER)
    with Live(world, *covsup(world, "target.py", "60", "9", options=["--grace=60"])) as live:
        target = int(live.wait_for(r"leaving (\d+)\n")[1])
        wait_until(lambda: state(target) == "", "covsup has seen the target's end")
        live.kill(number)
        live.wait_for("still running")
        assert live.ended() == 0


def test_nothing_left_behind_means_no_waiting(world: World) -> None:
    world.write("target.py", "pass\n")
    began = time.monotonic()
    world.covsup_run("target.py", options=["--grace=30"])
    assert time.monotonic() - began < 20


def test_a_daemon_that_closed_everything_is_measured_to_its_end(world: World) -> None:
    world.write(
        "target.py",
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork():\n"
        "        os._exit(0)\n"
        "    os.closerange(0, 65536)\n"
        "    os.chdir('/')\n"
        "    time.sleep(0.2)\n"
        "    late = 1\n"
        "    os._exit(0)\n"
        "os.wait()\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py") == set(range(1, 12))


LEAVES_A_PROGRAM = """\
import os, subprocess, sys
left = subprocess.Popen(sys.argv[1:], start_new_session=True)
print("left", left.pid, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("kind", ["sleep", "a program without children"])
def test_no_grace_is_spent_on_a_program_that_is_no_python(world: World, kind: str) -> None:
    world.write("target.py", LEAVES_A_PROGRAM)
    words = ["sleep", "60"] if kind == "sleep" else ["tail", "-f", "/dev/null"]
    began = time.monotonic()
    run = world.covsup_run("target.py", *words, options=["--grace=60"])
    assert time.monotonic() - began < 30
    pid = run.stdout.split()[1]
    assert (run.ended, run.left) == (0, (f"{pid} {' '.join(words)}",))
    assert f"still running: program {pid} ({' '.join(words)}) of the session" in run.stderr


@pytest.mark.parametrize("kind", ["child", "builtin"])
def test_a_shell_that_may_start_a_python_is_waited_for(world: World, kind: str) -> None:
    world.write("target.py", LEAVES_A_PROGRAM)
    world.write("late.py", "late = 1\n")
    world.write("wait", "while ! [ -e go ]; do :; done\n")
    first = "sleep 0.6" if kind == "child" else "(sleep 0.6; : >go) & . ./wait"
    run = world.covsup_run("target.py", "sh", "-c", f"{first}; {world.python} late.py; exit 0")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("late.py") == {1}
