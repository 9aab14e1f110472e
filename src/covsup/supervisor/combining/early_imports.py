"""Import what the end of a run needs while the target still runs, so that the run ends sooner.

A thread does it: the imports take 0.1 to 1 s, and signals for the target may come meanwhile. (The
kernel keeps one of two equal pending signals.) Two threads must not import from one package at
once: `from package.module import name` does not wait for a `package` that another thread is
importing, and finds it half initialised. So the main thread imports nothing meanwhile: it has
imported all that it needs until the target ends, and calls `wait` before it imports more.
"""

from __future__ import annotations

import _thread
import sys
import time

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.gc_pause import gc_disabled

if TYPE_CHECKING:
    from typing import Final

    from covsup.supervisor.settings.resolved_settings import RunSettings

_JOIN_SECONDS: Final = 1.0


class EarlyImports:
    """The imports for the end of one run."""

    def __init__(self, settings: RunSettings) -> None:
        """Nothing is imported yet. With --parallel-mode nothing needs to be."""
        self._settings = settings
        self._is_needed = not settings.parallel_mode
        self._loading = _thread.allocate_lock()  # the thread holds it while it imports

    def begin(self) -> None:
        """Start the thread. A second call does nothing."""
        if not self._is_needed:
            return
        self._is_needed = False
        self._loading.acquire()
        try:
            _thread.start_new_thread(self._load, ())
        except (RuntimeError, MemoryError):  # no thread: the end of the run imports everything
            self._loading.release()

    def wait(self) -> None:
        """Wait until the thread imports nothing any more. A signal handler may raise out of the
        wait.
        """
        with self._loading:
            pass

    def wait_at_most(self, seconds: float) -> bool:
        """The same, for at most so many seconds; whether it imports nothing any more.

        If so, the thread has ended, too: this process may fork.
        """
        if not self._loading.acquire(timeout=seconds):
            return False
        self._loading.release()
        self.join()
        return True

    def join(self) -> None:
        """Wait until the thread has ended, and the one that closes the inotify descriptor.

        The last step of a run: a thread still needs the GIL for a moment after its work, and
        closing takes some 20 ms. Before 3.14 a thread that waits for the GIL while Python finalizes
        is ended by pthread_exit(), which aborts the process if libgcc_s.so cannot be opened, for
        example without a free descriptor (https://github.com/python/cpython/issues/87135).
        """
        # Bounded, because a plugin that coverage.py loads may have started a thread by _thread, too.
        until = time.monotonic() + _JOIN_SECONDS
        while _bare_threads() and time.monotonic() < until:
            time.sleep(0.0005)

    def _load(self) -> None:
        try:
            self._import_all()
        except BaseException:  # noqa: BLE001 - the end imports it again and reports the error
            pass
        finally:
            self._loading.release()

    def _import_all(self) -> None:
        settings = self._settings
        names = ["covsup.supervisor.combining.run_result"]
        has_sources = settings.source_dirs or settings.source_pkgs
        if has_sources or settings.append or settings.fail_under is not None:
            names.append("coverage")  # the slowest import of all
        if settings.for_pytest:
            names.append("covsup.supervisor.combining.pytest_answer")
        with gc_disabled():
            for name in names:
                __import__(name)


def _bare_threads() -> bool:
    """Whether threads run that _thread started without `threading`, as covsup starts its own."""
    count = _thread._count()  # noqa: SLF001 - there is no join() before 3.13
    threading = sys.modules.get("threading")
    if threading is not None:
        known = (each for each in threading.enumerate() if each is not threading.main_thread())
        count -= sum(not isinstance(each, threading._DummyThread) for each in known)  # noqa: SLF001
    return count > 0
