"""A WSGI application for ``gunicorn --worker-class gevent``.

``/doom`` answers in pieces: the first is the worker's pid, and the next is never sent, because
whoever reads that pid kills the worker with it. What it executed until then counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import gevent
import gevent.queue

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def total(numbers: Iterable[int]) -> int:
    """Add up in greenlets that hand over to each other through a queue."""
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
    # One statement: it may be killed as soon as they are sent.
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
