"""Edited sources: data of more than one version of a file is told of."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage import Coverage

from covsup.supervisor.combining.combine import combine
from covsup.supervisor.settings.combine_settings import CombineSettings
from tests.datafile.handmade import HandMade, handmade_session
from tests.supervisor.live import beside

if TYPE_CHECKING:
    from tests.world import World

BEFORE = "def called(number):\n    return number\n"
AFTER = "# An edit.\ndef called(number):\n    return number\n"
CALLS = "import edited\nedited.called(1)\n"


def said(path: Path) -> str:
    return (
        f"covsup: {path} changed between the measurements combined here, so lines of one version"
        " count for the other: measure all of them with one version\n"
    )


def written(world: World) -> Path:
    world.write("target.py", CALLS)
    return world.write("edited.py", BEFORE)


def test_appending_to_data_of_an_older_version_is_said_once(world: World) -> None:
    edited = written(world)
    assert world.covsup_run("target.py").stderr == ""
    edited.write_text(AFTER)
    assert world.covsup_run("target.py", options=["--append"]).stderr == said(edited)
    assert world.covsup_run("target.py", options=["--append"]).stderr == ""
    assert world.covsup_run("target.py").stderr == ""  # replaces all of it
    assert world.covsup_run("target.py", options=["--append"]).stderr == ""


def test_a_file_that_was_only_touched_is_the_same(world: World) -> None:
    edited = written(world)
    assert world.covsup_run("target.py").stderr == ""
    os.utime(edited, (1, 1))
    assert world.covsup_run("target.py", options=["--append"]).stderr == ""
    assert beside(world, "report").stderr == ""


def test_a_time_far_in_the_future_makes_no_other_version(world: World) -> None:
    edited = written(world)
    os.utime(edited, (10_000_000_000, 10_000_000_000))  # more nanoseconds than 64 bits hold
    assert world.covsup_run("target.py").stderr == ""
    os.utime(edited, (1, 1))
    assert world.covsup_run("target.py", options=["--append"]).stderr == ""


@pytest.mark.parametrize("relative", [False, True])
def test_uniting_sessions_or_data_files_of_different_versions_is_said(
    world: World, relative: bool
) -> None:
    if relative:
        world.write(".coveragerc", "[run]\nrelative_files = true\n")
    edited = written(world)
    for number, text in enumerate((BEFORE, AFTER)):
        edited.write_text(text)
        world.covsup_run("target.py", data_file=world.directory / f"data{number}")
    again = beside(world, "combine", "data0", "data1")
    assert again.stderr == said(Path("edited.py") if relative else edited)
    for text in (BEFORE, AFTER):
        edited.write_text(text)
        world.covsup_run("target.py", options=["-p"])
    again = beside(world, "combine")
    assert again.stderr == said(Path("edited.py") if relative else edited)


def test_a_file_that_is_edited_during_a_session_is_said(world: World) -> None:
    edited = written(world)
    text = f"""
import subprocess, sys
command = [sys.executable, "target.py"]
subprocess.run(command)
with open("edited.py", "w") as file:
    file.write({AFTER!r})
subprocess.run(command)
"""
    world.write("twice.py", text)
    assert world.covsup_run("twice.py").stderr == said(edited)


def test_a_report_names_files_that_changed_since_the_measurement(world: World) -> None:
    edited = written(world)
    world.covsup_run("target.py")
    assert beside(world, "report").stderr == ""
    edited.write_text(AFTER)
    line = f"covsup: {edited} changed since the measurement: run it again for correct numbers\n"
    assert beside(world, "report").stderr == line
    assert line in beside(world, "json").stderr
    edited.write_text(BEFORE)
    assert beside(world, "report").stderr == ""
    edited.unlink()
    assert "changed" not in beside(world, "report", "-i").stderr


def test_data_of_coverage_itself_has_no_versions_and_nothing_is_said(world: World) -> None:
    edited = written(world)
    world.covsup_run("target.py", data_file=world.directory / "data")
    other = Coverage(data_file=str(world.directory / "other"), config_file=False)
    data = other.get_data()
    data.add_arcs({str(edited): [(1, 2)]})
    data.write()
    data.close(force=True)
    edited.write_text(AFTER)
    assert beside(world, "combine", "data", "other").stderr == ""


def test_a_data_file_made_before_versions_were_known_is_read(world: World) -> None:
    edited = written(world)
    run = world.covsup_run("target.py")
    with closing(sqlite3.connect(run.data_file)) as db:
        db.executescript("DROP TABLE covsup_version; DROP TABLE covsup_sent_code")
    edited.write_text(AFTER)
    assert world.covsup_run("target.py", options=["--append"]).stderr == ""


def test_what_a_journal_names_is_read_only_if_it_is_a_plain_file(world: World) -> None:
    os.mkfifo(world.directory / "fifo.py")
    session = handmade_session(world.directory / "session")
    for path in ("/dev/zero", str(world.directory / "fifo.py"), str(world.directory)):
        sent = f"<dynamic-code>\n1\n1\n{0:016x}\nwork\n{path}"
        HandMade().ran(path, 1, module="\n0-0").ran(sent, 2).write(session.path)
    outcome = combine([session.path], combine_settings=CombineSettings(data_file=world.data_file))
    assert outcome.images == 3
    assert len(outcome.warnings) == 1
