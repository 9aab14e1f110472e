"""`covsup top` in a real terminal, on a real server under requests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import pytest

pytest.importorskip("textual", reason="textual is not installed: the view extra")

from tests.supervisor.live import Live, covsup
from tests.views.terminal.tmux import Tmux, needs_tmux

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import World

pytestmark = [needs_tmux, pytest.mark.timeout(240)]

SERVER = '''\
"""A server with two workers. Its requests come through named pipes, so no port can be taken."""

import os
import sys

from handlers import answer


def work(number):
    with open(f"answer{number}", "w") as answers:
        with open(f"request{number}") as requests:
            for line in requests:
                answers.write(answer(line.strip()) + "\\n")
                answers.flush()


for number in range(2):
    if os.fork() == 0:
        work(number)
        os._exit(0)
for _ in range(2):
    os.wait()
'''

HANDLERS = '''\
"""The handlers."""


def answer(path):
    if path == "/front":
        return front()
    if path == "/cart":
        return cart(3)
    return "not found"


def front():
    title = "the shop"
    return title.upper()


def cart(number):
    articles = []
    for each in range(number):
        articles.append(each)
    return str(articles)
'''
FRONT = {6, 13, 14}
CART = {8, 18, 19, 20, 21}


class Server:
    """The server, measured, and its requests."""

    def __init__(self, world: World) -> None:
        world.write("server.py", SERVER)
        world.write("handlers.py", HANDLERS)
        for number in range(2):
            os.mkfifo(world.directory / f"request{number}")
            os.mkfifo(world.directory / f"answer{number}")
        self._live = Live(world, *covsup(world, "server.py"))
        # Each pipe opens when the worker opens its end.
        self._answers = [(world.directory / f"answer{n}").open() for n in range(2)]
        self._requests = [(world.directory / f"request{n}").open("w") for n in range(2)]
        self._world = world

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (*self._answers, *self._requests):
            each.close()
        self._live.__exit__()

    def ask(self, path: str, worker: int = 0) -> str:
        self._requests[worker].write(f"{path}\n")
        self._requests[worker].flush()
        return self._answers[worker].readline().strip()

    def end(self) -> None:
        """Close the pipes, so that the workers end, and wait for covsup."""
        for each in self._requests:
            each.close()
        self._live.ended()


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with Server(world) as running:
        yield running


def top(world: World, tmp_path: Path, *words: str, **options: object) -> Tmux:
    return Tmux(world, tmp_path, sys.executable, "-m", "covsup", "top", *words, **options)  # type: ignore[arg-type]


def signs(screen: str) -> dict[int, str]:
    """By line of the source: the sign in its margin. Colours say which bar it is."""
    found = re.findall(r"^ +(\d+) ([>!~▌-]) ", screen, re.MULTILINE)
    return {int(number): sign for number, sign in found}


def go_to_handlers(terminal: Tmux) -> None:
    terminal.until("2 Files 2")
    terminal.press("2")
    terminal.until("FILE", "handlers.py", "server.py")
    terminal.press("g")
    terminal.press("Enter")
    terminal.until("def answer(path)")


def test_a_line_turns_green_after_a_request(world: World, tmp_path: Path, server: Server) -> None:
    with top(world, tmp_path) as terminal:
        go_to_handlers(terminal)
        before = row_with(terminal.coloured, "title.upper()")
        assert server.ask("/front") == "THE SHOP"
        terminal.until_true(
            lambda: row_with(terminal.coloured, "title.upper()") != before, "the line is green"
        )
        terminal.press("G", "k", "k", "k", "k", "k", "k", "k")
        terminal.until("line 14:", "first run by")
        terminal.press("q")
        assert terminal.status() == 0


def row_with(screen: str, text: str) -> str:
    """The row with a text, with the sequences for its colours."""
    plain = re.compile(r"\x1b\[[0-9;]*m")
    return next((row for row in screen.splitlines() if text in plain.sub("", row)), "")


def test_letters_instead_of_colours(world: World, tmp_path: Path, server: Server) -> None:
    with top(world, tmp_path, environment={"NO_COLOR": "1"}) as terminal:
        go_to_handlers(terminal)
        terminal.press("G")
        terminal.until_true(lambda: signs(terminal.text).get(21) == "!", "the cart is missing")
        assert server.ask("/cart") == "[0, 1, 2]"
        terminal.until_true(
            lambda: all(signs(terminal.text).get(line) == ">" for line in CART), "the cart ran"
        )
        colours = re.findall(r"\x1b\[[0-9;]*m", terminal.coloured)
        assert colours
        assert not any(re.search(r"[\[;]([349][0-8]|10[0-7])[;m]", each) for each in colours)


def test_a_killed_worker_is_shown_with_its_end(
    world: World, tmp_path: Path, server: Server
) -> None:
    with top(world, tmp_path) as terminal:
        screen = terminal.until("└─python server.py", "running")
        pid = int(re.findall(r"(\d+) [├└]─python server.py", screen)[-1])
        os.kill(pid, signal.SIGKILL)
        terminal.until("SIGKILL")
        row = next(each for each in terminal.text.splitlines() if str(pid) in each)
        assert "SIGKILL" in row


def test_a_mark_and_n_show_exactly_what_a_request_covered(
    world: World, tmp_path: Path, server: Server
) -> None:
    server.ask("/nowhere")
    with top(world, tmp_path, size=(80, 40), environment={"NO_COLOR": "1"}) as terminal:
        terminal.until("2 Files 2")
        terminal.press("m")
        terminal.until("Name of the mark:")
        terminal.type("before the click")
        terminal.press("Enter")
        terminal.until("Mark set: before the click")
        server.ask("/front")
        terminal.press("n", "2")
        terminal.until("new since before the click", "+3")
        terminal.press("Enter")
        terminal.until("def front()")
        terminal.until_true(lambda: set(signs(terminal.text)) == FRONT, "only the front page")
        server.ask("/cart")
        terminal.until_true(lambda: set(signs(terminal.text)) == FRONT | CART, "both")
        listed = subprocess.run(
            (sys.executable, "-m", "covsup", "mark", "--list"),
            cwd=world.directory, env=world.environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "before the click" in listed.stdout


def test_search_sort_and_help(world: World, tmp_path: Path, server: Server) -> None:
    with top(world, tmp_path) as terminal:
        go_to_handlers(terminal)
        terminal.press("/")
        terminal.type("return")
        terminal.press("Enter")
        terminal.until("line 6:")
        terminal.press("n")
        terminal.until("line 8:")
        terminal.press("N")
        terminal.until("line 6:")
        terminal.press("Escape")
        terminal.until("New since mark")
        terminal.press("2", "s", "s")
        terminal.until("Sorted by percent")
        terminal.press("?")
        terminal.until("keys and signs", "set a mark")
        terminal.press("Escape")
        terminal.resize(100, 30)
        terminal.until("2 files")
        terminal.press("q")
        assert terminal.status() == 0


def test_the_end_of_the_run_switches_to_its_result(
    world: World, tmp_path: Path, server: Server
) -> None:
    with top(world, tmp_path) as terminal:
        terminal.until("running", "python server.py")
        server.ask("/front")
        server.end()
        terminal.until("■ ended", "exit 0")
        terminal.press("q")
        assert terminal.status() == 0


def test_a_data_file_is_shown_as_a_report(world: World, tmp_path: Path) -> None:
    world.write("program.py", "import sys\nif sys.argv[1:]:\n    print(1)\n")
    world.covsup_run("program.py")
    with top(world, tmp_path, ".coverage") as terminal:
        terminal.until("■ ended", "exit 0", "2/3 lines")


def test_several_sessions_are_listed_and_one_is_chosen(
    world: World, tmp_path: Path, server: Server
) -> None:
    world.write("other.py", "input()\n")
    with (
        Live(world, *covsup(world, "other.py")) as other,
        top(world, tmp_path) as terminal,
    ):
        screen = terminal.until("STARTED", "server.py", "other.py", "running")
        assert screen.index("other.py") < screen.index("server.py")  # the newest first
        terminal.press("Down", "Enter")
        terminal.until("1 Processes 3", "server.py")
        terminal.press("q")
        assert terminal.status() == 0
        other.send("\n")
        other.ended()
