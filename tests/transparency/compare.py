"""Runs tests of others plainly and under covsup, and tells each one whose result differs.

What is the same for every suite: how a command is run in a place of its own, what of two runs is
compared, and what is printed. A test that differs is run again, both ways, until it is known whether
it differs every time; what differs for a reason that docs/transparency.md gives is in KNOWN.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.transparency.expected import KNOWN, Difference

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

STATUS = "(exit status)"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of some tests gave."""

    status: int | str
    results: dict[str, str]
    output: str
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How tests are run: what follows `python`, or `covsup run`."""

    arguments: Sequence[str]
    cwd: Path | None = None
    """None: an empty directory."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sources: Sequence[str] = ()
    """What is measured beside the standard library, which is a suite's own where it is empty."""


class Suite(Protocol):
    """Somebody's tests."""

    def prepare(self, work: Path) -> None:
        """Make what the commands need in `work`."""

    def command(self, module: str, report: Path, match: Sequence[str]) -> Command:
        """Run `module`, or the tests of it that `match` names; their results go to `report`."""


class Runner:
    """Runs modules of a suite with this interpreter, plainly or in a session."""

    def __init__(self, suite: Suite, work: Path, timeout: float) -> None:
        self.suite = suite
        self.work = work
        self.timeout = timeout
        suite.prepare(work)

    def run(self, module: str, core: str | None, match: Sequence[str] = ()) -> Outcome:
        """Run `module`, or the tests of it that `match` names; `core` None: plainly."""
        with tempfile.TemporaryDirectory(dir=self.work, ignore_cleanup_errors=True) as name:
            return self._run(Path(name), module, core, match)

    def _run(self, place: Path, module: str, core: str | None, match: Sequence[str]) -> Outcome:
        report = place / "report"
        test = self.suite.command(module, report, match)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVSUP_", "PYTHON", "COVERAGE_"))
        }
        environment |= {"HOME": str(place), "TMPDIR": str(place), **test.environment}
        command = [sys.executable]
        if core is not None:
            rcfile = place / "rcfile"
            sources = "".join(f"\n    {source}" for source in test.sources)
            measured = f"source ={sources}" if sources else "cover_pylib = true"
            rcfile.write_text(f"[run]\n{measured}\n", encoding="utf-8")
            command += ["-m", "covsup", "run", "--branch", f"--core={core}"]
            command += [f"--rcfile={rcfile}", f"--data-file={place / 'data' / 'coverage'}"]
            (place / "data").mkdir()
        cwd = place / "cwd"
        cwd.mkdir()
        command += test.arguments
        started = time.monotonic()
        output = place / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=test.cwd or cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status: int | str = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                status = "timed out"
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        text = output.read_text(encoding="utf-8", errors="replace")
        return Outcome(status, results_of(report), text, time.monotonic() - started)


def results_of(report: Path) -> dict[str, str]:
    """Per test its result; of several with one name (sub-tests) the worst."""
    found: dict[str, str] = {}
    order = ["passed", "skipped", "failure", "error"]
    for name, result in cases_of(report) if report.exists() else []:
        if order.index(result) >= order.index(found.get(name, "passed")):
            found[name] = result
    return found


def cases_of(report: Path) -> list[tuple[str, str]]:
    """The tests of a report: JUnit's XML, or the lines that `record.py` writes."""
    text = report.read_text(encoding="utf-8")
    if not text.startswith("<"):
        return [tuple(json.loads(line)) for line in text.splitlines()]
    found = []
    for case in ET.fromstring(text).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = case.get("name")
        if name is None:
            continue  # a part of a test that failed, which is missing then itself
        where = case.get("classname")
        # Of several the worst, by their names.
        found.append((f"{where}.{name}" if where else name, min(kinds or {"passed"})))
    return found


def differing(plain: Outcome, measured: Outcome) -> dict[str, tuple[str, str]]:
    """Per test that differs its result plainly and measured; the status is one such test."""
    names = sorted(plain.results.keys() | measured.results.keys())
    pairs = {
        name: (plain.results.get(name, "-"), measured.results.get(name, "-")) for name in names
    }
    found = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if not found and plain.status != measured.status:
        found[STATUS] = (str(plain.status), str(measured.status))
    return found


