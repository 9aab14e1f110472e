"""gunicorn's settings for the site. It writes its port to the pipe that READY names, if any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

bind = "127.0.0.1:0"
wsgi_app = "shop.site"
workers = 2
control_socket_disable = True


def when_ready(server: Arbiter) -> None:
    port = server.LISTENERS[0].sock.getsockname()[1]
    ready = os.environ.get("READY", os.devnull)
    with open(ready, "w", encoding="utf-8") as ready_pipe:
        ready_pipe.write(f"{port}\n")
