"""`covsup unused`: what never ran in all files, as text, Markdown and JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.supervisor.live import Live, beside, covsup

if TYPE_CHECKING:
    from tests.world import Run, World

VIEWS = """\
import os


class Handler:
    def get(self, path):
        if path == "/":
            return "root"
        elif path:
            result = path
            return result
        return None

    def delete(self, path):
        os.unlink(path)
        return path


class Exporter:
    def one(self):
        return 1

    def two(self):
        return 2


if os.environ.get("NEVER"):
    SETTING = 1
"""


@pytest.fixture
def measured(world: World) -> World:
    world.write("app/__init__.py", "")
    world.write("app/views.py", VIEWS)
    world.write("app/legacy.py", "def legacy():\n    return 2\n" * 5)
    world.write("app/broken.py", "def broken(:\n")
    world.write("main.py", "import app.views\napp.views.Handler().get('/')\n")
    run = world.covsup_run("main.py", options=["--source=."])
    assert run.status == 0, run
    return world


def unused(world: World, *words: str) -> Run:
    return world.run(sys.executable, "-m", "covsup", "unused", *words)


def as_json(world: World, *words: str) -> dict[str, Any]:
    run = unused(world, "--format=json", *words)
    assert run.status == 0, run
    value: dict[str, Any] = json.loads(run.stdout)
    return value


def test_the_biggest_comes_first_and_load_time_is_apart(measured: World) -> None:
    run = unused(measured)
    assert run.status == 0, run
    assert run.stdout.splitlines() == [
        "19 of 31 statements (61 %) in 4 files never ran. At load time 10 of 16 ran, in",
        "functions 2 of 15.",
        "",
        "Never imported: 10 statements",
        "     10  app/legacy.py:1  (5 functions)",
        "",
        "Imported, never called: 4 statements",
        "      2  app/views.py:13  Handler.delete()",
        "      2  app/views.py:18  class Exporter (2 methods)",
        "",
        "Called, with code that never ran: 4 statements",
        "      4  app/views.py:5  Handler.get()",
        "           lines 8-11 never ran",
        "           line 6 never went to line 8",
        "",
        "At load time (module level, class bodies): 1 statement",
        "      1  app/views.py:26",
        "           line 27 never ran",
        "           line 26 never went to line 27",
        "",
        "not analysed: Couldn't parse 'app/broken.py' as Python source: 'invalid syntax'",
        "at line 1.",
    ]


def test_json_has_everything(measured: World) -> None:
    answer = as_json(measured)
    by_name = {(each["file"].rpartition("/")[2], each["name"]): each for each in answer["unused"]}
    get = by_name["views.py", "Handler.get"]
    assert (get["state"], get["when"], get["lines"]) == ("partly run", "run time", [8, 9, 10, 11])
    assert get["branches"] == [[6, 8]]
    assert by_name["views.py", "Exporter"]["members"] == ["Exporter.one", "Exporter.two"]
    assert by_name["legacy.py", ""]["state"] == "never imported"
    assert by_name["views.py", ""]["when"] == "load time"
    assert [each["statements"] for each in answer["unused"]] == [10, 4, 2, 2, 1]
    assert answer["totals"]["never_run"] == 19
    assert [each["file"] for each in answer["not_analysed"]] == [
        str(measured.directory / "app" / "broken.py")
    ]


def test_markdown_has_a_table_for_each_section(measured: World) -> None:
    run = unused(measured, "--format=markdown", "app/views.py")
    assert run.status == 0, run
    assert "| 2 | app/views.py:13 | Handler.delete() |" in run.stdout.splitlines()
    assert run.stdout.count("| ---: | --- | --- |") == 3


@pytest.mark.parametrize(
    ("word", "files"),
    [
        ("app/legacy.py", {"legacy.py"}),
        ("legacy.py", {"legacy.py"}),
        ("app", {"legacy.py", "views.py"}),
        (".", {"legacy.py", "views.py"}),
    ],
)
def test_a_path_restricts_the_answer(measured: World, word: str, files: set[str]) -> None:
    answer = as_json(measured, word)
    assert {each["file"].rpartition("/")[2] for each in answer["unused"]} == files


def test_the_settings_exclude(measured: World) -> None:
    measured.write("settings", "[report]\nexclude_also = def delete\nomit = app/legacy.py\n")
    answer = as_json(measured, "--rcfile=settings")
    names = {each["name"] for each in answer["unused"]}
    assert names == {"Handler.get", "Exporter", ""}
    assert {each["file"].rpartition("/")[2] for each in answer["unused"]} == {"views.py"}


def test_a_path_that_was_not_measured_is_one_clear_line(measured: World) -> None:
    for word in ("nothing.py", "nowhere/"):
        run = unused(measured, word)
        assert run.status == 1
        assert run.stderr.startswith("covsup: ")
        assert run.stderr.count("\n") == 1, run


def test_an_edited_source_is_mentioned(measured: World) -> None:
    measured.write("app/views.py", VIEWS + "\n")
    assert "app/views.py was edited after it was measured: its lines may be wrong." in (
        unused(measured).stdout.splitlines()
    )


def test_lines_alone_give_no_branches(world: World) -> None:
    world.write("main.py", VIEWS + "Handler().get('/')\n")
    assert world.covsup_run("main.py", branch=False).status == 0
    answer = as_json(world)
    assert not answer["branches_measured"]
    assert all(each["branches"] == [] for each in answer["unused"])
    assert "covsup run --branch" in unused(world).stdout


def test_a_data_file_of_coverage_py_is_answered(world: World) -> None:
    world.write("main.py", VIEWS + "Handler().get('/')\n")
    world.write("never.py", "def never():\n    return 1\n")
    run = world.run(sys.executable, "-m", "coverage", "run", "--branch", "--source=.", "main.py")
    assert run.status == 0, run
    answer = as_json(world)
    states = {(each["name"], each["state"]) for each in answer["unused"]}
    assert states == {
        ("Handler.get", "partly run"), ("Handler.delete", "never called"),
        ("Exporter", "never called"), ("", "load time"), ("", "never imported"),
    }  # fmt: skip


def test_a_session_is_answered_while_it_runs(world: World) -> None:
    world.write("app/views.py", VIEWS)
    world.write("app/__init__.py", "")
    world.write("app/never.py", "x = 1\n")
    world.write("main.py", "import app.views\nprint('ready', flush=True)\ninput()\n")
    with Live(world, *covsup(world, "main.py", options=["--branch", "--source=."])) as running:
        running.wait_for("ready")
        answer = json.loads(beside(world, "unused", "--format=json").stdout)
        text = beside(world, "unused").stdout
        running.send("\n")
        assert running.ended() == 0
    states = {(each["file"].rpartition("/")[2], each["state"]) for each in answer["unused"]}
    assert states == {
        ("never.py", "never imported"),
        ("views.py", "never called"),
        ("views.py", "load time"),
    }
    assert answer["running"]
    assert "The session is not combined yet" in text


def test_nothing_to_show_is_one_clear_line(world: World) -> None:
    run = unused(world)
    assert run.status == 1
    assert run.stderr.count("\n") == 1, run
