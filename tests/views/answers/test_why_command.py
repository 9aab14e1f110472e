"""`covsup why`: who ran a line first, or why it did not run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.supervisor.live import Live, beside, covsup

if TYPE_CHECKING:
    from tests.world import Run, World

VIEWS = '''\
"""A docstring."""
import os

# A comment.

def get(path):
    if path == "/":
        return "root"
    elif path == "/x":
        result = max(
            1,
            len(path),
        )
        return result
    return None

def delete(path):
    os.unlink(path)
    return path

def excluded():  # pragma: no cover
    return 1

if os.environ.get("NEVER"):
    def conditional():
        return 1

def guarded():
    try:
        return int("1")
    except ValueError:
        return 0

def raises():
    value = int("x")
    return value
def documented():
    """One.

    Two.
    """
'''
MAIN = """\
import os, subprocess, sys
import app.views
if os.fork() == 0:
    app.views.get("/")
    os.execv(sys.executable, [sys.executable, "second.py"])
os.wait()
app.views.guarded()
try:
    app.views.raises()
except ValueError:
    pass
subprocess.run([sys.executable, "-S", "-c", "pass"])
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> World:
    from tests.world import World

    world = World(tmp_path_factory.mktemp("why"))
    world.write("app/views.py", VIEWS)
    world.write("app/__init__.py", "")
    world.write("other/__init__.py", "")
    world.write("app/never.py", "x = 1\n")
    world.write("other/never.py", "x = 1\n")
    world.write("second.py", "import app.views, os\napp.views.get('/x')\nos._exit(7)\n")
    world.write("main.py", MAIN)
    world.write("outside/module.py", "x = 1\n")
    run = world.covsup_run("main.py", options=["--source=.", "--omit=outside/*", "--context=night"])
    assert run.status == 0, run
    return world


def why(world: World, question: str, *options: str) -> Run:
    return world.run(sys.executable, "-m", "covsup", "why", *options, question)


def as_json(world: World, question: str, *options: str) -> dict[str, Any]:
    run = why(world, question, "--format=json", *options)
    assert run.status == 0, run
    value: dict[str, Any] = json.loads(run.stdout)
    return value


def sentences(world: World, question: str, about: str) -> list[str]:
    return [
        each["sentence"] for each in as_json(world, question)["reasons"] if each["about"] == about
    ]


def test_the_first_process_has_its_chain_of_starts_and_its_end(measured: World) -> None:
    answer = as_json(measured, "app/views.py:8")
    assert answer["verdict"] == "ran"
    assert [each["how"] for each in answer["chain"]] == ["start", "fork"]
    assert answer["first"]["end"]["how"] == "exec"
    assert answer["first"] == answer["chain"][-1]
    assert answer["contexts"] == ["night"]
    assert answer["others_ran_it"] is False
    assert answer["first"]["started"] <= answer["after"]["at"] <= answer["before"]["at"]


def test_an_exec_generation_is_in_the_chain(measured: World) -> None:
    answer = as_json(measured, "app/views.py:14")
    assert [each["how"] for each in answer["chain"]] == ["start", "fork", "exec 1"]
    assert answer["first"]["end"]["status"] == 7
    assert answer["chain"][1]["pid"] == answer["first"]["pid"]


def test_a_line_that_several_processes_ran_says_so(measured: World) -> None:
    assert as_json(measured, "app/views.py:7")["others_ran_it"] is True
    assert "at least one other process ran it later" in " ".join(
        why(measured, "app/views.py:7").stdout.split()
    )


def test_a_line_inside_a_statement_belongs_to_it(measured: World) -> None:
    answer = as_json(measured, "app/views.py:13")
    assert (answer["verdict"], answer["statement"]) == ("ran", 10)
    assert "line 13 belongs to the statement that begins on line 10" in (
        sentences(measured, "app/views.py:13", "statement")
    )


