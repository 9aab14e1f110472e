"""`covsup top` says in one line why it shows nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("textual", reason="textual is not installed: the view extra")

from tests.supervisor.live import Live

if TYPE_CHECKING:
    from tests.world import World

WITHOUT_TEXTUAL = """\
import sys
from importlib import machinery

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "textual":
            raise ModuleNotFoundError("No module named 'textual'", name="textual")

sys.meta_path.insert(0, Missing)
import importlib.util
original = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "textual" else original(name, *rest)
from covsup.supervisor.entry import main
sys.exit(main())
"""


def on_terminal(world: World, *words: str, term: str = "xterm") -> tuple[str, int]:
    """The output of `covsup top` on a terminal, and its exit status."""
    command = (sys.executable, "-m", "covsup", "top", *words)
    with Live(world, *command, terminal=True, environment={"TERM": term}) as live:
        text = live.rest()
        return text, live.ended()


def test_without_a_terminal_it_names_the_commands_that_print(world: World) -> None:
    run = world.run(sys.executable, "-m", "covsup", "top")
    assert run.status == 1
    assert run.stderr.startswith("covsup: covsup top needs a terminal, and stdin is none;")
    assert "`covsup tree` and `covsup report`" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_without_a_cursor_is_refused(world: World, term: str) -> None:
    text, status = on_terminal(world, term=term)
    assert status == 1
    assert f"and TERM is {term}; `covsup tree`" in text


def test_a_place_that_does_not_exist(world: World) -> None:
    text, status = on_terminal(world, "nowhere")
    assert (text, status) == (
        "covsup: there is no nowhere: it is no session, and no file or directory\r\n",
        1,
    )


def test_a_number_is_a_process_to_attach(world: World) -> None:
    text, status = on_terminal(world, "4194305")  # above the largest pid of Linux
    assert (status, text.count("\n")) == (1, 1), text
    assert "4194305" in text


def test_without_any_session(world: World) -> None:
    text, status = on_terminal(world)
    assert status == 1
    assert text.startswith("covsup: no session beside ")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    "content", [b"", b"not a database\n" * 100, b"SQLite format 3\x00" + b"x" * 500]
)
def test_a_file_that_is_no_data_file(world: World, content: bytes) -> None:
    (world.directory / "some.file").write_bytes(content)
    text, status = on_terminal(world, "some.file")
    assert status == 1
    after = re.sub(r"\x1b\[[?>]?[\d;]*\w", "", text.rpartition("\x1b[?1049l")[2])
    assert after.startswith("covsup: ")
    assert "some.file" in after
    assert after.count("\n") == 1


def test_without_textual_it_says_how_to_install_it(world: World) -> None:
    run = subprocess.run(
        (sys.executable, "-c", WITHOUT_TEXTUAL, "top"),
        cwd=world.directory, env=world.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr == (
        "covsup: covsup top needs textual, which is not installed: pip install 'covsup[view]'\n"
    )


def test_the_help_names_what_it_opens(world: World) -> None:
    run = world.run(sys.executable, "-m", "covsup", "top", "--help")
    assert run.status == 0
    assert "SESSION|FILE|PID" in run.stdout
