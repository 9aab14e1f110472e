"""The command line itself: help, mistakes, and what it costs to be asked."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor import cli
from covsup.supervisor.cli import COMMANDS
from covsup.supervisor.commands import run as run_command
from covsup.supervisor.commands.run import split_target
from tests.supervisor.live import beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World


def command_parser(name: str) -> argparse.ArgumentParser:
    module = importlib.import_module(f"covsup.supervisor.commands.{COMMANDS[name].module}")
    parser = module.make_parser(f"covsup {name}")
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def parsers() -> Iterator[argparse.ArgumentParser]:
    waiting = [cli.make_parser(), *map(command_parser, COMMANDS)]
    while waiting:
        each = waiting.pop()
        yield each
        for action in each._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()


def test_every_option_has_a_help_text_and_no_abbreviation_is_taken() -> None:
    for parser in parsers():
        assert not parser.allow_abbrev or not parser._actions[1:] or "debug" in parser.prog, parser
        for action in parser._actions:
            if action.option_strings:
                assert action.help, action


@pytest.mark.parametrize("command", ["", "run", "combine", "tree", "erase", "debug", "report"])
def test_help_is_printed_for_every_command(world: World, command: str) -> None:
    shown = beside(world, *command.split(), "--help")
    assert shown.returncode == 0
    assert "sage" in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"]], ids=str)
def test_help_imports_nothing_heavy(world: World, words: list[str]) -> None:
    code = (
        "import sys\n"
        "from covsup.supervisor.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'coverage', 'psutil', 'rich', 'sqlite3', 'subprocess', 'json', 'asyncio', 'typing'}\n"
        "print('heavy', sorted(heavy & sys.modules.keys()))\n"
    )
    run = world.run(world.python, "-c", code)
    assert run.stdout.endswith("heavy []\n"), run


def test_a_run_has_nothing_heavy_imported_while_the_target_runs(world: World) -> None:
    """coverage.py, rich and psutil are for before and after, if at all."""
    code = (
        "import os, sys\n"
        "from covsup.supervisor.launch import launch\n"
        "from covsup.supervisor.cli import main\n"
        "start = launch.start\n"
        "def started(*args):\n"
        "    heavy = {'coverage', 'psutil', 'rich', 'sqlite3', 'subprocess', 'asyncio', 'typing'}\n"
        "    print('heavy', sorted(heavy & sys.modules.keys()), flush=True)\n"
        "    return start(*args)\n"
        "launch.start = started\n"
        "main(['run', '-p', 'true'])\n"
    )
    run = world.run(world.python, "-c", code)
    assert (run.ended, run.stdout) == (0, "heavy []\n"), run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--source=.", "run", "x.py"],
            "--source goes after the command: covsup run --source ... (see `covsup run --help`)",
        ),
        (["run", "--brnach", "x.py"], "there is no option --brnach; did you mean '--branch'? (see"),
        (["run", "--bran=1", "x.py"], "there is no option --bran; did you mean '--branch'? (see"),
        (
            ["run", "--omti", "x", "x.py"],
            "--omti; did you mean '--omit'? (see `covsup run --help`)",
        ),
        (["run", "--zzz", "x.py"], "there is no option --zzz (see `covsup run --help`)"),
        (
            ["run", "-c", "pass"],
            "-c is an option of Python, not of run; to measure code: covsup",
        ),
        (["run", "--source=./no/such.py", "x.py"], "--source=./no/such.py: there is no such dir"),
        (["run", "nosuch.py"], "there is no script nosuch.py"),
        (["run", "dangling.py"], "dangling.py is a broken symbolic link"),
        (["run", "./loop"], "cannot read ./loop: too many levels of symbolic links"),
        (
            ["combine", "--kep"],
            "there is no option --kep; did you mean '--keep'? (see `covsup comb",
        ),
        (["tree", "--jsn"], "there is no option --jsn; did you mean '--json'? (see `covsup tree"),
        (
            ["debug", "sys", "--data-fiel=x"],
            "did you mean '--data-file'? (see `covsup debug sys --h",
        ),
        (["erase", "this"], "unrecognized arguments: this (see `covsup erase --help`)"),
        (["combin"], "there is no command combin; did you mean 'combine'?"),
        (["zzz"], "there is no command zzz; there are: affected, annotate, "),
        (["there.py"], "there is no command there.py; to measure it: covsup run there.py"),
        (["help", "rnu"], "there is no command rnu; did you mean 'run'?"),
        (["run", "--grace=long", "x.py"], "argument --grace: 'long' is not a number of seconds"),
        (["run", "--grace=nan", "x.py"], "argument --grace: 'nan' is not a number of seconds"),
        (["run", "--fail-under=101", "x.py"], "--fail-under: '101' is not a percentage between 0"),
        (["run", "--fail-under=most", "x.py"], "--fail-under: 'most' is not a percentage between"),
        (["run", "--source"], "argument --source: expected one argument"),
        (["run", "--concurrency=gevnt", "x.py"], "unknown concurrency 'gevnt'; did you mean"),
        (["run", "--core=trace", "x.py"], "unknown core 'trace'; did you mean 'settrace'?"),
        (["runn"], "there is no command runn; did you mean 'run'?"),
        (["debug"], "the following arguments are required: TOPIC"),
        (["debug", "journal"], "the following arguments are required: FILE"),
        (["combine", "no/such/path"], "there is no "),
        (["debug", "journal", "no/such"], "no/such"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line(world: World, words: list[str], message: str) -> None:
    world.write("there.py", "pass\n")
    (world.directory / "dangling.py").symlink_to("nowhere")
    (world.directory / "loop").symlink_to("loop")
    done = beside(world, *words)
    assert done.returncode in {1, 2}
    (line,) = done.stderr.splitlines()
    assert line.startswith("covsup: ")
    assert message in line


@pytest.mark.parametrize(
    ("words", "same_as"),
    [
        ("help", "--help"),
        ("help run", "run --help"),
        ("help tree", "tree --help"),
        ("help report", "report --help"),
        ("help help", "--help"),
        ("version", "--version"),
        ("-V", "--version"),
    ],
)
def test_help_and_version_are_had_in_other_ways_too(world: World, words: str, same_as: str) -> None:
    shown = beside(world, *words.split())
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == beside(world, *same_as.split()).stdout != ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_help_has_a_module_that_runs_it(command: str) -> None:
    assert f"    {command} " in cli.make_parser().format_help()
    assert command_parser(command).prog == f"covsup {command}"
    module = importlib.import_module(f"covsup.supervisor.commands.{COMMANDS[command].module}")
    assert callable(module.run)


@pytest.mark.parametrize(
    ("words", "own", "target"),
    [
        (["a.py", "--branch"], [], ["a.py", "--branch"]),
        (["--branch", "a.py"], ["--branch"], ["a.py"]),
        (["--source", "x", "a.py"], ["--source", "x"], ["a.py"]),
        (["--source=x", "-p", "--", "-m", "m"], ["--source=x", "-p"], ["-m", "m"]),
        (["-ap", "-m", "m", "--", "-x"], ["-ap"], ["-m", "m", "--", "-x"]),
        (["-mm"], [], ["-mm"]),
        (["-", "x"], [], ["-", "x"]),
        (["--", "--"], [], ["--"]),
        (["--branch"], ["--branch"], []),
    ],
    ids=str,
)
def test_the_target_begins_where_our_options_end(
    words: list[str], own: list[str], target: list[str]
) -> None:
    assert split_target(run_command.make_parser(), words) == (own, target)


def test_debug_sys_and_config_show_what_matters(world: World) -> None:
    shown = beside(world, "debug", "sys")
    assert (shown.returncode, shown.stderr) == (0, "")
    for what in ("covsup:", "python:", "startup files:", "tracer:", "coverage:", "data file:"):
        assert what in shown.stdout
    world.write(".coveragerc", "[run]\nbranch = true\n")
    shown = beside(world, "debug", "config", "--data-file=x")
    assert "branch: True" in shown.stdout
    assert f"data_file: {world.directory / 'x'}" in shown.stdout


def test_debug_journal_shows_facts_and_complains_of_damage(world: World) -> None:
    world.write("target.py", "one = 1\ntwo = 2\n")
    world.covsup_run("target.py", options=["-p"], branch=False)
    (journal,) = world.directory.glob(".covsup/*/*.journal~")
    shown = beside(world, "debug", "journal", "--facts", str(journal))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{world.directory / 'target.py'}: 2 lines, 0 branches" in shown.stdout
    assert "lines: 1 2" in shown.stdout
    journal.write_bytes(b"nonsense")
    damaged = beside(world, "debug", "journal", str(journal))
    assert (damaged.returncode, damaged.stdout) == (1, "")
    assert damaged.stderr.count("\n") == 1


def test_what_cannot_be_judged_later_is_refused(world: World) -> None:
    for option in ("--strict", "--fail-under=1"):
        done = beside(world, "run", "-p", option, "true")
        assert done.returncode == 2
        assert "which --parallel-mode leaves to `covsup combine`" in done.stderr


def test_a_directory_that_is_gone_is_one_line(world: World) -> None:
    command = f"mkdir gone; cd gone; rmdir ../gone; exec {world.python} -m covsup run true"
    run = world.run("sh", "-c", command)
    assert (run.ended, run.stdout) == (2, "")
    assert run.stderr.splitlines()[-1].startswith("covsup: ")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("words", ["--help", "run --help", "debug sys"])
def test_a_reader_who_goes_away_is_no_error(world: World, words: str) -> None:
    run = world.run("sh", "-c", f"{world.python} -m covsup {words} | true")
    assert (run.ended, run.stderr) == (0, "")


def test_a_closed_stderr_changes_nothing(world: World) -> None:
    world.write("target.py", "raise SystemExit(4)\n")
    run = world.run("sh", "-c", f"exec {world.python} -m covsup run -- target.py 2>&-")
    assert run.ended == 4


@pytest.mark.parametrize("stream", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed_for_the_target(world: World, stream: str) -> None:
    world.write(
        "target.py",
        "import os\n"
        "def is_open(fd):\n"
        "    try:\n"
        "        os.fstat(fd)\n"
        "    except OSError:\n"
        "        return False\n"
        "    return True\n"
        "def left_open():\n"
        "    return [fd for fd in range(64) if is_open(fd)]\n"
        "with open('fds-' + os.environ['HOW'], 'w') as file:\n"
        "    file.write(str([fd for fd in left_open() if fd != file.fileno()]))\n",
    )
    for how, words in (("plain", "target.py"), ("covsup", "-m covsup run -- target.py")):
        run = world.run("sh", "-c", f"HOW={how} exec {world.python} {words} {stream}")
        assert run.ended == 0, run
    plain = (world.directory / "fds-plain").read_text()
    assert (world.directory / "fds-covsup").read_text() == plain


def test_inherited_descriptors_reach_the_target(world: World) -> None:
    world.write("target.py", "import os\nos.write(7, b'through')\n")
    world.run("sh", "-c", f"exec {world.python} -m covsup run -- target.py 7>seven")
    assert (world.directory / "seven").read_text() == "through"


def test_the_environment_is_the_shells_but_for_ours(world: World) -> None:
    code = "import json, os\nprint(json.dumps(dict(os.environ)))\n"
    world.write("target.py", code)
    base = {"PATH": os.environ["PATH"], "HOME": str(world.directory), "odd": "a=b\nc"}

    def environment(*words: str) -> dict[str, str]:
        done = subprocess.run(
            [world.python, *words],
            cwd=world.directory, env=base, stdout=subprocess.PIPE, timeout=40, check=True,
        )  # fmt: skip
        found: dict[str, str] = json.loads(done.stdout)
        return found

    plain = environment("target.py")
    ours = environment("-m", "covsup", "run", "target.py")
    assert {name for name in ours if name not in plain} <= {
        "COVSUP_SESSION", "COVSUP_PARENT", "COVERAGE_RUN",
    }  # fmt: skip
    assert ours["COVERAGE_RUN"] == "true"
    assert {name: ours[name] for name in plain} == plain


def test_a_session_inside_a_session_measures_its_own(world: World) -> None:
    world.write("inner.py", "inner = 1\n")
    world.write(
        "outer.py",
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'covsup', 'run', '--data-file=in', 'inner.py'],"
        " check=True)\n",
    )
    run = world.covsup_run("outer.py")
    assert run.ended == 0
    assert run.lines("outer.py") == {1, 2}
    inner = beside(world, "report", "--data-file=in")
    assert "inner.py" in inner.stdout


def test_the_command_of_the_pytest_plugin_refuses_an_empty_input_in_one_line(world: World) -> None:
    run = world.run(world.python, "-m", "covsup", "--answer-pytest")
    assert run.status == 2
    (line,) = run.stderr.splitlines()
    assert "no request of covsup's pytest plugin" in line
