"""`covsup page`: one file with everything in it."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from coverage import CoverageData

from covsup.views.web.page.assets import read_assets
from covsup.views.web.page.one_file import one_file
from tests.supervisor.live import Live, beside, covsup
from tests.views.web.synthetic_page import SyntheticPage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World


@pytest.fixture
def measured(world: World) -> World:
    world.write("app.py", "print(1)\nif not print:\n    print(2)\n")
    assert world.covsup_run("app.py").status == 0
    return world


def test_the_page_is_written_beside_the_data_and_loads_nothing(measured: World) -> None:
    run = measured.run(measured.python, "-m", "covsup", "page")
    assert run.status == 0, run
    assert re.fullmatch(r"covsup: wrote report\.html: 1 of 1 sources, \d\.\d MB\n", run.stderr), run
    page = (measured.directory / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert "Content-Security-Policy" in page
    assert "unsafe" not in page.partition("<style>")[0]


def test_a_dash_writes_it_to_standard_output(measured: World) -> None:
    run = measured.run(measured.python, "-m", "covsup", "page", "-o", "-")
    assert run.stdout.startswith("<!doctype html>")
    assert run.stderr == ""
    assert not (measured.directory / "report.html").exists()


def test_quiet_prints_nothing(measured: World) -> None:
    run = measured.run(measured.python, "-m", "covsup", "page", "--quiet", "--output=out.html")
    assert (run.status, run.stdout, run.stderr) == (0, "", "")
    assert (measured.directory / "out.html").exists()


@pytest.mark.parametrize("place", ["missing/report.html", "."])
def test_a_place_that_cannot_be_written_is_one_line(measured: World, place: str) -> None:
    run = measured.run(measured.python, "-m", "covsup", "page", "-o", place)
    assert run.status == 1
    assert run.stderr.startswith(f"covsup: cannot write {place}: ")
    assert run.stderr.count("\n") == 1
    assert not list(measured.directory.glob(".covsup-page*"))


def test_without_data_one_line_says_what_to_do(world: World) -> None:
    run = world.run(world.python, "-m", "covsup", "page")
    assert run.status == 1
    assert "`covsup run` makes one" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_context_without_lines_is_no_obstacle(world: World) -> None:
    world.write("app.py", "a = 1\n")
    data = CoverageData(basename=str(world.data_file))
    data.set_context("empty")
    data.add_lines({str(world.directory / "app.py"): []})
    data.write()
    done = beside(world, "page", "-o", "report.html")
    assert done.returncode == 0, done


@pytest.mark.parametrize("size", ["0", "x", "2001", "-1", "1.5"])
def test_a_size_that_is_none_is_refused(world: World, size: str) -> None:
    run = world.run(world.python, "-m", "covsup", "page", f"--max-size={size}")
    assert run.status == 2
    assert "a size is a number of MB from 1 to 2000" in run.stderr


def test_the_libraries_of_the_extra_are_not_needed(measured: World) -> None:
    program = """\
import sys
for name in ("starlette", "uvicorn", "textual", "prometheus_client"):
    sys.modules[name] = None
from covsup.supervisor.cli import main
sys.exit(main(["page"]))
"""
    run = measured.run(sys.executable, "-c", program)
    assert run.status == 0, run


def test_a_session_that_runs_is_written_as_of_now(world: World) -> None:
    world.write("app.py", "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        written = beside(world, "page", "-o", "now.html")
        assert written.returncode == 0, written
        live.kill(signal.SIGTERM)
        live.ended()
    assert "1 of 1 sources" in written.stderr
    assert (world.directory / "now.html").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_has_no_room_is_left_out_sources_that_never_ran_first() -> None:
    data = SyntheticPage(files=200)
    whole = one_file(data, read_assets(), limit=25_000_000)
    assert (whole.files, whole.sources, whole.left_out) == (200, 200, 0)
    limit = len(whole.html.encode()) - 20_000
    small = one_file(data, read_assets(), limit=limit)
    assert len(small.html.encode()) <= limit
    assert 0 < small.left_out == 200 - small.sources
    left_out = {number for number in range(200) if f'id="covsup-source-{number}"' not in small.html}
    never_ran = {each["id"] for each in data.state()["files"] if not each["lines"]}
    assert len(left_out) == small.left_out
    assert never_ran <= left_out


def test_the_same_data_gives_the_same_page(tmp_path: Path) -> None:
    pages = {one_file(SyntheticPage(files=20), read_assets(), limit=10**7).html for _ in range(2)}
    assert len(pages) == 1


def test_the_sizes_of_a_large_program_fit() -> None:
    """Three thousand files with nearly a million lines, a thousand processes, five thousand contexts."""
    data = SyntheticPage(processes=1000, files=3000, contexts=5000)
    page = one_file(data, read_assets(), limit=25_000_000)
    assert (page.sources, page.left_out) == (3000, 0)
    assert len(page.html) < 15_000_000
