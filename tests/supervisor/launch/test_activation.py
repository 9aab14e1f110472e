"""What names the process that was started names the target: socket activation and its like."""

from __future__ import annotations

import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

# As systemd does: a listening socket at descriptor 3, and variables with the pid of what is executed.
ACTIVATES = """\
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
pid = str(os.getpid())
os.environ |= {
    "LISTEN_FDS": "1", "LISTEN_PID": pid, "LISTEN_FDNAMES": "web", "WATCHDOG_PID": pid,
    "WATCHDOG_USEC": "1000000", "SYSTEMD_EXEC_PID": pid, "APP_PID": pid, "MAIN": pid,
    "OTHER_PID": str(os.getppid()),
}
if hasattr(os, "pidfd_open"):
    pidfd = os.pidfd_open(os.getpid())
    os.environ["LISTEN_PIDFDID"] = str(os.fstat(pidfd).st_ino)
    os.close(pidfd)
os.execvp(sys.argv[1], sys.argv[1:])
"""

TARGET = """\
import os, socket
pid = str(os.getpid())
names = "LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID", "APP_PID", "MAIN", "OTHER_PID"
print(*(name for name in names if os.environ[name] == pid))
if "LISTEN_PIDFDID" in os.environ:
    print(os.environ["LISTEN_PIDFDID"] == str(os.fstat(os.pidfd_open(os.getpid())).st_ino))
listener = socket.socket(fileno=3)
address = listener.getsockname()
socket.create_connection(address).close()
listener.close()
try:
    socket.create_connection(address)
except ConnectionRefusedError:
    print("closed")
"""


@pytest.mark.parametrize("through", ["python", "shell"])
def test_socket_activation_is_as_without_covsup(world: World, through: str) -> None:
    world.write("activates.py", ACTIVATES)
    world.write("target.py", TARGET)
    words = {
        "python": ["target.py"],
        "shell": ["sh", "-c", f"exec {shlex.quote(world.python)} target.py"],
    }[through]
    run = world.run(
        world.python, "activates.py", world.python, "-m", "covsup", "run", "--branch", *words
    )
    assert (run.ended, run.stderr) == (0, "")
    named, *rest = run.stdout.splitlines()
    assert named == "LISTEN_PID WATCHDOG_PID SYSTEMD_EXEC_PID APP_PID"
    assert rest == (["True", "closed"] if sys.platform == "linux" else ["closed"])
    assert {1, 2, 7, 14} <= run.lines("target.py")


def test_more_listeners_than_there_are_cost_covsup_nothing_of_its_own(world: World) -> None:
    world.write("activates.py", ACTIVATES.replace('"LISTEN_FDS": "1"', '"LISTEN_FDS": "999"'))
    world.write("target.py", TARGET)
    words = (world.python, "activates.py", world.python, "-m", "covsup", "run", "--branch")
    run = world.run(*words, "target.py")
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.stdout.endswith("closed\n")


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_the_target_has_the_parent_death_signal_that_covsup_was_given(world: World) -> None:
    world.write(
        "starts.py",
        "import ctypes, os, signal, sys\n"
        f"assert ctypes.CDLL(None).prctl(1, {int(signal.SIGUSR1)}, 0, 0, 0) == 0\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n",
    )
    world.write(
        "target.py",
        "import ctypes\n"
        "number = ctypes.c_int()\n"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0)\n"
        "print(number.value)\n",
    )
    run = world.run(world.python, "starts.py", world.python, "-m", "covsup", "run", "target.py")
    assert (run.ended, run.stdout) == (0, f"{int(signal.SIGUSR1)}\n"), run


def test_a_service_that_reports_to_systemd_is_told_what_its_unit_needs(world: World) -> None:
    world.write("activates.py", ACTIVATES.replace('"MAIN"', '"NOTIFY_SOCKET": "/x", "MAIN"'))
    world.write("target.py", "pass\n")
    words = (world.python, "activates.py", world.python, "-m", "covsup", "run", "target.py")
    run = world.run(*words)
    assert run.ended == 0
    (line,) = run.stderr.splitlines()
    assert "NotifyAccess=all" in line
    run = world.covsup_run("target.py", environment={"NOTIFY_SOCKET": "/x"})
    assert (run.ended, run.stderr) == (0, "")
