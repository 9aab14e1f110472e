"""Load what the end of a run needs while the target runs: the run is over sooner.

In a thread, because signals for the target come meanwhile: an import takes 0.1 to 1 s, and of two
equal signals that are pending at the same time the kernel keeps one. Two threads must not import
from one package at once: `from package.module import name` does not wait for a `package` that
another thread is importing, and gets a half of it. So the main thread imports nothing while the
other one does: all that it needs until the target has ended is imported before, and `wait` comes
before all that follows.
"""

from __future__ import annotations

import _thread
import time

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.gc_pause import gc_disabled

if TYPE_CHECKING:
    from covsup.supervisor.settings.run_settings import RunSettings


class EarlyImports:
    """The imports of one run's end."""

    def __init__(self, settings: RunSettings) -> None:
        """Nothing is loaded yet. With --parallel-mode there is nothing to load."""
        self._settings = settings
        self._is_needed = not settings.parallel_mode
        self._loading = _thread.allocate_lock()  # held by the thread as long as it imports
        self._other_threads = _thread._count()  # noqa: SLF001 - what `threading` counts is less

    def begin(self) -> None:
        """Have a thread load it; what was begun once is not begun again."""
        if not self._is_needed:
            return
        self._is_needed = False
        self._loading.acquire()
        try:
            _thread.start_new_thread(self._load, ())
        except (RuntimeError, MemoryError):  # no thread is to be had: the end loads it by itself
            self._loading.release()

    def wait(self) -> None:
        """Return when the thread has ended. A signal's handler may interrupt it."""
        with self._loading:
            pass
        self._wait_for_end()

    def wait_at_most(self, seconds: float) -> bool:
        """Whether the thread imports nothing any more, now or in so many seconds."""
        if not self._loading.acquire(timeout=seconds):
            return False
        self._loading.release()
        self._wait_for_end()
        return True

    def _wait_for_end(self) -> None:
        """Wait until the thread needs the GIL no more, a moment after it has released its lock.

        Before 3.14 a thread that waits for the GIL while Python finalizes is ended by
        pthread_exit(), which aborts the process where libgcc_s.so cannot be opened: without a free
        descriptor, for example (https://github.com/python/cpython/issues/87135).
        """
        while _thread._count() > self._other_threads:  # noqa: SLF001 - no join() before 3.13
            time.sleep(0.0005)

    def _load(self) -> None:
        try:
            self._import_all()
        except BaseException:  # noqa: BLE001 - the end imports it again, and tells the reason
            pass
        finally:
            self._loading.release()

    def _import_all(self) -> None:
        with gc_disabled():
            from covsup.supervisor.combining import combine  # noqa: F401, PLC0415 - for the end
            from covsup.supervisor.settings import combine_settings  # noqa: F401, PLC0415 - for the end

            settings = self._settings
            has_sources = settings.source_dirs or settings.source_pkgs
            if has_sources or settings.append or settings.fail_under is not None:
                import coverage  # noqa: F401, PLC0415 - the slowest of all; where it is needed
            if settings.for_pytest:
                from covsup.supervisor.combining import pytest_answer  # noqa: F401, PLC0415 - for `Reporter`
