"""Run the server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn

from covsup.datafile.errors import CovsupError
from covsup.hints import NamedTuple
from covsup.views.web.server.application import Application
from covsup.views.web.server.changes import Changes
from covsup.views.web.server.exports import Exports
from covsup.views.web.server.gate import Gate
from covsup.views.web.server.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from covsup.views.web.data.page_data import PageData
    from covsup.views.web.server.exports import MakeReport

_TOKEN_BYTES: Final = 24


class AddressUnusable(CovsupError):
    """The server cannot be bound to an address."""


def listen(host: str, port: int | None, default_port: int) -> socket.socket:
    """A listening socket. `port` None: the default one or, if it is taken, any other.

    Raises AddressUnusable.
    """
    if port is not None:
        return _bound(host, port)
    try:
        return _bound(host, default_port)
    except AddressUnusable:
        return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None) or 0  # that of a name is negative
        reason = os.strerror(code) if code > 0 else getattr(error, "strerror", None) or str(error)
        another = "; without --port, a free port is used" if port else ""
        raise AddressUnusable(f"cannot listen on {host}, port {port}: {reason}{another}") from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches a socket."""
    return ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _name_in_url(host: str) -> str:
    """How a browser reaches an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host  # a name
    if address.is_unspecified:
        return os.uname().nodename
    return f"[{host}]" if address.version == 6 else host


class Surroundings(NamedTuple):
    """What the server gets from the command."""

    announce: Callable[[str], None]  # gets the URL when requests are answered
    report: Callable[[str], None]  # gets what could not be read
    set_mark: Callable[[Path, str], None]  # sets a mark in a session directory
    make_report: MakeReport


def serve(data: PageData, listener: socket.socket, host: str, surroundings: Surroundings) -> None:
    """Serve the data on a socket that was bound to `host`. Returns after SIGINT or SIGTERM."""
    asyncio.run(_serve(data, listener, host, surroundings))


async def _serve(
    data: PageData, listener: socket.socket, host: str, surroundings: Surroundings
) -> None:
    loop = asyncio.get_running_loop()
    changes = Changes(loop, data.revision)
    reader = Reader(data, changes.publish, surroundings.report)
    exports = Exports(reader, surroundings.make_report)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    port = listener.getsockname()[1]
    gate = Gate(
        Application(reader, changes, exports, surroundings.set_mark).starlette(),
        token=token,
        only_loopback=is_loopback(listener),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            gate,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )

    logging.getLogger("uvicorn.error").addFilter(partial(_report_failure, surroundings.report))

    def end() -> None:
        server.should_exit = True
        changes.end()

    reader.start()
    try:
        running = asyncio.create_task(server.serve([listener]))
        while not server.started and not running.done():
            await asyncio.sleep(0)
        # uvicorn's own handlers would raise the signal again after the end.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        surroundings.announce(f"http://{_name_in_url(host)}:{port}/{token}/")
        await running
    finally:
        reader.stop()


def _report_failure(report: Callable[[str], None], record: logging.LogRecord) -> bool:
    """Report an exception that a request ended with. Nothing else that uvicorn logs is of use."""
    if record.exc_info and record.exc_info[1] is not None:
        report(f"a request to the page failed: {record.exc_info[1]!r}")
    return False
