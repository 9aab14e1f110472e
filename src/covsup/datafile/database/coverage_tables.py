"""Write what was executed into coverage.py's own tables.

This code writes its schema 7. For any other schema, coverage.py's API writes (`coverage_api`). The
API needs several statements for each file and context, and a Python set for the arcs: with thousands
of contexts that would be most of a combination's time and memory. Importing coverage.py would also
take longer than everything else at the end of a short run.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from importlib.machinery import PathFinder
from itertools import repeat
from pathlib import Path

from covsup import __version__
from covsup.datafile._fold import ARC_BITS, arc_numbers
from covsup.datafile.fold.result import Kind
from covsup.datafile.fold.sets import lines_in, numbits
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Final

    from covsup.datafile.database.data_files import DataFile
    from covsup.datafile.fold.result import PathContext, Result

KNOWN_SCHEMA: Final = 7
"""The version of coverage.py's tables that this code reads and writes."""
_SCHEMA_IN_SOURCE: Final = re.compile(rb"^SCHEMA_VERSION = (\d+)$", re.MULTILINE)

_TABLES: Final = """
CREATE TABLE coverage_schema (version integer);
CREATE TABLE meta (key text, value text, unique (key));
CREATE TABLE file (id integer primary key, path text, unique (path));
CREATE TABLE context (id integer primary key, context text, unique (context));
CREATE TABLE line_bits (
    file_id integer,
    context_id integer,
    numbits blob,
    foreign key (file_id) references file (id),
    foreign key (context_id) references context (id),
    unique (file_id, context_id)
);
CREATE TABLE arc (
    file_id integer,
    context_id integer,
    fromno integer,
    tono integer,
    foreign key (file_id) references file (id),
    foreign key (context_id) references context (id),
    unique (file_id, context_id, fromno, tono)
);
CREATE TABLE tracer (
    file_id integer primary key,
    tracer text,
    foreign key (file_id) references file (id)
);
"""


def write_facts(
    result: Result,
    path: Path,
    kind: Kind | None,
    others: Sequence[DataFile],
    touched: Mapping[str, str],
) -> None:
    """Make a new data file at `path` that holds the lines and arcs of `result` and of `others`.

    `kind` and `touched` are those of `covsup.datafile.database.database.write_database`. Raises
    DataFileUnwritable, DataFileUnusable for one of `others`, or sqlite3.Error.
    """
    kind = result.kind or kind
    executed = {path for keys in (result.lines, result.arcs) for path, _ in keys}
    files = sorted({*touched, *executed}) if kind is not None else []
    # The plugin that traced a file reports it; else the one that recognized the file as its own.
    plugins = {**touched, **{path: min(names) for path, names in result.plugins.items()}}
    is_known = _is_known_schema()
    if others or not is_known:
        from covsup.datafile.database import coverage_api  # it imports coverage.py

        coverage_api.make(path, others)
        if not is_known:
            coverage_api.add(path, result, kind, files, plugins)
            return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        # A file that is not finished is thrown away, so it needs no rollback journal.
        db.execute("PRAGMA journal_mode = off")
        db.execute("PRAGMA synchronous = off")
        if not others:
            db.executescript(_TABLES)
        db.execute("BEGIN")
        if not others:
            _write_header_rows(db)
        _add_files(db, kind, files, plugins)
        _add_rows(db, result)
        db.execute("COMMIT")


