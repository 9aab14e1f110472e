"""The routes of the page: its assets, its data, its events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from covsup.datafile.errors import CovsupError
from covsup.views.web.data.page_data import NoSuchRow, PageData
from covsup.views.web.page.assets import read_assets
from covsup.views.web.server.metrics import metrics_text
from covsup.views.web.server.posts import LARGEST_BODY, LONGEST_NAME, mark_name, refusal_of_post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import Any, Final

    from starlette.requests import Request

    from covsup.views.web.server.changes import Changes
    from covsup.views.web.server.exports import Exports
    from covsup.views.web.server.reader import Reader

_MEDIA_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "png": "image/png",
}


class Application:
    """Answers the requests for one page."""

    def __init__(
        self,
        reader: Reader,
        changes: Changes,
        exports: Exports,
        set_mark: Callable[[Path, str], None],
    ) -> None:
        """`reader` answers questions about the data, `changes` has the events. `set_mark` sets a
        mark in a session directory.
        """
        self._reader = reader
        self._changes = changes
        self._exports = exports
        self._set_mark = set_mark
        self._assets = read_assets()

    def starlette(self) -> Starlette:
        """The application, with every place that exists below the token."""
        return Starlette(
            routes=[
                Route("/", self._asset, name="index"),
                Route("/assets/{name:str}", self._asset),
                Route("/data/state.json", self._data(lambda data, _: data.state(), fresh=True)),
                Route("/data/source/{number:int}.json", self._data(PageData.source)),
                Route("/data/context/{number:int}.json", self._data(PageData.context)),
                Route("/data/since/{number:int}.json", self._data(PageData.since, fresh=True)),
                Route("/data/unused.json", self._data(lambda data, _: data.unused())),
                Route("/data/events", self._events),
                Route("/data/marks", self._mark, methods=["POST"]),
                Route("/metrics", self._metrics),
                Route("/lcov.info", self._report("lcov", "text/plain")),
                Route("/coverage.xml", self._report("xml", "application/xml")),
                Route("/coverage.json", self._report("json", "application/json")),
            ]
        )

    async def _asset(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._assets:
            return PlainTextResponse("there is nothing here\n", 404)
        return Response(self._assets[name], media_type=_MEDIA_TYPES[name.rpartition(".")[2]])

    def _data(
        self, value: Callable[[PageData, int], object], *, fresh: bool = False
    ) -> Callable[[Request], Any]:
        """The endpoint that gives a part of the data, encoded in the reader's thread."""

        async def endpoint(request: Request) -> Response:
            number = request.path_params.get("number", 0)
            try:
                text = await asyncio.wrap_future(
                    self._reader.ask(lambda data: _json(value(data, number)), fresh=fresh)
                )
            except NoSuchRow as error:
                return PlainTextResponse(f"{error}\n", 404)
            except CovsupError as error:
                return PlainTextResponse(f"{error}\n", 503)
            return Response(text, media_type="application/json")

        return endpoint

    async def _metrics(self, request: Request) -> Response:
        figures = await asyncio.wrap_future(self._reader.ask(PageData.figures, fresh=True))
        text, media_type = metrics_text(figures, request.headers.get("accept", ""))
        return Response(text, headers={"content-type": media_type})

    def _report(self, kind: str, media_type: str) -> Callable[[Request], Any]:
        """The endpoint that gives one of coverage.py's reports."""

        async def endpoint(_: Request) -> Response:
            try:
                text = await self._exports.report(kind)
            except CovsupError as error:
                return PlainTextResponse(f"{error}\n", 503)
            return Response(text, media_type=media_type)

        return endpoint

    async def _mark(self, request: Request) -> Response:
        refusal = refusal_of_post(request.headers)
        if refusal:
            return PlainTextResponse(f"{refusal}\n", 403)
        name = mark_name(await _body(request))
        if name is None:
            return PlainTextResponse(
                f'a mark is {{"name": "text of 1 to {LONGEST_NAME} characters"}}\n', 400
            )

        def set_mark(data: PageData) -> bool:
            if data.is_live:
                self._set_mark(data.place, name)
            return data.is_live

        try:
            if not await asyncio.wrap_future(self._reader.ask(set_mark, fresh=True)):
                return PlainTextResponse("the session has ended: it takes no marks\n", 409)
        except CovsupError as error:
            return PlainTextResponse(f"{error}\n", 503)
        self._reader.refresh_soon()
        return Response(_json({"name": name}), 201, media_type="application/json")

    async def _events(self, request: Request) -> Response:
        """All changes from now on, or from the revision that the client has."""
        known = request.headers.get("last-event-id") or request.query_params.get("since", "")
        revision = int(known) if known.isascii() and known.isdigit() and len(known) < 16 else -1

        async def stream() -> AsyncIterator[bytes]:
            self._reader.client_came()
            try:
                async for event in self._changes.stream(revision):
                    yield event
            finally:
                self._reader.client_went()

        return StreamingResponse(stream(), media_type="text/event-stream")


async def _body(request: Request) -> bytes:
    """The body of a request; of one that is too long, only the beginning."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            break
    return body


def _json(value: object) -> bytes:
    """JSON in ASCII: also names with lone surrogates have an encoding."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
