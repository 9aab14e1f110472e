"""What a measured child costs at its start: a Python that does nothing, plain and in a session."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tools import write_settings

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = [sys.executable, "-c", "pass"]


def environments(directory: Path) -> dict[str, dict[str, str]]:
    """Give the environment of each kind of child."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVSUP_", "COVERAGE_", "PYTHON"))
    }
    found = {"plain": plain, "covsup": plain | session(directory, plain)}
    cores = ("ctrace", "sysmon") if sys.version_info >= (3, 12) else ("ctrace",)
    for core in cores:
        data = directory / f"start-{core}"
        data.mkdir()
        settings = write_settings(data, core=core, workload=None)
        found[f"coverage {core}"] = plain | {"COVERAGE_PROCESS_START": str(settings)}
    return found


def session(directory: Path, environment: dict[str, str]) -> dict[str, str]:
    """Open a session without a supervisor and give what it adds to the environment."""
    command = [sys.executable, "-m", "covsup", "env", f"--data-file={directory / '.coverage'}"]
    exports = subprocess.run(
        command, env=environment, cwd=directory, check=True, capture_output=True, text=True
    ).stdout
    show = f"{exports}\nexec '{sys.executable}' -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shown = subprocess.run(
        ["sh", "-c", show], env=environment, check=True, capture_output=True, text=True
    ).stdout
    added = {
        name: value
        for name, value in json.loads(shown.splitlines()[-1]).items()
        if name.startswith("COVSUP_")
    }
    if "COVSUP_SESSION" not in added:
        raise RuntimeError(f"covsup env exports no session:\n{exports}")
    return added


def start(environment: dict[str, str]) -> tuple[float, float]:
    """Start one child and wait for its end; gives wall and CPU seconds."""
    begin = time.perf_counter()
    pid = os.posix_spawn(sys.executable, NOTHING, environment)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{NOTHING} ended with wait status {status}")
    return wall, usage.ru_utime + usage.ru_stime


def measure(directory: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Give each kind's median wall and CPU seconds; the kinds take turns."""
    kinds = environments(directory)
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for turn in range(-2, rounds):  # the first two fill caches
        for kind, environment in kinds.items():
            taken = start(environment)
            if turn >= 0:
                times[kind].append(taken)
    return {
        kind: (
            statistics.median(wall for wall, _ in taken),
            statistics.median(cpu for _, cpu in taken),
        )
        for kind, taken in times.items()
    }
