"""Time the start of a child that does nothing, plain and in a session, and of whole runs."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tools import plain_environment, write_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTHING = [sys.executable, "-c", "pass"]


# Runs in a session and keeps it open until its input ends.
HOLDER = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"


@contextlib.contextmanager
def session(directory: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Open a session; yield the variables that it adds to the environment of its processes."""
    options = [f"--data-file={directory / '.coverage'}", f"--rcfile={os.devnull}", "--branch"]
    with subprocess.Popen(
        [sys.executable, "-m", "covsup", "run", *options, "--", sys.executable, "-c", HOLDER],
        env=environment,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a warning that no line of a file was measured
    ) as holder:
        assert holder.stdout is not None
        printed = holder.stdout.readline()
        if not printed:
            raise RuntimeError(f"no session was opened: status {holder.wait()}")
        yield {
            name: value for name, value in json.loads(printed).items() if name == "COVSUP_SESSION"
        }


def environments(directory: Path, plain: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the environment of each kind of child that needs no session."""
    found = {"plain": plain}
    cores = ("ctrace", "sysmon") if sys.version_info >= (3, 12) else ("ctrace",)
    for core in cores:
        data = directory / f"start-{core}"
        data.mkdir()
        settings = write_settings(data, core=core, workload=None)
        found[f"coverage {core}"] = plain | {"COVERAGE_PROCESS_START": str(settings)}
    return found


def start(environment: dict[str, str]) -> tuple[float, float]:
    """Start one child and wait for its end; return wall and CPU seconds."""
    begin = time.perf_counter()
    pid = os.posix_spawn(sys.executable, NOTHING, environment)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{NOTHING} ended with wait status {status}")
    return wall, usage.ru_utime + usage.ru_stime


# Prints when its first line ran, by a clock that is the same in every process.
FIRST_LINE = "import time\nprint(time.clock_gettime(time.CLOCK_MONOTONIC))\n"


def run_once(words: list[str], directory: Path) -> tuple[float, float]:
    """Run a program that does nothing; return the seconds to its first line and to its end."""
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    done = subprocess.run(
        [sys.executable, *words, "first_line.py"],
        cwd=directory,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    end = time.clock_gettime(time.CLOCK_MONOTONIC)
    return float(done.stdout) - begin, end - begin


def measure_runs(directory: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return each tool's median seconds to the program's first line, and of the whole command."""
    (directory / "first_line.py").write_text(FIRST_LINE, encoding="utf-8")
    kinds = {
        "plain": [],
        "covsup run": ["-m", "covsup", "run", "--branch"],
        "covsup run -p": ["-m", "covsup", "run", "--branch", "-p"],
        "coverage run": ["-m", "coverage", "run", "--branch"],
    }
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for turn in range(-2, rounds):
        for kind, words in kinds.items():
            taken = run_once(words, directory)
            if turn >= 0:
                times[kind].append(taken)
    return {
        kind: (
            statistics.median(first for first, _ in taken),
            statistics.median(whole for _, whole in taken),
        )
        for kind, taken in times.items()
    }


def measure(directory: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Return each kind's median wall and CPU seconds; the kinds take turns."""
    plain = plain_environment()
    kinds = environments(directory, plain)
    with session(directory, plain) as added:
        kinds["covsup"] = plain | added
        times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for turn in range(-2, rounds):  # the first two fill caches
            for kind, environment in kinds.items():
                taken = start(environment)
                if turn >= 0:
                    times[kind].append(taken)
        journals = len(list(directory.glob(".covsup/*/*.journal~")))
        if journals < rounds:
            raise RuntimeError(f"{rounds} children should be measured, {journals} were")
    return {
        kind: (
            statistics.median(wall for wall, _ in taken),
            statistics.median(cpu for _, cpu in taken),
        )
        for kind, taken in times.items()
    }
