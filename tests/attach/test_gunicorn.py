"""gunicorn under traffic: its master and its workers are attached while they serve."""

from __future__ import annotations

import http.client
import signal
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.attach.targets import CAN_BE_ATTACHED, WHY_NOT, attached, detached, marked, sessions
from tests.supervisor.live import PATIENCE, Live, beside, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import World

    Lines = Callable[..., set[int]]

pytestmark = pytest.mark.skipif(not CAN_BE_ATTACHED, reason=WHY_NOT)

APP = """\
import os
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/early":
        body = b"early"  #: early
    elif path == "/late":
        body = b"late"  #: late
    elif path == "/restarted":
        body = b"restarted"  #: restarted
    else:
        body = b"pid %d" % os.getpid()  #: traffic
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]  #: traffic
"""


class Server:
    """A gunicorn with some workers, and a client that never stops."""

    def __init__(self, world: World, kind: str, workers: int) -> None:
        world.write("application.py", APP)
        self._socket = world.directory / "socket"
        self.live = Live(
            world,
            world.python, "-m", "gunicorn", f"--worker-class={kind}", f"--workers={workers}",
            f"--bind=unix:{self._socket}", "--graceful-timeout=1", "--keep-alive=1",
            "application:app",
        )  # fmt: skip
        self._stop = threading.Event()
        self.failures: list[str] = []
        self._traffic = threading.Thread(target=self._ask_all_the_time)

    def __enter__(self) -> Server:
        for _ in range(2):
            self.live.wait_for("Booting worker with pid")
        self._traffic.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._traffic.join()
        self.live.__exit__()

    def workers(self) -> list[int]:
        """The pids of the workers."""
        return sorted(each.pid for each in psutil.Process(self.live.pid).children())

    def get(self, path: str) -> str:
        """One request, on a connection of its own."""
        connection = UnixConnection(self._socket)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def get_from(self, worker: int, path: str) -> None:
        """Ask until this worker has answered twenty other requests meanwhile."""
        answered = 0
        while answered < 20:
            assert self.get(path)
            answered += self.get("/") == f"pid {worker}"

    def _ask_all_the_time(self) -> None:
        while not self._stop.is_set():
            try:
                self.get("/")
            except OSError as error:
                self.failures.append(repr(error))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        import socket

        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


@pytest.mark.parametrize("kind", ["sync", "gevent", "gthread"])
def test_a_worker_under_traffic_is_measured_from_then_on(
    world: World, lines: Lines, kind: str
) -> None:
    pytest.importorskip("gunicorn")
    with Server(world, kind, workers=2) as server:
        first, second = server.workers()
        for worker in first, second:
            server.get_from(worker, "/early")
        attached(world, first, "--branch", "--source=.")
        server.get_from(first, "/late")
        done = detached(world, first)
        assert "Combined 1 session (1 process)" in done.stdout
        server.get_from(first, "/")
        assert server.workers() == [first, second]
        assert server.failures == []
    found = lines("application.py")
    assert found >= marked(APP, "late") | marked(APP, "traffic")
    assert found & (marked(APP, "early") | {1, 2}) == set()


def test_workers_that_an_attached_master_starts_are_measured(world: World, lines: Lines) -> None:
    pytest.importorskip("gunicorn")
    with Server(world, "sync", workers=2) as server:
        before = server.workers()
        done = attached(world, server.live.pid, "--source=.")
        assert f"attach each of them, too: {before[0]} {before[1]}\n" in done.stderr
        server.live.kill(signal.SIGHUP)
        wait_until(
            lambda: len(server.workers()) == 2 and not set(before) & set(server.workers()),
            "the workers have been replaced",
        )
        for worker in server.workers():
            server.get_from(worker, "/restarted")
        tree = beside(world, "tree").stdout
        assert f"attached {server.live.pid}" in tree
        assert f"fork {server.workers()[0]}" in tree
        (session,) = sessions(world)
        again = beside(world, "attach", str(server.workers()[0]))
        assert (again.returncode, str(session) in again.stdout) == (0, True), again
        server.live.kill(signal.SIGTERM)
        server.live.ended()
    assert beside(world, "combine").returncode == 0
    found = lines("application.py")
    assert found >= marked(APP, "restarted") | marked(APP, "traffic") | {1, 2}
    assert found & marked(APP, "early") == set()
