"""Answers where the data, the sources or the streams are not as expected."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import beside

if TYPE_CHECKING:
    from tests.world import World


def measured(world: World, text: str = "x = 1\nif x > 1:\n    x = 2\nx = 3\n") -> None:
    world.write("app.py", text)
    world.covsup_run("app.py", options=["--branch", "--source=.", "--context=a`b"])


@pytest.mark.parametrize("words", ["unused", "why app.py:1", "diff .coverage .coverage", "tree"])
def test_a_closed_stdout_is_no_error(world: World, words: str) -> None:
    measured(world)
    run = world.run("sh", "-c", f"{world.python} -m covsup {words} >&-")
    assert (run.ended, run.stderr) == (0, "")


def test_a_full_disk_is_named(world: World) -> None:
    measured(world)
    run = world.run("sh", "-c", f"{world.python} -m covsup unused >/dev/full")
    assert (run.ended, run.stderr) == (1, "covsup: cannot write: No space left on device\n")


@pytest.mark.parametrize(
    ("table", "column"), [("file", "path"), ("context", "context"), ("tracer", "tracer")]
)
@pytest.mark.parametrize("value", [b"x", 7.5])
def test_a_name_that_is_no_text_is_one_line(
    world: World, table: str, column: str, value: object
) -> None:
    measured(world)
    with closing(sqlite3.connect(world.directory / ".coverage")) as db, db:
        db.execute("INSERT INTO tracer SELECT id, 'x' FROM file")
        # Columns of type text make texts of numbers.
        db.execute(f"UPDATE {table} SET {column} = ?", (value,))
    for words in (["unused"], ["why", "app.py:1"], ["diff", ".coverage", ".coverage"]):
        done = beside(world, *words, "--format=json")
        assert "Traceback" not in done.stderr
        if isinstance(value, bytes):
            assert done.returncode == 1
            assert done.stderr.startswith("covsup: cannot read ")


def test_a_branch_of_a_source_that_is_gone(world: World) -> None:
    measured(world)
    (world.directory / "app.py").unlink()

    def verdict(question: str) -> str:
        found: str = json.loads(beside(world, "why", question, "--format=json").stdout)["verdict"]
        return found

    assert verdict("app.py:2->4") == "ran"
    assert verdict("app.py:2->3") == "never ran"
    assert "leads to it" not in beside(world, "why", "app.py:3").stdout


def test_a_source_line_of_any_length_has_a_row(world: World) -> None:
    measured(world, f"x = '{'y' * 5000}'\n")
    assert max(map(len, beside(world, "why", "app.py:1").stdout.splitlines())) == 80
    assert (
        len(json.loads(beside(world, "why", "app.py:1", "--format=json").stdout)["source"]) > 5000
    )


def test_no_name_is_markup(world: World) -> None:
    measured(world)
    assert "<code>a&#96;b</code>" in beside(world, "why", "app.py:1", "--format=markdown").stdout


def test_a_mark_is_found_by_the_bytes_it_was_set_with(world: World) -> None:
    world.write(
        "app.py",
        "import covsup.embed\ncovsup.embed.mark('caf\\udce9')\nx = 1\n",
    )
    world.covsup_run("app.py", options=["--branch", "--source=."])
    run = world.run(
        "sh", "-c", f"{world.python} -m covsup diff \"$(printf 'mark:caf\\351')\" --format=json"
    )
    assert (run.ended, run.stderr) == (0, "")
    assert json.loads(run.stdout)["files"][0]["newly_covered"]["lines"] == [3]


@pytest.mark.parametrize(
    "words", [("unused", "--data=."), ("diff", ".", "."), ("mark", "--list", ".")]
)
def test_a_directory_that_is_no_session_is_called_that(
    world: World, words: tuple[str, ...]
) -> None:
    done = beside(world, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "covsup: . is a directory, and no session is in it\n"


@pytest.mark.skipif(
    not (3, 12) <= sys.version_info < (3, 12, 4), reason="the tokenizer of this Python is frugal"
)
def test_a_line_that_would_take_all_memory_is_not_analysed(world: World) -> None:
    measured(world, f"x = [{'1, ' * 200_000}]\n")
    limited = "ulimit -v 2000000; exec"
    for words in ("unused", "why app.py:1"):
        run = world.run("sh", "-c", f"{limited} {world.python} -m covsup {words} --format=json")
        assert run.ended == 0
        assert "a line has 600,006 bytes" in run.stdout
