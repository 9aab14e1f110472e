"""A process that runs already is measured from `covsup attach` on, until it ends or is detached."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.attach.targets import (
    CAN_BE_ATTACHED,
    LOOPS,
    SYSTEM_CALL,
    WHY_NOT,
    ask,
    attached,
    connected,
    detached,
    do,
    maps,
    marked,
    running,
    sessions,
)
from tests.supervisor.live import Live, beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import World

    Lines = Callable[..., set[int]]

pytestmark = pytest.mark.skipif(not CAN_BE_ATTACHED, reason=WHY_NOT)

BEFORE, AFTER, AGAIN = (marked(LOOPS, mark) for mark in ("before", "after", "again"))
TICK = marked(LOOPS, "tick")

PORTRAIT = (
    "(sorted(each for each in sys.modules if each.partition('.')[0] != 'covsup'), sys.path,"
    " sys.meta_path, dict(os.environ), threading.active_count(), sys.gettrace(),"
    " [sys.monitoring.get_tool(number) for number in range(6)], os.getcwd())"
)


def test_what_runs_after_attaching_is_measured_and_nothing_else(world: World, lines: Lines) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        before = ask(live, PORTRAIT)
        done = attached(world, live.pid)
        assert done.stderr == ""
        assert re.search(
            r"is measured since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, into session /", done.stdout
        )
        assert ask(live, PORTRAIT) == before
        do(live, "after")
        tree = beside(world, "tree").stdout
        assert f"attached {live.pid}" in tree
        live.kill(signal.SIGKILL)
        live.ended()
        assert live.rest() == ""
    assert beside(world, "combine").returncode == 0
    found = lines()
    assert found >= AFTER | TICK
    assert found & (BEFORE | AGAIN | {1, 2}) == set()
    assert sessions(world) == []


def test_attaching_twice_is_attaching_once(world: World) -> None:
    with running(world, LOOPS) as live:
        attached(world, live.pid)
        (session,) = sessions(world)
        again = beside(world, "attach", "--data-file=other", str(live.pid))
        assert (again.returncode, again.stderr) == (0, "")
        assert re.search(rf"is attached already, since .*, to session {session}\n", again.stdout)
        assert sessions(world) == [session]


def test_a_detached_process_is_as_it_was(world: World, lines: Lines) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        before = ask(live, PORTRAIT)
        do(live, "run", "flags = [os.fork.__call__, os.waitpid, sys.settrace]")
        attached(world, live.pid)
        do(live, "after")
        done = detached(world, live.pid)
        assert re.search(r"Detached: process \d+ .* is not measured any more\n", done.stdout)
        assert "Combined 1 session (1 process) into " in done.stdout
        assert lines() >= AFTER | TICK
        assert ask(live, PORTRAIT) == before
        assert ".journal" not in maps(live.pid)
        do(live, "again")
        child = "os.system('env | grep COVSUP_ >&2'), os.waitpid(os.posix_spawn(sys.executable,"
        child += " [sys.executable, '-c', 'print(1)'], dict(os.environ)), 0)[1]"
        assert ask(live, child) == "256 0"
        do(live, "run", "pid = os.fork() or os._exit(7)")
        assert ask(live, "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])") == "7"
        assert sessions(world) == []
        assert lines() & AGAIN == set()
        assert " detached " in beside(world, "tree").stdout
        live.kill(signal.SIGKILL)
        live.ended()
        assert live.rest() == ""


def test_a_detached_process_can_be_attached_again_with_other_options(
    world: World, lines: Lines
) -> None:
    with running(world, LOOPS) as live:
        for number in range(3):
            attached(world, live.pid, f"--data-file=data{number}", "--branch")
            do(live, "after")
            detached(world, live.pid)
        attached(world, live.pid, "--omit=target.py")
        do(live, "again")
        nothing = beside(world, "detach", str(live.pid))
        assert nothing.stdout.startswith("Detached: "), nothing
        assert "covsup: nothing to combine: " in nothing.stderr
        attached(world, live.pid)
        do(live, "again")
        live.kill(signal.SIGKILL)
        live.ended()
        assert live.rest() == ""
    for number in range(3):
        assert (world.directory / f"data{number}").exists()
    assert beside(world, "combine").returncode == 0
    assert lines() >= AGAIN | TICK
    assert lines() & AFTER == set()


def test_forks_and_programs_that_an_attached_process_starts_are_measured(
    world: World, lines: Lines
) -> None:
    world.write("child.py", "child = 1\n")
    world.write("spawned.py", "import os\nchild = 1\nprint(sorted(os.environ))\n")
    world.write("forked.py", "def run():\n    forked = 1\n")
    with running(world, LOOPS) as live:
        attached(world, live.pid)
        do(live, "run", "import subprocess; subprocess.run([sys.executable, 'child.py'])")
        scrubbed = "subprocess.run([sys.executable, 'spawned.py'], env={}, stdout=2)"
        do(live, "run", scrubbed)
        do(live, "run", "import forked")
        do(live, "run", "pid = os.fork() or (forked.run(), os._exit(0))")
        do(live, "run", "os.waitpid(pid, 0)")
        detached(world, live.pid)
    assert lines("child.py") == {1}
    assert lines("spawned.py") == {1, 2, 3}
    assert lines("forked.py") >= {2}


def test_a_process_in_a_system_call_is_waited_for(world: World, lines: Lines) -> None:
    with running(world, SYSTEM_CALL) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for(r"covsup: waiting for process \d+ .* system call.*; Ctrl-C gives up")
            live.send("1")
            attaching.wait_for("Attached: process")
            assert attaching.ended() == 0
        live.wait_for("goes on\n")
        live.send("2")
        assert live.ended() == 0
        assert live.rest().strip() == "ends"
    assert beside(world, "combine").returncode == 0
    assert lines() >= marked(SYSTEM_CALL, "last")
    assert 2 not in lines()


def test_a_process_in_c_code_is_waited_for(world: World) -> None:
    source = (
        "import itertools, time\n"
        "while True:\n"
        "    print('begins', flush=True)\n"
        "    sum(itertools.repeat(1, 800_000_000))\n"
        "    time.sleep(0.01)\n"
    )
    with running(world, source) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for(r"waiting for process \d+ .* executes C code")
            attaching.wait_for("Attached: process")


def test_a_process_that_is_killed_meanwhile_is_reported_in_one_line(world: World) -> None:
    with running(world, SYSTEM_CALL) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for("Ctrl-C gives up\n")
            live.kill(signal.SIGKILL)
            live.ended()
            attaching.wait_for(rf"covsup: process {live.pid} .* ended before it answered\n")
            assert attaching.ended() == 1
            assert attaching.rest() == ""
    assert sessions(world) == []


def test_a_process_that_executes_another_program_meanwhile_is_reported(world: World) -> None:
    source = """\
