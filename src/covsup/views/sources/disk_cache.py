"""Analyses on disk, so that the next viewer has them at once.

A SQLite file in the user's cache directory. Its keys are digests of the source's contents and of all
settings that matter, so no entry is ever wrong or must be replaced. It is only a cache: where it
cannot be read or written, analyses are made again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import zlib
from _blake2 import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from covsup.views.sources.analysis_text import FORMAT, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    from covsup.views.sources.analysis import SourceAnalysis

    Something = TypeVar("Something")

VARIABLE: Final = "COVSUP_SOURCE_CACHE"
"""A directory in place of the default one; "off" = no cache."""

LARGEST_BYTES: Final = 64 << 20

_NAME: Final = "analyses.sqlite"
_BATCH: Final = 200  # entries in one transaction
_BUSY_SECONDS: Final = 5.0
_DAY_SECONDS: Final = 86400
_LARGEST_TEXT: Final = 32 << 20


def cache_directory() -> Path | None:
    """Where the cache is: $COVSUP_SOURCE_CACHE, or covsup below $XDG_CACHE_HOME. None = off."""
    named = os.environ.get(VARIABLE, "")
    if named == "off":
        return None
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # as the XDG specification has it
        return Path(base, "covsup")
    try:
        return Path.home() / ".cache" / "covsup"
    except RuntimeError:  # no home directory
        return None


class AnalysisCache:
    """The analyses on disk. Any thread may use it, and several processes at once."""

    def __init__(
        self, directory: Path | None, settings_key: bytes, *, largest_bytes: int = LARGEST_BYTES
    ) -> None:
        """None = there is no cache. Nothing is raised: what fails switches the cache off."""
        self._settings_key = settings_key + bytes([FORMAT])
        self._largest_bytes = largest_bytes
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes] = {}
        self._used: set[bytes] = set()
        self._today = int(time.time() // _DAY_SECONDS)
        self._is_writable = True
        self._path = None if directory is None else directory / _NAME
        self._database: sqlite3.Connection | None = None  # opened by the first use
        self._is_off = directory is None

    def get(self, digest: str) -> SourceAnalysis | None:
        """The analysis of the source with this digest."""
        key = self._key(digest)
        with self._lock:
            row: tuple[bytes, int] | None = self._try(
                lambda database: database.execute(
                    "SELECT text, used FROM analysis WHERE key = ?", (key,)
                ).fetchone()
            )
            if row is None:
                return None
            if row[1] != self._today:
                self._used.add(key)
        try:
            unpacked = zlib.decompressobj().decompress(row[0], _LARGEST_TEXT)
            return from_text(unpacked)
        except (zlib.error, ValueError, TypeError):
            return None  # it is damaged, and is written again

    def put(self, digest: str, analysis: SourceAnalysis) -> None:
        """Keep an analysis. It is written with others, at the latest by `flush()`."""
        if self._is_off or not self._is_writable:
            return
        packed = zlib.compress(to_text(analysis).encode(), 1)
        with self._lock:
            self._waiting[self._key(digest)] = packed
            is_full = len(self._waiting) >= _BATCH
        if is_full:
            self.flush()

    def flush(self) -> None:
        """Write what waits to be written."""
        with self._lock:
            if self._waiting or self._used:
                self._try(self._write)
            self._waiting.clear()
            self._used.clear()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.flush()
        with self._lock:
            self._forget()

    def _key(self, digest: str) -> bytes:
        return blake2b(self._settings_key + digest.encode(), digest_size=16).digest()

    def _opened(self) -> sqlite3.Connection | None:
        if self._path is None:
            return None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return None
        try:
            if self._path.exists() and self._path.stat().st_uid != os.geteuid():
                return None  # another user could have written anything into it
            database = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
        except (OSError, sqlite3.Error):
            return None
        try:
            # A file that is lost with the power is only a cache that is lost.
            database.execute("PRAGMA synchronous = OFF")
            if not database.execute("SELECT name FROM sqlite_master").fetchone():
                # IMMEDIATE waits for another process that does the same.
                database.executescript(
                    "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS analysis"
                    " (key BLOB PRIMARY KEY, used INTEGER NOT NULL, text BLOB NOT NULL); COMMIT"
                )
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                database.close()
                with contextlib.suppress(OSError):
                    self._path.unlink()  # the next viewer makes a new one
                return None
            # It is locked or read-only, but it may still be possible to read it.
        return database

    def _try(self, work: Callable[[sqlite3.Connection], Something]) -> Something | None:
        """Do something with the database; None where that fails. Damage removes the file."""
        if self._database is None and not self._is_off:
            self._database = self._opened()
            self._is_off = self._database is None
        if self._database is None:
            return None
        try:
            return work(self._database)
        except sqlite3.DatabaseError as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.rollback()
            if _is_damage(error) and self._path is not None:
                self._forget()
                with contextlib.suppress(OSError):
                    self._path.unlink()
            return None

    def _write(self, database: sqlite3.Connection) -> None:
        self._is_writable = False
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT OR REPLACE INTO analysis (key, used, text) VALUES (?, ?, ?)",
            [(key, self._today, text) for key, text in self._waiting.items()],
        )
        database.executemany(
            "UPDATE analysis SET used = ? WHERE key = ?", [(self._today, key) for key in self._used]
        )
        self._shrink(database)
        database.execute("COMMIT")
        self._is_writable = True

    def _shrink(self, database: sqlite3.Connection) -> None:
        """Delete the entries that were not used for the longest time, if the file is too large."""
        while _used_bytes(database) > self._largest_bytes:
            deleted = database.execute(
                "DELETE FROM analysis WHERE key IN (SELECT key FROM analysis ORDER BY used, key"
                " LIMIT (SELECT count(*) / 4 + 1 FROM analysis))"
            )
            if not deleted.rowcount:
                return

    def _forget(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._database, self._is_off = None, True


def _used_bytes(database: sqlite3.Connection) -> int:
    """The size of the file without the pages that can be used again."""
    page_size, pages, unused = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(page_size * (pages - unused))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no database, or a damaged one; not whether it is locked or read-only."""
    return not isinstance(error, sqlite3.OperationalError)
