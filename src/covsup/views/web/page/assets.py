"""The files that a browser loads: the document, its styles and its scripts."""

from __future__ import annotations

from importlib.resources import files


def read_assets() -> dict[str, bytes]:
    """All of them, by name. Nothing else of the package reaches a browser."""
    folder = files("covsup.views.web").joinpath("assets")
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
