"""Which Python a program file is, from its ELF section `.PyRuntime`.

From 3.13 on, that section begins with a mark and the version, for debuggers (PEP 768). So neither the
program has to be started nor the memory of a process to be read.
"""

from __future__ import annotations

import struct

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, Final

_MARK: Final = b"xdebugpy"
_SECTION: Final = b".PyRuntime"
_MOST_NAMES: Final = 1 << 20

# ELF, 64 bit: e_shoff, then e_shentsize, e_shnum, e_shstrndx; of a section name, offset, size.
_SECTIONS_AT: Final = 0x28
_COUNTS_AT: Final = 0x3A
_NAME, _OFFSET, _SIZE = 0, 4, 5
_SECTION_FORMAT: Final = "IIQQQQ"
_SECTION_SIZE: Final = 64


class PythonRuntime(NamedTuple):
    """The Python in a program or library."""

    hexversion: int  # as sys.hexversion; 0 = older than 3.13, which does not say
    free_threaded: bool = False


def runtime_in(path: Path) -> PythonRuntime | None:
    """The Python in an ELF file; None if it has none. Raises OSError."""
    with path.open("rb") as file:
        try:
            return _runtime_in(file)
        except (struct.error, IndexError, ValueError, OverflowError):
            return None  # a damaged file, or one that ends early


def _runtime_in(file: BinaryIO) -> PythonRuntime | None:
    head = file.read(64)
    if head[:4] != b"\x7fELF" or head[4] != 2:
        return None
    order = "<" if head[5] == 1 else ">"
    (sections_at,) = struct.unpack_from(f"{order}Q", head, _SECTIONS_AT)
    size, count, names_index = struct.unpack_from(f"{order}HHH", head, _COUNTS_AT)
    if size != _SECTION_SIZE:
        return None
    file.seek(sections_at)
    table = file.read(size * count)  # at most 4 MiB
    sections = [
        struct.unpack_from(f"{order}{_SECTION_FORMAT}", table, size * index)
        for index in range(count)
    ]
    if not sections:
        return None
    file.seek(sections[names_index][_OFFSET])
    names = file.read(min(sections[names_index][_SIZE], _MOST_NAMES))
    for section in sections:
        at = section[_NAME]
        if names[at : names.find(b"\0", at)] == _SECTION:
            file.seek(section[_OFFSET])
            return _runtime(file.read(24), order)
    return None


def _runtime(start: bytes, order: str) -> PythonRuntime:
    mark, version, free_threaded = struct.unpack(f"{order}8sQQ", start)
    if mark != _MARK:
        return PythonRuntime(hexversion=0)
    return PythonRuntime(hexversion=version, free_threaded=bool(free_threaded))
