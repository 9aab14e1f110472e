"""An HTTP server on gevent with worker processes of multiprocessing.

The parent opens the socket, starts the workers, writes its port to the pipe ``--ready``, and waits for
SIGTERM. Then it ends the workers with SIGTERM and reaps them. Every worker accepts connections from the
shared socket and answers each request in its own greenlet, which starts more greenlets.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import argparse
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess

import gevent
import gevent.event
import gevent.pywsgi
import gevent.socket

StartResponse = Callable[[str, list[tuple[str, str]]], object]

WORKERS = 2
LONGEST = 3600.0
"""Seconds after which the server ends without a signal."""


def squares(numbers: Iterable[int]) -> list[int]:
    """Square each number in its own greenlet; the greenlets interleave."""

    def square(number: int) -> int:
        gevent.sleep(0)
        if number % 2:
            result = number * number
        else:
            gevent.sleep(0)
            result = number**2
        return result

    jobs = [gevent.spawn(square, number) for number in numbers]
    gevent.joinall(jobs, raise_error=True)
    return [job.value for job in jobs]


def application(environ: dict[str, str], start_response: StartResponse) -> list[bytes]:
    path = environ["PATH_INFO"]
    match path.strip("/").split("/"):
        case ["squares", count]:
            answer: object = squares(range(int(count)))
            status = "200 OK"
        case ["who"]:
            answer = os.getpid()
            status = "200 OK"
        case ["teapot"]:
            answer = "short and stout"  # never: no client requests tea
            status = "418 I'm a teapot"  # never: as above
        case _:
            answer = f"nothing at {path}"
            status = "404 Not Found"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode() + b"\n"]


def work(listener: gevent.socket.socket) -> None:
    """Serve from the shared socket until SIGTERM."""
    server = gevent.pywsgi.WSGIServer(listener, application, log=None)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()
    print(f"worker {os.getpid()} has ended", file=sys.stderr, flush=True)


def listen() -> gevent.socket.socket:
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready", help="a named pipe for the port and the workers' pids")
    options = parser.parse_args()

    listener = listen()
    fork = multiprocessing.get_context("fork")
    workers: list[BaseProcess] = [
        fork.Process(target=work, args=(listener,), name=f"worker-{number}")
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()

    asked_to_end = gevent.event.Event()
    gevent.signal_handler(signal.SIGTERM, asked_to_end.set)
    with open(options.ready, "w", encoding="utf-8") as ready:
        json.dump(
            {"port": listener.getsockname()[1], "workers": [worker.pid for worker in workers]},
            ready,
        )
    asked_to_end.wait(timeout=LONGEST)

    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        return 1  # never: all workers exit with 0
    print("server has ended", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