def reduce_to_lines(path: Path) -> bool:
    """Replace the branches in a data file by their lines. False where its schema is unknown.

    The lines are those that coverage.py gives for a data file with branches. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        if db.execute("SELECT version FROM coverage_schema").fetchone() != (KNOWN_SCHEMA,):
            return False
        lines: dict[tuple[int, int], int] = {}
        for file_id, context_id, *ends in db.execute(
            "SELECT file_id, context_id, fromno, tono FROM arc"
        ):
            key = file_id, context_id
            for line in ends:
                if line > 0:
                    lines[key] = lines.get(key, 0) | 1 << line
        db.execute("BEGIN")
        db.execute("DELETE FROM arc")
        db.executemany(
            "INSERT INTO line_bits (file_id, context_id, numbits) VALUES (?, ?, ?)",
            ((*key, numbits(bits)) for key, bits in sorted(lines.items())),
        )
        db.execute("UPDATE meta SET value = '0' WHERE key = 'has_arcs'")
        db.execute("COMMIT")
    return True


def _is_known_schema() -> bool:
    """Whether the installed coverage.py has the schema that this code writes.

    Its source is searched, because importing it takes long. False if that cannot be read.
    """
    spec = PathFinder.find_spec("coverage")
    for place in (spec and spec.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            found = _SCHEMA_IN_SOURCE.search(Path(place, "sqldata.py").read_bytes())
            return found is not None and int(found[1]) == KNOWN_SCHEMA
    return False


def _write_header_rows(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO coverage_schema VALUES (?)", (KNOWN_SCHEMA,))
    # coverage.py writes its own name there.
    db.execute("INSERT INTO meta VALUES ('version', ?)", (f"covsup {__version__}",))


def _add_files(
    db: sqlite3.Connection, kind: Kind | None, files: Iterable[str], plugins: Mapping[str, str]
) -> None:
    """Add what kind of data it is, the files, and their plugins, where these are not yet there."""
    if kind is not None:
        has_arcs = "1" if kind is Kind.ARCS else "0"
        db.execute("INSERT OR IGNORE INTO meta VALUES ('has_arcs', ?)", (has_arcs,))
    db.executemany("INSERT OR IGNORE INTO file (path) VALUES (?)", ((path,) for path in files))
    db.executemany(
        "INSERT INTO tracer SELECT id, ? FROM file WHERE path = ?"
        " ON CONFLICT (file_id) DO UPDATE SET tracer = excluded.tracer WHERE tracer = ''",
        ((name, path) for path, name in sorted(plugins.items()) if name),
    )


def _add_rows(db: sqlite3.Connection, result: Result) -> None:
    files = dict(db.execute("SELECT path, id FROM file"))
    labels = {label for keys in (result.lines, result.arcs) for _, label in keys}
    db.executemany(
        "INSERT OR IGNORE INTO context (context) VALUES (?)", ((each,) for each in sorted(labels))
    )
    contexts = dict(db.execute("SELECT context, id FROM context"))
    if result.kind is Kind.ARCS:
        _add_arc_rows(db, result, files, contexts)
    else:
        db.create_function("numbits_union", 2, _united, deterministic=True)
        db.executemany(
            "INSERT INTO line_bits (file_id, context_id, numbits) VALUES (?, ?, ?)"
            " ON CONFLICT (file_id, context_id)"
            " DO UPDATE SET numbits = numbits_union(numbits, excluded.numbits)",
            (
                (files[path], contexts[label], numbits(bits))
                for (path, label), bits in result.lines.items()
            ),
        )


def _united(one: bytes, other: bytes) -> bytes:
    """The union of two sets of lines, as coverage.py's numbits."""
    return numbits(int.from_bytes(one, "little") | int.from_bytes(other, "little"))


def _add_arc_rows(
    db: sqlite3.Connection, result: Result, files: dict[str, int], contexts: dict[str, int]
) -> None:
    """Add rows to the table `arc`, in the order of its index.

    A line becomes the arc from the line to itself, as in coverage.py's core for sys.monitoring. There
    may be millions of rows: SQLite makes them itself from JSON arrays, if it was built with JSON.
    """
    keys = {*result.arcs, *result.lines}
    ordered = sorted((files[key[0]], contexts[key[1]], key) for key in keys)
    insert = "INSERT OR IGNORE INTO arc (file_id, context_id, fromno, tono)"
    if _has_json_functions(db):
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


def _has_json_functions(db: sqlite3.Connection) -> bool:
    """Whether SQLite was built with its JSON functions, as it nearly always is."""
    try:
        db.execute("SELECT value FROM json_each('[]')")
    except sqlite3.OperationalError:
        return False
    return True


def _arc_rows(
    result: Result, ordered: Iterable[tuple[int, int, PathContext]]
) -> Iterator[tuple[int, int, int, int]]:
    for file_id, context_id, key in ordered:
        ends = memoryview(result.arcs.get(key, b"")).cast("i").tolist()
        yield from zip(repeat(file_id), repeat(context_id), ends[::2], ends[1::2])
        lines = lines_in(result.lines.get(key, 0))
        yield from zip(repeat(file_id), repeat(context_id), lines, lines)
