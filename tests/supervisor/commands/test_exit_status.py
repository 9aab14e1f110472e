"""How covsup ends: as the target did."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World


@pytest.mark.parametrize("status", [0, 1, 2, 3, 77, 255])
def test_the_exit_status_is_the_targets(world: World, status: int) -> None:
    run = world.covsup_run("sh", "-c", f"exit {status}")
    assert run.ended == status


def test_an_unhandled_exception_is_the_targets_own(world: World) -> None:
    world.write("target.py", "raise ValueError('mine')\n")
    run = world.covsup_run("target.py")
    plain = world.run(world.python, "target.py")
    assert (run.ended, run.stdout, run.stderr) == (1, plain.stdout, plain.stderr)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGKILL,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGPIPE,
        signal.SIGALRM,
        signal.SIGRTMIN + 5,
    ],
)
def test_death_by_a_signal_is_repeated_with_the_same_signal(world: World, number: int) -> None:
    world.write(
        "target.py",
        f"import os, signal\nsignal.signal({number}, signal.SIG_DFL)\nos.kill(os.getpid(), {number})\n"
        if number != signal.SIGKILL
        else "import os\nos.kill(os.getpid(), 9)\n",
    )
    command = [world.python, "-m", "covsup", "run", "target.py"]
    process = subprocess.run(
        command, cwd=world.directory, env=world.environment(), timeout=40, check=False
    )
    assert process.returncode == -number
    assert world.data_file.exists()


def test_the_targets_core_file_is_not_overwritten(world: World) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii")
    if pattern.startswith(("|", "/")):
        pytest.skip(f"cores do not come here: {pattern}")
    world.write("target.py", "import os\nos.abort()\n")
    run = world.run("sh", "-c", f"ulimit -c unlimited; exec {world.python} -m covsup run target.py")
    assert run.ended is signal.SIGABRT
    (core,) = world.directory.glob("core*")
    # Ours would hold the supervisor's command line.
    assert b"covsup\0run\0" not in core.read_bytes()


def test_a_shell_sees_a_signal_as_it_would_without_covsup(world: World) -> None:
    world.write("target.py", "import os\nos.kill(os.getpid(), 15)\n")
    run = world.run("sh", "-c", f"{world.python} -m covsup run target.py; echo status $?")
    assert "status 143" in run.stdout


def test_as_pid_1_a_death_by_signal_becomes_128_and_the_signal(world: World) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or world.run(unshare, "-pf", "--mount-proc", "true").ended != 0:
        pytest.skip("no new pid namespace to be had")
    world.write(
        "target.py", "import os\nprint(os.getppid(), flush=True)\nos.kill(os.getpid(), 15)\n"
    )
    run = world.run(
        unshare, "-pf", "--mount-proc", world.python, "-m", "covsup", "run", "target.py"
    )
    assert run.stdout == "1\n"
    assert run.ended == 128 + 15
    assert run.lines("target.py") == {1, 2, 3}


def test_as_pid_1_signals_from_outside_the_namespace_reach_the_target(world: World) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or world.run(unshare, "-pf", "--mount-proc", "true").ended != 0:
        pytest.skip("no new pid namespace to be had")
    world.write(
        "target.py",
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "subprocess.run(['kill', '-TERM', '1'])\n"  # a grandchild of PID 1: not its own child
        "while True:\n"
        "    time.sleep(0.05)\n",
    )
    run = world.run(
        unshare, "-pf", "--mount-proc", world.python, "-m", "covsup", "run", "target.py"
    )
    assert run.ended == 9
