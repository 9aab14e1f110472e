"""Run a workload plain, under covsup and under each core of coverage.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from prepared import Workload

HERE = Path(__file__).resolve().parent
TIMED = HERE / "timed.py"
SYSMON_BRANCHES = sys.version_info >= (3, 14)
"""Earlier, coverage.py's sysmon core has no branches, and coverage.py uses another core."""


CORES = ("monitoring", "settrace") if sys.version_info >= (3, 12) else ("settrace", "settrace-fast")


def plain_environment() -> dict[str, str]:
    """Return this environment without the variables of covsup, coverage.py and Python."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVSUP_", "COVERAGE_", "PYTHON"))
    }


class OtherCore(Exception):
    """Another core than the requested one measured the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One column of the table."""

    name: str
    branch: bool
    core: str = ""
    watcher: str | None = None
    """The tool that the program must see, or None if it does not matter."""

    @property
    def is_coverage(self) -> bool:
        return self.name.startswith("coverage")

    def command(self, workload: Workload, directory: Path, data: Path) -> list[str]:
        program = [str(TIMED), workload.name, str(directory)]
        include = f"--include={HERE / 'workloads'}/*,{directory}/*"
        branch = ["--branch"] if self.branch else []
        if self.is_coverage:
            settings = write_settings(data, core=self.core, workload=workload)
            run = ["-m", "coverage", "run", f"--rcfile={settings}", include, *branch]
        elif self.core:
            run = [
                "-m",
                "covsup",
                "run",
                f"--core={self.core}",
                f"--data-file={data / '.coverage'}",
            ]
            run += ["--rcfile=" + os.devnull, include, *branch, "--"]
        else:
            run = []
        return [sys.executable, *run, *program]


def write_settings(directory: Path, *, core: str, workload: Workload | None) -> Path:
    """Write settings for coverage.py, with its data in the same directory."""
    path = directory / "coveragerc"
    lines = ["[run]", f"core = {core}", f"data_file = {directory / '.coverage'}", "parallel = true"]
    if workload is not None:
        lines.append(f"concurrency = {workload.concurrency}")
        if workload.patch:
            lines.append(f"patch = {workload.patch}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


PLAIN = Tool(name="plain", branch=False, watcher="")


def tools(*, branch: bool, slow: bool) -> list[Tool]:
    """Return the tools that this Python can run, covsup's first."""
    found = [Tool(name=f"covsup {core}", core=core, branch=branch) for core in CORES]
    found.append(Tool(name="coverage ctrace", core="ctrace", branch=branch, watcher="CTracer"))
    if sys.version_info >= (3, 12) and (SYSMON_BRANCHES or not branch):
        found.append(
            Tool(name="coverage sysmon", core="sysmon", branch=branch, watcher="coverage.py")
        )
    if slow:
        found.append(Tool(name="coverage pytrace", core="pytrace", branch=branch, watcher="method"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run: CPU seconds inside the workload, and wall seconds of the whole command."""

    inside: float
    whole: float


def run(tool: Tool, workload: Workload, directory: Path, data: Path) -> Timing:
    """Run once. Raises OtherCore if another core than the requested one measured the program."""
    data.mkdir(exist_ok=True)
    command = tool.command(workload, directory, data)
    start = time.perf_counter()
    done = subprocess.run(
        command,
        env=plain_environment() | {"PYTHONHASHSEED": "0"},
        cwd=data,
        check=False,
        capture_output=True,
        text=True,
    )
    whole = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    printed = json.loads(done.stdout.splitlines()[-1])
    if tool.watcher is not None and printed["watcher"] != tool.watcher:
        raise OtherCore(f"{tool.name}: measured by {printed['watcher'] or 'nothing'}")
    return Timing(inside=printed["seconds"], whole=whole)


def measured_lines(data: Path) -> dict[str, set[int]]:
    """Return all lines in the data files of a directory, by the file's name."""
    lines: dict[str, set[int]] = {}
    for path in data.glob(".coverage*"):
        if path.is_dir():
            continue
        found = coverage.CoverageData(basename=str(path))
        found.read()
        for name in found.measured_files():
            lines.setdefault(name, set()).update(found.lines(name) or ())
    return lines
