"""What runs in a thread or signal handler of the target needs next to nothing of its stack."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.instrumented import NO_LIMIT, SANITIZED
from tests.journal.harness import compiler

if TYPE_CHECKING:
    from tests.world import World

HERE = Path(__file__).parent

SMALL_THREAD = """\
import os, sys, threading

names = ["/srv/templates" + "/part" * parts + "/page.html" for parts in (0, 20, 400, 1000)]
names += ["relative" + "/part" * 900 + "/page.html", "../" * 1000 + "up.py"]
codes = [compile("x = 1\\ny = 2\\n", name, "exec") for name in names]
forked = compile("in_child = 1\\n", "child.py", "exec")

def work():
    for code in codes:
        exec(code)
    os.waitpid(os.posix_spawn("/bin/true", ["true"] * 20, os.environ), 0)
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    try:
        os.execv("/nowhere/true", ["true"])
    except OSError:
        print("no exec", flush=True)
    pid = os.fork()
    if pid == 0:
        exec(forked)
        os._exit(0)
    print(os.waitpid(pid, 0)[1], flush=True)
    print("worked", flush=True)

sys.path[:0] = ["/srv" + "/none" * 900]
threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("done")
"""


@pytest.mark.parametrize("options", [(), ("--dynamic-context=thread,request",)])
def test_the_smallest_stack_that_a_thread_may_have_is_enough(
    world: World, core: str, options: tuple[str, ...]
) -> None:
    world.write("target.py", SMALL_THREAD)
    world.write("child.py", "in_child = 1\n")
    size = 32768
    # From 3.14 on Python asks for more, and refuses deep calls before the stack ends: what a plain
    # run needs there is not known to a byte.
    while "worked" not in (plain := world.run(world.python, "target.py", str(size))).stdout:
        size += 8192
        assert size < 1 << 18, plain
    size += 0 if size == 32768 else 8192
    run = world.covsup_run("target.py", str(size), core=core, options=options)
    assert (run.ended, run.stdout) == (0, plain.stdout), run
    assert run.lines("child.py") == {1}, run
    deep = "/srv/templates" + "/part" * 400 + "/page.html"
    assert set(run.data.lines(deep) or ()) == {1, 2}


HANDLERS = """\
import ctypes, os, signal, sys
from covsup import embed

library = ctypes.CDLL("./small_stack.so")
size = {"smallest": library.smallest(), "4 KiB": 4096}[sys.argv[1]]
assert library.give_stack(max(size, library.smallest())) == 0
chosen = {"on it": 0x08000000, "not on it": 0}.get(sys.argv[2])  # SA_ONSTACK
if chosen is not None:
    assert library.handle(signal.SIGUSR1, chosen) == 0
for _ in range(2):
    embed.cleanup_on_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
print(library.times(), library.was_on_alternate(), flush=True)
"""


@pytest.mark.skipif(SANITIZED, reason=NO_LIMIT)
@pytest.mark.skipif(sys.platform != "linux", reason="sysconf(_SC_MINSIGSTKSZ), SA_ONSTACK")
@pytest.mark.parametrize("size", ["smallest", "4 KiB"])
@pytest.mark.parametrize("handler", ["on it", "not on it", "none"])
def test_a_handler_runs_on_the_stack_that_the_program_chose(
    world: World, size: str, handler: str
) -> None:
    command = [*compiler(), "-O1", "-fPIC", "-shared", str(HERE / "small_stack.c")]
    subprocess.run([*command, "-o", str(world.directory / "small_stack.so")], check=True)
    world.write("target.py", HANDLERS)
    plain = world.run(world.python, "target.py", size, handler)
    ended, said = {
        "on it": (0, "1 1\n"),
        "not on it": (0, "1 0\n"),
        "none": (signal.SIGUSR1, ""),
    }[handler]
    assert (plain.ended, plain.stdout) == (ended, said), plain
    run = world.covsup_run("target.py", size, handler)
    assert (run.ended, run.stdout) == (ended, said), run
    # An end that could not be recorded for want of room is said, never silent.
    assert "Traceback" not in run.stderr, run
