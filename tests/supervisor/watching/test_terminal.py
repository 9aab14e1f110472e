"""The terminal is the target's: its keys, its size, its job control."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING

import psutil

from covsup.datafile.provenance.command_lines import WITNESS_NAME
from tests.supervisor.live import Live, covsup, is_pending, state, wait_until

if TYPE_CHECKING:
    from tests.world import World

# It looks for lines twenty times a second, because a signal that comes just before a read blocks
# would be handled when the read ends.
COUNTER = """\
import os, select, signal, sys
counts = 0
def count(*_):
    global counts
    counts += 1
    os.write(1, b"interrupt %d\\n" % counts)
signal.signal(signal.SIGINT, count)
os.write(1, b"ready\\n")
line = b""
while line != b"end\\n":
    if select.select([0], [], [], 0.05)[0]:
        line = os.read(0, 100)
        os.write(1, b"line %s %d\\n" % (line.strip(), counts))
"""


def test_ctrl_c_reaches_the_target_once(world: World) -> None:
    world.write("target.py", COUNTER)
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for("ready")
        live.send("\x03")
        live.wait_for("interrupt 1")
        live.send("a\n")
        live.wait_for("line a 1")
        live.send("\x03")
        live.wait_for("interrupt 2")
        live.send("end\n")
        live.wait_for("line end 2")
        assert live.ended() == 0


def test_ctrl_c_that_kills_the_target_kills_covsup_alike(world: World) -> None:
    # As above: an interrupt between the line and a long sleep would wait for the sleep's end.
    world.write(
        "target.py",
        "import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.05)\n",
    )
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for("ready")
        live.send("\x03")
        live.wait_for("KeyboardInterrupt")
        assert live.ended() == -signal.SIGINT
    assert (world.directory / ".coverage").exists()


def test_ctrl_backslash_quits_both(world: World) -> None:
    world.write("target.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for("ready")
        live.send("\x1c")
        assert live.ended() == -signal.SIGQUIT


def test_the_target_sees_the_terminal_and_its_changes_of_size(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal, sys\n"
        "print('tty', [os.isatty(fd) for fd in range(3)], os.tcgetpgrp(0) == os.getpgrp())\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})\n"
        "print('ready', flush=True)\n"
        "signal.sigwait({signal.SIGWINCH})\n"
        "print('size', *os.get_terminal_size(0), flush=True)\n"
        "print('again', signal.sigtimedwait({signal.SIGWINCH}, 0.5), flush=True)\n",
    )
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for(r"tty \[True, True, True\] True")
        live.wait_for("ready")
        fcntl.ioctl(live._master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        live.wait_for("size 77 33")
        live.wait_for("again None")
        assert live.ended() == 0


def test_ctrl_z_stops_the_job_and_fg_goes_on(world: World) -> None:
    world.write("target.py", COUNTER)
    words = " ".join(covsup(world, "target.py"))
    with Live(world, "bash", "--norc", "--noprofile", "-i", terminal=True) as live:
        live.send("PS1='shell''> '\n")
        live.wait_for("shell> ")
        for turn in range(2):
            live.send(f"{words}\n")
            live.wait_for("ready")
            live.send("\x1a")
            live.wait_for("Stopped")
            live.wait_for("shell> ")
            live.send("echo back in the $((40 + 2))\n")
            live.wait_for("back in the 42")
            live.wait_for("shell> ")
            live.send("fg\n")
            live.send("a\n")
            live.wait_for("line a 0")
            live.send("\x1a")
            live.wait_for("Stopped")
            live.wait_for("shell> ")
            live.send("fg\n")
            live.send("b\n")
            live.wait_for("line b 0")
            live.send("\x03")
            live.wait_for("interrupt 1")
            live.send("end\n")
            live.wait_for("line end 1")
            live.wait_for("shell> ")
            live.send(f"echo turn-{turn} ended $?\n")
            live.wait_for(f"turn-{turn} ended 0")
            live.wait_for("shell> ")
        live.send("exit\n")
        assert live.ended() == 0


def test_a_background_job_that_reads_is_stopped_until_fg(world: World) -> None:
    world.write("target.py", "import sys\nprint('got', sys.stdin.readline().strip(), flush=True)\n")
    words = " ".join(covsup(world, "target.py"))
    with Live(world, "bash", "--norc", "--noprofile", "-i", terminal=True) as live:
        live.send("PS1='shell''> '; set -b\n")
        live.wait_for("shell> ")
        live.send(f"{words} &\n")
        live.wait_for("Stopped")
        live.send("fg\n")
        live.send("words\n")
        live.wait_for("got words")
        live.wait_for("shell> ")
        live.send("exit\n")
        assert live.ended() == 0


def test_a_target_that_stops_itself_stops_covsup_until_it_is_continued(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "print('pid', os.getpid(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "print('on', flush=True)\n",
    )
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for(r"pid (\d+)")
        wait_until(lambda: state(live.pid) == "T", "covsup stops")
        live.kill(signal.SIGCONT)
        live.wait_for("on")
        assert live.ended() == 0


def test_a_target_that_somebody_else_continues_wakes_covsup(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "print('pid', os.getpid(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "print('on', flush=True)\n",
    )
    with Live(world, *covsup(world, "target.py")) as live:
        pid = int(live.wait_for(r"pid (\d+)")[1])
        wait_until(lambda: state(live.pid) == "T", "covsup stops")
        os.kill(pid, signal.SIGCONT)
        live.wait_for("on")
        assert live.ended() == 0


def test_a_target_killed_while_stopped_ends_covsup(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "print('pid', os.getpid(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n",
    )
    with Live(world, *covsup(world, "target.py")) as live:
        pid = int(live.wait_for(r"pid (\d+)")[1])
        wait_until(lambda: state(live.pid) == "T", "covsup stops")
        os.kill(pid, signal.SIGKILL)
        assert live.ended() == -signal.SIGKILL


def test_sigtstp_sent_to_covsup_stops_the_target_too(world: World) -> None:
    world.write(
        "target.py", "import os, signal\nprint('pid', os.getpid(), flush=True)\nsignal.pause()\n"
    )
    words = " ".join(covsup(world, "target.py"))
    with Live(world, "bash", "--norc", "--noprofile", "-i", terminal=True) as live:
        live.send("PS1='shell''> '; set -b\n")
        live.wait_for("shell> ")
        live.send(f"{words} &\n")
        pid = int(live.wait_for(r"pid (\d+)")[1])
        live.send("kill -TSTP $!\n")
        live.wait_for("Stopped")
        assert state(pid) == "T"
        live.send("kill -CONT $!\n")
        wait_until(lambda: state(pid) == "S", "the target goes on")
        live.send("kill -TERM $!\n")
        live.wait_for("Terminated")
        live.send("exit\n")
        assert live.ended() == 0


def test_hanging_up_reaches_a_target_whose_supervisor_leads_the_session(world: World) -> None:
    """The kernel tells the session's leader, and the group only when that has ended."""
    world.write(
        "target.py",
        "import os, signal, sys, time\n"
        "def hang_up(*_):\n"
        "    open('hung-up', 'w').close()\n"
        "    os._exit(4)\n"
        "signal.signal(signal.SIGHUP, hang_up)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.05)\n",
    )
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for("ready")
        os.close(live._master)
        live._master = -1
        assert live.ended() == 4
    assert (world.directory / "hung-up").exists()


