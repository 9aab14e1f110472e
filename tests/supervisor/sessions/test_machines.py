"""Sessions in a directory that several machines or containers share: what runs there is kept, and
what is over there is known to be over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.supervisor.combining.test_combining import executed
from tests.supervisor.live import PATIENCE, Live, beside, covsup, wait_until
from tests.supervisor.watching.test_namespaces import needs

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None,
    reason="needs namespaces, and root to make them",
)

TARGET = """\
print("up", flush=True)
input()
late = 1
"""
CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

# A machine of its own as far as a program can tell: other ids, and none of our processes.
MACHINE = """\
mount --bind boot /proc/sys/kernel/random/boot_id && mount --bind machine /etc/machine-id &&
exec "$@"
"""


def on_another_machine(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of covsup's on a machine of the same name that has the same directory."""
    needs(*CONTAINER)
    world.write("boot", "00000000-1111-2222-3333-444444444444\n")
    world.write("machine", "0123456789abcdef0123456789abcdef\n")
    return inside(world, "sh", "-c", MACHINE, "sh", world.python, "-m", "covsup", *words)


def in_another_container(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    needs(*CONTAINER)
    return inside(world, world.python, "-m", "covsup", *words)


def inside(world: World, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CONTAINER, *command],
        cwd=world.directory, env=world.environment(), capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def sessions(world: World) -> list[Path]:
    return sorted((world.directory / ".covsup").glob("2*"))


def test_combine_on_another_machine_of_the_same_name_loses_nothing(world: World) -> None:
    if not Path("/etc/machine-id").exists():
        pytest.skip("there is nothing to mount another id over")
    target = world.write("target.py", TARGET)
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("up")
        there = on_another_machine(world, "combine")
        assert there.returncode == 0, there
        assert there.stderr.count("covsup cannot see from here whether it still runs") == 1
        refused = on_another_machine(world, "erase")
        assert (refused.returncode, "erase --assume-ended" in refused.stderr) == (1, True)
        live.send("\n")
        assert live.ended() == 0
    assert executed(world.data_file, target) == {1, 2, 3}
    assert not sessions(world)


def test_a_run_of_a_program_that_is_no_python_yet_is_kept_on_other_machines_too(
    world: World,
) -> None:
    if not Path("/etc/machine-id").exists():
        pytest.skip("there is nothing to mount another id over")
    target = world.write("target.py", "print(1)\n")
    shell = f"echo up; read line; exec {world.python} target.py"
    with Live(world, *covsup(world, "sh", "-c", shell)) as live:
        live.wait_for("up")
        for elsewhere in (on_another_machine, in_another_container):
            assert "nothing to combine" in elsewhere(world, "combine").stderr
            assert elsewhere(world, "erase").returncode == 1
        live.send("\n")
        assert live.ended() == 0
    assert executed(world.data_file, target) == {1}


def test_a_session_left_to_combine_is_over_on_every_machine(world: World) -> None:
    if not Path("/etc/machine-id").exists():
        pytest.skip("there is nothing to mount another id over")
    target = world.write("target.py", "print(1)\n")
    world.covsup_run("target.py", options=["--parallel-mode"])
    there = on_another_machine(world, "combine")
    assert (there.returncode, there.stderr) == (0, "")
    assert executed(world.data_file, target) == {1}
    assert not sessions(world)


def test_what_was_killed_on_another_machine_can_be_declared_ended(world: World) -> None:
    if not Path("/etc/machine-id").exists():
        pytest.skip("there is nothing to mount another id over")
    target = world.write(
        "target.py", "import os\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)\n"
    )
    world.run(*covsup(world, "target.py"))
    there = on_another_machine(world, "combine")
    assert "`covsup combine --assume-ended`" in there.stderr
    assert sessions(world)
    there = on_another_machine(world, "combine", "--assume-ended")
    assert (there.returncode, there.stderr) == (0, "")
    assert executed(world.data_file, target) == {1, 2, 3}
    assert not sessions(world)


@pytest.mark.parametrize("where", ["outside", "another container"])
def test_a_session_of_a_container_that_was_killed_is_over(world: World, where: str) -> None:
    needs(*CONTAINER)
    target = world.write("target.py", "import os\nos.fork()\n" + TARGET)
    with Live(world, *CONTAINER, *covsup(world, "target.py")) as live:
        live.wait_for("up[^u]+up")
        first = psutil.Process(live.pid).children()[0]
        command = in_another_container if where == "another container" else beside
        assert "still running" in command(world, "combine").stderr
        assert command(world, "erase").returncode == 1
        first.send_signal(signal.SIGKILL)
        wait_until(lambda: not first.is_running(), "the container had ended")
        live.ended()
    combined = command(world, "combine")
    assert (combined.returncode, combined.stderr) == (0, "")
    assert executed(world.data_file, target) == {1, 2, 3, 4}
    assert not sessions(world)
