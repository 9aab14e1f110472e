"""The tables of marks in a data file: what had been executed when each was set.

Only a data file with marks has them, so other data files do not grow, and a covsup that does not
know them reads the rest.
"""

from __future__ import annotations

from covsup.datafile.fold.sets import lines_of_numbits, numbits
from covsup.datafile.session.marks import Mark, MarkedFacts
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from typing import Final

    from covsup.datafile.fold.sets import ArcSet, LineSet

_TABLES: Final = """
CREATE TABLE covsup_mark (
    id integer primary key, -- in the other two tables
    session text,
    name text,
    at_ns integer,          -- wall clock
    unique (session, name, at_ns)
);
CREATE TABLE covsup_mark_lines (
    -- What had been executed when the mark was set, in any context.
    mark_id integer,
    path text,
    numbits blob,
    primary key (mark_id, path)
) WITHOUT ROWID;
CREATE TABLE covsup_mark_arcs (
    mark_id integer,
    path text,
    arcs blob,              -- as pairs of 32-bit numbers
    primary key (mark_id, path)
) WITHOUT ROWID;
"""


def write_marks(db: sqlite3.Connection, marks: Mapping[Mark, MarkedFacts]) -> None:
    """Make the tables and fill them. Does nothing without marks."""
    if not marks:
        return
    db.executescript(_TABLES)
    for number, (mark, facts) in enumerate(sorted(marks.items(), key=lambda item: item[0])):
        db.execute("INSERT INTO covsup_mark VALUES (?, ?, ?, ?)", (number, *mark))
        db.executemany(
            "INSERT INTO covsup_mark_lines VALUES (?, ?, ?)",
            ((number, path, numbits(bits)) for path, bits in facts.lines.items()),
        )
        db.executemany(
            "INSERT INTO covsup_mark_arcs VALUES (?, ?, ?)",
            ((number, path, arcs) for path, arcs in facts.arcs.items()),
        )


def read_mark_tables(db: sqlite3.Connection) -> dict[Mark, MarkedFacts]:
    """The marks in a data file that has the tables."""
    marks = {
        number: Mark(*mark)
        for number, *mark in db.execute("SELECT id, session, name, at_ns FROM covsup_mark")
    }
    lines: dict[int, dict[str, LineSet]] = {number: {} for number in marks}
    arcs: dict[int, dict[str, ArcSet]] = {number: {} for number in marks}
    for number, path, bits in db.execute("SELECT mark_id, path, numbits FROM covsup_mark_lines"):
        lines[number][path] = lines_of_numbits(bits)
    for number, path, pairs in db.execute("SELECT mark_id, path, arcs FROM covsup_mark_arcs"):
        arcs[number][path] = pairs
    return {mark: MarkedFacts(lines[number], arcs[number]) for number, mark in marks.items()}