@pytest.mark.parametrize(
    ("question", "about", "says"),
    [
        ("app/views.py:18", "file", "the file was imported, first by"),
        ("app/views.py:18", "function", "delete() on line 17 was never called, though"),
        ("app/views.py:15", "function", "the function get() on line 6 was called, first in"),
        ("app/views.py:15", "way", "line 9 ran, and didn't jump to line 15 because the condition"),
        ("app/views.py:26", "function", "conditional() on line 25 was never even defined"),
        ("app/views.py:26", "way", "line 24 ran, and didn't jump to line 25"),
        ("app/views.py:32", "way", "it is only reached through line 31: no exception reached"),
        ("app/views.py:31", "way", "no exception reached `except ValueError:` on line 31"),
        ("app/views.py:36", "way", "line 35 ran, and line 36 after it never did: line 35 raised"),
        ("app/never.py:1", "file", "no measured process imported or ran the file"),
        ("app/views.py:18", "unmeasured process", "1 Python process was not measured"),
        ("outside/module.py:1", "file", "omit excludes the file: the pattern"),
    ],
)
def test_what_kept_a_line_from_running(
    measured: World, question: str, about: str, says: str
) -> None:
    assert as_json(measured, question)["verdict"] in {"never ran", "not measured"}
    found = sentences(measured, question, about)
    assert any(says in each for each in found), found


@pytest.mark.parametrize(
    ("line", "verdict", "says"),
    [
        (22, "excluded", "exclude it from coverage"),
        (1, "no statement", "docstring"),
        (39, "no statement", "is in the docstring that begins on line 38"),
        (3, "no statement", "is blank; the next statement is on line 6"),
        (4, "no statement", "is a comment"),
    ],
)
def test_a_line_without_a_statement_says_what_it_is(
    measured: World, line: int, verdict: str, says: str
) -> None:
    answer = as_json(measured, f"app/views.py:{line}")
    assert answer["verdict"] == verdict
    assert says in answer["reasons"][0]["sentence"]


@pytest.mark.parametrize(
    ("branch", "verdict", "says"),
    [
        ("7->8", "ran", "this is that of line 8"),
        ("9->15", "never ran", "line 9 didn't jump to line 15"),
        ("8->exit", "ran", "this is that of the line"),
        ("7->15", "no branch", "it can go to: 8, 9"),
        ("18->19", "never ran", "was never called"),
    ],
)
def test_a_branch_is_answered(measured: World, branch: str, verdict: str, says: str) -> None:
    answer = as_json(measured, f"app/views.py:{branch}")
    assert answer["verdict"] == verdict
    assert any(says in each["sentence"] for each in answer["reasons"]), answer


@pytest.mark.parametrize("path", ["views.py", "app/views.py", "./app/views.py", "absolute"])
def test_a_file_is_named_in_any_way(measured: World, path: str) -> None:
    name = str(measured.directory / "app" / "views.py") if path == "absolute" else path
    assert as_json(measured, f"{name}:8")["file"] == str(measured.directory / "app" / "views.py")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("never.py:1", "2 files, name more of the path: app/never.py, other/never.py"),
        ("nothing.py:1", "there is no file nothing.py"),
        ("elsewhere/views.py:1", "measured: app/views.py"),
        ("views.py:99", "app/views.py has 41 lines, and no line 99"),
        ("views.py:0", "no line 0"),
        ("views.py", "is not FILE:LINE or FILE:LINE->LINE"),
        ("views.py:7-", "quote it"),
    ],
)
def test_a_mistake_is_one_clear_line(measured: World, question: str, says: str) -> None:
    run = why(measured, question)
    assert run.status == 1, run
    assert says in run.stderr
    assert run.stderr.count("\n") == 1


def test_no_line_is_wider_than_a_terminal(measured: World) -> None:
    for line in (1, 7, 8, 14, 15, 18, 26, 36):
        run = why(measured, f"app/views.py:{line}")
        assert run.status == 0, run
        assert all(len(each) <= 80 for each in run.stdout.splitlines()), run


def test_text_begins_with_the_line_and_the_verdict(measured: World) -> None:
    assert why(measured, "views.py:8").stdout.splitlines()[:2] == [
        'app/views.py:8  return "root"',
        "This line ran.",
    ]
    markdown = why(measured, "views.py:18", "--format=markdown").stdout.splitlines()
    assert markdown[:5] == [
        "### app/views.py:18",
        "",
        "    os.unlink(path)",
        "",
        "This line never ran.",
    ]


