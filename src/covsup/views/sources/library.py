"""Analyses of source files, made in the background when they are asked for."""

from __future__ import annotations

import heapq
import os
import threading
import time
from enum import IntEnum
from typing import TYPE_CHECKING

from covsup.datafile.source_files import is_edited, version_now
from covsup.hints import NamedTuple
from covsup.views.sources.highlight import HighlightedSource, decoded, highlighted_text
from covsup.views.sources.reporters import Reporters, SourceUnavailable, read_source_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Final, Self

    from covsup.datafile.fold.result import Version
    from covsup.views.sources.analysis import SourceAnalysis

_CHECK_SECONDS: Final = 1.0
"""A file is checked for changes at most this often."""

_Stamp = tuple[int, int, int]


class Priority(IntEnum):
    """Which analyses are made first."""

    LOOKED_AT = 0  # on the screen
    MOVING = 1  # its lines run at this moment
    REST = 2


class _Entry(NamedTuple):
    """What is known of one file."""

    stamp: _Stamp | None  # of the file that was analysed; None = there is no such file
    analysis: SourceAnalysis | None
    problem: str  # why there is no analysis


class SourceLibrary:
    """Analyses of source files, by path. Any thread may use it."""

    def __init__(
        self,
        config_file: str | bool = True,
        *,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """`config_file` is coverage.py's: exclusions and plugins come from there.

        `on_ready` is called when `take_ready()` has something to give, from another thread.
        Raises SourceSettingsUnusable.
        """
        self._config_file = config_file
        self._on_ready = on_ready
        self._reporters = Reporters(config_file)
        self._plugins: Mapping[str, frozenset[str]] = {}
        self._entries: dict[str, _Entry] = {}
        self._highlighted: dict[str, tuple[_Stamp | None, HighlightedSource]] = {}
        self._checked: dict[str, float] = {}
        self._versions: dict[str, tuple[_Stamp | None, Version | None]] = {}
        self._condition = threading.Condition()
        self._wanted: dict[str, int] = {}
        self._queue: list[tuple[int, int, str]] = []
        self._number = 0
        self._ready: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def __enter__(self) -> Self:
        """Close it at the end of a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the work in the background."""
        self.close()

    def learn_plugins(self, plugins: Mapping[str, frozenset[str]]) -> None:
        """Use these plugins of coverage.py for these paths: `Result.plugins`."""
        self._plugins = plugins

    def analysis(self, path: str, priority: Priority = Priority.LOOKED_AT) -> SourceAnalysis | None:
        """The analysis, if it is ready. If not, it is made in the background.

        It stays None where the file cannot be read or parsed: `problem(path)` says why. If the file
        was edited since, the old analysis is given until the new one is ready.
        """
        entry = self._entries.get(path)
        if entry is None or self._is_outdated(path, entry):
            self.request([path], priority)
        return None if entry is None else entry.analysis

    def analysis_now(self, path: str) -> SourceAnalysis:
        """The analysis, made now if need be. Raises SourceUnavailable."""
        entry = self._entries.get(path)
        if entry is None or entry.stamp != _stamp_now(path):
            entry = self._made(path)
            self._store(path, entry)
        if entry.analysis is None:
            raise SourceUnavailable(entry.problem)
        return entry.analysis

    def problem(self, path: str) -> str | None:
        """Why a file has no analysis; None if it has one, or is still to be analysed."""
        entry = self._entries.get(path)
        return entry.problem if entry is not None and entry.analysis is None else None

    def request(self, paths: Iterable[str], priority: Priority = Priority.REST) -> None:
        """Make the analyses of these files in the background, unless they are ready."""
        with self._condition:
            for path in paths:
                entry = self._entries.get(path)
                if entry is not None and not self._is_outdated(path, entry):
                    continue
                if self._wanted.get(path, len(Priority)) <= priority or self._closed:
                    continue
                self._wanted[path] = priority
                self._number += 1
                heapq.heappush(self._queue, (priority, self._number, path))
            if self._queue and not self._threads:
                thread = threading.Thread(target=self._work, name="covsup sources", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._condition.notify()

    def take_ready(self) -> frozenset[str]:
        """The paths whose analysis became ready, or failed, since the last call."""
        with self._condition:
            ready, self._ready = frozenset(self._ready), set()
        return ready

    def is_edited(self, path: str, measured: Iterable[Version]) -> bool:
        """Whether a file differs from every version of it that was measured (`Result.versions`).

        False where it cannot be read, and where nothing is known of the measured version.
        """
        stamp = _stamp_now(path)
        known = self._versions.get(path)
        if known is None or known[0] != stamp:
            known = self._versions[path] = (stamp, version_now(path))
        return is_edited(known[1], measured)

    def highlighted(self, path: str) -> HighlightedSource | None:
        """The file's lines in colours, if they are ready. If not, they are made in the background.

        `take_ready()` names the path then, too. A file that cannot be read has no lines.
        """
        known = self._highlighted.get(path)
        if known is not None and known[0] == _stamp_now(path):
            return known[1]
        return self.highlighted_now(path)

    def highlighted_now(self, path: str) -> HighlightedSource:
        """The file's lines in colours, made now if need be. A file that cannot be read has none."""
        stamp = _stamp_now(path)
        source = read_source_bytes(path)
        text = "" if source is None else decoded(source)
        made = highlighted_text(path, text, self._plugin(path))
        self._highlighted[path] = (stamp, made)
        return made

    def close(self) -> None:
        """End the work in the background."""
        with self._condition:
            self._closed = True
            self._queue.clear()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                priority, _, path = heapq.heappop(self._queue)
                if self._wanted.get(path) != priority:
                    continue  # it was asked for again, with a higher priority
                del self._wanted[path]
            self._store(path, self._made(path))
            if self._on_ready is not None:
                self._on_ready()

    def _made(self, path: str) -> _Entry:
        stamp = _stamp_now(path)
        try:
            return _Entry(stamp, self._reporters.analyse(path, self._plugin(path)), "")
        except SourceUnavailable as error:
            return _Entry(stamp, None, str(error))

    def _plugin(self, path: str) -> str:
        return min(self._plugins.get(path, ()), default="")

    def _store(self, path: str, entry: _Entry) -> None:
        with self._condition:
            self._entries[path] = entry
            self._ready.add(path)

    def _is_outdated(self, path: str, entry: _Entry) -> bool:
        now = time.monotonic()
        if now - self._checked.get(path, 0.0) < _CHECK_SECONDS:
            return False
        self._checked[path] = now
        return _stamp_now(path) != entry.stamp


def _stamp_now(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
