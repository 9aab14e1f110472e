"""A run inside another run keeps its own result, and the outer result has it as well."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import Live, beside, covsup

if TYPE_CHECKING:
    from tests.world import World

INNER = (
    "import sys\nif sys.argv[1] == 'a':\n    a = 1\nelse:\n    b = 1\nsys.exit(len(sys.argv) - 2)\n"
)
OUTER = "import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:]))\n"


def inner(world: World, *words: str) -> str:
    """Give the shell command of a run inside."""
    return shlex.join([world.python, "-m", "covsup", "run", *words])


def then_report(world: World, minimum: int) -> str:
    return shlex.join([world.python, "-m", "covsup", "report", f"--fail-under={minimum}"])


@pytest.mark.parametrize("branch", [False, True])
def test_the_outer_result_has_what_every_run_inside_executed(world: World, *, branch: bool) -> None:
    world.write("inner.py", INNER)
    world.write("outer.py", OUTER)
    options = ["--branch"] if branch else []
    script = "; ".join(inner(world, *options, "inner.py", each) for each in "ab")
    run = world.covsup_run(
        "outer.py", "sh", "-c", script, branch=branch, options=["--strict", "--source=."]
    )
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("inner.py") == {1, 2, 3, 5, 6}
    assert run.lines("outer.py") == {1, 2}
    assert not (world.directory / ".covsup").exists()
    tree = beside(world, "tree")
    assert tree.stdout.index("outer.py") < tree.stdout.index("inner.py a")
    assert "inner.py b" in tree.stdout
    assert "NOT MEASURED" not in tree.stdout


def test_a_run_inside_has_its_own_status_and_its_result_at_once(world: World) -> None:
    world.write("inner.py", INNER)
    script = (
        f"{inner(world, 'inner.py', 'a', 'x', 'y')}; echo $?; {then_report(world, 80)}; echo $?\n"
        f"{inner(world, 'inner.py', 'b')}; {then_report(world, 81)}; echo $?\n"
    )
    run = world.covsup_run("sh", "-c", script, branch=False)
    assert [line for line in run.stdout.splitlines() if line.isdigit()] == ["2", "0", "2"]
    assert run.lines("inner.py") == {1, 2, 3, 5, 6}


def test_a_run_two_levels_deep_is_in_all_results(world: World) -> None:
    world.write("inner.py", INNER)
    world.write("outer.py", OUTER)
    middle = inner(world, "outer.py", world.python, "-m", "covsup", "run", "inner.py", "a")
    script = f"{middle} && cp .coverage middle"
    run = world.covsup_run("sh", "-c", script, branch=False)
    assert (run.ended, run.stderr) == (0, "")
    for data_file in run.data_file, world.directory / "middle":
        report = beside(world, "report", f"--data-file={data_file}", "--show-missing")
        assert "inner.py" in report.stdout
        assert "outer.py" in report.stdout
    assert run.lines("inner.py") == {1, 2, 3, 6}


def test_branches_inside_of_lines_are_united_as_lines(world: World) -> None:
    world.write("inner.py", INNER)
    script = "; ".join([inner(world, "--branch", "inner.py", "a"), inner(world, "inner.py", "b")])
    run = world.covsup_run("sh", "-c", script, branch=False, options=["--context=outer"])
    assert (run.ended, run.stderr) == (0, "")
    assert not run.data.has_arcs()
    assert run.lines("inner.py") == {1, 2, 3, 5, 6}


def test_lines_inside_of_branches_are_kept_beside_and_that_is_said(world: World) -> None:
    world.write("inner.py", INNER)
    world.write("outer.py", OUTER)
    script = f"{inner(world, 'inner.py', 'a')}; {inner(world, '--branch', 'inner.py', 'b')}"
    run = world.covsup_run("outer.py", "sh", "-c", script)
    assert run.ended == 0
    (line,) = run.stderr.splitlines()
    (beside_it,) = world.directory.glob(".coverage-2*")
    assert line.endswith(
        f"the result of that session lacks this run, whose own result is in {beside_it}"
    )
    assert run.lines("inner.py") == {1, 2, 5, 6}
    assert run.lines("outer.py") == {1, 2}
    report = beside(world, "report", f"--data-file={beside_it}", "--show-missing")
    assert "inner.py" in report.stdout


def test_a_run_inside_with_another_data_file_is_separate(world: World) -> None:
    world.write("inner.py", INNER)
    world.write("outer.py", OUTER)
    words = [world.python, "-m", "covsup", "run", "--data-file=other", "inner.py", "a"]
    run = world.covsup_run("outer.py", *words, branch=False)
    assert run.ended == 0
    assert (run.lines("inner.py"), run.lines("outer.py")) == (set(), {1, 2})
    assert "inner.py" in beside(world, "report", "--data-file=other").stdout


def test_a_run_in_an_open_session_is_in_what_that_collects(world: World) -> None:
    world.write("inner.py", INNER)
    opened = beside(world, "env", "--shell=path").stdout.strip()
    for each in "ab":
        run = world.covsup_run(
            "inner.py", each, branch=False, environment={"COVSUP_SESSION": opened}
        )
        assert (run.ended, run.stderr) == (0, "")
        assert run.lines("inner.py") == {"a": {1, 2, 3, 6}, "b": {1, 2, 5, 6}}[each]
    world.run(world.python, "-c", "pass", environment={"COVSUP_SESSION": opened})
    run = world.run(world.python, "-m", "covsup", "combine")
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("inner.py") == {1, 2, 3, 5, 6}
    # The data file is the open session's now, and a run has a result of its own all the same.
    run = world.covsup_run("inner.py", "a", branch=False, environment={"COVSUP_SESSION": opened})
    assert run.lines("inner.py") == {1, 2, 3, 6}


def test_a_run_inside_whose_covsup_is_killed_is_added_later(world: World) -> None:
    world.write("inner.py", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nlast = 1\n")
    world.write("outer.py", OUTER)
    words = [world.python, "-m", "covsup", "run", "inner.py"]
    run = world.covsup_run("outer.py", *words, branch=False)
    assert run.ended == -signal.SIGKILL % 256
    (line,) = run.stderr.splitlines()
    assert line.endswith("ended or was not combined yet: `covsup combine` adds it")
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert combined.ended == 0, combined
    assert combined.lines("inner.py") == {1, 2, 3}
    assert combined.lines("outer.py") == {1, 2}


def test_a_run_inside_that_outlives_the_outer_one_adds_its_result(world: World) -> None:
    world.write("inner.py", "import sys\nopen('here', 'x').close()\nsys.stdin.read()\nlast = 1\n")
    world.write(
        "outer.py",
        "import os, subprocess, sys\n"
        "subprocess.Popen(sys.argv[1:])\n"
        "while not os.path.exists('here'):\n"
        "    pass\n",
    )
    words = (world.python, "-m", "covsup", "run", "inner.py")
    with Live(world, *covsup(world, "outer.py", *words, options=["--grace=0"])) as live:
        live.wait_for("not combined yet: `covsup combine` adds it")
        assert live.ended() == 0
        assert live.process.stdin is not None
        live.process.stdin.close()
        live.rest()
    report = beside(world, "report", "--show-missing")
    assert "inner.py" in report.stdout
    assert "outer.py" in report.stdout
    assert beside(world, "combine").returncode == 0
    assert beside(world, "report", "--show-missing").stdout == report.stdout
    assert not (world.directory / ".covsup").exists()


def test_pytest_in_a_run_in_a_run_is_measured_once_and_in_the_end(world: World) -> None:
    world.write(
        "test_code.py", "import code_under\ndef test_it():\n    assert code_under.f() == 1\n"
    )
    world.write("code_under.py", "def f():\n    return 1\n")
    script = inner(world, "-m", "pytest", "-q", "--covsup=.", "test_code.py")
    run = world.covsup_run("sh", "-c", script, branch=False)
    assert run.ended == 0, run
    assert "100%" in run.stdout
    assert run.lines("code_under.py") == {1, 2}
