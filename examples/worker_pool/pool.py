"""A pool of worker processes: ``pool.py METHOD`` with fork, spawn or forkserver.

The pool replaces workers after a few tasks. One worker kills itself with SIGKILL in the middle of a task.
The end of the ``with`` block terminates the other workers.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

ready_for: dict[str, int] = {}


def prepare(purpose: str) -> None:
    """Run once in every worker before its first task."""
    ready_for[purpose] = os.getpid()


def cube(number: int) -> int:
    if number % 3 == 0:
        return number**3
    square = number * number
    return square * number


def fail(number: int) -> int:
    try:
        return 1 // number
    finally:
        ready_for.clear()


def die(last_words: str) -> None:
    """Write a message, and die: no handler, no flush, no exit hook."""
    pipe = os.open(last_words, os.O_WRONLY)
    os.write(pipe, b"farewell")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # never: SIGKILL does not return


def dwell(arrived: str) -> None:
    """Run until the pool is terminated."""
    # One statement: the worker may be terminated as soon as it has written.
    time.sleep(60 * Path(arrived).write_bytes(b"here"))
    Path(arrived).unlink()  # never: terminated while it sleeps


def main(method: str) -> int:
    context = multiprocessing.get_context(method)
    with tempfile.TemporaryDirectory() as directory:
        last_words = os.path.join(directory, "last-words")
        arrived = os.path.join(directory, "arrived")
        os.mkfifo(last_words)
        os.mkfifo(arrived)
        with context.Pool(2, prepare, ("cubes",), maxtasksperchild=3) as pool:
            cubes = pool.map(cube, range(20), chunksize=2)
            try:
                pool.apply(fail, (0,))
            except ZeroDivisionError:
                cubes.append(-1)
            pool.apply_async(die, (last_words,))
            # Reading ends when the last writer has closed the pipe: when the worker is dead. This
            # reads bytes, not text: meanwhile the pool forks in a thread, and if this thread were
            # importing a codec, the import lock would stay locked in the child for ever.
            farewell = Path(last_words).read_bytes()
            cubes.extend(pool.imap_unordered(cube, range(3)))
            pool.apply_async(dwell, (arrived,))
            Path(arrived).read_bytes()
    print(f"{method}: {len(cubes)} cubes, the largest {max(cubes)}; {farewell!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
