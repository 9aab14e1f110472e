"""Where the carrier's library is, and how LD_PRELOAD names it."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

HERE: Final = Path(__file__).resolve().parent
PACKAGE: Final = HERE.parent
"""The directory with what the library needs: start.py, the bootstrap and the cores."""
PRELOAD: Final = "LD_PRELOAD"
_SEPARATORS: Final = " \t\n:"
_EXPANDED: Final = "$"


class CarrierUnavailable(Exception):
    """There is no library to preload. The message gives the reason and what to do."""


def carrier_library() -> Path:
    """The path of the library. Raises CarrierUnavailable."""
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
    """The value of LD_PRELOAD with the carrier added.

    It comes last, since some libraries must be the first, but before a C library, whose functions
    would otherwise be found instead of the carrier's.
    """
    names = [name for name in without_carrier(libraries, library).split(":") if name]
    places = [at for at, name in enumerate(names) if _is_c_library(name)]
    names.insert(places[0] if places else len(names), str(library))
    return ":".join(names)


def without_carrier(libraries: str, library: Path) -> str:
    """The value of LD_PRELOAD with the carrier removed."""
    return ":".join(name for name in libraries.replace(":", " ").split() if name != str(library))


def _is_c_library(name: str) -> bool:
    """As carried.c has it."""
    return name.rpartition("/")[2].startswith(("libc.so", "libc-2.", "libc.musl", "ld-musl"))


def has_core(version: tuple[int, int]) -> bool:
    """Whether the carrier can measure a version of Python in which covsup is not installed."""
    return any((PACKAGE / "tracer_c").glob(f"_tracer.cpython-{version[0]}{version[1]}-*.so"))
