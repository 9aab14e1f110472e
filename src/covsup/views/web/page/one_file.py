"""Write the page and its data as one HTML document.

A document that is opened from disk may not load other files. So scripts and styles are in it, and its
policy allows them by their digests. It has nothing else that could run: data is in elements of type
text/plain, and their text is base64, or JSON without "<".
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from typing import TYPE_CHECKING, Protocol

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from covsup.views.web.data.rows import ContextFiles, Since, Source, State, Unused

_SMALL: Final = 512
"""Bytes. Smaller data is not compressed."""

_STYLE: Final = re.compile(r'<link rel="stylesheet" href="assets/([\w.]+)">\n')
_SCRIPT: Final = re.compile(r'<script src="assets/([\w.]+)"( defer)?></script>\n')
_ICON: Final = re.compile(r'"assets/([\w]+\.svg)"')


class Shown(Protocol):
    """What is written: covsup.views.web.data.page_data.PageData after its first refresh."""

    def analyse_all(self) -> None:
        """Wait until each file is analysed."""

    def state(self) -> State:
        """Everything but the sources."""

    def source(self, number: int, /) -> Source:
        """One file."""

    def unused(self) -> Unused:
        """The code that never ran."""

    def since(self, number: int, /) -> Since:
        """What is new since a mark."""

    def context(self, number: int, /) -> ContextFiles:
        """What ran in a context."""


class OneFile(NamedTuple):
    """The document, and what is in it."""

    html: str
    files: int
    sources: int  # files with their source
    left_out: int  # sources that would have made the document larger than the limit


class _Data:
    """Elements with data, as long as there is room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.elements: list[str] = []

    def add(self, name: str, value: object, *, must: bool = False) -> bool:
        """Whether there was room."""
        element = f"{_data_element(name, value)}\n"
        if len(element) > self._room and not must:
            return False
        self._room -= len(element)
        self.elements.append(element)
        return True


def one_file(data: Shown, assets: Mapping[str, bytes], *, limit: int) -> OneFile:
    """The page of what `data` shows. It has at most `limit` bytes, and more only where the assets and
    the table of files are larger.

    What has no room is left out: first the sources of files of which nothing ran, then the largest
    sources, then what is new since marks, the contexts, and the unused code.
    """
    data.analyse_all()
    state = data.state()
    # It cannot change any more, whatever the session does now.
    state["live"] = state["can_mark"] = False
    state["finished"] = True
    frame = _frame(assets)
    room = _Data(limit - len(frame.encode()))
    room.add("state", state, must=True)
    room.add("unused", data.unused())
    contexts = {str(each["id"]): data.context(each["id"]) for each in state["contexts"]}
    room.add("contexts", contexts)
    for mark in state["marks"]:
        room.add(f"since-{mark['id']}", data.since(mark["id"]))
    sources = 0
    order = sorted(state["files"], key=lambda row: (not row["lines"], row["statements"] or 0))
    for row in order:
        if not room.add(f"source-{row['id']}", data.source(row["id"])):
            break
        sources += 1
    document = frame.replace("<!-- data -->", "".join(room.elements))
    return OneFile(document, len(order), sources, len(order) - sources)


def _frame(assets: Mapping[str, bytes]) -> str:
    """The document without data: index.html with the assets in it."""
    text = assets["index.html"].decode()
    styles = "\n".join(assets[name].decode() for name in _STYLE.findall(text))
    # One element: a name of one script is known to those after it. `defer` has no effect there, so it
    # stands at the end of the body.
    scripts = "\n".join(_script(assets, text, deferred=True))
    early = "\n".join(_script(assets, text, deferred=False))
    text = _STYLE.sub("", _SCRIPT.sub("", text))
    text = _ICON.sub(lambda found: f'"{_data_url(assets[found[1]])}"', text)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(styles)}';"
        f" script-src '{_digest(early)}' '{_digest(scripts)}'; base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        f"<style>{styles}</style>\n<script>{early}</script>\n</head>"
    )
    text = text.replace("</head>", head, 1)
    return text.replace("</body>", f"<!-- data --><script>{scripts}</script>\n</body>", 1)


def _script(assets: Mapping[str, bytes], text: str, *, deferred: bool) -> Iterator[str]:
    for name, defer in _SCRIPT.findall(text):
        if bool(defer) == deferred:
            yield assets[name].decode()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_url(icon: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(icon).decode()}"


def _data_element(name: str, value: object) -> str:
    """An element with JSON, which may be compressed. Its text cannot end it or be markup."""
    text = json.dumps(value, separators=(",", ":"))
    if len(text) < _SMALL:
        text = text.replace("<", "\\u003c")
        return f'<script type="text/plain" id="covsup-{name}">{text}</script>'
    # Without a time in it, the same data gives the same document.
    packed = base64.b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode()
    return f'<script type="text/plain" id="covsup-{name}" data-encoding="gzip">{packed}</script>'
