"""A WSGI application for ``gunicorn --worker-class gevent``.

``/doom`` answers in pieces. The first piece is the worker's pid. The next piece is never sent, because
the client kills the worker with that pid. The lines that the worker ran until then count.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import gevent
import gevent.queue

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def total(numbers: Iterable[int]) -> int:
    """Add up numbers that another greenlet sends through a queue."""
    queue: gevent.queue.Queue[int | None] = gevent.queue.Queue(maxsize=1)

    def produce() -> None:
        for number in numbers:
            queue.put(number)
        queue.put(None)

    producer = gevent.spawn(produce)
    result = 0
    while (number := queue.get()) is not None:
        result += number
    producer.join()
    return result


def doomed() -> Iterator[bytes]:
    last_words = f"{os.getpid()}\n"
    # One statement: the worker may be killed as soon as the pid is sent.
    gevent.sleep(60 if (yield last_words.encode()) is None else 0)
    yield b"alive"  # never: killed while it sleeps


def application(environ: dict[str, str], start_response: StartResponse) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/total":
        body: Iterable[bytes] = [str(total(range(10))).encode()]
    elif environ["PATH_INFO"] == "/doom":
        body = doomed()
    else:
        start_response("404 Not Found", headers)
        return [b"nothing here"]
    start_response("200 OK", headers)
    return body
