"""Measure the server with covsup: start it, drive it, end it by SIGTERM.

The result is in ``DIRECTORY/.coverage``. The program exits with the status of ``covsup run``. With
``--live`` the server runs until Ctrl-C, and ``covsup serve`` beside it shows what it executes.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import client

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--live", action="store_true", help="serve the page until Ctrl-C")
    options = parser.parse_args()
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    os.mkfifo(ready)

    command = [
        *(sys.executable, "-m", "covsup", "run"),
        *("--branch", "--concurrency=gevent,multiprocessing"),
        *(f"--include={HERE / 'server.py'}", f"--data-file={directory / '.coverage'}"),
        *(str(HERE / "server.py"), f"--ready={ready}"),
    ]
    print("$", *command, flush=True)
    # In a session of its own, Ctrl-C does not reach it: it ends by SIGTERM in both cases.
    with subprocess.Popen(command, start_new_session=options.live) as supervisor:
        port, workers = listening(ready, supervisor)
        asked = client.drive(port, workers)
        print(f"workers {workers} have all answered, in {asked} rounds", flush=True)
        if options.live:
            watch(directory, port)
        supervisor.send_signal(signal.SIGTERM)
        status = supervisor.wait()
    ready.unlink()
    print(f"covsup run ended with status {status}\n", flush=True)
    return status if status >= 0 else 128 - status


def watch(directory: Path, port: int) -> None:
    """Serve the page of the running server until Ctrl-C."""
    print(f"ask http://127.0.0.1:{port}/teapot and see two lines of server.py turn green on:")
    sys.stdout.flush()
    command = [sys.executable, "-m", "covsup", "serve", f"--data-file={directory / '.coverage'}"]
    with subprocess.Popen(command) as page:
        try:
            page.wait()
        except KeyboardInterrupt:
            page.wait()  # Ctrl-C has reached it too


def listening(ready: Path, supervisor: subprocess.Popen[bytes]) -> tuple[int, list[int]]:
    """Wait until the server listens; return its port and its workers' pids.

    Raises RuntimeError if the server ends earlier.
    """

    def give_up() -> None:
        supervisor.wait()
        try:
            os.close(os.open(ready, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):  # the main thread does not wait now
                raise

    # Opening the pipe blocks until the server opens it too, or until give_up() does.
    threading.Thread(target=give_up, daemon=True).start()
    message = ready.read_text(encoding="utf-8")
    if not message:
        raise RuntimeError(f"the server ended before it listened, status {supervisor.wait()}")
    server = json.loads(message)
    return server["port"], server["workers"]


if __name__ == "__main__":
    sys.exit(main())
