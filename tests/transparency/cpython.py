"""Runs CPython's own tests plainly and under covsup, and prints each test whose result differs.

    python tests/transparency/cpython.py [--core monitoring --core settrace] [--jobs 2] [module ...]

Whatever the running interpreter brings as `test` is compared, module by module, with the standard
library measured too (every line that runs is then ours to leave alone). A test that differs is run
again, both ways, until it is known whether it differs every time; what differs for a reason that
docs/transparency.md gives is in KNOWN. Exit status: 1 where anything else differs.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.transparency.expected import KNOWN, Difference

# Those about processes, threads, tracing, start and end, and what such tests are built from.
MODULES = Path(__file__).with_name("cpython_modules.txt").read_text(encoding="utf-8").split()

# Some installed Pythons have the tests of multiprocessing, but not the few lines that start them.
LAUNCHERS = {f"test_multiprocessing_{method}": method for method in ("fork", "spawn", "forkserver")}
LAUNCHER = """
import test._test_multiprocessing
import unittest

test._test_multiprocessing.install_tests_in_module_dict(globals(), "{method}")

if __name__ == "__main__":
    unittest.main()
"""

STATUS = "(exit status)"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of some tests gave."""

    status: int | str
    results: dict[str, str]
    output: str
    seconds: float


class Runner:
    """Runs test modules of this interpreter, plainly or in a session."""

    def __init__(self, work: Path, timeout: float) -> None:
        self.work = work
        self.timeout = timeout
        self.rcfile = work / "rcfile"
        self.rcfile.write_text("[run]\ncover_pylib = true\n", encoding="utf-8")
        self.launchers = work / "launchers"
        self.launchers.mkdir()
        for name, method in LAUNCHERS.items():
            (self.launchers / f"{stand_in(name)}.py").write_text(
                LAUNCHER.format(method=method), encoding="utf-8"
            )

    def run(self, module: str, core: str | None, match: list[str] | None = None) -> Outcome:
        """Run `module`, or the tests of it that `match` names; `core` None: plainly."""
        with tempfile.TemporaryDirectory(dir=self.work, ignore_cleanup_errors=True) as name:
            return self._run(Path(name), module, core, match or [])

    def _run(self, place: Path, module: str, core: str | None, match: list[str]) -> Outcome:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVSUP_", "PYTHON", "COVERAGE_"))
        } | {"HOME": str(place), "TMPDIR": str(place)}
        report = place / "report.xml"
        command = [sys.executable]
        if core is not None:
            command += ["-m", "covsup", "run", "--branch", f"--core={core}"]
            command += [f"--rcfile={self.rcfile}", f"--data-file={place / 'data' / 'coverage'}"]
            (place / "data").mkdir()
        cwd = place / "cwd"
        cwd.mkdir()
        command += ["-m", "test", f"--junit-xml={report}", "-v"]
        if module in LAUNCHERS and not exists(module):
            command.append(f"--testdir={self.launchers}")
            module = stand_in(module)
        for test in match:
            command += ["-m", test]
        command.append(module)
        started = time.monotonic()
        output = place / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=cwd,
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


def exists(module: str) -> bool:
    """Whether this Python's test package has that module."""
    return importlib.util.find_spec(f"test.{module}") is not None


def stand_in(module: str) -> str:
    """Name what starts a module's tests where it is not there; regrtest would look for that one."""
    return module.replace("test_multiprocessing", "test_processes")


def results_of(report: Path) -> dict[str, str]:
    """Per test its result; of several with one name (sub-tests) the worst."""
    if not report.exists():
        return {}
    found: dict[str, str] = {}
    order = ["passed", "skipped", "failure", "error"]
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        result = max(kinds or {"passed"}, key=order.index)
        name = case.get("name")
        if name is None:
            continue  # a part of a test that failed, which is missing then itself
        if order.index(result) >= order.index(found.get(name, "passed")):
            found[name] = result
    return found


def differing(plain: Outcome, measured: Outcome) -> dict[str, tuple[str, str]]:
    """Per test that differs its result plainly and measured; the status is one such test."""
    names = sorted(plain.results.keys() | measured.results.keys())
    pairs = {
        name: (plain.results.get(name, "-"), measured.results.get(name, "-")) for name in names
    }
    found = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if not found and plain.status != measured.status:
        found["(exit status)"] = (str(plain.status), str(measured.status))
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
            match = [] if test == "(exit status)" else [test]
            if match or plain.seconds < 60:
                for _ in range(again):
                    outcomes = [runner.run(module, each, match) for each in (None, core)]
                    pairs.append(
                        tuple(
                            outcome.results.get(test, "-") if match else str(outcome.status)
                            for outcome in outcomes
                        )
                    )
            told = ", ".join(f"{one} -> {other}" for one, other in pairs)
            if {one for one, _ in pairs} & {other for _, other in pairs}:
                tally.flaky += 1
                lines.append(f"  unsteady   {test}: {told}")
            else:
                tally.different.append(f"{module} [{core}] {test}")
                lines.append(f"  DIFFERENT  {test}: {told}")
    return "\n".join(lines), tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="test modules (default: all that matter here)")
    parser.add_argument("--core", action="append", choices=["monitoring", "settrace"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", type=int, default=3, help="runs of a test that differs")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for a module")
    parser.add_argument("--keep", type=Path, help="directory for the output of each run")
    parser.add_argument("--list", action="store_true", help="print the modules there are")
    options = parser.parse_args()
    cores = options.core or ["monitoring" if hasattr(sys, "monitoring") else "settrace"]
    there_are = [
        name
        for name in dict.fromkeys(options.modules or MODULES)
        if exists(name) or (name in LAUNCHERS and exists("_test_multiprocessing"))
    ]
    if options.list:
        print(*there_are, sep="\n")
        return 0
    if not there_are:
        print("this Python has none of these tests")
        return 1
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="transparency-"))
    total = Tally()
    try:
        runner = Runner(work, options.timeout)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            waiting = [
                pool.submit(compare, runner, module, cores, options.again, options.keep)
                for module in there_are
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


if __name__ == "__main__":
    sys.exit(main())
