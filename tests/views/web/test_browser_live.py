"""The page of a session that runs, in a real browser: what is seen while it runs."""

from __future__ import annotations

import os
import signal
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import Live, beside, covsup
from tests.views.web.served import served

pytest.importorskip("selenium")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.views.web.browser import Browser
    from tests.views.web.served import Served
    from tests.world import World

pytestmark = pytest.mark.timeout(180)  # the start of a browser takes long on a busy machine

SITE = """\
import os

def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/total":
        return [str(total(range(4))).encode()]
    return [str(os.getpid()).encode()]
"""
RESULT_LINE, LOOP_LINE = 4, 5

GUNICORN = """\
bind = "127.0.0.1:0"
workers = 2
graceful_timeout = 1
control_socket_disable = True

def when_ready(server):
    port = server.LISTENERS[0].sock.getsockname()[1]
    with open("ready", "w") as ready:
        ready.write(f"{port}\\n")
"""


class Site:
    """A gunicorn tree that is measured, and its page."""

    def __init__(self, live: Live, port: int, server: Served) -> None:
        self.live = live
        self.port = port
        self.server = server
        self.url = server.url

    def ask(self, path: str = "/") -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            text: str = answer.read().decode()
            return text


@contextmanager
def site(world: World) -> Iterator[Site]:
    world.write("site_app.py", SITE)
    world.write("gunicorn.conf.py", GUNICORN)
    os.mkfifo(world.directory / "ready")
    command = covsup(
        world,
        "-m",
        "gunicorn",
        "site_app:application",
        options=["--branch", "--include=site_app.py"],
    )
    with Live(world, *command) as live:
        port = int((world.directory / "ready").read_text())
        with served(world) as server:
            yield Site(live, port, server)
        live.kill(signal.SIGTERM)
        live.ended()


def state_of(line: int) -> str:
    return f"document.getElementById('L{line}').dataset.state"


def test_a_gunicorn_tree_under_traffic_turns_green(browser: Browser, world: World) -> None:
    with site(world) as shop:
        shop.ask()
        browser.open(shop.url, "source/site_app.py")
        browser.until(f"{state_of(RESULT_LINE)} === 'missing'")
        browser.run(
            "const line = document.getElementById('L4');"
            "line.addEventListener('animationstart', () => { window.hasFlashed = true; });"
        )
        shop.ask("/total")
        browser.until(f"{state_of(RESULT_LINE)} === 'run'")
        browser.until("window.hasFlashed")
        browser.until(f"{state_of(LOOP_LINE)} === 'run'")
        browser.until_text(".state-switches", "0 missing")
        browser.go("source/site_app.py:4")
        browser.until_text(".line-panel", "First run by")
        assert "fork" in browser.text(".line-panel .chain")
        assert browser.problems() == []


def test_the_end_of_a_killed_worker_appears(browser: Browser, world: World) -> None:
    with site(world) as shop:
        worker = int(shop.ask())
        browser.open(shop.url)
        browser.until_text(".card-processes", "running")
        assert "killed" not in browser.text("main")
        os.kill(worker, signal.SIGKILL)
        browser.until_text(".attention", "killed by SIGKILL")
        assert f"pid {worker}" in browser.text(".attention")
        browser.go("timeline?show=table")
        browser.until_text(".table-body", str(worker))
        row = browser.until(
            "[...document.querySelectorAll('.table-body .table-row')].find("
            " (row) => row.innerText.includes(arguments[0]))?.innerText",
            str(worker),
        )
        assert "killed by SIGKILL" in row
        browser.go("timeline")
        browser.until_text(".kind-switches", "1 killed")
        assert browser.problems() == []


def test_a_mark_shows_what_is_new_since(browser: Browser, world: World) -> None:
    with site(world) as shop:
        shop.ask()
        browser.open(shop.url, "marks")
        browser.until_text(".no-marks", "covsup mark")
        browser.press("n")
        browser.press("before the <b>sum</b>", "\n")
        browser.until_text(".mark-list", "before the <b>sum</b>")
        browser.until_text(".since", "Nothing ran for the first time")
        shop.ask("/total")
        browser.until_text(".new-lines", "result += number")
        assert "for number in numbers:" in browser.text(".new-lines")
        assert "getpid" not in browser.text(".new-lines")
        assert browser.problems() == []


