"""The events of `covsup serve`, and the thread that reads: many clients, slow ones, odd moments."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from covsup.datafile.errors import CovsupError
from covsup.views.web.server import changes as changes_module
from covsup.views.web.server.changes import Changes
from covsup.views.web.server.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def change(revision: int, size: int = 0) -> Any:
    return {"revision": revision, "padding": "x" * size}


async def next_event(stream: AsyncIterator[bytes]) -> tuple[str, int]:
    """The kind and the revision of the next event, without ticks."""
    async for text in stream:
        fields = dict(
            line.split(": ", 1) for line in text.decode("ascii").splitlines() if ": " in line
        )
        if fields.get("event") in {"change", "reset"}:
            data = json.loads(fields["data"])
            revision = data if isinstance(data, int) else data["revision"]
            assert fields["id"] == str(revision)
            return fields["event"], revision
    raise AssertionError("the stream ended")


def test_each_client_gets_each_change_once_and_in_order() -> None:
    async def main() -> None:
        changes = Changes(asyncio.get_running_loop(), 1)
        streams = [changes.stream(1) for _ in range(50)]
        waiting = [asyncio.ensure_future(next_event(each)) for each in streams]
        await asyncio.sleep(0)
        for revision in (2, 3, 4):
            changes.publish(change(revision))
        assert await asyncio.gather(*waiting) == [("change", 2)] * 50
        for revision in (3, 4):
            events = await asyncio.gather(*map(next_event, streams))
            assert events == [("change", revision)] * 50

    asyncio.run(main())


def test_a_client_that_is_too_slow_is_told_to_load_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes_module, "_KEPT_BYTES", 10_000)

    async def main() -> None:
        changes = Changes(asyncio.get_running_loop(), 1)
        slow = changes.stream(1)
        changes.publish(change(2))
        await asyncio.sleep(0)
        assert await next_event(slow) == ("change", 2)
        for revision in range(3, 20):
            changes.publish(change(revision, size=1000))
        await asyncio.sleep(0)
        assert len(changes._events) < 12
        assert await next_event(slow) == ("reset", 19)
        changes.publish(change(20))
        assert await next_event(slow) == ("change", 20)

    asyncio.run(main())


def test_a_client_hears_that_the_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "_PING_SECONDS", 0.001)

    async def main() -> None:
        stream = Changes(asyncio.get_running_loop(), 7).stream(7)
        assert await anext(stream) == b"retry: 1000\n\n"
        assert await anext(stream) == b": ping\nevent: tick\ndata: 7\n\n"

    asyncio.run(main())


def test_the_end_of_the_server_ends_all_streams() -> None:
    async def main() -> None:
        changes = Changes(asyncio.get_running_loop(), 1)
        stream = changes.stream(1)
        assert await anext(stream) == b"retry: 1000\n\n"
        rest = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        changes.end()
        assert await rest is None

    asyncio.run(main())


class Data:
    """Stands in for the page's data: it counts how often it is refreshed."""

    def __init__(self, *errors: Exception) -> None:
        self.refreshed = 0
        self.errors = list(errors)
        self.threads: set[str] = set()

    def refresh(self) -> None:
        self.refreshed += 1
        self.threads.add(threading.current_thread().name)
        if self.errors:
            raise self.errors.pop(0)


def test_questions_are_answered_by_one_thread_and_refresh_no_more_than_needed() -> None:
    data, problems = Data(), []  # type: ignore[var-annotated]
    reader = Reader(data, lambda _: None, problems.append)  # type: ignore[arg-type]
    reader.start()
    try:
        # All are asked before the first is answered: one refresh is enough for them.
        blocked = threading.Event()
        first = reader.ask(lambda _: blocked.wait(10))
        futures = [reader.ask(lambda each: each, fresh=True) for _ in range(100)]
        blocked.set()
        assert first.result(10)
        assert {id(future.result(10)) for future in futures} == {id(data)}
        assert (data.refreshed, data.threads) == (1, {"covsup reader"})
    finally:
        reader.stop()
    assert problems == []


def test_a_failed_question_and_a_failed_refresh_stop_nothing() -> None:
    problems: list[str] = []
    data = Data(CovsupError("no such place"), CovsupError("no such place"), ValueError("a bug"))
    reader = Reader(data, lambda _: None, problems.append)  # type: ignore[arg-type]
    reader.start()
    try:
        with pytest.raises(ZeroDivisionError):
            reader.ask(lambda _: 1 / 0).result(10)
        for _ in range(4):
            assert reader.ask(lambda _: 1, fresh=True).result(10) == 1
    finally:
        reader.stop()
    assert problems == [
        "no such place",
        "the page cannot be brought up to date: ValueError('a bug')",
    ]
