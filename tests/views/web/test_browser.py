"""The page of what was measured, in a real browser, opened from disk and served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest

pytest.importorskip("selenium")

from selenium.webdriver.common.keys import Keys

from covsup.views.web.page.assets import read_assets
from covsup.views.web.page.one_file import one_file
from tests.views.web.browser import VIEWS, file_url
from tests.views.web.page_checks import is_too_wide, nameless, poor_contrast, unreached
from tests.views.web.served import served
from tests.views.web.synthetic_page import SyntheticPage
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.views.web.browser import Browser

pytestmark = pytest.mark.timeout(180)  # the start of a browser takes long on a busy machine

HOSTILE_NAME = "<img src=x onerror=window.hacked=1>.py"
HOSTILE_LABEL = "<script>window.hacked=1</script>"
HOSTILE = f'''\
"""</script><script>window.hacked = 1</script><!-- \u2028 ]]> &lt; """
import os, signal
from covsup import embed

def unused():
    return "<b onmouseover=window.hacked=1>"

def partial(number):
    if number:
        return "</textarea>"
    return None

embed.mark("{HOSTILE_LABEL}")
with embed.context("{HOSTILE_LABEL}"):
    partial(1)
child = os.fork()
if not child:
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
'''

ALL_VIEWS = (*VIEWS, "timeline?show=table", "timeline/first", "source", "contexts/1", "help")


class Measured(NamedTuple):
    """A measured program whose every name is hostile, and its page as a file."""

    world: World
    url: str


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    world = World(tmp_path_factory.mktemp("hostile"))
    world.write(HOSTILE_NAME, HOSTILE)
    run = world.covsup_run(HOSTILE_NAME)
    assert run.status == 0, run
    written = world.run(world.python, "-m", "covsup", "page")
    assert written.status == 0, written
    return Measured(world, file_url(world.directory / "report.html"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a page with a thousand processes, three thousand files, five thousand contexts."""
    data = SyntheticPage(processes=1000, files=3000, contexts=5000)
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(one_file(data, read_assets(), limit=25_000_000).html, encoding="utf-8")
    return file_url(path)


def show(browser: Browser, url: str, view: str, **how: object) -> None:
    """Open a view of the measured program and wait for what it loads later."""
    addresses = {
        "source": f"source/{quote(HOSTILE_NAME)}",
        "help": "files",
        "timeline/first": "timeline",
    }
    browser.open(url, addresses.get(view, view), **how)  # type: ignore[arg-type]
    browser.until("document.querySelector('main h1') && !document.querySelector('.loading')")
    if view == "timeline/first":
        browser.press(Keys.ARROW_DOWN)
        browser.until_text(".details", "Chain of starts")
    if view == "help":
        browser.press("?")
        browser.until("document.querySelector('dialog').open")


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_a_page_from_disk_runs_in_every_view(
    browser: Browser, measured: Measured, view: str
) -> None:
    """Without network, without an error, without a violation of its policy, and hostile names are text."""
    show(browser, measured.url, view)
    assert browser.problems() == []
    assert browser.value("performance.getEntriesByType('resource').length") == 0
    assert browser.value("window.hacked") is None
    assert browser.value("document.querySelectorAll('main img, main b[onmouseover]').length") == 0
    # What a script shows for a value that is not there.
    assert not re.search(r"\b(null|undefined|NaN|Infinity|object Object)\b", browser.text("main"))


