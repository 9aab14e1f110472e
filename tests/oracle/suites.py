"""Run whole test suites that start processes and threads under pytest-cov and under covsup.

    python tests/oracle/suites.py --theirs PYTHON [--rounds N] [--sdists DIR] [--work DIR] [NAME ...]

The Python that runs this has covsup and no pytest-cov; PYTHON has pytest-cov and no covsup. Both
have pytest and what the packages need, and both are given the same command line: `pytest --cov`.
Each source distribution is unpacked as `packages.py` does. Printed are the lines that only one of
the two has executed, the tests that did not end alike, and the time that each took, round by round
in turn: other load on the machine meets both. The exit status is 1 if a test ended differently, or
pytest-cov has a line that covsup has not.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.oracle.packages import Package, pytest_of, unpacked
from tests.world import World, become_subreaper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A package, and what its tests are asked to measure."""

    package: Package
    source: str
    scripts: tuple[tuple[str, str], ...] = ()
    """Commands that the tests start, each with its `module:function`."""


SUITES = (
    Suite(
        package=Package(name="waitress", version="3.0.2"),
        source="waitress",
    ),
    Suite(
        # wrappers: an asyncio test that fails in any case on some Pythons.
        package=Package(
            name="huey", version="3.5.4", tests=("huey/tests",), root=".", without=("wrappers",)
        ),
        source="huey",
    ),
    Suite(
        package=Package(name="honcho", version="2.0.0", root="."),
        source="honcho",
        scripts=(("honcho", "honcho.command:main"),),
    ),
    Suite(
        package=Package(
            name="pebble",
            version="5.2.3",
            tests=(
                "test/test_concurrent_process_fork.py",
                "test/test_concurrent_process_spawn.py",
                "test/test_concurrent_thread.py",
            ),
            root=".",
        ),
        source="pebble",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one suite."""

    seconds: float
    cpu: float
    """Seconds of all its processes: what other load on the machine changes less."""
    ended: object
    outcomes: Mapping[str, str]
    """By test: passed, failed or skipped."""
    lines: Mapping[str, frozenset[int]]
    """Executed, by file, relative to the package's directory."""
    statements: int
    output: str


def measured(suite: Suite, directory: Path, python: Path) -> Measured:
    """Run the suite once."""
    package = suite.package
    world = World(directory, python=str(python))
    with tempfile.TemporaryDirectory(prefix="covsup-suite-") as place:
        out = Path(place)
        (out / "no-settings").write_text("[run]\nbranch = false\n")  # the package's own leave out
        for name, function in suite.scripts:
            module, _, called = function.partition(":")
            script = out / name
            script.write_text(
                f"#!{python}\nfrom {module} import {called}\n"
                f"if __name__ == '__main__':\n    {called}()\n"
            )
            script.chmod(0o755)
        words = [
            *pytest_of(package, directory),
            f"--junitxml={out}/outcomes.xml",
            *(f"--cov={suite.source}", f"--cov-config={out}/no-settings"),
            *("--cov-report=term", f"--cov-report=json:{out}/report.json"),
        ]  # fmt: skip
        environment = {
            "PYTHONPATH": str(directory / package.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COVERAGE_FILE": f"{out}/data",
        }
        path = world.environment()["PATH"]
        began, spent = time.monotonic(), _cpu()
        run = world.run(
            world.python,
            *words,
            environment={**environment, "PATH": f"{out}:{path}"},
            timeout=SECONDS,
        )
        seconds, cpu = time.monotonic() - began, _cpu() - spent
        outcomes = _outcomes(out / "outcomes.xml")
        lines, statements = _report(out / "report.json")
    return Measured(
        seconds=seconds,
        cpu=cpu,
        ended=run.ended,
        outcomes=outcomes,
        lines=lines,
        statements=statements,
        output=str(run),
    )


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _outcomes(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        said = {"failure": "failed", "error": "failed", "skipped": "skipped"}
        ended = [said[each.tag] for each in case if each.tag in said]
        found[f"{case.get('classname')}::{case.get('name')}"] = (ended or ["passed"])[0]
    return found


def _report(path: Path) -> tuple[dict[str, frozenset[int]], int]:
    if not path.exists():
        return {}, 0
    report = json.loads(path.read_text(encoding="utf-8"))
    lines = {name: frozenset(each["executed_lines"]) for name, each in report["files"].items()}
    return lines, report["totals"]["num_statements"]


def verdict(suite: Suite, directory: Path, theirs: Path, rounds: int) -> Iterator[str]:
    """Give a line for each thing worth knowing; those that begin with ! are defects of ours."""
    package = suite.package
    pairs = []
    for _ in range(rounds):
        pairs.append(
            (measured(suite, directory, theirs), measured(suite, directory, Path(sys.executable)))
        )
        times = [f"{each.seconds:.1f} s (CPU {each.cpu:.1f})" for each in pairs[-1]]
        yield f"  {package.name}: pytest-cov {times[0]}, covsup {times[1]}"
    first, ours = pairs[0]
    counts = Counter(ours.outcomes.values())
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    yield f"{package.name} {package.version}: {summary}"
    if not first.lines or not ours.lines:
        yield f"! nothing was reported\n{first.output}\n{ours.output}"
        return
    for test in sorted(first.outcomes.keys() | ours.outcomes.keys()):
        each = {(a.outcomes.get(test), b.outcomes.get(test)) for a, b in pairs}
        if all(a != b for a, b in each):
            yield f"! {test}: {', '.join(f'{a} there, {b} here' for a, b in each)}"
    here, there = 0, 0
    for name in sorted(first.lines.keys() | ours.lines.keys()):
        # What not every round of a measurer has depends on time, not on the measurer.
        always = frozenset.intersection(*(a.lines.get(name, frozenset()) for a, _ in pairs))
        ever = frozenset.union(*(a.lines.get(name, frozenset()) for a, _ in pairs))
        mine = frozenset.union(*(b.lines.get(name, frozenset()) for _, b in pairs))
        here += len(mine - ever)
        there += len(always - mine)
        if mine - ever:
            yield f"  {name}: only covsup has {_ranges(mine - ever)}"
        if always - mine:
            yield f"! {name}: only pytest-cov has {_ranges(always - mine)}"
    executed = [sum(map(len, each.lines.values())) for each in (first, ours)]
    yield (
        f"  of {ours.statements} lines pytest-cov has {executed[0]}, covsup {executed[1]}:"
        f" {here} only covsup, {there} only pytest-cov;"
        f" time covsup/pytest-cov {_ratios([b.seconds / a.seconds for a, b in pairs])},"
        f" CPU {_ratios([b.cpu / a.cpu for a, b in pairs])}"
    )


def _ratios(ratios: list[float]) -> str:
    each = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    return f"{statistics.median(ratios):.2f} ({each})"


def _ranges(lines: frozenset[int]) -> str:
    found: list[list[int]] = []
    for line in sorted(lines):
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in found)


def main() -> int:
    """Print the verdicts on all suites, or on those named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these packages")
    parser.add_argument("--theirs", type=Path, required=True, help="the Python with pytest-cov")
    parser.add_argument("--rounds", type=int, default=3, help="how often (default 3)")
    parser.add_argument("--sdists", type=Path, help="where the source distributions are or go")
    parser.add_argument("--work", type=Path, help="where they are unpacked and run")
    options = parser.parse_args()
    become_subreaper()
    for python, module in ((options.theirs, "pytest_cov"), (Path(sys.executable), "covsup")):
        subprocess.run([python, "-c", f"import {module}, pytest"], check=True)
    worst = 0
    with tempfile.TemporaryDirectory(prefix="covsup-suites-") as temporary:
        sdists = (options.sdists or Path(temporary) / "sdists").resolve()
        work = (options.work or Path(temporary) / "work").resolve()
        for suite in SUITES:
            if options.names and suite.package.name not in options.names:
                continue
            directory = unpacked(suite.package, sdists, work)
            for line in verdict(suite, directory, options.theirs.absolute(), options.rounds):
                print(line, flush=True)
                worst = max(worst, line.startswith("!"))
    return worst


if __name__ == "__main__":
    sys.exit(main())
