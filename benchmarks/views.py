"""Measure what a view of a large running session costs, and what it costs the target.

    python benchmarks/views.py [--processes 1000] [--files 3000] [--lines 1000000] [--contexts 5000]
        [--branch] [--polls 4] [--paired]

It prints, for a synthetic session of this size whose journals are mapped by live processes: the first
picture (the first refresh and the provenance), a refresh after one new line, one after the end of a
process, an idle second at POLLS refreshes a second, and the peak memory. Times are CPU time of the
viewer, and wall time for the first picture.

--paired also runs a real program under `covsup run` with and without a view that polls it. The program's
instructions are counted by `perf stat` or valgrind, if one of them can count here. Else CPU times are compared.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from prepared import WIDE_FUNCTIONS, wide_source
from synthetic_session import Crowd, Shape, spare_line, write_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from synthetic_session import SyntheticSession

ROUNDS = 15

VIEWER = """
import sys, time
from pathlib import Path
from covsup.views.model.open_view import open_view
place, polls = Path(sys.argv[1]), float(sys.argv[2])
while not list(place.glob(".covsup/2*/*.journal~")):
    time.sleep(0.01)
view = open_view(next(place.glob(".covsup/2*")))
while view.is_live:
    view.refresh()
    view.provenance
    time.sleep(1 / polls)
"""

PROGRAM = """
import time
from wide import work
for each in range(40):
    work()
    time.sleep(0.02)
with open("seconds", "w") as file:
    file.write(str(time.process_time()))
"""


def measure_view(session: SyntheticSession, polls: float) -> None:
    """Print what a view of a session costs this process."""
    from covsup.views.model.open_view import open_view

    wall, cpu = time.perf_counter(), time.process_time()
    view = open_view(session.path)
    view.refresh()
    refreshed = time.process_time()
    assert len(view.provenance.processes) == len(view.result.images)
    print(f"first picture       {time.perf_counter() - wall:7.2f} s wall,"
          f" {time.process_time() - cpu:.2f} s CPU"
          f" ({time.process_time() - refreshed:.2f} s of it for the provenance)")  # fmt: skip
    time.sleep(1.2)
    view.refresh()
    view.provenance.processes  # noqa: B018 - it is derived
    costs, seen = [], []
    for number, writer in enumerate(session.writers[: 2 * ROUNDS : 2]):
        path = next(iter(writer.files))
        writer.add_line(path, spare_line(number))
        written = time.perf_counter()
        began = time.process_time()
        change = view.refresh()
        costs.append(time.process_time() - began)
        seen.append(time.perf_counter() - written)
        assert change.files == {path}, (number, change)
        time.sleep(0.05)
    print(f"after one new line  {1000 * statistics.median(costs):7.2f} ms CPU"
          f" (at most {1000 * max(costs):.2f})")  # fmt: skip
    ended = session.writers[-1].image
    os.kill(ended.pid, signal.SIGKILL)
    time.sleep(0.5)
    began = time.process_time()
    assert view.refresh().processes
    view.provenance.processes  # noqa: B018 - it is derived
    print(
        f"after an end        {1000 * (time.process_time() - began):7.2f} ms CPU, provenance included"
    )
    wall, cpu = time.perf_counter(), time.process_time()
    count = 0
    while time.perf_counter() - wall < 3:
        view.refresh()
        count += 1
        time.sleep(1 / polls)
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    print(f"idle                {100 * share:7.2f} % of a core at {polls:g} refreshes a second"
          f" ({1000 * share * 3 / count:.2f} ms each)")  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory         {peak:7.0f} MB")


def in_a_child(task: Callable[[], None]) -> None:
    """Do something in a process of its own, so that its memory is its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            task()
            sys.stdout.flush()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent stops, too
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("a measurement failed")


