"""gunicorn's settings. It writes its port to the file that READY names."""

import os

bind = "127.0.0.1:0"
workers = 3
graceful_timeout = 2
control_socket_disable = True


def when_ready(server):
    port = server.LISTENERS[0].sock.getsockname()[1]
    with open(os.environ["READY"], "w", encoding="utf-8") as ready:
        ready.write(f"{port}\n")
