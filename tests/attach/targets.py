"""Programs to attach to. They are started without covsup, and read commands from their input."""

from __future__ import annotations

import re
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.supervisor.live import PATIENCE, Live, beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from tests.world import World

CAN_BE_ATTACHED = sys.platform == "linux" and sys.version_info >= (3, 14)
WHY_NOT = "only Python 3.14 and later can be attached, on Linux"

# A thread does what the lines of the input say. The main thread executes Python all the time.
LOOPS = """\
import os, sys, threading, time
def loop():
    for line in sys.stdin:
        match line.split():
            case ["before"]:
                before = 1  #: before
            case ["after"]:
                after = 2  #: after
            case ["again"]:
                again = 3  #: again
            case ["run", *words]:
                exec(" ".join(words), globals())
        print("did", line, end="", flush=True)
def tick():
    time.sleep(0.005)  #: tick
threading.Thread(target=loop, daemon=True).start()
while True:
    tick()  #: tick
"""

SYSTEM_CALL = """\
import os
print("begins", flush=True)
os.read(0, 1)
after = 1  #: after
print("goes on", flush=True)
os.read(0, 1)
last = 2  #: last
print("ends", flush=True)
"""


def marked(source: str, mark: str) -> set[int]:
    """The numbers of the lines with this mark."""
    return {
        number
        for number, line in enumerate(source.splitlines(), 1)
        if re.search(rf"#: .*\b{mark}\b", line)
    }


@contextmanager
def running(world: World, source: str, *options: str, python: str | None = None) -> Iterator[Live]:
    """A program that runs without covsup."""
    world.write("target.py", source)
    with Live(world, python or world.python, *options, "target.py") as live:
        yield live


def do(live: Live, *words: str) -> None:
    """Have LOOPS do something, and wait until it has."""
    text = " ".join(words)
    live.send(f"{text}\n")
    live.wait_for(re.escape(f"did {text}\n"))


def ask(live: Live, expression: str) -> str:
    """Have LOOPS evaluate an expression."""
    live.send(f"run print('=>', {expression}, flush=True)\n")
    answer = live.wait_for(r"(?:^|\n)=> (.*)\n")[1]
    live.wait_for(r"did run .*\n")
    return answer.strip()


@contextmanager
def connected(port: int) -> Iterator[Callable[[str], None]]:
    """A function that sends a line to a server, and waits until it comes back."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        file = connection.makefile("rw", encoding="ascii")

        def talk(line: str) -> None:
            file.write(f"{line}\n")
            file.flush()
            assert file.readline() == f"{line}\n"

        yield talk


def attached(world: World, pid: int, *options: str) -> CompletedProcess[str]:
    """`covsup attach`, which has to work."""
    done = beside(world, "attach", *options, str(pid))
    assert done.returncode == 0, done
    assert done.stdout.startswith("Attached: process "), done
    return done


def detached(world: World, pid: int, *options: str) -> CompletedProcess[str]:
    """`covsup detach`, which has to work."""
    done = beside(world, "detach", *options, str(pid))
    assert done.returncode == 0, done
    return done


def sessions(world: World) -> list[Path]:
    """The session directories of a world."""
    return sorted(world.directory.glob(".covsup/*-*"))


def maps(pid: int) -> str:
    """What a process has mapped."""
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
