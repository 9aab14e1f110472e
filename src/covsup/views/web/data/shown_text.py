"""Which files a page shows, and their text.

A data file is input: it may name any path. So the text of a file is shown only if it is a regular file,
and either Python source by its real name or first line, or a file of a plugin that this user has
configured. A data file of someone else cannot make the page show /etc/passwd, a private key or a device.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.views.sources.highlight import decoded
from covsup.views.sources.reporters import read_source_bytes

if TYPE_CHECKING:
    from typing import Final

LARGEST_SHOWN: Final = 4 << 20
"""Bytes. A larger file is not shown."""

_SUFFIXES: Final = (".py", ".pyw", ".pyi", ".pyx", ".pxd", ".pxi")


class TextNotShown(Exception):
    """The text of a file is not shown. The message says why."""


def shown_text(path: str, plugin: str) -> str:
    """The text of a source file, if it may be shown; `plugin` of coverage.py traced it, or "".

    Raises TextNotShown.
    """
    try:
        # Some build systems make a tree of links: the file that a link leads to decides.
        real = os.path.realpath(path)
        data = read_source_bytes(real)
    except (OSError, ValueError):
        data, real = None, ""
    if data is None:
        raise TextNotShown(f"{path}: there is no such file, or it cannot be read")
    is_source = real.endswith(_SUFFIXES) or _is_script(data) or (plugin and _is_in_project(real))
    if not is_source:
        raise TextNotShown(f"{path}: it is not shown, because it is no Python source")
    if len(data) > LARGEST_SHOWN:
        raise TextNotShown(f"{path}: it is not shown, because it is larger than 4 MiB")
    return decoded(data)


def _is_script(data: bytes) -> bool:
    """Whether a file names Python in its first line."""
    first = data[:256].split(b"\n", 1)[0]
    return first.startswith(b"#!") and b"python" in first


def _is_in_project(real: str) -> bool:
    """Whether a file is below the current directory, and in no hidden directory there."""
    directory = os.path.realpath(os.curdir).rstrip("/") + "/"
    below = real.removeprefix(directory)
    return below != real and not any(part.startswith(".") for part in below.split("/"))
