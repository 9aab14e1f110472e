"""Write and read a data file: the provenance, in tables beside coverage.py's own.

What was executed is in coverage.py's tables (`covsup.datafile.database.coverage_tables`), so that its
reports and its `combine` take the file as one of theirs. The tables named `covsup_*` hold the rest,
and coverage.py ignores them. A data file is replaced in one step: a new one is written beside it,
synced to the disk and renamed. The caller holds a lock, so that no other process writes meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import defaultdict
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote_from_bytes

from covsup.datafile.database import json_records
from covsup.datafile.database.coverage_tables import write_facts
from covsup.datafile.database.sound_tables import check_tables
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold.result import Kind, Result, Version
from covsup.datafile.fold.sets import arcs_in, line_set_of, lines_of_numbits, numbits
from covsup.datafile.journal.by_value_names import is_sent_code, sent_code_in, without_sent_code
from covsup.datafile.provenance.derive import provenance_of
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

    from covsup.datafile.database.data_files import DataFile
    from covsup.datafile.fold.result import ImageKey, PathContext
    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.marks import Mark, MarkedFacts

_SENSELESS: Final = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip

_MOST_OF_AN_ERROR: Final = 200

TABLES_VERSION: Final = 1
"""The version of the covsup_* tables. Raise it when their meaning changes."""

_TEMPORARY: Final = ".covsup-"
"""How names of unfinished data files begin. coverage.py must not take them for parallel data files."""

_TABLES: Final = """
CREATE TABLE covsup_schema (version integer);
CREATE TABLE covsup_session (
    id text primary key,
    started_ns integer,     -- wall clock
    command text,           -- for reading, as are all columns up to the last
    cwd text,
    host text,
    branch integer,
    settings text           -- the session's settings file
);
CREATE TABLE covsup_process (
    image_id text primary key,
    session text,
    pid integer,
    ppid integer,
    parent text,            -- image_id
    parent_known_from text,
    started text,           -- start, spawn, fork or exec N
    started_ns integer,
    command text,
    python text,
    core text,
    ending text,
    ending_known_from text,
    lines integer,          -- that it executed
    unique_lines integer,   -- that no other process executed
    record text             -- JSON: all that is known; the other columns follow from it
);
CREATE TABLE covsup_first (
    -- The lines that each process was the first to execute.
    path text,
    image_id text,
    started_ns text,
    numbits blob,
    unique (path, image_id, started_ns)
);
CREATE TABLE covsup_shared (
    -- The lines that more than one process executed.
    path text primary key,
    numbits blob
);
CREATE TABLE covsup_sent_code (
    -- What was executed of functions that were sent by value, while their file is not known.
    name text,              -- see docs/journal-format.md; stands for a path in the tables above
    context text,
    numbits blob,
    arcs blob,              -- as pairs of 32-bit numbers
    unique (name, context)
);
CREATE TABLE covsup_module (path text, module text, unique (path, module));
CREATE TABLE covsup_version (
    -- What each file was when it was measured; more than one row: it was edited.
    path text,
    stamp text,             -- when it was last changed (ns since 1970), and its size
    digest text,            -- BLAKE2b of its contents, 16 bytes; empty: not known
    primary key (path, stamp, digest)
) WITHOUT ROWID;
CREATE TABLE covsup_record (
    -- What else was written down: waits, starts, observations, notes, problems.
    kind text,
    record text,            -- JSON
    unique (kind, record)
);
CREATE TABLE covsup_unmeasured (session text, pid integer, command text, reason text);
CREATE TABLE covsup_lost (
    image_id text primary key,
    facts integer,
    events integer,
    errno integer,          -- of the first loss
    stage integer,          -- where the first loss was: see the journal's format
    forks_facts integer,    -- and what its forks lost while they had no journal at all
    forks_events integer,
    forks_errno integer,
    forks_stage integer
);
"""


def write_database(
    result: Result,
    path: Path,
    *,
    kind: Kind | None = None,
    others: Sequence[DataFile] = (),
    touched: Mapping[str, str] = MappingProxyType({}),
) -> Provenance:
    """Make `path` a data file that holds `result` and what `others` hold, synced to the disk.

    Gives the provenance in `result`.

    `touched` are files to be listed although nothing of them was executed, each with the name of the
    plugin that reports it, or "". `kind` is what the file holds where nothing was executed: `touched`
    files need one. `others` give lines and branches only; `result` holds their provenance if it is to
    be kept. Raises DataFileUnwritable, or DataFileUnusable for one of `others`; the file at `path` is
    then unchanged.
    """
    target = Path(os.path.realpath(path))
    remove_unfinished(target.parent)
    temporary = target.parent / f"{_TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        has_sent_code = bool(sent_code_in(result))
        in_files = without_sent_code(result) if has_sent_code else result
        write_facts(in_files, temporary, kind, others, touched)
        provenance = provenance_of(result)
        _write_provenance(result, provenance, temporary)
        if has_sent_code:
            _write_sent_code(result, temporary)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise DataFileUnwritable(f"cannot write {path}: {error}") from error
    except OSError as error:
        raise DataFileUnwritable(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return provenance


def remove_unfinished(directory: Path) -> None:
    """Delete unfinished data files, which killed writers have left."""
    for leftover in directory.glob(f"{_TEMPORARY}*.tmp*"):
        leftover.unlink(missing_ok=True)


def is_data_file(path: Path) -> bool:
    """Whether there is a data file at `path`. An empty file is not one.

    Raises DataFileUnusable where something else is there.
    """
    try:
        if path.stat().st_size == 0:
            return False
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataFileUnusable(f"cannot read {path}: {error.strerror or error}") from error
    with _reading(path) as db:
        db.execute("SELECT version FROM coverage_schema").fetchall()
    return True


def kind_of(path: Path) -> Kind | None:
    """What a data file holds; None where it holds nothing. Raises DataFileUnusable."""
    with _reading(path) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'has_arcs'").fetchone()
        measured = db.execute("SELECT EXISTS (SELECT 1 FROM file)").fetchone()
    if row is None or not measured[0]:
        return None
    return Kind.ARCS if row[0] == "1" else Kind.LINES


def kind_with_sent_code(path: Path) -> Kind | None:
    """What a data file holds, including code that was sent by value. Raises DataFileUnusable."""
    kind = kind_of(path)
    if kind is None:
        with _reading(path) as db:
            kind = _read_sent_code(db)[2] if _has_our_tables(db) else None
    return kind


def session_ids_in(path: Path) -> set[str]:
    """The ids of the sessions that are in a data file. Raises DataFileUnusable."""
    return set(session_starts(path))


def session_starts(path: Path) -> dict[str, int]:
    """The ids of the sessions in a data file, each with its start. Raises DataFileUnusable."""
    with _reading(path) as db:
        if not _has_our_tables(db):
            return {}
        return dict(db.execute("SELECT id, started_ns FROM covsup_session").fetchall())


def read_covsup_tables(path: Path) -> Result:
    """What the covsup_* tables of a data file hold: all but the lines and branches of files.

    An empty result for a data file that coverage.py wrote. Raises DataFileUnusable.
    """
    with _reading(path) as db:
        if not _has_our_tables(db):
            return Result()
        (version,) = db.execute("SELECT version FROM covsup_schema").fetchone()
        if version != TABLES_VERSION:
            raise DataFileUnusable(
                f"{path} was written by a covsup whose tables are of version {version}, where this"
                f" one reads {TABLES_VERSION}"
            )
        check_tables(db, path)
        try:
            first: dict[str, dict[ImageKey, LineSet]] = defaultdict(dict)
            for file, image_id, started_ns, numbits in db.execute(
                "SELECT path, image_id, started_ns, numbits FROM covsup_first"
            ):
                first[file][int(started_ns), image_id] = lines_of_numbits(numbits)
            modules: dict[str, frozenset[str]] = {}
            for file, module in db.execute("SELECT path, module FROM covsup_module"):
                modules[file] = modules.get(file, frozenset()) | {module}
            lines, arcs, kind = _read_sent_code(db)
            return json_records.result_from(
                settings=[row[0] for row in db.execute("SELECT settings FROM covsup_session")],
                images=[row[0] for row in db.execute("SELECT record FROM covsup_process")],
                others=db.execute("SELECT kind, record FROM covsup_record").fetchall(),
                first=first,
                shared={
                    file: lines_of_numbits(numbits)
                    for file, numbits in db.execute("SELECT path, numbits FROM covsup_shared")
                },
                modules=modules,
            )._replace(
                lines=lines,
                arcs=arcs,
                kind=kind,
                versions=_read_versions(db),
                marks=_read_marks(db),
            )
        except _SENSELESS as error:
            raise DataFileUnusable(
                f"{path}: its covsup_* tables make no sense: {repr(error)[:_MOST_OF_AN_ERROR]}"
            ) from error


def read_provenance(path: Path) -> Provenance:
    """The provenance in a data file. Raises DataFileUnusable, also where there is no file."""
    if not is_data_file(path):
        raise DataFileUnusable(f"there is no data file at {path}")
    return provenance_of(read_covsup_tables(path))


def _write_provenance(result: Result, provenance: Provenance, temporary: Path) -> None:
    with contextlib.closing(sqlite3.connect(temporary)) as db:
        # A file that is not finished is thrown away, so it needs no rollback journal.
        db.execute("PRAGMA journal_mode = off")
        db.execute("PRAGMA synchronous = off")
        db.executescript(_TABLES)
        db.execute("INSERT INTO covsup_schema VALUES (?)", (TABLES_VERSION,))
        db.executemany(
            "INSERT INTO covsup_session VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    each.session,
                    _integer(each.started_ns),
                    _text(" ".join(each.command)),
                    _text(each.cwd),
                    _text(each.host),
                    each.branch,
                    json_records.encode_settings(each),
                )
                for each in provenance.sessions
            ),
        )
        db.executemany(
            f"INSERT INTO covsup_process VALUES ({', '.join('?' * 16)})",
            (
                (
                    each.image_id,
                    each.session,
                    _integer(each.pid),
                    _integer(each.ppid),
                    each.parent,
                    each.parent_known_from.value,
                    each.how_started,
                    _integer(each.started_ns),
                    _text(" ".join(each.argv)),
                    each.python,
                    each.core,
                    _text(each.ending.words),
                    each.ending.known_from.value,
                    each.lines,
                    each.unique_lines,
                    json_records.encode_image(result.images[each.image_id]),
                )
                for each in provenance.processes
            ),
        )
        db.executemany(
            "INSERT INTO covsup_first VALUES (?, ?, ?, ?)",
            (
                (path, image_id, str(started_ns), numbits(bits))
                for path, owners in result.first.items()
                for (started_ns, image_id), bits in owners.items()
            ),
        )
        db.executemany(
            "INSERT INTO covsup_shared VALUES (?, ?)",
            ((path, numbits(bits)) for path, bits in result.shared.items()),
        )
        db.executemany(
            "INSERT INTO covsup_module VALUES (?, ?)",
            ((path, _text(name)) for path, names in result.modules.items() for name in names),
        )
        db.executemany(
            "INSERT INTO covsup_version VALUES (?, ?, ?)",
            ((path, *each) for path, versions in result.versions.items() for each in versions),
        )
        db.executemany(
            "INSERT INTO covsup_record VALUES (?, ?)", json_records.encode_others(result)
        )
        db.executemany(
            "INSERT INTO covsup_unmeasured VALUES (?, ?, ?, ?)",
            (
                (each.session, _integer(each.pid), _text(" ".join(each.argv)), _text(each.reason))
                for each in provenance.unmeasured
            ),
        )
        db.executemany(
            "INSERT INTO covsup_lost VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    each.image_id,
                    _integer(each.lost.facts),
                    _integer(each.lost.events),
                    each.lost.errno,
                    each.lost.stage,
                    _integer(each.forks_lost.facts),
                    _integer(each.forks_lost.events),
                    each.forks_lost.errno,
                    each.forks_lost.stage,
                )
                for each in provenance.losses
            ),
        )
        if result.marks:
            from covsup.datafile.database.mark_tables import write_marks  # few results have marks

            write_marks(db, result.marks)
        db.commit()


def _write_sent_code(result: Result, temporary: Path) -> None:
    with contextlib.closing(sqlite3.connect(temporary)) as db:
        db.execute("PRAGMA journal_mode = off")
        db.execute("PRAGMA synchronous = off")
        db.executemany(
            "INSERT INTO covsup_sent_code VALUES (?, ?, ?, ?)",
            (
                (*key, numbits(result.lines.get(key, 0)), result.arcs.get(key, b""))
                for key in {*result.lines, *result.arcs}
                if is_sent_code(key[0])
            ),
        )
        db.commit()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, not even to repair the file."""
    # Not as_uri(): on 3.14 it imports urllib.request and ssl, which takes longer than the query.
    uri = f"file://{quote_from_bytes(os.fsencode(os.path.abspath(path)))}?mode=ro"  # links stay
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            yield db
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise DataFileUnusable(f"{path} is not a coverage data file: {error}") from error
        raise DataFileUnusable(f"cannot read {path}: {error}") from error
    except sqlite3.Error as error:
        raise DataFileUnusable(f"{path} is not a coverage data file: {error}") from error


