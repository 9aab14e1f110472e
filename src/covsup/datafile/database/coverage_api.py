"""Write data files through coverage.py's API: to unite data files, and for unknown schemas.

A module of its own, because importing coverage.py takes longer than everything else at the end of a
short run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import contextmanager

from coverage import CoverageData
from coverage.exceptions import CoverageException

from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import arc_set_of, arcs_in, line_set_of, lines_in
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from covsup.datafile.database.data_files import DataFile
    from covsup.datafile.fold.result import PathContext
    from covsup.datafile.fold.sets import Arc, ArcSet, LineSet


def make(path: Path, others: Sequence[DataFile]) -> None:
    """Make a data file that holds what `others` hold.

    Raises DataFileUnwritable, or DataFileUnusable for one of `others`.
    """
    with _open(path) as data:
        # Makes the file, with coverage.py's tables, also where nothing follows.
        data.measured_contexts()
        for other in others:
            _add_data_file(data, other)
        data.write()


def add(
    path: Path,
    result: Result,
    kind: Kind | None,
    files: Collection[str],
    plugins: Mapping[str, str],
) -> None:
    """Add the lines and arcs of `result` to a data file that `make` made.

    `files` are listed in it; `plugins` gives the plugin of each path, or "". Raises DataFileUnwritable.
    """
    with _open(path) as data:
        data.read()  # else it would begin with an empty file
        match kind:
            case Kind.LINES:
                data.add_lines({})
            case Kind.ARCS:
                data.add_arcs({})
            case None:
                pass
        if kind is not None:
            data.touch_files(files)
        measured = data.measured_files()
        data.add_file_tracers(
            {
                path: name
                for path, name in sorted(plugins.items())
                if name and path in measured and not data.file_tracer(path)
            }
        )
        if result.kind is Kind.ARCS:
            _add_arcs(data, result)
        else:
            _add_lines(data, result)
        data.write()


def read(path: Path) -> Result:
    """The lines and arcs of a data file. Lines include those at the ends of arcs.

    Raises DataFileUnusable.
    """
    data = CoverageData(str(path))
    lines: dict[PathContext, LineSet] = {}
    arcs: dict[PathContext, ArcSet] = {}
    plugins: dict[str, frozenset[str]] = {}
    try:
        data.read()
        files = data.measured_files()
        for context in data.measured_contexts():
            data.set_query_contexts([f"^{re.escape(context)}$"])
            for file in files:
                if found := data.lines(file):
                    lines[file, context] = line_set_of([line for line in found if line > 0])
                if pairs := [pair for pair in data.arcs(file) or () if pair[0] != pair[1]]:
                    arcs[file, context] = arc_set_of(pairs)
        plugins = {file: frozenset([name]) for file in files if (name := data.file_tracer(file))}
        has_arcs = data.has_arcs()
    except CoverageException as error:
        raise DataFileUnusable(f"{path}: {error}") from error
    finally:
        data.close(force=True)
    kind = Kind.ARCS if has_arcs else Kind.LINES if lines else None
    return Result(kind=kind, lines=lines, arcs=arcs, plugins=plugins)


@contextmanager
def _open(path: Path) -> Iterator[CoverageData]:
    data = CoverageData(str(path))
    try:
        yield data
    except CoverageException as error:
        raise DataFileUnwritable(f"cannot write {path.parent}: {error}") from error
    finally:
        data.close(force=True)


def _add_data_file(data: CoverageData, other: DataFile) -> None:
    reading = CoverageData(str(other.path))
    try:
        reading.read()
        data.update(reading, map_path=other.map_path)
    except CoverageException as error:
        raise DataFileUnusable(f"{other.path}: {error}") from error
    finally:
        reading.close(force=True)


def _add_lines(data: CoverageData, result: Result) -> None:
    contexts: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for (path, context), bits in result.lines.items():
        contexts[context][path] = lines_in(bits)
    for context, by_path in contexts.items():
        data.set_context(context)
        data.add_lines(by_path)


def _add_arcs(data: CoverageData, result: Result) -> None:
    contexts: dict[str, dict[str, list[Arc]]] = defaultdict(dict)
    for path, context in {*result.arcs, *result.lines}:
        arcs = arcs_in(result.arcs.get((path, context), b""))
        lines = lines_in(result.lines.get((path, context), 0))
        contexts[context][path] = [*arcs, *((line, line) for line in lines)]
    for context, by_path in contexts.items():
        data.set_context(context)
        data.add_arcs(by_path)