import os, sys, threading, time
def replace():
    sys.stdin.readline()
    os.execv("/bin/sleep", ["sleep", "100"])
threading.Thread(target=replace).start()
print("begins", flush=True)
time.sleep(100)
"""
    with running(world, source) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for("Ctrl-C gives up\n")
            live.send("now\n")
            attaching.wait_for("has executed another program meanwhile: try again\n")
            assert attaching.ended() == 1
    assert sessions(world) == []


def test_a_request_that_was_given_up_has_no_effect_later(world: World) -> None:
    with running(world, SYSTEM_CALL) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for("Ctrl-C gives up\n")
            attaching.kill(signal.SIGINT)
            attaching.wait_for(rf"covsup: gave up: process {live.pid} is not attached\n")
            assert attaching.ended() == -signal.SIGINT
        assert sessions(world) == []
        live.send("1")
        live.wait_for("goes on\n")
        assert ".journal" not in maps(live.pid)
        assert "covsup" not in maps(live.pid)
        live.send("2")
        assert (live.ended(), live.rest().strip()) == (0, "ends")


def test_an_exception_of_a_signal_handler_reaches_the_program(world: World) -> None:
    source = """\
import os, signal, sys, time
class Tick(BaseException):
    pass
def handler(*_):
    raise Tick
