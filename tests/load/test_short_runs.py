"""Runs of 0 to 1 second on a busy machine: each ends as its target did, with all of its lines.

What a run's end needs is imported while the target runs, if it runs long enough; a short target
ends before, in the middle of, or after that. No duration may be special.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.world import World

pytestmark = [pytest.mark.load, pytest.mark.timeout(600)]

TOGETHER = 3
STEPS = 6

SLEEPS = """\
import sys, time
time.sleep(float(sys.argv[1]))
print("done")
sys.exit(int(sys.argv[2]))
"""

STARTS = """\
import os, signal, subprocess, sys, time
if os.fork() == 0:
    time.sleep(float(sys.argv[1]))
    os.kill(os.getpid(), signal.SIGKILL)
other = subprocess.Popen([sys.executable, "sleeps.py", sys.argv[1], "0"], stdout=subprocess.DEVNULL)
os.wait()
os.wait()
print("done", flush=True)
os._exit(int(sys.argv[2]))
"""

SETTINGS = "[run]\nsource = .\nbranch = true\n[paths]\nsource =\n    src\n    */build/src\n"


class Case(NamedTuple):
    """One way to run covsup."""

    options: tuple[str, ...]
    target: str = "sleeps.py"
    status: int = 42  # the target's, and covsup's
    settings: str = ""


CASES = {
    "plain": Case(("--branch",)),
    "source": Case(("--source=.",)),
    "source and branch": Case(("--branch", "--source=.")),
    "append": Case(("--append", "--source=.")),
    "parallel mode": Case(("-p", "--source=.")),
    "strict": Case(("--strict", "--source=."), status=0),
    "fail under": Case(("--fail-under=50",), status=0),
    "contexts": Case(("--branch", "--source=.", "--dynamic-context=test_function,process")),
    "settings": Case((), settings=SETTINGS),
    "processes": Case(("--branch", "--source=.", "--strict"), target="starts.py"),
    "processes, all for the end": Case(
        ("--append", "--strict", "--fail-under=1", "--source=."), target="starts.py", status=0
    ),
}
UNCOMPILED = ("source", "append", "fail under", "settings", "processes")


def run_once(directory: Path, case: Case, seconds: float, environment: Mapping[str, str]) -> str:
    """Run it once, in a directory of its own; what is not as it should be, or ""."""
    directory.mkdir()
    for name, text in (
        ("sleeps.py", SLEEPS),
        ("starts.py", STARTS),
        (".coveragerc", case.settings),
    ):
        (directory / name).write_text(text)
    words = (sys.executable, "-m", "covsup")
    command = (*words, "run", *case.options, case.target, f"{seconds:.3f}", str(case.status))
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    found = (done.returncode, done.stdout, done.stderr)
    if found != (case.status, "done\n", ""):
        return f"{seconds:.3f} s: {found}"
    if "-p" in case.options:
        subprocess.run((*words, "combine", "-q"), cwd=directory, env=environment, check=True)
    data = coverage.CoverageData(basename=str(directory / ".coverage"))
    data.read()
    lines = {
        name: set(data.lines(str(directory.resolve() / name)) or ())
        for name in ("sleeps.py", "starts.py")
    }
    wanted = {"sleeps.py": {1, 2, 3, 4}, "starts.py": set()}
    if case.target == "starts.py":
        wanted["starts.py"] = set(range(1, 10))
    data.close(force=True)
    return "" if lines == wanted else f"{seconds:.3f} s: {lines}"


def run_all(world: World, name: str, environment: Mapping[str, str]) -> list[str]:
    """Run a case at durations from 0 to 1 second; the cases' steps lie between each other's."""
    shift = list(CASES).index(name) / len(CASES)
    durations = [(step + shift) / STEPS for step in range(STEPS + 1)]

    def one(number: int) -> str:
        return run_once(world.directory / str(number), CASES[name], durations[number], environment)

    with ThreadPoolExecutor(TOGETHER) as pool:
        return [wrong for wrong in pool.map(one, range(len(durations))) if wrong]


@pytest.mark.parametrize("name", CASES)
def test_a_short_run_ends_as_its_target_did(world: World, name: str) -> None:
    assert run_all(world, name, world.environment()) == []


@pytest.mark.parametrize("name", UNCOMPILED)
def test_a_short_run_of_a_fresh_installation_ends_as_its_target_did(
    world: World, name: str, uncompiled: dict[str, str]
) -> None:
    assert run_all(world, name, world.environment(uncompiled)) == []
