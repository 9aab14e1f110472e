"""`covsup combine --keep --watch`: the same files again and again, while a session runs."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.combining import watch
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.settings.combine_settings import CombineSettings
from tests.supervisor.live import Live, beside, covsup, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from covsup.supervisor.combining.combine_result import CombineResult
    from tests.world import World

PROGRAM = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin:\n    x = 1\ny = 2\n"


@pytest.fixture
def running(world: World) -> Iterator[Live]:
    """A program that executes line 4 at each line that is sent to it, and line 5 at its end."""
    world.write("app.py", PROGRAM)
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        yield live


def watcher(world: World, *options: str, terminal: bool = False) -> Live:
    """The command, looking ten times a second."""
    return Live(
        world, world.python, "-m", "covsup", "combine", "--keep", "--watch=0.1", *options,
        terminal=terminal,
    )  # fmt: skip


def has_line(report: Path, line: int) -> bool:
    """Whether an LCOV file says that a line ran."""
    return report.exists() and f"DA:{line},1\n" in report.read_text(encoding="utf-8")


def test_the_reports_follow_the_program_until_its_end(world: World, running: Live) -> None:
    report = world.directory / "lcov.info"
    with watcher(world) as watching:
        wait_until(lambda: has_line(report, 1), "the first report is there")
        assert not has_line(report, 4)
        running.send("\n")
        wait_until(lambda: has_line(report, 4), "line 4 is in the report")
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.ended() == 0
        assert watching.ended() == 0
        assert watching.rest() == ""
    assert has_line(report, 5)
    assert {"coverage.xml", "coverage.json"} <= {each.name for each in world.directory.iterdir()}
    assert not list(world.directory.glob(".covsup-*"))
    final = report.read_text(encoding="utf-8")
    assert beside(world, "lcov", "-q", "-o", "expected.info").returncode == 0
    assert final == (world.directory / "expected.info").read_text(encoding="utf-8")


def test_only_the_reports_that_are_named_are_written(world: World, running: Live) -> None:
    report = world.directory / "lcov.info"
    with watcher(world, "--write=lcov") as watching:
        wait_until(lambda: has_line(report, 1), "the first report is there")
        watching.kill(signal.SIGINT)
        assert watching.ended() == 0
        assert watching.rest() == ""
    assert not (world.directory / "coverage.xml").exists()


def test_nothing_is_combined_while_nothing_new_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("app.py", "x = 1\n")
    assert world.covsup_run("app.py", options=["--parallel-mode"]).status == 0
    (session,) = (world.directory / ".covsup").glob("*-*")
    combined = []

    def combine_once() -> CombineResult:
        combined.append(session)
        return combine([session], combine_settings=CombineSettings(world.data_file), keep=True)

    # The session has ended. It is said to run until it was looked at three times.
    looks = iter([True, True, False])
    monkeypatch.setattr(watch, "_any_runs", lambda _: next(looks))
    watched = watch.Watch([session], world.data_file, 0.01, (), False, True, combine_once)
    assert watch.watch(watched) == 0
    assert (combined, list(looks)) == ([session], [])


def test_a_line_for_each_combination_is_printed_on_a_terminal_only(
    world: World, running: Live
) -> None:
    with watcher(world, "--write=lcov", terminal=True) as watching:
        watching.wait_for(r"combined 1 process into \S+/\.coverage\r\n")
        watching.wait_for(r"Beside it: lcov\.info, each time anew\. Ctrl-C ends\.\r\n")
        running.send("\n")
        watching.wait_for(r"combined 1 process into \S+/\.coverage\r\n")
        watching.kill(signal.SIGINT)
        assert watching.ended() == 0
        assert not re.search("Traceback|covsup:|Beside it", watching.rest())
    assert not (world.directory / "coverage.xml").exists()


def test_a_session_that_is_open_is_watched_until_it_is_closed(world: World) -> None:
    assert beside(world, "env").returncode == 0
    with watcher(world, "--write=lcov") as watching:
        watching.wait_for("no data was collected")
        assert beside(world, "env", "--close").returncode == 0
        assert watching.ended() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--watch"], "--watch goes with --keep"),
        (["--write=lcov"], "--write goes with --watch"),
        (["--keep", "--watch=x"], "SECONDS is a number"),
        (["--keep", "--watch=nan"], "SECONDS is a number"),
        (["--keep", "--watch=0"], "SECONDS is a number"),
        (["--keep", "--watch", "--write=html"], "LIST consists of lcov, xml, json"),
    ],
)
def test_options_that_make_no_sense_are_one_clear_line(
    world: World, options: list[str], message: str
) -> None:
    run = beside(world, "combine", *options)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_without_a_session_there_is_nothing_to_watch(world: World) -> None:
    run = beside(world, "combine", "--keep", "--watch")
    assert run.returncode == 1
    assert run.stderr.startswith("covsup: no session in ")


def test_a_report_that_cannot_be_written_is_in_the_status(world: World, running: Live) -> None:
    (world.directory / "lcov.info").mkdir()
    with watcher(world, "--write=lcov") as watching:
        watching.wait_for("cannot write")
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.ended() == 0
        assert watching.ended() == 1