def test_data_that_arrives_moves_nothing(browser: Browser, world: World) -> None:
    """Focus, scrolling and what was typed stay, also in a table that is used."""
    lines = "".join(
        f"    if number == {number}:\n        print({number})\n" for number in range(300)
    )
    world.write("long.py", f"import sys\n\ndef go(number):\n{lines}\n")
    world.write(
        "app.py",
        "import sys, long\nprint('ready', flush=True)\nfor line in sys.stdin: long.go(int(line))\n",
    )
    with (
        Live(world, *covsup(world, "app.py", options=["--branch"])) as live,
    ):
        live.wait_for("ready")
        with served(world) as server:
            browser.open(server.url, "source/long.py")
            browser.until("document.querySelectorAll('.line').length > 300")
            browser.run("scrollTo(0, 2500)")
            top = browser.value("document.getElementById('L150').getBoundingClientRect().top")
            live.send("7\n")
            browser.until(f"{state_of(19)} === 'run'")  # the body of the eighth `if`
            browser.until(f"{state_of(20)} === 'partial'")
            assert (
                browser.value("document.getElementById('L150').getBoundingClientRect().top") == top
            )

            browser.go("files?sort=-lines")
            browser.until_text(".table-body [data-position='0']", "long.py")
            browser.press("/")
            browser.press("py")
            row = "document.querySelector('.table-body [data-position=\"0\"]').innerText"
            before = browser.value(row)
            live.send("1\n")
            browser.until(f"{row} !== arguments[0]", before)
            assert browser.value("document.activeElement.value") == "py"
        live.process.stdin.close()  # type: ignore[union-attr]
        live.ended()


def test_a_table_that_is_used_keeps_its_order(browser: Browser, world: World) -> None:
    world.write("one.py", "def one():\n" + "    print(1)\n" * 20)
    world.write("two.py", "def two():\n    print(2)\n")
    world.write(
        "app.py",
        "import sys, one, two\nprint('ready', flush=True)\n"
        "for line in sys.stdin: one.one() if line == 'one\\n' else two.two()\n",
    )
    first = "document.querySelector('.table-body [data-position=\"0\"]').innerText"
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        with served(world) as server:
            browser.open(server.url, "files?sort=-lines")
            browser.until(f"{first}.includes('app.py')")
            browser.run("document.querySelector('.table-body a').focus()")
            live.send("one\n")
            browser.until("document.querySelector('.table-frame').dataset.held === 'yes'")
            assert "app.py" in browser.value(first)
            assert browser.value("document.activeElement.textContent") == "app.py"
            browser.run("document.activeElement.blur()")
            browser.until(f"{first}.includes('one.py')")
        live.process.stdin.close()  # type: ignore[union-attr]
        live.ended()


def test_the_page_says_that_the_program_has_ended(browser: Browser, world: World) -> None:
    world.write(
        "app.py", "import sys\nprint('ready', flush=True)\nsys.stdin.read()\nprint('end')\n"
    )
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        with served(world) as server:
            browser.open(server.url)
            browser.until_text("#connection", "Live")
            live.process.stdin.close()  # type: ignore[union-attr]
            live.ended()
            browser.until_text("#connection", "Finished")
            browser.go("source/app.py")
            browser.until(f"{state_of(4)} === 'run'")


def test_a_lost_connection_is_shown(browser: Browser, world: World) -> None:
    world.write("app.py", "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        with served(world) as server:
            browser.open(server.url)
            browser.until_text("#connection", "Live")
            os.kill(server.live.pid, signal.SIGKILL)
            browser.until_text("#connection", "Connection lost")
            assert "lost" in browser.value("document.getElementById('announcement').textContent")
        live.process.stdin.close()  # type: ignore[union-attr]
        live.ended()


def test_a_page_of_a_session_that_runs_is_a_snapshot(browser: Browser, world: World) -> None:
    world.write("app.py", "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        assert beside(world, "page", "--output=during.html").returncode == 0
        live.process.stdin.close()  # type: ignore[union-attr]
        live.ended()
    assert beside(world, "page", "--output=after.html").returncode == 0
    browser.open((world.directory / "during.html").as_uri())
    browser.until_text("#connection", "Snapshot")
    browser.open((world.directory / "after.html").as_uri())
    browser.until_text("#connection", "Finished")
