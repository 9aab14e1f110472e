"""Time whole commands on real programs: plain, covsup, coverage.py's best core, slipcover.

    python benchmarks/real.py [--rounds N] [--sdists DIR] [NAME ...]

It runs five programs (in `programs/`) and the test suites of three packages. Their source distributions
come from --sdists or are downloaded with pip. The time includes everything that a user waits for:
start, run, and combining the children's data. The tools take turns, with one run each in a round. The
output has medians of wall time and of the CPU time of all processes, divided by plain's. A run whose
end or output differs from the plain run's is excluded and reported. slipcover takes part if it is
installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from tools import plain_environment

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.oracle.packages import PACKAGES, Package, pytest_of, unpacked  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("matrices", "queens", "lisp", "logs", "actors")
SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A package, and the part of it that is measured."""

    package: Package
    source: str
    has_children: bool = False


SUITES = (
    *(
        Suite(package=package, source=package.name)
        for package in PACKAGES
        if package.name in {"click", "mistune"}
    ),
    Suite(
        package=Package(
            name="pebble",
            version="5.2.3",
            tests=("test/test_concurrent_process_fork.py", "test/test_concurrent_process_spawn.py"),
            root=".",
        ),
        source="pebble",
        has_children=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the table: the command, its directory, and the source that is measured."""

    name: str
    words: tuple[str, ...]
    directory: Path
    path: Path
    source: Path
    has_children: bool


@dataclass(frozen=True, slots=True)
class Times:
    wall: float
    cpu: float


def jobs(wanted: set[str], sdists: Path, work: Path) -> Iterator[Job]:
    for name in PROGRAMS:
        if not wanted or name in wanted:
            programs = HERE / "programs"
            yield Job(
                name=name,
                words=(str(programs / f"{name}.py"),),
                directory=work,
                path=programs,
                source=programs,
                has_children=False,
            )
    for suite in SUITES:
        package = suite.package
        if wanted and package.name not in wanted:
            continue
        directory = unpacked(package, sdists, work)
        root = directory / package.root
        yield Job(
            name=f"{package.name} {package.version}'s tests",
            words=(*pytest_of(package, directory), "-p", "no:covsup"),
            directory=directory,
            path=root,
            source=root / suite.source,
            has_children=suite.has_children,
        )


def commands(tool: str, job: Job, data: Path) -> list[list[str]]:
    """Return the commands that a user of the tool types, in order."""
    python = sys.executable
    if tool == "plain":
        return [[python, *job.words]]
    if tool == "covsup":
        run = [python, "-m", "covsup", "run", "--branch", f"--rcfile={os.devnull}"]
        run += [f"--data-file={data / '.coverage'}", f"--source={job.source}"]
        return [[*run, *job.words]]
    if tool == "slipcover":
        run = [python, "-m", "slipcover", "--branch", f"--source={job.source}"]
        return [[*run, "--json", f"--out={data / 'out.json'}", *job.words]]
    settings = data / "coveragerc"
    lines = ["[run]", f"core = {tool.split()[1]}", f"data_file = {data / '.coverage'}"]
    if job.has_children:
        lines += ["parallel = true", "concurrency = multiprocessing, thread"]
        lines += ["patch = subprocess, _exit"]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    coverage = [python, "-m", "coverage"]
    run = [*coverage, "run", f"--rcfile={settings}", "--branch", f"--source={job.source}"]
    combine = [*coverage, "combine", "-q", f"--rcfile={settings}"]
    return [[*run, *job.words], *([combine] if job.has_children else [])]


def run(tool: str, job: Job, work: Path) -> tuple[Times, str]:
    """Run once; return the times, and the last line (without its duration) with the status."""
    environment = plain_environment() | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(job.path)}
    outcome = ""
    with tempfile.TemporaryDirectory(dir=work) as data:
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for words in commands(tool, job, Path(data)):
            done = subprocess.run(
                words,
                env=environment,
                cwd=job.directory,
                check=False,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
            last = (done.stdout or done.stderr).strip().splitlines()[-1:]
            outcome = (
                outcome or f"{re.sub(r' in [0-9.]+s.*', '', ''.join(last))}, {done.returncode}"
            )
        wall = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Times(wall, cpu), outcome


def measure(job: Job, tools: list[str], rounds: int, work: Path) -> tuple[dict[str, Times], str]:
    """Return each tool's medians, and remarks about the tools that are excluded."""
    taken: dict[str, list[Times]] = {tool: [] for tool in tools}
    _, expected = run("plain", job, work)  # which also compiles
    remarks = ""
    for turn in range(rounds):
        order = list(taken)
        for tool in order[turn % len(order) :] + order[: turn % len(order)]:
            try:
                times, outcome = run(tool, job, work)
            except subprocess.TimeoutExpired as error:
                outcome = str(error)
            if outcome == expected:
                taken[tool].append(times)
            else:
                remarks += f"{job.name}: {tool}: {outcome} instead of {expected}\n"
                del taken[tool]
    medians = {
        tool: Times(
            statistics.median(each.wall for each in times),
            statistics.median(each.cpu for each in times),
        )
        for tool, times in taken.items()
    }
    return medians, remarks


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool (default 5)")
    parser.add_argument("--sdists", type=Path, help="where the source distributions are or go")
    parser.add_argument("--json", type=Path, help="also write the medians to this file")
    options = parser.parse_args()
    known = {*PROGRAMS, *(suite.package.name for suite in SUITES)}
    if set(options.names) - known:
        parser.error(f"known are {', '.join(sorted(known))}")
    best = "coverage sysmon" if sys.version_info >= (3, 14) else "coverage ctrace"
    tools = ["plain", "covsup", best, *(["slipcover"] if find_spec("slipcover") else [])]
    console = Console(width=None if sys.stdout.isatty() else 130)
    version = f"Python {platform.python_version()}"
    shown = Table("", title=f"{version}: branches, whole commands, wall (CPU), plain = 1")
    for tool in tools:
        shown.add_column("plain, seconds" if tool == "plain" else tool, justify="right")
    everything: dict[str, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch).resolve()
        sdists = (options.sdists or work / "sdists").resolve()
        for job in jobs(set(options.names), sdists, work):
            medians, remarks = measure(job, tools, options.rounds, work)
            console.print(remarks, end="", highlight=False, markup=False)
            plain = medians.get("plain")
            if plain is None:  # its output changes from run to run, so nothing can be compared
                continue
            cells = [f"{plain.wall:.2f} ({plain.cpu:.2f})"]
            for tool in tools[1:]:
                times = medians.get(tool)
                cells.append(
                    f"{times.wall / plain.wall:.2f} ({times.cpu / plain.cpu:.2f})" if times else "-"
                )
            shown.add_row(job.name, *cells)
            everything[job.name] = {tool: (t.wall, t.cpu) for tool, t in medians.items()}
    console.print(shown)
    if options.json is not None:
        options.json.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
