"""Started programs: the session travels, whatever environment they are given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import Ended, Reaped, Spawned, Unexecuted
from tests.concurrency.by_hand import StartKind

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

PYTHON = "sys.executable, 'child.py'"
WAYS = {
    "run": f"subprocess.run([{PYTHON}])",
    "run, env={}": f"subprocess.run([{PYTHON}], env={{}})",
    "run, bytes env": f"subprocess.run([{PYTHON}], env={{b'A': b'B'}})",
    "run, os.environ cleared": f"os.environ.clear(); subprocess.run([{PYTHON}])",
    "run, isolated": "subprocess.run([sys.executable, '-I', 'child.py'], env={})",
    "run, environment ignored": "subprocess.run([sys.executable, '-E', 'child.py'], env={})",
    "run, -m": "subprocess.run([sys.executable, '-m', 'child'], env={})",
    "run, standard input": "subprocess.run([sys.executable, '-'], stdin=open('child.py'))",
    "run, start_new_session": f"subprocess.run([{PYTHON}], env={{}}, start_new_session=True)",
    "run, preexec_fn": f"subprocess.run([{PYTHON}], env={{}}, preexec_fn=lambda: None)",
    "run, a path object": "subprocess.run([sys.executable, pathlib.Path('child.py')], env={})",
    "run, through a shell": "subprocess.run(f'{sys.executable} child.py', shell=True, env={})",
    "run, closing all": f"os.closerange(3, 100); subprocess.run([{PYTHON}], close_fds=True)",
    "popen": "os.popen(f'{sys.executable} child.py').read()",
    "system": "os.system(f'{sys.executable} child.py')",
    "system, os.environ cleared": "os.environ.clear(); os.system(f'{sys.executable} child.py')",
    "spawnv": f"os.spawnv(os.P_WAIT, sys.executable, [{PYTHON}])",
    "spawnve": f"os.spawnve(os.P_WAIT, sys.executable, [{PYTHON}], {{}})",
    "posix_spawn": f"os.waitpid(os.posix_spawn(sys.executable, [{PYTHON}], {{}}), 0)",
    "posix_spawn, os.environ": (
        f"os.waitpid(os.posix_spawn(sys.executable, [{PYTHON}], os.environ, setpgroup=0), 0)"
    ),
    "posix_spawnp": f"os.waitpid(os.posix_spawnp(sys.executable, [{PYTHON}], {{}}), 0)",
    "pty.spawn": f"pty.spawn([{PYTHON}], lambda fd: os.read(fd, 100))",
    "asyncio": (
        "async def main():\n"
        f"    child = await asyncio.create_subprocess_exec({PYTHON}, env={{}})\n"
        "    await child.wait()\n"
        "asyncio.run(main())"
    ),
    "fork and execve": (
        "pid = os.fork()\n"
        f"if pid == 0: os.execve(sys.executable, [{PYTHON}], {{}})\n"
        "os.waitpid(pid, 0)"
    ),
    "double fork and execv": (
        "if os.fork() == 0:\n"
        f"    if os.fork() == 0: os.execv(sys.executable, [{PYTHON}])\n"
        "    os.wait(); os._exit(0)\n"
        "os.wait()"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_started_python_belongs_to_the_session(session: Session, way: str) -> None:
    session.write("child.py", "import os\nraise SystemExit(0)\n")
    outcome = session.run(
        f"import asyncio, os, pathlib, pty, subprocess, sys\nsys.stdin.close()\n{WAYS[way]}\n"
    )
    assert outcome.status == 0, outcome.stderr
    by_id = {image.id: image for image in outcome.images}
    last = outcome.images[-1]
    assert last.kind in (StartKind.SPAWNED, StartKind.EXECED)
    if "standard input" not in way:
        assert last.lines("child.py") == {1, 2}
    ancestors = []
    while last.parent is not None:
        last = by_id[last.parent]
        ancestors.append(last)
    assert ancestors[-1].id == outcome.first.id


def test_the_childs_pid_command_line_and_end_are_told(session: Session) -> None:
    outcome = session.run(
        """
        import os, pathlib, signal, subprocess, sys
        subprocess.run([sys.executable, "-c", "raise SystemExit(3)", pathlib.Path("a b"), b"c"])
        subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
        os.waitid(os.P_PID, os.posix_spawn("/bin/false", ["false"], {}), os.WEXITED)
        os.wait3(0) if os.posix_spawnp("true", ["true"], {}) else None
        os.wait4(os.posix_spawnp("true", ["true"], {}), 0)
        try:
            subprocess.run(["/none"])
        except FileNotFoundError as error:
            print(error.filename)
        try:
            subprocess.run([sys.executable, "-c", "never"], cwd="/none")
        except FileNotFoundError as error:
            print(error.filename)
        """
    )
    assert outcome.stdout == "/none\n/none\n", outcome.stderr
    spawned = outcome.first.events(Spawned)
    assert [event.argv[-1] for event in spawned] == [  # and none that could not be executed
        "c",
        "import os; os.kill(os.getpid(), 9)",
        "false",
        "true",
        "true",
    ]
    assert spawned[0].argv[2:] == ("raise SystemExit(3)", "a b", "c")
    reaped = [(event.pid, event.status) for event in outcome.first.events(Reaped)]
    statuses = [3 << 8, 9, 1 << 8, 0, 0]
    assert reaped[:5] == [
        (event.pid, status) for event, status in zip(spawned, statuses, strict=True)
    ]
    assert outcome.child_of(outcome.first, StartKind.SPAWNED) if len(outcome.images) == 2 else True
    assert len(outcome.images) == 3


def test_a_forked_child_that_cannot_execute_its_program_is_none(session: Session) -> None:
    outcome = session.run(
        """
        import os, subprocess, sys
        for more in ({"user": os.getuid()}, {"preexec_fn": os.getpid}, {"extra_groups": []}):
            try:
                subprocess.run([sys.executable, "-c", "never"], cwd="/none", **more)
            except OSError:
                pass
        subprocess.run([sys.executable, "-c", "raise SystemExit(255)"], user=os.getuid())
        """
    )
    assert outcome.status == 0, outcome.stderr
    spawned = {event.pid: event.argv[-1] for event in outcome.first.events(Spawned)}
    # Where the child was quick to fail, nothing was told of it at all.
    executed = spawned.keys() - {event.pid for event in outcome.first.events(Unexecuted)}
    assert [spawned[pid] for pid in executed] == ["raise SystemExit(255)"]


def test_stopped_children_are_not_taken_for_ended_ones(session: Session) -> None:
    outcome = session.run(
        """
        import os, signal
        here, there = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.read(here, 1)
            os._exit(0)
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        os.kill(pid, signal.SIGCONT)
        assert os.WIFCONTINUED(os.waitpid(pid, os.WCONTINUED)[1])
        os.write(there, b"x")
        assert os.waitpid(pid, 0) == (pid, 0)
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.first.events(Reaped)) == 1


