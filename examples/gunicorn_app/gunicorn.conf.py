"""gunicorn's settings for the application. It writes its port to the pipe that READY names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

bind = "127.0.0.1:0"
worker_class = "gevent"
workers = 2
graceful_timeout = 5
control_socket_disable = True


def when_ready(server: Arbiter) -> None:
    port = server.LISTENERS[0].sock.getsockname()[1]
    with open(os.environ["READY"], "w", encoding="utf-8") as ready:
        ready.write(f"{port}\n")


def child_exit(server: Arbiter, worker: Worker) -> None:
    server.log.info("worker %d has ended", worker.pid)