def _has_our_tables(db: sqlite3.Connection) -> bool:
    return _has_table(db, "covsup_schema")


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return found is not None


def _read_versions(db: sqlite3.Connection) -> dict[str, frozenset[Version]]:
    versions: dict[str, frozenset[Version]] = {}
    if _has_table(db, "covsup_version"):  # older data files do not have it
        for path, *version in db.execute("SELECT path, stamp, digest FROM covsup_version"):
            versions[path] = versions.get(path, frozenset()) | {Version(*version)}
    return versions


def _read_marks(db: sqlite3.Connection) -> dict[Mark, MarkedFacts]:
    if not _has_table(db, "covsup_mark"):
        return {}
    from covsup.datafile.database.mark_tables import read_mark_tables  # few data files have marks

    return read_mark_tables(db)


def read_versions(path: Path) -> dict[str, frozenset[Version]]:
    """The versions of the files in a data file that were measured. Raises DataFileUnusable."""
    with _reading(path) as db:
        return _read_versions(db)


def _read_sent_code(
    db: sqlite3.Connection,
) -> tuple[dict[PathContext, LineSet], dict[PathContext, ArcSet], Kind | None]:
    """What was executed of code that was sent by value, and what kind of measurement it is."""
    lines: dict[PathContext, LineSet] = {}
    arcs: dict[PathContext, ArcSet] = {}
    if not _has_table(db, "covsup_sent_code"):
        return lines, arcs, None  # older data files do not have it
    rows = db.execute("SELECT name, context, numbits, arcs FROM covsup_sent_code").fetchall()
    if not rows:
        return lines, arcs, None
    row = db.execute("SELECT value FROM meta WHERE key = 'has_arcs'").fetchone()
    kind = Kind.ARCS if row == ("1",) else Kind.LINES
    for name, context, bits, pairs in rows:
        if pairs and kind is Kind.ARCS:
            arcs[name, context] = pairs
        elif pairs:  # the data file was reduced from branches to lines
            lines[name, context] = line_set_of(
                {end for arc in arcs_in(pairs) for end in arc if end > 0}
            )
        if bits:
            key = name, context
            lines[key] = lines.get(key, 0) | lines_of_numbits(bits)
    return lines, arcs, kind


def _sync(path: Path) -> None:
    """Sync a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(text: str) -> str:
    """Text that SQLite can store: escapes instead of surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _integer(number: int) -> int:
    """The nearest number that SQLite can store: it has 64 bits."""
    return max(min(number, 2**63 - 1), -(2**63))