@pytest.mark.parametrize("view", ALL_VIEWS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast_and_every_control_a_name(
    browser: Browser, measured: Measured, view: str, theme: str
) -> None:
    show(browser, measured.url, view, theme=theme)
    assert poor_contrast(browser) == []
    assert nameless(browser) == []
    assert browser.value("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_colour_of_the_treemap_has_enough_contrast(
    browser: Browser, large: str, theme: str
) -> None:
    browser.open(large, "treemap/package_01", theme=theme)
    assert browser.value("document.querySelectorAll('.tile-share').length") > 20
    assert poor_contrast(browser) == []


@pytest.mark.parametrize("view", [each for each in ALL_VIEWS if each != "help"])
def test_the_keyboard_reaches_every_control(
    browser: Browser, measured: Measured, view: str
) -> None:
    show(browser, measured.url, view)
    assert unreached(browser) == []


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_a_narrow_screen_needs_no_horizontal_scrolling(
    browser: Browser, measured: Measured, view: str
) -> None:
    show(browser, measured.url, view, size=(360, 740))
    assert is_too_wide(browser) == ""


def test_hostile_names_and_sources_are_text_when_they_are_served(
    browser: Browser, measured: Measured
) -> None:
    with served(measured.world) as server:
        for view in ALL_VIEWS:
            show(browser, server.url, view)
            assert browser.problems() == [], view
            assert browser.value("window.hacked") is None, view
            assert browser.value("document.querySelectorAll('main img').length") == 0, view
        show(browser, server.url, "source")
    assert HOSTILE_NAME in browser.text("h1")
    assert "</script><script>window.hacked = 1</script>" in browser.text("#L1")
    assert len(HOSTILE.split("\n")) - 1 == browser.value(
        "document.querySelectorAll('.line').length"
    )


def test_a_line_says_who_ran_it_first_and_where_a_branch_never_went(
    browser: Browser, measured: Measured
) -> None:
    show(browser, measured.url, "source")
    browser.run("document.querySelector('.code').focus()")
    browser.press("j")
    assert browser.value("document.querySelector('[aria-selected=true]').dataset.line") == "6"
    assert "unused() was never entered" in browser.text(".line-panel")
    browser.press("j")
    assert "it never went on to line 11" in browser.text(".line-panel")
    assert "pid" in browser.text(".line-panel .chain")
    assert HOSTILE_LABEL in browser.text(".context-list")
    assert "↛ 11" in browser.text("#L9")
    browser.press("k")
    assert browser.value("location.hash").endswith(":6")


def test_keys_go_to_views_filter_and_help(browser: Browser, measured: Measured) -> None:
    browser.open(measured.url)
    browser.press("3")
    browser.until("document.querySelector('main').classList.contains('view-files')")
    browser.press("/")
    browser.press("nothing has this name")
    browser.until_text(".empty", "No file matches")
    assert "filter=nothing" in browser.value("location.hash")
    browser.press(Keys.ESCAPE)
    browser.press("gp")
    browser.until("document.querySelector('main').classList.contains('view-timeline')")
    browser.press("?")
    browser.until("document.querySelector('dialog').open")
    assert "Zoom" in browser.text("dialog")
    browser.press(Keys.ESCAPE)
    browser.until("!document.querySelector('dialog').open")
    browser.press(Keys.ARROW_DOWN)
    browser.until_text(".details", "Chain of starts")
    assert "pid" in browser.value("document.getElementById('announcement').textContent")


def test_the_colours_can_be_chosen_and_stay(browser: Browser, measured: Measured) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    browser.open(measured.url, theme="dark")
    dark = browser.value(background)
    browser.press("t")
    browser.until("document.documentElement.dataset.theme === 'light'")
    assert browser.value(background) != dark
    browser.run("localStorage.removeItem('covsup-theme')")


def test_a_killed_process_stands_out(browser: Browser, measured: Measured) -> None:
    show(browser, measured.url, "overview")
    assert "1 process killed" in browser.text(".attention")
    assert "killed by SIGKILL" in browser.text(".attention")


def test_a_thousand_processes_are_drawn_and_listed(browser: Browser, large: str) -> None:
    browser.open(large, "timeline")
    browser.until_text(".kind-switches", "320 killed")
    # What is drawn has several colours: the canvas is not blank, at any place.
    for top in (0, 12_000, 25_000):
        browser.run("document.querySelector('.timeline-scroller').scrollTop = arguments[0]", top)
        browser.until(
            """(() => {
              const canvas = document.querySelector(".timeline-canvas");
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              const colours = new Set(new Uint32Array(data.buffer));
              return canvas.height > 200 && colours.size > 20;
            })()"""
        )
    browser.run("document.querySelector('.timeline-scroller').focus()")
    browser.press(Keys.ARROW_DOWN * 3)
    browser.until_text(".details", "pid")
    browser.press("w" * 8)
    browser.press("d" * 4)
    browser.press("0")
    browser.open(large, "timeline?show=table")
    assert browser.value("document.querySelector('.table').getAttribute('aria-rowcount')") == "1001"
    assert browser.value("document.querySelectorAll('.table-body .table-row').length") < 100
    browser.press("/")
    browser.press("worker.py 999")
    browser.until("document.querySelector('.table').getAttribute('aria-rowcount') === '2'")
    assert browser.problems() == []


def test_three_thousand_files_are_a_table_of_the_rows_in_sight(
    browser: Browser, large: str
) -> None:
    browser.open(large, "files?sort=-missing")
    rows = "document.querySelectorAll('.table-body .table-row').length"
    assert browser.value("document.querySelector('.table').getAttribute('aria-rowcount')") == "3001"
    assert browser.value(rows) < 100
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.until("document.querySelector('.table-body [data-position=\"2999\"]')")
    browser.run("document.querySelector('.table-body [data-position=\"2999\"] a').focus()")
    browser.press(Keys.HOME)
    browser.until("document.activeElement.closest('[data-position]').dataset.position === '0'")
    assert browser.value(rows) < 100
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.value(rows) == 3000
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.problems() == []


def test_views_without_data_say_what_to_type(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("empty") / "report.html"
    page = one_file(SyntheticPage(), read_assets(), limit=1_000_000)
    path.write_text(page.html, encoding="utf-8")
    for view, words in {
        "files": "covsup run --source=src",
        "timeline": "covsup run --branch",
        "contexts": "--dynamic-context",
        "unused": "Nothing is known",
        "treemap": "No file has statements",
    }.items():
        browser.open(file_url(path), view)
        browser.until_text(".empty", words)
        assert browser.problems() == []


def test_sources_that_are_gone_are_no_full_coverage(browser: Browser, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("app.py", "print(1)\n")
    assert world.covsup_run("app.py").status == 0
    (tmp_path / "app.py").unlink()
    assert world.run(world.python, "-m", "covsup", "page").status == 0
    url = file_url(tmp_path / "report.html")
    browser.open(url, size=(360, 740))
    assert "%" not in browser.text(".card-coverage")
    assert "1 of 1 source cannot be read" in browser.text(".card-coverage")
    assert "No source is analysed" in browser.text(".panel-gaps")
    browser.go("unused")
    browser.until_text(".empty", "Nothing is known")
    browser.go("source/app.py")
    browser.until_text(".empty", "there is no such file")
    assert is_too_wide(browser) == ""
    assert browser.problems() == []
