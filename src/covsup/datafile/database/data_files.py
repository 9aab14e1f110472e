"""Data files that go into another one."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class DataFile(NamedTuple):
    """An existing data file whose contents go into another one."""

    path: Path
    map_path: Callable[[str], str] | None = None  # gives each path's new path; None: paths stay
