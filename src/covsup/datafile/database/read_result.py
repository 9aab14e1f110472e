"""Read a whole data file back: what was executed, and the provenance."""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from typing import TYPE_CHECKING

from covsup.datafile._fold import arc_lines, unite_arcs
from covsup.datafile.database.coverage_tables import KNOWN_SCHEMA
from covsup.datafile.database.database import is_data_file, read_covsup_tables
from covsup.datafile.database.sound_tables import check_tables
from covsup.datafile.errors import DataFileUnusable
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import LARGEST_LINE, line_set_of, lines_of_numbits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from covsup.datafile.fold.result import PathContext
    from covsup.datafile.fold.sets import ArcSet, LineSet


def read_result(path: Path) -> Result:
    """Everything that a data file holds, also one that coverage.py wrote.

    Lines include those that arcs begin or end at, as coverage.py has it. Raises DataFileUnusable,
    also where there is no file.
    """
    if not is_data_file(path):
        raise DataFileUnusable(f"there is no data file at {path}")
    tables = read_covsup_tables(path)
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as db:
            check_tables(db, path)
            (schema,) = db.execute("SELECT version FROM coverage_schema").fetchone() or (None,)
            facts = _read_facts(db) if schema == KNOWN_SCHEMA else None
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        raise DataFileUnusable(f"cannot read {path}: {error}") from error
    if facts is None:
        from covsup.datafile.database import coverage_api  # it imports coverage.py

        facts = coverage_api.read(path)
    return tables._replace(
        kind=facts.kind or tables.kind,
        lines={**tables.lines, **facts.lines},
        arcs={**tables.arcs, **facts.arcs},
        plugins=facts.plugins,
    )


def files_in(path: Path) -> dict[str, str]:
    """Every file that a data file names, also those that never ran, with its plugin or "".

    Raises DataFileUnusable.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as db:
            found = db.execute(
                "SELECT path, tracer FROM file LEFT JOIN tracer ON file_id = file.id"
            )
            return {_text(file): _text(tracer or "") for file, tracer in found}
    except (sqlite3.Error, TypeError) as error:
        raise DataFileUnusable(f"cannot read {path}: {error}") from error


def _read_facts(db: sqlite3.Connection) -> Result:
    kind = _kind(db)
    lines, arcs = _read_arcs(db) if kind is Kind.ARCS else (_read_lines(db), {})
    return Result(
        kind=kind,
        lines=lines,
        arcs=arcs,
        plugins={
            file: frozenset([tracer])
            for file, tracer in db.execute(
                "SELECT path, tracer FROM tracer JOIN file ON file_id = file.id WHERE tracer != ''"
            )
        },
    )


def _kind(db: sqlite3.Connection) -> Kind | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'has_arcs'").fetchone()
    if row is None:
        return None
    return Kind.ARCS if row[0] == "1" else Kind.LINES


def _read_lines(db: sqlite3.Connection) -> dict[PathContext, LineSet]:
    return {
        key: lines_of_numbits(numbits)
        for key, numbits in _by_file_and_context(db, "numbits", "line_bits")
    }


def _read_arcs(
    db: sqlite3.Connection,
) -> tuple[dict[PathContext, LineSet], dict[PathContext, ArcSet]]:
    """The lines and the arcs. There may be millions of rows: SQLite makes one text of each group."""
    lines: dict[PathContext, LineSet] = {
        key: line_set_of([line for line in _numbers(text) if 0 < line <= LARGEST_LINE])
        for key, text in _by_file_and_context(
            db,
            "group_concat(fromno, ' ')",
            "arc",
            "WHERE fromno = tono GROUP BY file_id, context_id",
        )
    }
    arcs: dict[PathContext, ArcSet] = {}
    for key, text in _by_file_and_context(
        db,
        "group_concat(fromno || ' ' || tono, ' ')",
        "arc",
        "WHERE fromno != tono GROUP BY file_id, context_id",
    ):
        numbers = _numbers(text)
        if max(numbers) > LARGEST_LINE or min(numbers) < -LARGEST_LINE:
            numbers = _possible(numbers)
        arcs[key] = of_key = unite_arcs(array("i", numbers).tobytes(), b"")
        lines[key] = lines.get(key, 0) | arc_lines(of_key)
    return lines, arcs


def _numbers(text: str) -> list[int]:
    return list(map(int, text.split()))


def _possible(ends: list[int]) -> list[int]:
    """The arcs without those that have impossible lines."""
    pairs = zip(ends[::2], ends[1::2], strict=True)
    return [end for pair in pairs if max(map(abs, pair)) <= LARGEST_LINE for end in pair]


def _by_file_and_context(
    db: sqlite3.Connection, what: str, table: str, rest: str = ""
) -> Iterator[tuple[PathContext, Any]]:
    """Values of a table with the path and the context of each."""
    paths = _texts_by_id(db, "SELECT id, path FROM file")
    labels = _texts_by_id(db, "SELECT id, context FROM context")
    for file_id, context_id, value in db.execute(
        f"SELECT file_id, context_id, {what} FROM {table} {rest}"
    ):
        if file_id in paths and context_id in labels:
            yield (paths[file_id], labels[context_id]), value


def _texts_by_id(db: sqlite3.Connection, query: str) -> dict[int, str]:
    """The ids and texts that a query gives. Raises TypeError for a text that is none."""
    return {number: _text(text) for number, text in db.execute(query)}


def _text(value: object) -> str:
    """A cell that must be a text. SQLite keeps any type in any column. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is the name of a file, a plugin or a context")
    return value
