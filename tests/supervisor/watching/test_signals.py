"""Signals sent to covsup reach the target, each as often as it was sent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from covsup.supervisor.watching.linux import HAS_PROC
from tests.supervisor.live import Live, covsup, has_dealt_with, state, wait_until

if TYPE_CHECKING:
    from tests.world import World

# Prints each signal it gets, and ends on the first SIGUSR2 after half a second of silence.
LISTENER = """\
import os, signal, sys
numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("ready", os.getpid(), flush=True)
while True:
    got = signal.sigwait(numbers)
    if got == signal.SIGUSR2:
        break
    print("got", int(got), flush=True)
late = signal.sigtimedwait(numbers, 0.5)
print("late", late and late.si_signo, flush=True)
"""

FORWARDED = [
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGABRT,
    signal.SIGALRM,
    signal.SIGWINCH,
    signal.SIGCONT,
    signal.SIGURG,
    signal.SIGTSTP,
    signal.SIGPIPE,
    signal.SIGSEGV,
    signal.SIGRTMIN + 3,
]


@pytest.mark.parametrize("number", FORWARDED, ids=str)
def test_a_signal_sent_to_covsup_reaches_the_target_once(world: World, number: int) -> None:
    world.write("target.py", LISTENER)
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        live.kill(number)
        live.wait_for(f"got {int(number)}\n")
        live.kill(signal.SIGUSR2)
        live.wait_for("late None")
        assert live.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_to_the_process_group_reaches_the_target_once(
    world: World, number: signal.Signals
) -> None:
    world.write("target.py", LISTENER)
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        for _ in range(3):
            os.killpg(live.pid, number)
            live.wait_for(f"got {int(number)}\n")
            # It may be slower than the target, and the next would be one with this.
            wait_until(lambda: has_dealt_with(live.pid, number), "it has dealt with it")
        live.kill(signal.SIGUSR2)
        live.wait_for("late None")
        assert live.ended() == 0


def test_alternating_signals_to_covsup_and_to_the_group_all_arrive_once(world: World) -> None:
    world.write("target.py", LISTENER)
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        for turn in range(10):
            if turn % 2:
                os.killpg(live.pid, signal.SIGUSR1)
            else:
                live.kill(signal.SIGUSR1)
            live.wait_for(f"got {int(signal.SIGUSR1)}\n")
            wait_until(lambda: has_dealt_with(live.pid, signal.SIGUSR1), "it has dealt with it")
        live.kill(signal.SIGUSR2)
        live.wait_for("late None")
        assert live.ended() == 0


def matching(pattern: bytes, shown: str, root: int) -> list[int]:
    """Give those of the tree below `root` of which `pkill` would match what /proc shows."""
    tree = [psutil.Process(root)]
    tree += tree[0].children(recursive=True)
    return [
        each.pid
        for each in tree
        if pattern in Path(f"/proc/{each.pid}/{shown}").read_bytes().replace(b"\0", b" ")
    ]


@pytest.mark.skipif(not HAS_PROC, reason="what went to several cannot be told here")
@pytest.mark.parametrize(
    ("pattern", "shown", "matched"),
    [(b"covsup run", "cmdline", 1), (b"target.py", "cmdline", 3), (b"py", "comm", 3)],
    ids=["covsup's words", "the target's words", "names"],
)
def test_a_signal_to_all_that_match_reaches_the_target_once(
    world: World, pattern: bytes, shown: str, matched: int
) -> None:
    world.write("target.py", LISTENER)
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        for _ in range(3):
            pids = matching(pattern, shown, live.pid)
            assert len(pids) == matched
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            live.wait_for(f"got {int(signal.SIGTERM)}\n")
            wait_until(lambda: has_dealt_with(live.pid, signal.SIGTERM), "it has dealt with it")
        live.kill(signal.SIGUSR2)
        live.wait_for("late None")
        assert live.ended() == 0


# The second comes after we took the first and before the witness has forgotten it.
TWICE_TO_THE_GROUP = """\
import os, signal
from covsup.supervisor.watching import signals
from covsup.supervisor.watching.signal_witness import SignalWitness
signals.block()
witness = SignalWitness()
for number in (signal.SIGINT, signal.SIGRTMIN + 3):
    os.killpg(0, number)
    assert signals.receive(1).number == number
    for _ in range(3):
        os.killpg(0, number)
    assert witness.was_sent_to_group(number)
    while (more := signals.receive(0)) is not None:
        assert witness.was_sent_to_group(more.number), "passed on, and the target has it already"