def measure_session(shape: Shape, directory: Path, polls: float) -> None:
    """Write a session, let processes map its journals, and measure a view of it."""
    crowd = Crowd(shape.processes)
    pickled = directory / "session"

    def write() -> None:
        session = write_session(shape, directory, lambda number: crowd.pids[number])
        pickled.write_bytes(pickle.dumps(session))

    in_a_child(write)
    try:
        crowd.map(pickle.loads(pickled.read_bytes()))
        in_a_child(lambda: measure_view(pickle.loads(pickled.read_bytes()), polls))
    finally:
        crowd.end()


def paired(polls: float, rounds: int) -> None:
    """Print what a real program costs with a view that polls it, divided by its cost without."""
    costs: dict[bool, list[float]] = {False: [], True: []}
    counter = next((each for each in COUNTERS if works(each)), ())
    for number in range(rounds):
        for is_viewed in (False, True) if number % 2 else (True, False):
            costs[is_viewed].append(cost_of_target(counter, polls, is_viewed=is_viewed))
    what = "instructions" if counter else "CPU time"
    plain, viewed = (statistics.median(costs[each]) for each in (False, True))
    print(f"the target          {viewed / plain:7.4f} times its {what} without a view"
          f" (spread without: {max(costs[False]) / min(costs[False]):.4f})")  # fmt: skip


COUNTERS = (
    ("perf", "stat", "-e", "instructions:u", "-x,", "-o", "counted"),
    ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--log-file=counted",
     f"--cachegrind-out-file={os.devnull}"),
)  # fmt: skip
"""The commands that count instructions."""


def works(counter: tuple[str, ...]) -> bool:
    """Whether a counter is here and may count."""
    if shutil.which(counter[0]) is None:
        return False
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([*counter, "true"], cwd=place, check=False, capture_output=True)
        counted = Path(place, "counted")
        return done.returncode == 0 and counted.exists() and _instructions(counted) > 0


def _instructions(counted: Path) -> float:
    text = counted.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^(\d+),.*instructions|I +refs: +([\d,]+)", text, re.MULTILINE)
    return float((found[1] or found[2]).replace(",", "")) if found else 0.0


def cost_of_target(counter: tuple[str, ...], polls: float, *, is_viewed: bool) -> float:
    """Run the program once; its instructions, or its CPU time in seconds."""
    with tempfile.TemporaryDirectory(prefix="views-") as place:
        directory = Path(place)
        (directory / "wide.py").write_text(wide_source(functions=WIDE_FUNCTIONS), encoding="utf-8")
        (directory / "program.py").write_text(PROGRAM, encoding="utf-8")
        viewer = (
            subprocess.Popen([sys.executable, "-c", VIEWER, place, str(polls)])
            if is_viewed
            else None
        )
        run = [sys.executable, "-m", "covsup", "run", "-p", f"--rcfile={os.devnull}", "--branch"]
        target = [sys.executable, "program.py"]
        try:
            subprocess.run(
                [*run, "--", *counter, *target],
                cwd=place,
                check=True,
                env={**os.environ, "PYTHONPATH": place, "PYTHONHASHSEED": "0"},
                stderr=subprocess.DEVNULL,
            )
            if viewer is not None:
                assert viewer.wait(timeout=60) == 0
        finally:
            if viewer is not None and viewer.poll() is None:
                viewer.kill()
                viewer.wait()
        if counter:
            return _instructions(directory / "counted")
        return float((directory / "seconds").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("processes", "files", "lines", "contexts"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Shape, name))
    parser.add_argument("--branch", action="store_true")
    parser.add_argument("--polls", type=float, default=4.0)
    parser.add_argument("--paired", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.paired:
        paired(options.polls, options.rounds)
        return
    shape = Shape(
        processes=options.processes,
        files=options.files,
        lines=options.lines,
        contexts=options.contexts,
        branch=options.branch,
    )
    with tempfile.TemporaryDirectory(prefix="views-") as place:
        measure_session(shape, Path(place), options.polls)


if __name__ == "__main__":
    main()
