"""The changes of the page's data, as server-sent events for any number of clients.

A change is encoded once. A client that is too slow to get all changes has to load the whole state
again: nothing is queued for it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple
from covsup.views.web.data.page_data import Reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Final

    from covsup.views.web.data.rows import Change

_KEPT_BYTES: Final = 8 << 20
"""Of the newest changes. Older ones are forgotten."""

_PING_SECONDS: Final = 15.0
"""After so long without a change, a client gets a tick. So both sides notice a dead connection."""

_RETRY: Final = b"retry: 1000\n\n"


class _Event(NamedTuple):
    """One encoded change."""

    revision: int
    text: bytes


class Changes:
    """The newest changes. All methods but `publish` belong to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, revision: int) -> None:
        """`revision` is that of the state before the first change."""
        self._loop = loop
        self._events: deque[_Event] = deque()
        self._size = 0
        self._oldest = self._newest = revision
        self._more = asyncio.Event()
        self._ended = False

    def publish(self, change: Change | Reset) -> None:
        """Send a change to all clients. Any thread may call it."""
        if isinstance(change, Reset):
            event = _reset(change.revision)
        else:
            text = json.dumps(change, separators=(",", ":"))
            event = _Event(
                change["revision"],
                f"id: {change['revision']}\nevent: change\ndata: {text}\n\n".encode("ascii"),
            )
        try:
            self._loop.call_soon_threadsafe(self._add, event)
        except RuntimeError:
            return  # the loop has been closed: the server ends

    def end(self) -> None:
        """End all streams."""
        self._ended = True
        self._notify()

    def _add(self, event: _Event) -> None:
        self._events.append(event)
        self._newest = event.revision
        self._size += len(event.text)
        while self._size > _KEPT_BYTES and len(self._events) > 1:
            forgotten = self._events.popleft()
            self._size -= len(forgotten.text)
            self._oldest = forgotten.revision
        self._notify()

    def _notify(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()

    async def stream(self, revision: int) -> AsyncIterator[bytes]:
        """The events after a revision, without end."""
        yield _RETRY
        while not self._ended:
            if not self._oldest <= revision <= self._newest:
                # It is from before the oldest change, or of another server.
                revision = self._newest
                yield _reset(revision).text
                continue
            found = [each for each in self._events if each.revision > revision]
            if found:
                revision = found[0].revision
                yield found[0].text
                continue
            more = self._more
            try:
                await asyncio.wait_for(more.wait(), _PING_SECONDS)
            except TimeoutError:
                yield f": ping\nevent: tick\ndata: {revision}\n\n".encode("ascii")


def _reset(revision: int) -> _Event:
    """The event that lets a client load the whole state again."""
    return _Event(revision, f"id: {revision}\nevent: reset\ndata: {revision}\n\n".encode("ascii"))