witness.close()
"""


@pytest.mark.skipif(not HAS_PROC, reason="what went to the group cannot be told here")
def test_a_signal_to_the_group_is_not_passed_on_when_it_comes_twice_in_a_moment() -> None:
    subprocess.run(
        [sys.executable, "-c", TWICE_TO_THE_GROUP], start_new_session=True, check=True, timeout=60
    )


# What the kernel is slow to close is closed by a thread; here that never gets as far.
INOTIFY_CLOSED = """\
import sys
from pathlib import Path
from covsup.supervisor.watching import inotify, signals
mask = signals.block()
watch = inotify.InotifyWatch.open(sys.argv[1])
inotify._thread.start_new_thread = lambda *_: None
watch.close()
signals.unblock(mask)
Path(sys.argv[1], "file").touch()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no inotify")
def test_a_bell_that_is_being_taken_down_ends_nobody(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", INOTIFY_CLOSED, str(tmp_path)], check=True, timeout=60)


def test_what_the_target_sends_to_its_own_group_it_gets_once(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "os.killpg(0, signal.SIGTERM)\n"
        "assert signal.sigwait({signal.SIGTERM})\n"
        "print('late', signal.sigtimedwait({signal.SIGTERM}, 0.5))\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout) == (0, "late None\n")


def test_what_the_target_sends_to_its_parent_does_not_come_back(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\n"
        "os.kill(os.getppid(), signal.SIGUSR1)\n"
        "print('late', signal.sigtimedwait({signal.SIGUSR1}, 0.5))\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout) == (0, "late None\n")


def test_a_second_sigterm_arrives_as_well(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal, sys, time\n"
        "count = 0\n"
        "def handler(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "    os.write(1, b'term %d\\n' % count)\n"
        "    if count == 2:\n"
        "        sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, handler)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.05)\n",
    )
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        live.kill(signal.SIGTERM)
        live.wait_for("term 1")
        live.kill(signal.SIGTERM)
        live.wait_for("term 2")
        assert live.ended() == 5


def test_sigterm_in_the_very_first_moment_is_not_lost(world: World) -> None:
    """Sent at any time after the start, it ends target and covsup alike."""
    world.write("target.py", "import signal\nprint('ready', flush=True)\nsignal.pause()\n")
    for delay in (0.0, 0.02, 0.05, 0.08, 0.1, 0.15):
        with Live(world, *covsup(world, "target.py")) as live:
            time.sleep(delay)
            live.kill(signal.SIGTERM)
            assert live.ended() == -signal.SIGTERM


@pytest.mark.skipif(not HAS_PROC, reason="what went to the group cannot be told here")
def test_what_went_to_the_group_before_the_target_was_there_is_passed_on(world: World) -> None:
    world.write("target.py", "import signal\nsignal.pause()\n")
    code = (
        "import os\n"
        "from covsup.supervisor.launch import launch\n"
        "from covsup.supervisor.cli import main\n"
        "made = launch.environment_for_target\n"
        "def make(*args):\n"
        "    print('now', flush=True)\n"
        "    os.read(0, 1)\n"
        "    return made(*args)\n"
        "launch.environment_for_target = make\n"
        "main(['run', 'target.py'])\n"
    )
    with Live(world, world.python, "-c", code) as live:
        live.wait_for("now")
        os.killpg(live.pid, signal.SIGTERM)
        live.send("\n")
        assert live.ended() == -signal.SIGTERM


RECEIVER = """\
import signal
from covsup.supervisor.watching import signals
signals.block()
print("ready", flush=True)
while True:
    received = signals.receive(0.02)
    if received is not None:
        print("got", received.number, received.sender, flush=True)
        if received.number == signal.SIGTERM:
            break
"""


def test_a_wait_that_a_stop_outlasts_receives_nothing_that_was_not_sent(world: World) -> None:
    got: list[str] = []
    with Live(world, world.python, "-c", RECEIVER) as live:
        live.wait_for("ready")
        for _ in range(10):
            live.kill(signal.SIGSTOP)
            wait_until(lambda: state(live.pid) == "T", "it is not stopped")
            until = time.monotonic() + 0.03  # longer than one wait
            wait_until(lambda until=until: time.monotonic() > until, "the time stands still")
            live.kill(signal.SIGCONT)
            got.append(live.wait_for(r"got (.*)\n")[1])
        live.kill(signal.SIGTERM)
        got += re.findall("got (.*)\n", live.rest())
        assert live.ended() == 0, got
    us = os.getpid() if HAS_PROC else 0
    sent = [signal.SIGCONT] * 10 + [signal.SIGTERM]
    assert got == [f"{int(each)} {us}" for each in sent]


def test_a_signal_while_the_session_is_made_ends_target_and_covsup(world: World) -> None:
    world.write("target.py", "import signal\nsignal.pause()\n")
    code = (
        "import os\n"
        "from covsup.supervisor.sessions import create\n"
        "from covsup.supervisor.cli import main\n"
        "create_session = create.create_session\n"
        "def make(*args):\n"
        "    session = create_session(*args)\n"
        "    print('now', flush=True)\n"
        "    os.read(0, 1)\n"
        "    return session\n"
        "create.create_session = make\n"
        "main(['run', 'target.py'])\n"
    )
    with Live(world, world.python, "-c", code) as live:
        live.wait_for("now")
        live.kill(signal.SIGTERM)
        live.send("\n")
        assert live.ended() == -signal.SIGTERM
    assert not (world.directory / ".covsup").exists()


DISPOSITIONS = "grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status"


@pytest.mark.parametrize(
    "ignored",
    [(), ("SIGHUP",), ("SIGINT", "SIGQUIT"), ("SIGCHLD",), ("SIGTERM", "SIGUSR1")],
    ids=str,
)
def test_the_target_inherits_what_covsup_inherits(world: World, ignored: tuple[str, ...]) -> None:
    def prepare() -> None:
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        for name in ignored:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    ask = ("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status")
    with Live(world, *ask, before_exec=prepare) as plain:
        expected = plain.rest()
    assert "SigBlk:\t0000000000000800" in expected
    with Live(world, *covsup(world, *ask), before_exec=prepare) as live:
        # What else it says is that nothing was to be measured.
        assert live.rest().startswith(expected)
        assert live.ended() == 0


def test_an_ignored_sigpipe_of_the_shell_stays_ignored(world: World) -> None:
    words = " ".join(covsup(world, "sh", "-c", f'"{DISPOSITIONS}"'))
    plain = world.run("sh", "-c", f"trap '' PIPE; sh -c \"{DISPOSITIONS}\"; true")
    run = world.run("sh", "-c", f"trap '' PIPE; {words}; true")
    assert run.stdout == plain.stdout
    assert "1000\n" in plain.stdout


def test_nohup_keeps_the_target_alive_when_the_group_hangs_up(world: World) -> None:
    world.write(
        "target.py",
        "import os, sys\nprint('ready', flush=True)\nsys.stdin.readline()\nprint('alive', flush=True)\n",
    )

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Live(world, *covsup(world, "target.py"), before_exec=ignore) as live:
        live.wait_for("ready")
        os.killpg(live.pid, signal.SIGHUP)
        live.kill(signal.SIGHUP)
        live.send("go\n")
        live.wait_for("alive")
        assert live.ended() == 0


def test_an_ignored_sigchld_loses_no_exit_status(world: World) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with Live(world, *covsup(world, "sh", "-c", "exit 6"), before_exec=ignore) as live:
        assert live.ended() == 6


def test_a_killed_supervisor_leaves_target_and_session(world: World) -> None:
    world.write(
        "target.py",
        "import os, sys\nprint('pid', os.getpid(), flush=True)\nsys.stdin.readline()\ndone = 1\n"
        "print('done', flush=True)\n",
    )
    with Live(world, *covsup(world, "target.py")) as live:
        pid = int(live.wait_for(r"pid (\d+)")[1])
        live.kill(signal.SIGKILL)
        assert live.ended() == -signal.SIGKILL
        live.send("go\n")
        live.wait_for("done")
        wait_until(lambda: state(pid) in {"", "Z"}, "it ended")
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert combined.ended == 0, combined
    assert combined.lines("target.py") == {1, 2, 3, 4, 5}
