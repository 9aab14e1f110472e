"""What tests of marks share: a server that handles one request a line, and what is new in a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in, lines_in
from covsup.views.model.marks import find_mark, new_since
from covsup.views.model.open_view import open_view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

SERVER = """\
import sys
def handle(word):
    if word == "a":
        return "A"
    elif word == "b":
        return "B"
    return "?"
def read():
    return (print("ready", flush=True), sys.stdin.readline())[1]
line = read()
while line:
    print(handle(line.strip()), flush=True)
    line = read()
end = 1
"""
"""Lines 4 and 6 answer the two requests. When it has printed "ready" it executes nothing more."""

LOOP = [11, 12, 13]
"""The lines that the first request executes besides."""


def session_in(world: World) -> Path:
    """The one session directory beside the data file."""
    (session,) = (world.directory / ".covsup").glob("2*")
    return session


def new_lines(place: Path, name: str) -> dict[str, list[int]]:
    """By file name: the lines that are new since the newest mark of this name."""
    view = open_view(place)
    view.refresh()
    mark = find_mark(view.result, name)
    assert mark is not None, sorted(view.result.marks)
    new = new_since(view.result, mark)
    return {path.rpartition("/")[2]: lines_in(bits) for path, bits in new.lines.items()}


def new_arcs(place: Path, name: str) -> dict[str, list[tuple[int, int]]]:
    """The same of arcs."""
    view = open_view(place)
    view.refresh()
    mark = find_mark(view.result, name)
    assert mark is not None, sorted(view.result.marks)
    new = new_since(view.result, mark)
    return {path.rpartition("/")[2]: arcs_in(arcs) for path, arcs in new.arcs.items()}
