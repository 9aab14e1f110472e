"""Processes of other users: measured where they can be, and said where they cannot."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import on_linux

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(
    not on_linux or os.getuid() != 0, reason="only root can be somebody else"
)

USER = 54321


def reads_everything() -> bool:
    """Whether a process of another user can be given the right to read all that root can: the
    interpreter of these tests may be where others cannot go."""
    found = re.search(r"^CapBnd:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and int(found[1], 16) >> 2 & 1 == 1 and bool(shutil.which("setpriv"))


AS_USER = (
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
)  # fmt: skip
needs_reader = pytest.mark.skipif(not reads_everything(), reason="no other user reads our files")


def let_all_through(place: Path) -> None:
    for directory in (place, *place.parents):
        if directory.stat().st_uid == 0 and directory.parent != directory:
            directory.chmod(directory.stat().st_mode | 0o011)


@pytest.mark.parametrize("call", ["setuid({})", "setreuid(-1, {})", "setresuid({}, {}, {})"])
def test_root_makes_a_place_for_the_user_that_it_becomes(world: World, call: str) -> None:
    let_all_through(world.directory)
    world.write(
        "target.py",
        "import os\n"
        "session = os.environ['COVSUP_SESSION']\n"
        f"os.setgid({USER})\n"
        f"os.{call.replace('{}', str(USER))}\n"
        "if os.fork() == 0:\n"
        "    late = 1\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(len(os.listdir(f'{session}/uid-%d' % os.geteuid())))\n"
        "print(oct(os.stat(session).st_mode), oct(os.stat(session + '/settings').st_mode))\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert run.stdout == "1\n0o40711 0o100644\n"
    assert run.lines("target.py") == set(range(1, 11))
    assert not (world.directory / ".covsup").exists()


def test_no_place_is_made_where_nobody_else_takes_part(world: World) -> None:
    world.write(
        "target.py",
        "import os, subprocess\n"
        "session = os.environ['COVSUP_SESSION']\n"
        "os.seteuid(0)\n"
        "os.setreuid(-1, -1)\n"
        "subprocess.run(['true'], check=True)\n"
        "print(oct(os.stat(session).st_mode), [n for n in os.listdir(session) if 'uid' in n])\n"
        f"subprocess.run(['true'], user={USER}, check=True)\n"
        "print([n for n in os.listdir(session) if 'uid' in n])\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert run.stdout == f"0o40700 []\n['uid-{USER}']\n"


@pytest.mark.skipif(not hasattr(os, "unshare"), reason="os.unshare() is new in 3.12")
def test_forks_into_a_pid_namespace_are_not_taken_for_processes_of_this_one(world: World) -> None:
    world.write(
        "target.py",
        "import os\n"
        "os.unshare(os.CLONE_NEWPID)\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        late = 1\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    os._exit(0)\n"
        "os.wait()\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py") == set(range(1, 10))
    assert not (world.directory / ".covsup").exists()


@needs_reader
def test_a_program_of_another_user_is_measured_in_the_place_made_for_it(world: World) -> None:
    world.write("child.py", "import os\nprint(os.getuid())\n")
    world.write(
        "target.py",
        "import os, subprocess, sys\n"
        f"os.seteuid({USER})\n"
        "os.seteuid(0)\n"
        f"subprocess.run([*{AS_USER!r}, sys.executable, 'child.py'], check=True)\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, f"{USER}\n", "")
    assert run.lines("child.py") == {1, 2}


@needs_reader
def test_a_program_of_a_user_without_a_place_is_said_with_the_reason(world: World) -> None:
    # It cannot say that it is there: it lives until the supervisor has had time to see it.
    world.write("child.py", "import os, time\ntime.sleep(0.5)\nprint(os.getuid())\n")
    run = world.covsup_run(*AS_USER, world.python, "child.py", options=["--strict"])
    assert (run.ended, run.stdout) == (3, f"{USER}\n")
    assert re.search(
        rf"1 Python process was not measured: .*: it ran as user {USER}, who cannot write to the"
        rf" session directory .*: open a session with `covsup env --user={USER}`",
        run.stderr,
    ), run.stderr
    assert run.lines("child.py") == set()
