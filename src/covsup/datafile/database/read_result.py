"""Read a whole data file back: what was executed, and the provenance."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.datafile.database.database import is_data_file, read_covsup_tables
from covsup.datafile.errors import DataFileUnusable
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import arc_set_of, line_set_of

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.fold.result import PathContext
    from covsup.datafile.fold.sets import Arc, ArcSet, LineSet


def read_result(path: Path) -> Result:
    """Everything that a data file holds, also one that coverage.py wrote.

    Raises DataFileUnusable, also where there is no file.
    """
    if not is_data_file(path):
        raise DataFileUnusable(f"there is no data file at {path}")
    tables = read_covsup_tables(path)
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as db:
            kind = _kind(db)
            lines, arcs = _read_arcs(db) if kind is Kind.ARCS else (_read_lines(db), {})
            plugins = {
                file: frozenset([tracer])
                for file, tracer in db.execute(
                    "SELECT path, tracer FROM tracer JOIN file ON file_id = file.id WHERE tracer != ''"
                )
            }
    except sqlite3.Error as error:
        raise DataFileUnusable(f"cannot read {path}: {error}") from error
    return tables._replace(
        kind=kind or tables.kind,
        lines={**tables.lines, **lines},
        arcs={**tables.arcs, **arcs},
        plugins=plugins,
    )


def files_in(path: Path) -> dict[str, str]:
    """Every file that a data file names, also those that never ran, with its plugin or "".

    Raises DataFileUnusable.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as db:
            return {
                file: tracer or ""
                for file, tracer in db.execute(
                    "SELECT path, tracer FROM file LEFT JOIN tracer ON file_id = file.id"
                )
            }
    except sqlite3.Error as error:
        raise DataFileUnusable(f"cannot read {path}: {error}") from error


def _kind(db: sqlite3.Connection) -> Kind | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'has_arcs'").fetchone()
    if row is None:
        return None
    return Kind.ARCS if row[0] == "1" else Kind.LINES


def _read_lines(db: sqlite3.Connection) -> dict[PathContext, LineSet]:
    return {
        (path, label): int.from_bytes(numbits, "little")
        for path, label, numbits in db.execute(
            "SELECT path, context, numbits FROM line_bits JOIN file ON file_id = file.id"
            " JOIN context ON context_id = context.id"
        )
    }


def _read_arcs(
    db: sqlite3.Connection,
) -> tuple[dict[PathContext, LineSet], dict[PathContext, ArcSet]]:
    """The lines and the arcs. A line is each end of an arc that is positive, as coverage.py has it."""
    pairs: dict[PathContext, list[Arc]] = defaultdict(list)
    for path, label, from_line, to_line in db.execute(
        "SELECT path, context, fromno, tono FROM arc JOIN file ON file_id = file.id"
        " JOIN context ON context_id = context.id"
    ):
        pairs[path, label].append((from_line, to_line))
    lines = {
        key: line_set_of({end for arc in of_key for end in arc if end > 0})
        for key, of_key in pairs.items()
    }
    arcs = {
        key: arc_set_of(arc for arc in of_key if arc[0] != arc[1]) for key, of_key in pairs.items()
    }
    return lines, arcs
