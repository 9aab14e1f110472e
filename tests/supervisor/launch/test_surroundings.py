"""PYTHON* variables and modules in the way are the target's business: it has them, covsup is not harmed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import Live, covsup

if TYPE_CHECKING:
    from tests.world import World

SHOW = "import os, sys\nprint({name: os.environ.get(name) for name in sys.argv[1:]})\n"

VARIABLES = {
    "PYTHONBREAKPOINT": "no.such",
    "PYTHONDEVMODE": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONHASHSEED": "7",
    "PYTHONINSPECT": "1",
    "PYTHONIOENCODING": "ascii",
    "PYTHONMALLOC": "debug",
    "PYTHONNODEBUGRANGES": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONSAFEPATH": "1",
    "PYTHONSTARTUP": "no/such/file.py",
    "PYTHONTRACEMALLOC": "20",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "0",
    "PYTHONWARNINGS": "error",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_for_python_reaches_the_target_and_harms_nobody(world: World, name: str) -> None:
    world.write("target.py", SHOW)
    value = VARIABLES[name]
    environment = {name: value}
    command = (world.python, "-m", "covsup", "run", "--branch", "--source=.", "target.py", name)
    with_end_of_input = world.run(*command, environment=environment)
    assert with_end_of_input.ended == 0, with_end_of_input
    assert with_end_of_input.stdout == f"{ {name: value} }\n"
    # The target's own prompt, of PYTHONINSPECT.
    assert with_end_of_input.stderr in {"", "\n"}
    assert with_end_of_input.lines("target.py") == {1, 2}
    report = world.run(world.python, "-m", "covsup", "report", environment=environment)
    assert report.ended == 0, report
    assert "100%" in report.stdout
    assert report.stderr == ""


@pytest.mark.parametrize("how", ["variable", "option"])
def test_covsup_is_not_interactive_where_the_target_is(world: World, how: str) -> None:
    world.write("target.py", "value = 5\n")
    flags, environment = (["-i"], {}) if how == "option" else ([], {"PYTHONINSPECT": "1"})
    words = covsup(world, "target.py")
    environment |= {"TERM": "dumb", "PYTHON_BASIC_REPL": "1"}
    with Live(world, words[0], *flags, *words[1:], terminal=True, environment=environment) as live:
        live.wait_for(">>> ")
        live.send("value + 1\n")
        live.wait_for("6\r\n>>> ")
        live.send("exit(3)\n")
        assert ">>> " not in live.rest()
        assert live.ended() == 3


@pytest.mark.parametrize("command", ["-m", "path"])
def test_modules_with_names_of_the_standard_library_are_the_targets(
    world: World, command: str
) -> None:
    names = ("argparse", "json", "shutil", "sqlite3", "subprocess", "tomllib", "html", "random")
    for name in names:
        world.write(f"lib/{name}.py", "raise SystemExit('the wrong one')\n")
    world.write(".coveragerc", "[run]\nbranch = true\n")
    world.write("lib/target.py", f"import os\nassert os.path.exists({str(world.directory)!r})\n")
    environment = {} if command == "-m" else {"PYTHONPATH": str(world.directory / "lib")}
    if command == "-m":
        for name in names:
            world.write(f"{name}.py", "raise SystemExit('the wrong one')\n")
    run = world.run(
        world.python, "-m", "covsup", "run", "--source=lib",
        "--", world.python, "-I", "lib/target.py", environment=environment,
    )  # fmt: skip
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("lib/target.py") == {1, 2}
    report = world.run(world.python, "-m", "covsup", "report", environment=environment)
    assert report.ended == 0, report


def test_a_module_of_the_users_is_still_found_by_its_name(world: World) -> None:
    # The standard library has a module of this name, which is not what runs.
    world.write("calendar.py", "print('mine')\n")
    run = world.covsup_run("-m", "calendar")
    assert (run.ended, run.stdout, run.stderr) == (0, "mine\n", "")
    assert run.lines("calendar.py") == {1}


def test_a_library_that_covsup_needs_and_cannot_import_is_named_in_one_line(world: World) -> None:
    world.write("shadow/coverage/__init__.py", "raise ImportError('it is not whole')\n")
    world.write("target.py", "pass\n")
    world.write(".coveragerc", "[run]\nbranch = true\n")
    broken = {"PYTHONPATH": str(world.directory / "shadow")}
    for words in (["run", "target.py"], ["report"], ["combine"], ["debug", "sys"]):
        run = world.run(world.python, "-m", "covsup", *words, environment=broken)
        assert run.ended == (2 if words[0] == "run" else 1), run
        (line,) = run.stderr.splitlines()
        assert line == f"covsup: covsup cannot be run by {sys.executable}: it is not whole"


def test_a_file_name_that_the_output_has_no_letters_for_ends_no_report(world: World) -> None:
    world.write("t\N{LATIN SMALL LETTER A WITH DIAERESIS}.py", "pass\n")
    world.covsup_run("t\N{LATIN SMALL LETTER A WITH DIAERESIS}.py")
    for words in (["report"], ["tree"]):
        run = world.run(
            world.python, "-m", "covsup", *words, environment={"PYTHONIOENCODING": "ascii"}
        )
        assert (run.ended, run.stderr) == (0, ""), run
        assert "t\\xe4.py" in run.stdout
