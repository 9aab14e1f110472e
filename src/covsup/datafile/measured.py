"""What was executed, into coverage.py's own tables.

Through coverage.py's API each file of each context costs several statements, and its arcs a Python
set: with thousands of contexts that is most of a combination's time and memory. So the rows are
written here, as its schema 7 has them; with any other schema the API is used.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from itertools import repeat
from typing import TYPE_CHECKING, Final

from coverage.numbits import register_sqlite_functions
from coverage.sqldata import SCHEMA_VERSION

from covsup.datafile._facts import ARC_BITS, arc_numbers
from covsup.datafile.facts import arcs_in, numbers_in, numbits
from covsup.datafile.result import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from coverage import CoverageData

    from covsup.datafile.facts import Arc
    from covsup.datafile.result import Key, Result

_KNOWN_SCHEMA: Final = 7


def add_facts(data: CoverageData, path: Path, result: Result) -> None:
    """Add what `result` says was executed to `data`, which is at `path` and knows its kind.

    The files are there already. May raise CoverageException or sqlite3.Error.
    """
    if SCHEMA_VERSION == _KNOWN_SCHEMA:
        data.close(force=True)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            _add_rows(db, result)
    elif result.kind is Kind.ARCS:
        _add_arcs(data, result)
    else:
        _add_lines(data, result)


def _add_rows(db: sqlite3.Connection, result: Result) -> None:
    # Killed in the middle, the file is thrown away: it needs no journal of its own.
    db.execute("PRAGMA journal_mode = off")
    db.execute("PRAGMA synchronous = off")
    register_sqlite_functions(db)
    db.execute("BEGIN")
    files = dict(db.execute("SELECT path, id FROM file"))
    labels = {label for keys in (result.lines, result.arcs) for _, label in keys}
    db.executemany(
        "INSERT OR IGNORE INTO context (context) VALUES (?)", ((each,) for each in sorted(labels))
    )
    contexts = dict(db.execute("SELECT context, id FROM context"))
    if result.kind is Kind.ARCS:
        _add_arc_rows(db, result, files, contexts)
    else:
        db.executemany(
            "INSERT INTO line_bits (file_id, context_id, numbits) VALUES (?, ?, ?)"
            " ON CONFLICT (file_id, context_id)"
            " DO UPDATE SET numbits = numbits_union(numbits, excluded.numbits)",
            (
                (files[path], contexts[label], numbits(bits))
                for (path, label), bits in result.lines.items()
            ),
        )
    db.execute("COMMIT")


def _add_arc_rows(
    db: sqlite3.Connection, result: Result, files: dict[str, int], contexts: dict[str, int]
) -> None:
    """Add rows to the table `arc`, in the order of its index. A line is a row, too, as coverage.py's
    own core for sys.monitoring writes it.

    There may be millions: no row is touched here, and where it can, SQLite makes them by itself.
    """
    keys = {*result.arcs, *result.lines}
    ordered = sorted((files[key[0]], contexts[key[1]], key) for key in keys)
    insert = "INSERT OR IGNORE INTO arc (file_id, context_id, fromno, tono)"
    if _knows_json(db):
        half = 1 << (ARC_BITS - 1)
        db.executemany(
            f"{insert} SELECT ?, ?, value >> {ARC_BITS}, (value & {2 * half - 1}) - {half}"
            " FROM json_each(?)",
            (
                (
                    file_id,
                    context_id,
                    arc_numbers(result.arcs.get(key, b""), numbits(result.lines.get(key, 0))),
                )
                for file_id, context_id, key in ordered
            ),
        )
    else:
        db.executemany(f"{insert} VALUES (?, ?, ?, ?)", _arc_rows(result, ordered))


def _knows_json(db: sqlite3.Connection) -> bool:
    """Whether SQLite was built with its JSON functions, as it nearly always is."""
    try:
        db.execute("SELECT value FROM json_each('[]')")
    except sqlite3.OperationalError:
        return False
    return True


def _arc_rows(
    result: Result, ordered: Iterable[tuple[int, int, Key]]
) -> Iterator[tuple[int, int, int, int]]:
    for file_id, context_id, key in ordered:
        ends = memoryview(result.arcs.get(key, b"")).cast("i").tolist()
        yield from zip(repeat(file_id), repeat(context_id), ends[::2], ends[1::2])
        lines = numbers_in(result.lines.get(key, 0))
        yield from zip(repeat(file_id), repeat(context_id), lines, lines)


def _add_lines(data: CoverageData, result: Result) -> None:
    contexts: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for (path, context), bits in result.lines.items():
        contexts[context][path] = numbers_in(bits)
    for context, by_path in contexts.items():
        data.set_context(context)
        data.add_lines(by_path)


def _add_arcs(data: CoverageData, result: Result) -> None:
    contexts: dict[str, dict[str, list[Arc]]] = defaultdict(dict)
    for path, context in {*result.arcs, *result.lines}:
        arcs = arcs_in(result.arcs.get((path, context), b""))
        lines = numbers_in(result.lines.get((path, context), 0))
        contexts[context][path] = [*arcs, *((line, line) for line in lines)]
    for context, by_path in contexts.items():
        data.set_context(context)
        data.add_arcs(by_path)