def known(module: str, test: str, core: str) -> Difference | None:
    """The documented difference that this one is, if it is one."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for each in KNOWN:
        if (
            fnmatch.fnmatch(test, each.test)
            and core in each.cores
            and (not each.versions or version in each.versions)
        ):
            return each
    return None


@dataclasses.dataclass(slots=True)
class Tally:
    """The counts that are printed at the end."""

    compared: int = 0
    same: int = 0
    flaky: int = 0
    known: int = 0
    different: list[str] = dataclasses.field(default_factory=list)


def compare(
    runner: Runner, module: str, cores: list[str], again: int, keep: Path | None
) -> tuple[str, Tally]:
    """Compare one module under each core; what is to be printed, and the counts."""
    tally, lines = Tally(), []
    plain = runner.run(module, None)
    if keep:
        (keep / f"{module}.plain.txt").write_text(plain.output, encoding="utf-8")
    for core in cores:
        measured = runner.run(module, core)
        if keep:
            (keep / f"{module}.{core}.txt").write_text(measured.output, encoding="utf-8")
        differences = differing(plain, measured)
        tally.compared += len(plain.results)
        tally.same += len(plain.results.keys() - differences.keys())
        lines.append(
            f"{module} [{core}]: {len(plain.results)} tests, {len(differences)} differ "
            f"({plain.seconds:.0f} s, {measured.seconds:.0f} s)"
        )
        for test, (before, after) in differences.items():
            reason = known(module, test, core)
            if reason is not None:
                tally.known += 1
                lines.append(f"  known      {test}: {before} -> {after}: {reason.why}")
                continue
            pairs = [(before, after)]
            match = [] if test == STATUS else [test]
            if match or plain.seconds < 60:
                for _ in range(again):
                    outcomes = [runner.run(module, each, match) for each in (None, core)]
                    unmeasured, under_core = (
                        outcome.results.get(test, "-") if match else str(outcome.status)
                        for outcome in outcomes
                    )
                    pairs.append((unmeasured, under_core))
            told = ", ".join(f"{one} -> {other}" for one, other in pairs)
            if {one for one, _ in pairs} & {other for _, other in pairs}:
                tally.flaky += 1
                lines.append(f"  unsteady   {test}: {told}")
            else:
                tally.different.append(f"{module} [{core}] {test}")
                lines.append(f"  DIFFERENT  {test}: {told}")
    return "\n".join(lines), tally


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every comparison."""
    parser.add_argument(
        "--core", action="append", choices=["monitoring", "settrace", "settrace-fast"]
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", type=int, default=3, help="runs of a test that differs")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for a module")
    parser.add_argument("--keep", type=Path, help="directory for the output of each run")
    parser.add_argument("--list", action="store_true", help="print the modules there are")


def main(suite: Suite, modules: Sequence[str], options: argparse.Namespace) -> int:
    """Compare the modules as the options say; the exit status: 1 where anything differs."""
    cores = options.core or ["monitoring" if hasattr(sys, "monitoring") else "settrace"]
    if options.list:
        print(*modules, sep="\n")
        return 0
    if not modules:
        print("this Python has none of these tests")
        return 1
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="transparency-"))
    total = Tally()
    try:
        runner = Runner(suite, work, options.timeout)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            waiting = [
                pool.submit(compare, runner, module, cores, options.again, options.keep)
                for module in modules
            ]
            for each in concurrent.futures.as_completed(waiting):
                text, tally = each.result()
                print(text, flush=True)
                total.compared += tally.compared
                total.same += tally.same
                total.flaky += tally.flaky
                total.known += tally.known
                total.different += tally.different
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(
        f"Python {sys.version.split()[0]}: {total.compared} results compared, {total.same} the same, "
        f"{total.flaky} unsteady, {total.known} known, {len(total.different)} different"
    )
    for line in total.different:
        print(f"  {line}")
    return 1 if total.different else 0
