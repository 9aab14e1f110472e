"""Analyses of source files, made in the background when they are asked for, and kept on disk."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from covsup.datafile.source_files import digest_of, is_edited, version_now
from covsup.hints import NamedTuple
from covsup.views.sources.analysis_text import from_text
from covsup.views.sources.background import Background, Priority, default_workers
from covsup.views.sources.disk_cache import AnalysisCache, cache_directory
from covsup.views.sources.highlight import HighlightedSource, decoded, highlighted_text
from covsup.views.sources.recent_highlights import RecentHighlights
from covsup.views.sources.reporters import (
    Reporters,
    SourceSettingsUnusable,
    SourceUnavailable,
    read_source_bytes,
)
from covsup.views.sources.worker_process import Job, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Final, Self

    from covsup.datafile.fold.result import Version
    from covsup.views.sources.analysis import SourceAnalysis
    from covsup.views.sources.background import Ask

__all__ = [
    "HighlightedSource",
    "Priority",
    "SourceLibrary",
    "SourceSettingsUnusable",
    "SourceUnavailable",
]

_CHECK_SECONDS: Final = 1.0
"""A file is checked for changes at most this often."""

_Stamp = tuple[int, int, int]


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
        workers: int | None = None,
    ) -> None:
        """`config_file` is coverage.py's: exclusions and plugins come from there.

        `on_ready` is called when `take_ready()` has something to give, from another thread. It must
        not raise.
        `workers` is the largest number of processes in the background. Raises
        SourceSettingsUnusable.
        """
        self._on_ready = on_ready
        self._reporters = Reporters(config_file)
        self._cache = AnalysisCache(cache_directory(), self._reporters.settings_key())
        self._background = Background(
            config_file,
            self._do,
            self._cache.flush,
            default_workers() if workers is None else workers,
        )
        self._plugins: Mapping[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self._stored = threading.Condition(self._lock)
        self._is_closed = False
        self._entries: dict[str, _Entry] = {}
        self._checked: dict[str, float] = {}
        self._ready: set[str] = set()
        self._highlights = RecentHighlights()
        self._versions: dict[str, tuple[_Stamp | None, Version | None]] = {}

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
            self._background.add([Job(path, plugin=self._plugin(path))], priority)
        return None if entry is None else entry.analysis

    def analysis_now(self, path: str) -> SourceAnalysis:
        """The analysis, made now if need be. Raises SourceUnavailable."""
        entry = self._entries.get(path)
        if entry is None or entry.stamp != _stamp_now(path):
            entry = self._analysed(Job(path, plugin=self._plugin(path)), None)
            self._store(path, entry)
        if entry.analysis is None:
            raise SourceUnavailable(entry.problem)
        return entry.analysis

    def analysis_soon(self, path: str) -> SourceAnalysis:
        """The analysis, when the background has made it. Raises SourceUnavailable.

        For many files: `request()` them all before. The processes work in parallel.
        """
        with self._stored:
            while (entry := self._entries.get(path)) is None and not self._is_closed:
                self._background.add([Job(path, plugin=self._plugin(path))], Priority.LOOKED_AT)
                self._stored.wait()
        if entry is None or entry.analysis is None:
            raise SourceUnavailable(f"{path}: not analysed" if entry is None else entry.problem)
        return entry.analysis

    def is_reported(self, path: str) -> bool:
        """Whether reports have this file: coverage.py's [report] include and omit."""
        return self._reporters.is_reported(path)

    def problem(self, path: str) -> str | None:
        """Why a file has no analysis; None if it has one, or is still to be analysed."""
        entry = self._entries.get(path)
        return entry.problem if entry is not None and entry.analysis is None else None

    def request(self, paths: Iterable[str], priority: Priority = Priority.REST) -> None:
        """Make the analyses of these files in the background, unless they are ready."""
        self._background.add(
            [
                Job(path, plugin=self._plugin(path))
                for path in paths
                if (entry := self._entries.get(path)) is None or self._is_outdated(path, entry)
            ],
            priority,
        )

    def take_ready(self) -> frozenset[str]:
        """The paths whose analysis or colours became ready, or failed, since the last call."""
        with self._lock:
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

        `take_ready()` has the path then, too. A file that cannot be read has no lines. If the file
        was edited since, the old lines are given until the new ones are ready.
        """
        known = self._highlights.get(path)
        if known is None or known[0] != _stamp_now(path):
            job = Job(path, highlight=True, plugin=self._plugin(path))
            self._background.add([job], Priority.LOOKED_AT)
        return None if known is None else known[1]

    def highlighted_now(self, path: str) -> HighlightedSource:
        """The file's lines in colours, made now if need be. A file that cannot be read has none."""
        stamp = _stamp_now(path)
        known = self._highlights.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        made = highlighted_text(path, self.text(path), self._plugin(path))
        self._highlights.put(path, stamp, made)
        return made

    def text(self, path: str) -> str:
        """The file's text, as Python decodes it. A file that cannot be read has none."""
        source = read_source_bytes(path)
        return "" if source is None else decoded(source)

    def describe_arc(self, path: str, start: int, end: int) -> str:
        """coverage.py's sentence why an arc was not taken: "line 3 didn't jump to line 5 because the
        condition on line 3 was always true". Raises SourceUnavailable.
        """
        return self._reporters.describe_arc(path, self._plugin(path), start, end)

    def close(self) -> None:
        """End the work in the background."""
        with self._stored:
            self._is_closed = True
            self._stored.notify_all()
        self._background.close()
        self._cache.close()

    def _do(self, job: Job, ask: Ask) -> None:
        """Do a job, in a thread of the background."""
        stamp = _stamp_now(job.path)
        if job.highlight:
            self._highlights.put(job.path, stamp, self._highlighted(job, ask))
            with self._lock:
                self._ready.add(job.path)
        else:
            self._store(job.path, self._analysed(job, ask))
        if self._on_ready is not None:
            self._on_ready()

    def _highlighted(self, job: Job, ask: Ask) -> HighlightedSource:
        try:
            answer = ask(job)
        except (WorkerDied, OSError):
            # Without colours, the text can be shown.
            lines = self.text(job.path).split("\n")
            return HighlightedSource([[("", line)] for line in lines])
        kinds = {kind: kind for line in answer.get("lines", ()) for kind, _ in line}
        return HighlightedSource(
            [[(kinds[kind], text) for kind, text in line] for line in answer.get("lines", ())]
        )

    def _analysed(self, job: Job, ask: Ask | None) -> _Entry:
        """The analysis of a file, from the cache, or by a process (`ask`), or made here."""
        path, stamp = job.path, _stamp_now(job.path)
        digest = ""
        if not job.plugin:  # what a plugin says may depend on anything
            source = read_source_bytes(path)
            if source is None:
                return _Entry(stamp, None, f"{path}: there is no such file, or it cannot be read")
            digest = digest_of(source)
            if (known := self._cache.get(digest)) is not None:
                return _Entry(stamp, known, "")
        try:
            analysis = self._made(job, ask)
        except SourceUnavailable as error:
            return _Entry(stamp, None, str(error))
        if digest and _stamp_now(path) == stamp:  # it was not edited meanwhile
            self._cache.put(digest, analysis)
        return _Entry(stamp, analysis, "")

    def _made(self, job: Job, ask: Ask | None) -> SourceAnalysis:
        if ask is not None:
            try:
                answer = ask(job)
            except WorkerDied as error:
                raise SourceUnavailable(f"{job.path}: {error}") from error
            except OSError:
                pass  # no process could be started: it is made here
            else:
                if "analysis" not in answer:
                    raise SourceUnavailable(answer.get("problem", f"{job.path}: not analysed"))
                return from_text(answer["analysis"])
        return self._reporters.analyse(job.path, job.plugin)

    def _plugin(self, path: str) -> str:
        return min(self._plugins.get(path, ()), default="")

    def _store(self, path: str, entry: _Entry) -> None:
        with self._lock:
            self._entries[path] = entry
            self._ready.add(path)
            self._stored.notify_all()

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
