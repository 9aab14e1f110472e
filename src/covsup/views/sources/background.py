"""Jobs that threads do in the order of their priority, each thread with a process of its own.

The threads and processes are started when there is work. A process ends when there has been none
for some seconds.
"""

from __future__ import annotations

import heapq
import os
import threading
from enum import IntEnum
from typing import TYPE_CHECKING

from covsup.views.sources.worker_process import Job, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    Ask = Callable[[Job], dict[str, Any]]
    Do = Callable[[Job, Ask], None]

_MOST_WORKERS: Final = 4
_IDLE_SECONDS: Final = 5.0


class Priority(IntEnum):
    """Which jobs are done first."""

    LOOKED_AT = 0  # on the screen
    MOVING = 1  # its lines run at this moment
    REST = 2


def default_workers() -> int:
    """How many processes to use on this machine."""
    return min(
        _MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    )


class Background:
    """The jobs that wait, and the threads that do them."""

    def __init__(
        self, config_file: str | bool, do: Do, when_idle: Callable[[], None], workers: int
    ) -> None:
        """`do` gets a job, and a function that lets a process do it and gives its answer.

        `when_idle` is called when no job waits any more.
        """
        self._config_file = config_file
        self._do, self._when_idle = do, when_idle
        self._most = workers
        self._condition = threading.Condition()
        self._wanted: dict[Job, int] = {}
        self._queue: list[tuple[int, int, Job]] = []
        self._number = 0
        self._threads: list[threading.Thread] = []
        self._free = 0  # threads that wait for a job
        self._processes: list[WorkerProcess] = []
        self._closed = False

    def add(self, jobs: Iterable[Job], priority: Priority) -> None:
        """Do these jobs, unless they wait with this priority or a higher one."""
        with self._condition:
            if self._closed:
                return
            for job in jobs:
                if self._wanted.get(job, len(Priority)) > priority:
                    self._wanted[job] = priority
                    self._number += 1
                    heapq.heappush(self._queue, (priority, self._number, job))
            while len(self._wanted) > self._free and len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name="covsup sources", daemon=True)
                self._threads.append(thread)
                self._free += 1
                thread.start()
            self._condition.notify_all()

    def processes(self) -> list[int]:
        """The process ids of the processes that run."""
        with self._condition:
            return [each.pid for each in self._processes]

    def close(self) -> None:
        """Drop the jobs that wait, and end the threads and processes."""
        with self._condition:
            self._closed = True
            self._queue.clear()
            for process in self._processes:
                process.end()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        process: WorkerProcess | None = None

        def ask(job: Job) -> dict[str, Any]:
            nonlocal process
            with self._condition:
                if self._closed:
                    return {}
                if process is None:
                    process = WorkerProcess(self._config_file)
                    self._processes.append(process)
            try:
                return process.do(job)
            except BaseException:
                release()
                raise

        def release() -> None:
            nonlocal process
            with self._condition:
                released, process = process, None
                if released is not None:
                    self._processes.remove(released)
            if released is not None:
                released.release()

        try:
            while (job := self._next(None if process is None else _IDLE_SECONDS)) is not _CLOSED:
                if job is None:
                    release()
                    continue
                self._do(job, ask)
                with self._condition:
                    self._free += 1
                    is_idle = not self._queue
                if is_idle:
                    self._when_idle()
        finally:
            release()

    def _next(self, seconds: float | None) -> Job | None:
        """The next job; None where none came for so long; _CLOSED at the end."""
        with self._condition:
            while True:
                if self._closed:
                    return _CLOSED
                while self._queue:
                    priority, _, job = heapq.heappop(self._queue)
                    if (
                        self._wanted.get(job) == priority
                    ):  # or it got a higher priority, and was done
                        del self._wanted[job]
                        self._free -= 1
                        return job
                if not self._condition.wait(seconds):
                    return None


_CLOSED: Final = Job("")
