"""Where the carrier is, for whoever starts a program with it."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

HERE: Final = Path(__file__).resolve().parent
PACKAGE: Final = HERE.parent
"""What the library needs of covsup: its start.py, the bootstrap and the cores."""
PRELOAD: Final = "LD_PRELOAD"
_SEPARATORS: Final = " \t\n:"
_EXPANDED: Final = "$"


class CarrierUnavailable(Exception):
    """There is no library to preload; the message says why, and what to do."""


def carrier_library() -> Path:
    """The library. Raises CarrierUnavailable."""
    if sys.platform != "linux":
        raise CarrierUnavailable(f"works on Linux, not on {sys.platform}: leave it out")
    for suffix in EXTENSION_SUFFIXES:
        path = HERE / f"_carrier{suffix}"
        if path.is_file():
            break
    else:
        raise CarrierUnavailable(f"has no library in {HERE}: install covsup again")
    if any(each in str(path) for each in _SEPARATORS + _EXPANDED):
        raise CarrierUnavailable(
            f"cannot be preloaded from {HERE}: install covsup where the path has no space, colon or $"
        )
    return path


def with_carrier(libraries: str, library: Path) -> str:
    """The value of LD_PRELOAD that has the carrier, too.

    At the end, for some libraries insist on being the first, but in front of the C library: that
    would leave it none of the functions that start programs.
    """
    names = [name for name in without_carrier(libraries, library).split(":") if name]
    places = [at for at, name in enumerate(names) if _is_c_library(name)]
    names.insert(places[0] if places else len(names), str(library))
    return ":".join(names)


def without_carrier(libraries: str, library: Path) -> str:
    """The value of LD_PRELOAD that has the carrier no more."""
    return ":".join(name for name in libraries.replace(":", " ").split() if name != str(library))


def _is_c_library(name: str) -> bool:
    """As carried.c has it."""
    return name.rpartition("/")[2].startswith(("libc.so", "libc-2.", "libc.musl", "ld-musl"))


def has_core(version: tuple[int, int]) -> bool:
    """Whether the carrier can measure Pythons of a version, covsup not being installed there."""
    return any((PACKAGE / "tracer_c").glob(f"_tracer.cpython-{version[0]}{version[1]}-*.so"))