def test_a_signal_handler_interrupts_a_wait_as_plainly(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import os, signal, time
        class Rang(Exception): pass
        def ring(number, frame):
            raise Rang(frame.f_code.co_name)
        signal.signal(signal.SIGALRM, ring)
        def waits():
            os.waitpid(pid, 0)
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            waits()
        except Rang as error:
            print("rang in", error)
        os.kill(pid, 9)
        print(os.waitpid(pid, 0)[1])
        """
    )
    assert outcome.stdout == "rang in waits\n9\n", outcome.stderr
    assert [event.status for event in outcome.first.events(Reaped)] == [9]


ENDS = {
    "sys.exit(3)": (3, 3),
    "raise SystemExit('words')": (1, 1),
    "1 / 0": (1, 1),
    "pass": (0, 0),
    "os._exit(256 + 5)": (5, 261),
    "os._exit(status=6)": (6, 6),
    "os.abort()": (-6, None),
    "os.kill(os.getpid(), 9)": (-9, None),
    "os.kill(os.getpid(), 15)": (-15, None),
    "raise KeyboardInterrupt": (-2, None),
    "ctypes.string_at(0)": (-11, None),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_is_told_where_the_process_ends_itself(session: Session, end: str) -> None:
    outcome = session.run(
        "import ctypes, os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"{end}\n"
    )
    status, told = ENDS[end]
    assert outcome.status == status
    assert [event.status for event in outcome.first.events(Ended)] == (
        [] if told is None else [told]
    )
    assert outcome.first.lines("target.py") == {1, 2, 3}


def test_a_target_can_switch_its_children_off(session: Session) -> None:
    outcome = session.run(
        """
        import os, subprocess, sys
        program = [sys.executable, "-c", "print('off', flush=True)"]
        os.environ["COVSUP_SESSION"] = ""
        subprocess.run(program)
        subprocess.run(program, env=os.environ)
        os.system(" ".join([sys.executable, "-c", "1"]))
        os.waitpid(os.posix_spawn(sys.executable, program, os.environ), 0)
        os.execv(sys.executable, program)
        """
    )
    assert outcome.stdout == "off\n" * 4, outcome.stderr
    assert len(outcome.images) == 1


def test_a_none_environment_is_the_process_own(session: Session) -> None:
    outcome = session.run(
        """
        import os, sys
        program = [sys.executable, "-c", "pass"]
        os.environ.clear()
        try:
            os.waitpid(os.posix_spawn(sys.executable, program, None), 0)
        except TypeError as error:
            print(error)
        """
    )
    if sys.version_info >= (3, 13):
        assert outcome.stdout == ""
        assert len(outcome.images) == 2
    else:
        assert outcome.stdout == "posix_spawn: environment must be a mapping object\n"


def test_the_targets_own_environment_objects_stay_as_they_are(session: Session) -> None:
    outcome = session.run(
        """
        import _posixsubprocess, os, subprocess, sys
        given = {"A": "B"}
        before = dict(os.environ)
        subprocess.run([sys.executable, "-c", "pass"], env=given)
        os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], given), 0)
        assert given == {"A": "B"}
        os.environ.clear()
        subprocess.run([sys.executable, "-c", "pass"])
        assert os.environ == {}
        print(len(before))
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.images) == 4