def hook(event, arguments):
    if event == "import" and arguments[0] == "covsup.attached":
        os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGUSR1, handler)
sys.addaudithook(hook)
print("begins", flush=True)
while True:
    try:
        while True:
            time.sleep(0.01)
    except Tick:
        print("caught", flush=True)
"""
    with running(world, source) as live:
        live.wait_for("begins\n")
        attached(world, live.pid)
        live.wait_for("caught\n")
        detached(world, live.pid)
        live.kill(signal.SIGUSR1)
        live.wait_for("caught\n")
        live.kill(signal.SIGKILL)
        live.ended()
        assert live.rest() == ""


def test_the_loops_of_asyncio_are_measured(world: World, lines: Lines) -> None:
    source = """\
import asyncio, sys
async def serve(reader, writer):
    first = 1  #: not
    while line := await reader.readline():
        if line == b"before\\n":
            before = 1  #: not
        else:
            after = 1  #: ran
        writer.write(line)
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    async def tick():
        while True:
            await asyncio.sleep(0.005)  #: ran
    task = asyncio.ensure_future(tick())
    await asyncio.Event().wait()  #: ran
asyncio.run(main())
"""
    with running(world, source) as live:
        port = int(live.wait_for(r"port (\d+)\n")[1])
        with connected(port) as talk:
            talk("before")
            attached(world, live.pid)
            talk("after")
        detached(world, live.pid)
    assert marked(source, "ran") - {17} <= lines() | {17}
    assert marked(source, "not") & lines() == set()


def test_the_greenlets_of_gevent_are_measured(world: World, lines: Lines) -> None:
    pytest.importorskip("gevent")
    source = """\
import gevent.monkey
gevent.monkey.patch_all()
import gevent, gevent.server, sys
def serve(socket, address):
    first = 1  #: not
    file = socket.makefile("rw")
    for line in file:
        if line == "before\\n":
            before = 1  #: not
        else:
            after = 1  #: ran
        file.write(line)  #: ran
        file.flush()  #: ran
server = gevent.server.StreamServer(("127.0.0.1", 0), serve)
server.start()
print("port", server.server_port, flush=True)
while True:
    gevent.sleep(0.005)  #: ran
