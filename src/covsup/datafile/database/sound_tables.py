"""Refuse a data file that no coverage tool wrote: it may come from someone else.

SQLite keeps any value in any column, and a view can have endless rows.
"""

from __future__ import annotations

from covsup.datafile.errors import DataFileUnusable
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from typing import Final

_IS_TEXT: Final = "typeof({}) = 'text'"
_ARE_ARCS: Final = "typeof({0}) = 'blob' AND length({0}) % 8 = 0"

_SOUND: Final = (
    ("file", "path", _IS_TEXT),
    ("context", "context", _IS_TEXT),
    ("tracer", "tracer", _IS_TEXT),
    ("covsup_first", "path", _IS_TEXT),
    ("covsup_first", "image_id", _IS_TEXT),
    ("covsup_shared", "path", _IS_TEXT),
    ("covsup_module", "path", _IS_TEXT),
    ("covsup_module", "module", _IS_TEXT),
    ("covsup_version", "path", _IS_TEXT),
    ("covsup_sent_code", "name", _IS_TEXT),
    ("covsup_sent_code", "context", _IS_TEXT),
    ("covsup_mark", "session", _IS_TEXT),
    ("covsup_mark", "name", _IS_TEXT),
    ("covsup_mark", "at_ns", "typeof({}) = 'integer'"),
    ("covsup_mark_lines", "path", _IS_TEXT),
    ("covsup_mark_arcs", "path", _IS_TEXT),
    ("covsup_mark_arcs", "arcs", _ARE_ARCS),
)


def check_tables(db: sqlite3.Connection, path: Path) -> None:
    """Check the tables of the data file at `path`. Raises DataFileUnusable, and sqlite3.Error."""
    kinds: dict[str, str] = dict(db.execute("SELECT name, type FROM sqlite_master"))
    if "view" in kinds.values():
        raise DataFileUnusable(f"cannot read {path}: it has views, as no data file has")
    for table, column, condition in _SOUND:
        if table in kinds:
            query = f"SELECT 1 FROM {table} WHERE NOT ({condition.format(column)}) LIMIT 1"
            if db.execute(query).fetchone() is not None:
                raise DataFileUnusable(
                    f"cannot read {path}: its table {table} holds an impossible {column}"
                )