def test_a_source_that_is_newer_is_mentioned(world: World) -> None:
    world.write("main.py", "x = 1\n")
    assert world.covsup_run("main.py").status == 0
    world.write("main.py", "x = 1\nx = 2\n")
    assert sentences(world, "main.py:1", "source") == [
        "the source was edited after it was measured: the line may be another one"
    ]


def test_a_line_waits_in_a_running_session(world: World) -> None:
    world.write("main.py", "print('ready', flush=True)\ninput()\nx = 1\n")
    with Live(world, *covsup(world, "main.py", options=["--branch"])) as running:
        running.wait_for("ready")
        answer = json.loads(beside(world, "why", "main.py:3", "--format=json").stdout)
        first = json.loads(beside(world, "why", "main.py:1", "--format=json").stdout)
        library = json.loads(beside(world, "why", f"{json.__file__}:1", "--format=json").stdout)
        running.send("\n")
        assert running.ended() == 0
    # The settings exclude the standard library: a process that still runs cannot record it.
    assert [each["about"] for each in library["reasons"]] == ["file"], library
    assert answer["verdict"] == "never ran"
    assert any("may still run" in each["sentence"] for each in answer["reasons"]), answer
    assert first["verdict"] == "ran"
    assert first["before"] is None


def test_a_data_file_of_coverage_py_has_less_to_say(world: World) -> None:
    world.write("main.py", "x = 1\nif x > 1:\n    x = 2\n")
    run = world.run(sys.executable, "-m", "coverage", "run", "--branch", "main.py")
    assert run.status == 0, run
    ran = as_json(world, "main.py:1")
    assert (ran["verdict"], ran["first"]) == ("ran", None)
    assert "no record of processes" in ran["reasons"][0]["sentence"]
    assert "line 2 ran, and didn't jump to line 3" in sentences(world, "main.py:3", "way")[0]
    world.write("elsewhere.py", "x = 1\n")
    assert as_json(world, "elsewhere.py:1")["verdict"] == "not measured"


def test_lines_alone_have_no_branches(world: World) -> None:
    world.write("main.py", "x = 1\nif x > 1:\n    x = 2\n")
    assert world.covsup_run("main.py", branch=False).status == 0
    answer = as_json(world, "main.py:2->3")
    assert "covsup run --branch" in answer["reasons"][0]["sentence"]
    assert "line 2 ran, and didn't jump to line 3" in sentences(world, "main.py:3", "way")[0]


def test_paths_of_the_settings_are_followed(world: World) -> None:
    world.write("build/lib/module.py", "x = 1\n")
    world.write("src/module.py", "x = 1\n")
    world.write("main.py", "import sys\nsys.path.insert(0, 'build/lib')\nimport module\n")
    world.write(".coveragerc", "[paths]\nsource =\n    src\n    build/lib\n")
    run = world.covsup_run("main.py")
    assert run.status == 0, run
    for name in ("src/module.py", "build/lib/module.py"):
        assert as_json(world, f"{name}:1")["verdict"] == "ran"


def test_a_source_that_is_gone_still_has_its_lines(world: World) -> None:
    gone = world.write("gone.py", "x = 1\nif x > 1:\n    x = 2\n")
    world.write("main.py", "import gone\n")
    assert world.covsup_run("main.py").status == 0
    gone.unlink()
    answer = as_json(world, "gone.py:1")
    assert (answer["verdict"], answer["first"]["how"]) == ("ran", "start")
    assert "there is no such file" in sentences(world, "gone.py:1", "source")[0]
    assert as_json(world, "gone.py:3")["verdict"] == "never ran"


def test_the_answer_fits_a_narrow_terminal(world: World) -> None:
    world.write("main.py", "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()\n")
    assert world.covsup_run("main.py").ended == 0
    run = world.run(
        sys.executable, "-m", "covsup", "why", "main.py:3", environment={"COLUMNS": "50"}
    )
    assert "fork " in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 50, run
