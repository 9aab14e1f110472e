"""A data file is read back as it was written, by covsup or by coverage.py."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest
from coverage import CoverageData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covsup.datafile.database import read_result as module
from covsup.datafile.database.database import write_database
from covsup.datafile.database.read_result import read_result
from covsup.datafile.errors import DataFileUnusable
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import LARGEST_LINE, arc_set_of, arcs_in, line_set_of
from covsup.datafile.session.marks import Mark, MarkedFacts
from covsup.datafile.session.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

keys = st.tuples(
    st.sampled_from(("/a.py", "/b b.py", "/ü.py")), st.sampled_from(("", "c|1", "x.*"))
)
lines = st.dictionaries(keys, st.sets(st.integers(1, 3000), min_size=1), max_size=6)
arcs = st.dictionaries(
    keys,
    st.sets(
        st.tuples(st.integers(-90, 90), st.integers(1, 90)).filter(
            lambda arc: arc[0] != arc[1] and arc[0]
        ),
        min_size=1,
    ),
    max_size=6,
)


def readers(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Result]:
    """The file read directly, and through coverage.py's API as where its schema is another one."""
    direct = read_result(path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "KNOWN_SCHEMA", 0)
        return [direct, read_result(path)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=lines)
def test_lines_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: dict[tuple[str, str], set[int]]
) -> None:
    written = {key: line_set_of(numbers) for key, numbers in lines.items()}
    kind = Kind.LINES if lines else None
    write_database(Result(kind=kind, lines=written), tmp_path / "data")
    for found in readers(monkeypatch, tmp_path / "data"):
        assert (found.kind, found.lines, found.arcs) == (kind, written, {})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=lines, arcs=arcs)
def test_arcs_are_read_back_with_the_lines_at_their_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: dict[tuple[str, str], set[int]],
    arcs: dict[tuple[str, str], set[tuple[int, int]]],
) -> None:
    written = Result(
        kind=Kind.ARCS,
        lines={key: line_set_of(numbers) for key, numbers in lines.items()},
        arcs={key: arc_set_of(pairs) for key, pairs in arcs.items()},
    )
    write_database(written, tmp_path / "data")
    expected = dict(written.lines)
    for key, pairs in written.arcs.items():
        ends = {end for pair in arcs_in(pairs) for end in pair if end > 0}
        expected[key] = expected.get(key, 0) | line_set_of(ends)
    for found in readers(monkeypatch, tmp_path / "data"):
        assert (found.kind, found.lines, found.arcs) == (Kind.ARCS, expected, written.arcs)


def test_a_data_file_of_coverage_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CoverageData(str(tmp_path / "data"))
    data.set_context("one")
    data.add_arcs({"/a.py": [(-1, 2), (2, 5), (5, -1)]})
    data.add_file_tracers({"/a.py": "a_plugin"})
    data.write()
    data.close(force=True)
    for found in readers(monkeypatch, tmp_path / "data"):
        assert found.lines == {("/a.py", "one"): line_set_of({2, 5})}
        assert found.arcs == {("/a.py", "one"): arc_set_of([(-1, 2), (2, 5), (5, -1)])}
        assert found.plugins == {"/a.py": frozenset({"a_plugin"})}


@pytest.mark.parametrize("number", [1 << 24, 1 << 40, -(1 << 40)])
def test_impossible_lines_are_left_out(tmp_path: Path, number: int) -> None:
    write_database(
        Result(kind=Kind.ARCS, arcs={("/a.py", ""): arc_set_of([(1, 2)])}), tmp_path / "data"
    )
    with sqlite3.connect(tmp_path / "data") as db:
        db.execute("INSERT INTO arc VALUES (1, 1, 3, ?)", (number,))
        db.execute("INSERT INTO arc VALUES (1, 1, ?, ?)", (number, number))
    db.close()
    assert read_result(tmp_path / "data").lines == {("/a.py", ""): line_set_of({1, 2})}


@pytest.mark.parametrize("value", ["'text'", "1.5"])
def test_a_row_that_makes_no_sense_makes_the_file_unusable(tmp_path: Path, value: str) -> None:
    write_database(
        Result(kind=Kind.ARCS, arcs={("/a.py", ""): arc_set_of([(1, 2)])}), tmp_path / "data"
    )
    with sqlite3.connect(tmp_path / "data") as db:
        db.execute(f"INSERT INTO arc VALUES (1, 1, 3, {value})")
    db.close()
    with pytest.raises(DataFileUnusable, match=r"cannot read .*data: "):
        read_result(tmp_path / "data")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE file SET path = x'ff'",
        "UPDATE context SET context = NULL",
        "UPDATE line_bits SET numbits = NULL",
        "UPDATE line_bits SET numbits = 'text'",
        "CREATE VIEW endless AS SELECT 1",
        "UPDATE covsup_session SET settings = 5",
        "UPDATE covsup_session SET settings = replace(hex(zeroblob(50000)), '0', '[')",
        "INSERT INTO covsup_first VALUES ('/a.py', 'image', 'soon', x'01')",
        "INSERT INTO covsup_first VALUES ('/a.py', NULL, '1', x'01')",
        "INSERT INTO covsup_module VALUES ('/a.py', NULL)",
        "INSERT INTO covsup_version VALUES (x'ff', '', '')",
        "INSERT INTO covsup_mark VALUES (7, 'session', 'name', 'soon')",
        "INSERT INTO covsup_mark_arcs VALUES (0, '/a.py', x'ff')",
        "INSERT INTO covsup_mark_arcs VALUES (0, '/a.py', NULL)",
    ],
)
def test_a_file_with_impossible_values_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "data"
    key = ("/a.py", "context")
    marks = {Mark("session", "name", 1): MarkedFacts({"/b.py": 2}, {})}
    write_database(
        Result(kind=Kind.LINES, lines={key: 2}, marks=marks, sessions={"s": Settings(session="s")}),
        path,
    )
    read_result(path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    with pytest.raises(DataFileUnusable) as caught:
        read_result(path)
    assert len(str(caught.value)) < 500


def test_impossible_lines_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "data"
    write_database(Result(kind=Kind.LINES, lines={("/a.py", ""): 2}), path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE line_bits SET numbits = ?", (b"\xff" * (1 << 22),))
    assert read_result(path).lines["/a.py", ""].bit_length() == LARGEST_LINE + 1
