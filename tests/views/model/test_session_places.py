"""What a view shows where files of a session are damaged, late, combined or gone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import line_set_of
from covsup.datafile.provenance.model import End
from covsup.datafile.session.observations import Observation
from covsup.views.model.descriptors import Descriptors
from covsup.views.model.open_view import open_view
from covsup.views.model.session_view import SessionView
from tests.datafile.handmade import HandMade, handmade_session

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PATH = "/src/a.py"


def elsewhere(**values: object) -> HandMade:
    """An image whose process cannot be seen from here, so it may still write."""
    made = HandMade(**values)  # type: ignore[arg-type]
    return made.knows("boot", b"another machine").knows("argv", b"python\0x.py")


def test_a_session_that_was_erased_is_still_shown(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage", [HandMade().ran(PATH, 1, 2)])
    view = SessionView(session.path)
    view.refresh()
    shutil.rmtree(session.path)
    assert not view.refresh()
    assert not view.is_live
    assert view.lines(PATH) == line_set_of([1, 2])
    assert not view.refresh()


def test_a_journal_that_is_no_journal_is_a_problem_once(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage", [HandMade().ran(PATH, 1)])
    bad = HandMade()
    path = bad.write(session.path)
    path.write_bytes(b"no journal" * 100)
    view = SessionView(session.path)
    for _ in range(3):
        view.refresh()
        (problem,) = view.result.problems
        assert problem.journal == f"{bad.pid}-{bad.image_id}"
        assert "is not a journal of covsup" in problem.what
    assert view.lines(PATH) == line_set_of([1])


def test_a_journal_that_is_begun_later_is_read_then(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage")
    made = elsewhere().ran(PATH, 4)
    path = made.write(session.path)
    contents = path.read_bytes()
    path.write_bytes(bytes(8192))
    view = SessionView(session.path)
    assert view.refresh().lines == {}
    with path.open("r+b") as file:
        file.write(contents)
    assert view.refresh().lines == {PATH: line_set_of([4])}


def test_a_view_needs_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Descriptors, "take", lambda _: False)
    made = elsewhere().ran(PATH, 1)
    session = handmade_session(tmp_path / ".coverage", [made])
    view = SessionView(session.path)
    view.refresh()
    path = session.path / f"{made.pid}-{made.image_id}.0.journal~"
    made.ran(PATH, 2)
    with path.open("r+b") as file:
        file.write(made.to_bytes())
    assert view.refresh().lines == {PATH: line_set_of([2])}


def test_a_process_of_another_machine_runs_until_a_record_ends_it(tmp_path: Path) -> None:
    made = elsewhere().ran(PATH, 1)
    session = handmade_session(tmp_path / ".coverage", [made], boot="ours")
    view = SessionView(session.path)
    view.refresh()
    assert [each.ending.end for each in view.provenance.processes] == [End.RUNNING]
    made.ended(3)
    with (session.path / f"{made.pid}-{made.image_id}.0.journal~").open("r+b") as file:
        file.write(made.to_bytes())
    assert view.refresh().processes
    assert [each.ending.status for each in view.provenance.processes] == [3]


def test_observations_are_read_as_they_come(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage")
    view = SessionView(session.path)
    assert view.refresh().processes is False
    one = Observation(pid=7, create_time=5.0, argv=("sh",), python=False)
    session.observe([one])
    assert view.refresh().processes
    half = one._replace(pid=8).to_json()
    with (session.path / "observed.jsonl~").open("a") as file:
        file.write(half[:20])
    assert not view.refresh()
    with (session.path / "observed.jsonl~").open("a") as file:
        file.write(half[20:] + "\n")
    assert view.refresh().processes
    assert {each.pid for _, each in view.result.observations} == {7, 8}


def test_a_data_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    from covsup.datafile.database.database import write_database
    from covsup.datafile.fold.result import Kind, Result

    write_database(Result(kind=Kind.LINES, lines={(PATH, ""): line_set_of([1])}), tmp_path / "data")
    view = open_view(tmp_path / "data")
    assert view.refresh().lines == {PATH: line_set_of([1])}
    assert not view.refresh()
    write_database(
        Result(kind=Kind.LINES, lines={(PATH, "c"): line_set_of([1, 5])}), tmp_path / "data"
    )
    change = view.refresh()
    assert change.lines == {PATH: line_set_of([5])}
    assert change.contexts == {"c"}
    assert view.contexts_of(PATH) == {"c": line_set_of([1, 5])}
