"""A `covsup serve` that runs, and the requests that a browser or another program sends to it."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tests.supervisor.live import PATIENCE, Live

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.world import World


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def json(self) -> Any:
        assert self.status == 200, (self.status, self.body)
        return json.loads(self.body)


class Event(NamedTuple):
    """One server-sent event."""

    id: str
    kind: str
    data: Any


class Served:
    """A server of a test."""

    def __init__(self, live: Live, url: str) -> None:
        self.live = live
        self.url = url
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port, self.root = parts.hostname, parts.port, parts.path

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def request(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask for a path below the token; one that begins with a slash is taken as it is."""
        connection = self.connection()
        try:
            target = path if path.startswith("/") else self.root + path
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.request(path)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.get("data/state.json").json
        return state

    def analysed_state(self) -> dict[str, Any]:
        """The state when each file has been analysed."""
        with self.events(0) as events:
            while (state := self.state())["totals"]["analysed"] < len(state["files"]):
                next(events)
        return state

    def post_mark(self, name: str, **headers: str) -> Answer:
        all_headers = {"Content-Type": "application/json"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        return self.request(
            "data/marks", "POST", all_headers, json.dumps({"name": name}).encode("ascii")
        )

    @contextmanager
    def events(
        self, since: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Iterator[Event]]:
        """The events after a revision; each is waited for. Ticks are left out."""
        connection = self.connection()
        query = "" if since is None else f"?since={since}"
        try:
            connection.request("GET", f"{self.root}data/events{query}", headers=dict(headers or {}))
            response = connection.getresponse()
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _events(response)
        finally:
            connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in response:
        name, _, value = line.decode("ascii").rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            if fields["event"] != "tick":
                yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


@contextmanager
def served(world: World, *words: str) -> Iterator[Served]:
    """Run `covsup serve WORDS` until the end of the block."""
    with Live(world, world.python, "-m", "covsup", "serve", "--port=0", *words) as live:
        yield Served(live, live.wait_for(r"(http://\S+/)\n")[1])


def until(events: Iterator[Event], condition: Any) -> Event:
    """The first event for which the condition holds."""
    for event in events:
        if condition(event):
            return event
    raise AssertionError("the stream ended")