def test_an_interactive_shell_works_as_a_target(world: World) -> None:
    with Live(world, *covsup(world, "bash", "--norc", "--noprofile", "-i"), terminal=True) as live:
        live.send("PS1='shell''> '\n")
        live.wait_for("shell> ")
        live.send("sh -c 'echo in''ner; exec sleep 60'\n")
        live.wait_for("inner")
        live.send("\x03")
        live.wait_for("shell> ")
        live.send("sh -c 'echo in''ner; exec sleep 60'\n")
        live.wait_for("inner")
        live.send("\x1a")
        live.wait_for("Stopped")
        live.wait_for("shell> ")
        live.send("exit 9\nexit 9\n")  # it asks once, because of the stopped job
        assert live.ended() == 9


def test_the_debugger_talks_to_the_terminal(world: World) -> None:
    world.write("target.py", "def function():\n    here = 41\n    breakpoint()\nfunction()\n")
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for(r"\(Pdb\) ")
        live.send("p here + 1\n")
        live.wait_for("42")
        live.send("c\n")
        assert live.ended() == 0


def test_without_the_helper_the_terminals_keys_still_arrive_once(world: World) -> None:
    world.write("target.py", COUNTER)
    with Live(world, *covsup(world, "target.py"), terminal=True) as live:
        live.wait_for("ready")
        supervisor = psutil.Process(live.pid)
        (helper,) = [
            child for child in supervisor.children() if child.cmdline()[:1] == [WITNESS_NAME]
        ]
        helper.kill()
        wait_until(lambda: not helper.is_running(), "it is reaped")
        live.send("\x03")
        live.wait_for("interrupt 1")
        wait_until(lambda: not is_pending(live.pid, signal.SIGINT), "the supervisor took it too")
        live.kill(signal.SIGINT)
        live.wait_for("interrupt 2")
        live.send("end\n")
        live.wait_for("line end 2")
        assert live.ended() == 0


def test_a_finished_run_says_what_was_measured_and_what_to_do_next(world: World) -> None:
    world.write("target.py", "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()\n")
    for options, said in (
        ([], "covsup: measured 2 processes, 1 file, 4 lines, in .coverage; next: `covsup report`, `covsup tree`"),
        (["--data-file=a b"], "in a b; next: `covsup report --data-file='a b'`, `covsup tree --data-file='a b'`"),
        (["-p"], "covsup: the data is in .covsup/"),
        (["--quiet"], ""),
    ):  # fmt: skip
        with Live(world, *covsup(world, "target.py", options=options), terminal=True) as live:
            text = live.rest()
            assert live.ended() == 0
        assert said in text
        assert text.count("\n") == bool(said), text


def test_the_wait_for_what_the_target_left_is_announced(world: World) -> None:
    world.write(
        "target.py",
        "import os, signal\n"
        "if os.fork() == 0:\n"
        "    print('left', os.getpid(), flush=True)\n"
        "    signal.pause()\n",
    )
    with Live(world, *covsup(world, "target.py", options=["--grace=60"]), terminal=True) as live:
        pid = int(live.wait_for(r"left (\d+)")[1])
        live.wait_for(
            rf"covsup: waiting up to 60 s for what the target left: process {pid}"
            r" \(python[\d.]* target.py\); Ctrl-C ends the wait"
        )
        os.kill(pid, signal.SIGKILL)
        live.wait_for(r"covsup: measured 2 processes, ")
        assert live.ended() == 0
