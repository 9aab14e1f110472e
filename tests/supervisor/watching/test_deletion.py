"""What becomes of a run whose session directory is deleted: by `git clean`, `make clean`, `rm -r`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.session.directory import JournalFile, create_session
from covsup.datafile.session.settings import Settings
from covsup.supervisor.watching.deleted_files import DeletedFiles
from tests.supervisor.live import Live, beside, covsup, on_linux

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.skipif(not on_linux, reason="the deletion is seen at once on Linux")

# What appears and is deleted before the supervisor has seen it is lost, and named: so each program
# waits until the supervisor has descriptors of so many journals.
WAIT = """\
import contextlib, os, time
def links():
    fds = f"/proc/{os.getppid()}/fd"
    for name in os.listdir(fds):
        with contextlib.suppress(OSError):
            yield os.readlink(f"{fds}/{name}")
def wait_for_supervisor(wanted):
    while sum(link.endswith(".journal~") for link in links()) < wanted:
        time.sleep(0.01)
"""

# One child has ended by then, one lives, one is forked later, and a program is started later.
DELETING = """\
import os, subprocess, sys, time, waiting
reader, writer = os.pipe()
if os.fork() == 0:
    before = 1
    os._exit(0)
os.wait()
if os.fork() == 0:
    os.read(reader, 1)
    during = 1
    os._exit(0)
waiting.wait_for_supervisor(3)
print(subprocess.call({command!r}, shell=True))
while {wait} and not os.path.exists(os.environ["COVSUP_SESSION"] + "/settings"):
    time.sleep(0.01)
os.write(writer, b"x")
os.wait()
if os.fork() == 0:
    after = 1
    os._exit(0)
os.wait()
subprocess.run([sys.executable, "child.py"])
"""


@pytest.mark.parametrize(
    "command",
    ["rm -r .covsup", "rm -r .covsup/2*", "rm -r .covsup/2*/*", "mv .covsup away"],
)
def test_what_is_deleted_during_a_run_is_in_its_result(world: World, command: str) -> None:
    world.write("waiting.py", WAIT)
    world.write("target.py", DELETING.format(command=command, wait=True))
    world.write("child.py", "child = 1\n")
    run = world.covsup_run("target.py", options=["--strict"])
    assert (run.ended, run.stdout) == (0, "0\n"), run
    (line,) = run.stderr.splitlines()
    assert re.match(r"covsup: something deleted the session directory \S+ during the run", line)
    assert re.search(r"; journals saved: [34]$", line), line
    # The directory may be back before the program looks, so that it need not sleep.
    assert run.lines("target.py") | {14} == set(range(1, 22))
    assert run.lines("child.py") == {1}
    assert not (world.directory / ".covsup").exists()
    tree = beside(world, "tree").stdout
    assert "5 measured processes\n" in tree
    assert tree.count("exit 0") >= 5


@pytest.mark.parametrize("command", ["rm -r .covsup", "rm -r .covsup/2*", "rm -r .covsup/2*/*"])
def test_a_python_that_starts_right_after_the_deletion_is_measured(
    world: World, command: str
) -> None:
    world.write("waiting.py", WAIT)
    world.write(
        "target.py",
        "import subprocess, sys, waiting\nwaiting.wait_for_supervisor(1)\n"
        f"subprocess.call({command!r}, shell=True)\n"
        "subprocess.call([sys.executable, 'child.py'])\n",
    )
    world.write("child.py", "child = 1\n")
    run = world.covsup_run("target.py", options=["--strict"])
    assert run.ended == 0, run
    assert run.lines("target.py") == {1, 2, 3, 4}
    assert run.lines("child.py") == {1}


def test_a_deletion_of_all_that_is_around_the_session_is_not_disturbed(world: World) -> None:
    world.write("waiting.py", WAIT)
    world.write("target.py", DELETING.format(command="rm -r build", wait=False))
    world.write("build/other", "")
    world.write("child.py", "child = 1\n")
    run = world.covsup_run("target.py", options=["--data-file=build/.coverage"])
    assert (run.ended, run.stdout) == (1, "0\n"), run
    *_, line = run.stderr.splitlines()
    assert re.match(r"covsup: the session directory \S+ is gone, and all that was recorded", line)
    assert "the data is kept" not in run.stderr


def test_a_journal_that_could_not_be_held_is_named_as_lost(world: World) -> None:
    world.write("waiting.py", WAIT)
    world.write(
        "target.py",
        "import os, subprocess, waiting\n"
        "for number in range(8):\n"
        "    if os.fork() == 0:\n"
        "        own = number\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "waiting.wait_for_supervisor(3)\n"
        "subprocess.call(['rm', '-r', '.covsup'])\n",
    )
    # Four descriptors for journals and what is seen of processes.
    limited = f"ulimit -n 40; exec {world.python} -m covsup run --strict target.py"
    run = world.run("sh", "-c", limited)
    assert run.ended == 3, run
    first, *others, last = run.stderr.splitlines()
    saved, lost = re.findall(r"journals saved: (\d+), (\d+) lost$", first)[0]
    assert (int(saved), int(lost)) in {(3, 6), (4, 5)}
    # Some were seen running, and are said to be unmeasured; of others the journal alone was seen.
    assert others
    assert all("its journal was deleted during the run, and what it" in line for line in others)
    assert "--strict" in last
    assert run.lines("target.py") >= {1, 2, 3, 6, 7, 8}


def test_of_a_process_that_goes_on_it_is_said_what_will_be_lost(world: World) -> None:
    world.write("waiting.py", WAIT)
    world.write(
        "target.py",
        "import os, shutil, signal, sys, waiting\n"
        "if os.fork() == 0:\n"
        "    print('pid', os.getpid(), flush=True)\n"
        "    signal.pause()\n"
        "sys.stdin.readline()\n"
        "waiting.wait_for_supervisor(2)\n"
        "shutil.rmtree('.covsup')\n",
    )
    with Live(world, *covsup(world, "target.py", options=["--grace=0.2"])) as live:
        pid = live.wait_for(r"pid (\d+)")[1]
        live.send("\n")
        live.wait_for(rf"covsup: process {pid}\D.*what it executes from now on is lost")
        assert live.ended() == 0
    assert beside(world, "combine").returncode == 0


def test_a_journal_that_its_process_takes_back_was_not_deleted_by_the_program(
    tmp_path: Path,
) -> None:
    """On a full disk a journal appears, cannot be begun, and is deleted by its own process."""
    session = create_session(tmp_path / ".coverage", lambda name: Settings(session=name))
    path = session.path / f"7-{0:032x}.0.journal~"
    journal = JournalFile.at(path)
    assert journal is not None
    path.write_bytes(bytes(4096))
    guard = DeletedFiles(session, 9)
    guard.keep_open(str(path))
    path.unlink()
    assert guard.recover([journal]) == []
    assert (guard.was_deleted, guard.saved, guard.lost) == (False, 0, [])
    guard.close()
