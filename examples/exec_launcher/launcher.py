"""A launcher that replaces itself repeatedly before it does its work.

One process has twenty generations. Each runs a line or two and then execs the next one: with the same
environment, with a changed one, with one that has a single variable, with an empty one, after an exec
that fails, and through a shell. In the middle it forks a helper, which re-executes itself too and is
killed with SIGKILL while it runs.

The last generation ends with status 7.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NoReturn

GENERATIONS = 20
HERE = os.path.abspath(__file__)


def command(*words: object) -> list[str]:
    return [sys.executable, HERE, *map(str, words)]


def go_on(generation: int) -> NoReturn:
    """Become the next generation, in a different way each time."""
    following = command("generation", generation + 1)
    match generation % 6:
        case 0:
            os.execv(sys.executable, following)
        case 1:
            changed = dict(os.environ, LAUNCHER_STAGE=str(generation))
            os.execve(sys.executable, following, changed)
        case 2:
            scrubbed = {"LANG": "C"}
            os.execve(sys.executable, following, env=scrubbed)
        case 3:
            os.execve(sys.executable, following, {})
        case 4:
            try:
                os.execv("/nonexistent/python", following)
            except FileNotFoundError:
                first, *rest = following
                os.execlpe(first, first, *rest, {"PATH": os.defpath})
        case _:
            os.environ.clear()
            os.execvp("sh", ["sh", "-c", 'exec "$@"', "sh", *following])
    raise AssertionError("exec returned")  # never: exec does not return


def helper(pipe: int, lives: int) -> NoReturn:
    """Re-exec twice with nothing in the environment, then wait to be killed."""
    os.set_inheritable(pipe, True)
    if lives:
        os.execve(sys.executable, command("helper", pipe, lives - 1), {})
    # One statement: the process may be killed as soon as it has written.
    time.sleep(60 * os.write(pipe, b"ready"))
    raise AssertionError("not killed")  # never: killed while it sleeps


def start_and_kill_helper() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        helper(writing, 2)
    os.close(writing)
    message = os.read(reading, 5)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    print(f"helper said {message.decode()}, ended by signal {os.WTERMSIG(status)}", flush=True)


def main(role: str = "generation", *words: str) -> int:
    if role == "helper":
        pipe, lives = map(int, words)
        helper(pipe, lives)
    generation = int(words[0]) if words else 0
    if generation == GENERATIONS // 2:
        start_and_kill_helper()
    if generation < GENERATIONS - 1:
        go_on(generation)
    print(f"generation {generation} in process {os.getpid()} has {len(os.environ)} variables")
    return 7


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