"""
    with running(world, source) as live:
        port = int(live.wait_for(r"port (\d+)\n")[1])
        with connected(port) as talk:
            talk("before")
            attached(world, live.pid)
            talk("after")
        detached(world, live.pid)
    assert marked(source, "ran") - lines() == set()
    assert marked(source, "not") & lines() == set()


def test_an_environment_without_covsup_gets_ours(
    world: World, lines: Lines, tmp_path: Path
) -> None:
    beside_python = tmp_path / "empty"
    made = world.run(sys.executable, "-m", "venv", "--without-pip", beside_python)
    assert made.status == 0, made
    python = str(beside_python / "bin" / "python")
    world.write("child.py", "child = 1\n")
    world.write("late.py", "late = 1\n")
    child = "import subprocess; subprocess.run([sys.executable, '{}'])"
    with running(world, LOOPS, python=python) as live:
        done = attached(world, live.pid)
        assert "its forks are measured, but not the Python programs that it starts" in done.stderr
        do(live, "after")
        do(live, "run", child.format("child.py"))
        detached(world, live.pid)
        assert lines() >= AFTER | TICK
        assert lines("child.py") == set()
        assert attached(world, live.pid, "--carrier").stderr == ""
        do(live, "run", child.format("child.py"))
        detached(world, live.pid)
        do(live, "run", child.format("late.py"))
        assert ask(live, "'LD_PRELOAD' in os.environ") == "False"
    assert lines("child.py") == {1}
    assert lines("late.py") == set()


def test_a_covsup_of_another_python_attaches_too(world: World, lines: Lines) -> None:
    other = another_python()
    if other is None:
        pytest.skip("there is no covsup for another version beside this one")
    with running(world, LOOPS) as live:
        done = world.run(other, "-m", "covsup", "attach", str(live.pid))
        assert (done.status, done.stderr) == (0, ""), done


def test_processes_that_are_attached_one_by_one_share_a_data_file(
    world: World, lines: Lines
) -> None:
    world.write("other.py", LOOPS)
    with running(world, LOOPS) as first, Live(world, world.python, "other.py") as second:
        do(first, "before")
        do(second, "before")
        attached(world, first.pid)
        attached(world, second.pid)
        do(first, "after")
        detached(world, first.pid)
        do(second, "again")
        detached(world, second.pid)
    assert lines() >= AFTER
    assert lines("other.py") >= AGAIN
    assert sessions(world) == []


def test_attach_waits_for_the_end_and_combines(world: World, lines: Lines) -> None:
    with running(world, LOOPS) as live:
        command = (world.python, "-m", "covsup", "attach", "--wait", str(live.pid))
        with Live(world, *command) as waiting:
            waiting.wait_for("Attached: process")
            do(live, "after")
            live.kill(signal.SIGKILL)
            live.ended()
            waiting.wait_for(r"Combined 1 session \(1 process\)")
            assert waiting.ended() == 0
    assert lines() >= AFTER


def test_ctrl_c_ends_the_wait_and_detaches(world: World, lines: Lines) -> None:
    with running(world, LOOPS) as live:
        command = (world.python, "-m", "covsup", "attach", "--wait", str(live.pid))
        with Live(world, *command) as waiting:
            waiting.wait_for("Attached: process.*\n")
            do(live, "after")
            waiting.kill(signal.SIGINT)
            waiting.wait_for(r"Combined 1 session \(1 process\)")
            assert waiting.ended() == 0
        assert ".journal" not in maps(live.pid)
        do(live, "again")
    assert lines() >= AFTER
    assert lines() & AGAIN == set()


def test_a_program_with_a_tracer_is_paused_where_it_cannot_be_detached(
    world: World, lines: Lines
) -> None:
    with running(world, LOOPS) as live:
        do(live, "run", "threading.settrace_all_threads(lambda *_: None)")
        attached(world, live.pid)
        do(live, "run", "sys.settrace(lambda *_: None)")
        done = beside(world, "detach", str(live.pid))
        assert done.returncode == 0, done
        assert done.stdout.startswith("Paused: process"), done
        do(live, "again")
        attached(world, live.pid)
        do(live, "after")
        live.kill(signal.SIGKILL)
        live.ended()
    assert beside(world, "combine").returncode == 0
    assert lines() >= AFTER
    assert lines() & AGAIN == set()


def test_lines_survive_the_death_of_covsup_while_it_waits(world: World, lines: Lines) -> None:
    """The request is carried out later: a session is there, as `covsup attach` made it."""
    with running(world, SYSTEM_CALL) as live:
        live.wait_for("begins\n")
        with Live(world, world.python, "-m", "covsup", "attach", str(live.pid)) as attaching:
            attaching.wait_for("Ctrl-C gives up\n")
            attaching.kill(signal.SIGKILL)
            attaching.ended()
        live.send("1")
        live.wait_for("goes on\n")
        live.send("2")
        assert (live.ended(), live.rest().strip()) == (0, "ends")
    assert beside(world, "combine").returncode == 0
    assert lines() >= marked(SYSTEM_CALL, "last")


def another_python() -> str | None:
    """A Python of another version, in whose environment covsup works."""
    from tests.conftest import ROOT

    for python in sorted(ROOT.glob(".venv-3.*/bin/python")):
        version = python.parts[-3].removeprefix(".venv-3.")
        built = list(ROOT.glob(f"src/covsup/datafile/_fold.cpython-3{version}-*.so"))
        if built and int(version) != sys.version_info.minor:
            return os.fspath(python)
    return None
