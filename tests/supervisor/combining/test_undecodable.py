"""Names that are not UTF-8, and other odd ones: what can be stored is, and the rest is named once."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import beside

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

BAD = os.fsdecode(b"caf\xe9")
LEFT_OUT = "covsup: the data file cannot hold a file name that is not UTF-8, so it is left out: "

LOADING = f"""\
import importlib.util, os, sys
for name in ["good.py", {BAD + ".py"!r}]:
    spec = importlib.util.spec_from_file_location("m", name)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
for turn in range(3):
    if os.fork() == 0:
        exec(compile("x = 1", {BAD + ".py"!r}, "exec"))
        os._exit(0)
    os.wait()
"""


def bad_names(directory: Path) -> None:
    """Skip where the file system takes UTF-8 alone (macOS)."""
    try:
        (directory / BAD).mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no name that is not UTF-8")


def run_in(world: World, directory: Path, *words: str | bytes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [world.python, "-m", "covsup", *words],
        cwd=directory,
        env=world.environment(),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=40,
        check=False,
    )


@pytest.mark.parametrize("core", ["auto", "settrace"])
@pytest.mark.parametrize("source", [True, False])
def test_a_file_that_cannot_be_stored_is_named_once_and_the_rest_is_there(
    world: World, core: str, source: bool
) -> None:
    bad_names(world.directory)
    world.write("target.py", LOADING)
    world.write("good.py", "x = 1\n")
    world.write(f"{BAD}.py", "x = 1\n")
    world.write(f"unexecuted_{BAD}.py", "x = 1\n")
    run = world.covsup_run("target.py", options=["--source=."] if source else [], core=core)
    assert run.ended == 0, run
    there = f"{LEFT_OUT}{world.directory}/"
    expected = [f"{there}caf\\xe9.py"]
    expected += [f"{there}unexecuted_caf\\xe9.py"] if source else []
    assert run.stderr.splitlines() == expected
    assert run.lines("target.py") == set(range(1, 10))
    assert run.lines("good.py") == {1}
    assert not (world.directory / ".covsup").exists()
    again = beside(world, "combine")
    assert (again.returncode, again.stderr) == (0, "")
    assert beside(world, "report").returncode == 0
    assert world.covsup_run("target.py", options=["--strict"], core=core).ended == 3


def test_a_package_whose_directory_cannot_be_stored_does_not_stop_a_combination(
    world: World,
) -> None:
    bad_names(world.directory)
    world.write("target.py", f"import sys\nsys.path.insert(0, {BAD!r})\nimport inside\n")
    world.write(f"{BAD}/inside.py", "x = 1\n")
    world.write(f"{BAD}/__init__.py", "")
    run = world.covsup_run("target.py", options=["--source=."])
    assert run.ended == 0, run
    names = [line.removeprefix(LEFT_OUT) for line in run.stderr.splitlines()]
    assert sorted(names) == [
        f"{world.directory}/caf\\xe9/{name}.py" for name in ("__init__", "inside")
    ]
    assert run.lines("target.py") == {1, 2, 3}


@pytest.mark.parametrize(
    "options", [["--data-file=" + BAD], ["--source=" + BAD], ["--omit=" + BAD]]
)
def test_a_name_in_the_settings_may_be_any(world: World, options: list[str]) -> None:
    bad_names(world.directory)
    world.write("target.py", "x = 1\n")
    if "data-file" in options[0]:
        (world.directory / BAD).rmdir()
    run = run_in(world, world.directory, "run", *options, "target.py", BAD)
    assert run.returncode == 0, run
    assert "Traceback" not in run.stderr
    if "data-file" in options[0]:
        assert (world.directory / BAD).exists()
        shown = run_in(world, world.directory, "tree", *options)
        assert shown.returncode == 0, shown
        assert "1 measured process" in shown.stdout


def test_a_working_directory_may_have_any_name(world: World) -> None:
    bad_names(world.directory)
    world.write("target.py", "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()\n")
    here = world.directory / BAD
    run = run_in(world, here, "run", "-p", "../target.py", BAD)
    assert (run.returncode, run.stderr) == (0, ""), run
    assert len(list(here.glob(".covsup/2*/*.journal~"))) == 2
    for words in (("combine",), ("tree",), ("report",), ("combine", "--append", BAD)):
        done = run_in(world, here, *words)
        assert "Traceback" not in done.stderr, done
        assert done.returncode == (words[-1] == BAD), done
    shown = run_in(world, here, "tree").stdout
    assert "2 measured processes" in shown
    assert "caf" in shown


@pytest.mark.parametrize(
    "name", ["line\nfeed.py", "tab\tand blank .py", "percent%0A.py", "ümlaut.py"]
)
def test_a_file_name_may_have_any_character(world: World, name: str) -> None:
    world.write(name, "x = 1\n")
    world.write(f"other {name}", "x = 1\n")
    world.write("target.py", f"import runpy\nrunpy.run_path({name!r})\n")
    run = world.covsup_run("target.py", name, options=["--source=."])
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines(name) == {1}
    assert beside(world, "tree").returncode == 0
    assert run.file(f"other {name}").missing_lines == {1}


def test_a_context_may_be_any_text(world: World) -> None:
    world.write("target.py", "x = 1\n")
    run = run_in(world, world.directory, "run", "--context=" + BAD + "\n", "target.py")
    assert (run.returncode, run.stderr) == (0, "")
    assert run_in(world, world.directory, "report", "--contexts=caf").returncode == 0
