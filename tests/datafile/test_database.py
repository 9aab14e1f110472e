"""The data file: coverage.py reads it as its own, and our provenance comes back from it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoverageData
from hypothesis import given, settings
from hypothesis import strategies as st

from covsup.datafile._fold import ARC_BITS, arc_numbers
from covsup.datafile.database import coverage_tables
from covsup.datafile.database.data_files import DataFile
from covsup.datafile.database.database import (
    is_data_file,
    kind_of,
    read_covsup_tables,
    read_provenance,
    session_ids_in,
    write_database,
)
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import image_result, session_result
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import LARGEST_LINE, arc_set_of, line_set_of, numbits
from covsup.datafile.journal.reader import read_journal
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.settings import Settings
from tests.datafile.handmade import HandMade
from tests.datafile.test_fold_laws import either


def result_with(tmp_path: Path, *journals: HandMade, session: str = "s") -> Result:
    read = [
        image_result([read_journal(each.write(tmp_path))], session=session) for each in journals
    ]
    return fold([session_result(Settings(session=session)), *read])


def coverage_py(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coverage", *arguments],
        cwd=directory, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip


def test_coverage_py_reads_lines_and_contexts(tmp_path: Path) -> None:
    made = HandMade().ran("/a.py", 1, 2).ran("/a.py", 3, context="test|run")
    write_database(result_with(tmp_path, made), tmp_path / ".coverage")
    data = CoverageData(str(tmp_path / ".coverage"))
    data.read()
    assert sorted(data.lines("/a.py") or ()) == [1, 2, 3]
    assert data.contexts_by_lineno("/a.py") == {1: [""], 2: [""], 3: ["test|run"]}
    assert not data.has_arcs()


def test_coverage_py_reads_arcs(tmp_path: Path) -> None:
    made = HandMade(branch=True).ran("/a.py", 1).went("/a.py", (1, 2), (2, -1))
    write_database(result_with(tmp_path, made), tmp_path / ".coverage")
    data = CoverageData(str(tmp_path / ".coverage"))
    data.read()
    assert sorted(data.arcs("/a.py") or ()) == [(1, 1), (1, 2), (2, -1)]
    assert sorted(data.lines("/a.py") or ()) == [1, 2]


def test_coverage_pys_report_and_combine_accept_the_file(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\ny = 2\nif x:\n    z = 3\n")
    for number, lines in ((1, (1, 2)), (2, (3, 4))):
        made = HandMade().ran(str(source), *lines)
        write_database(result_with(tmp_path, made), tmp_path / f".coverage.{number}")
    combined = coverage_py(tmp_path, "combine", "--keep")
    assert combined.returncode == 0, combined.stderr
    report = coverage_py(tmp_path, "report")
    assert "TOTAL" in report.stdout
    assert "100%" in report.stdout


@settings(max_examples=25)
@given(either)
def test_everything_but_the_facts_comes_back(parts: list[Result]) -> None:
    whole = fold(parts)
    path = Path(os.environ["PYTEST_TMP"]) / "roundtrip"
    write_database(whole, path)
    back = read_covsup_tables(path)
    for name in Result.__slots__:
        if name not in {"kind", "lines", "arcs"}:
            assert getattr(back, name) == getattr(whole, name), name
    assert read_provenance(path) == provenance_of(whole)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))


def test_names_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    made = HandMade().knows("argv", b"\xff.py").spawned(3, "\udcfe")
    odd = Observation(pid=1, create_time=1.5, argv=("\udcfd",), python=False)
    note = SessionNote(pid=1, time_ns=2, kind="note", why="\udcfc", argv=("\udcfb",))
    whole = fold(
        [result_with(tmp_path, made), session_result(Settings(session="s"), [note], [odd])]
    )
    write_database(whole, tmp_path / ".coverage")
    assert read_covsup_tables(tmp_path / ".coverage").images == whole.images
    assert read_covsup_tables(tmp_path / ".coverage").observations == whole.observations
    assert read_covsup_tables(tmp_path / ".coverage").notes == whole.notes


def test_a_measured_file_that_is_no_utf8_is_left_out_and_told(tmp_path: Path) -> None:
    result = result_with(tmp_path, HandMade().ran("/\udcff.py", 1).ran("/a.py", 1))
    write_database(result, tmp_path / ".coverage")
    data = CoverageData(str(tmp_path / ".coverage"))
    data.read()
    assert data.measured_files() == {"/a.py"}
    assert len(read_provenance(tmp_path / ".coverage").problems) >= 1


def test_numbers_beyond_sqlite_do_not_hinder(tmp_path: Path) -> None:
    made = HandMade(pid=2**64 - 1, ppid=2**63, started_ns=2**64 - 1).ran("/a.py", 1)
    result = result_with(tmp_path, made)
    write_database(result, tmp_path / ".coverage")
    assert read_covsup_tables(tmp_path / ".coverage").images == result.images


def test_files_never_executed_are_listed_with_no_lines(tmp_path: Path) -> None:
    for kind in Kind:
        path = tmp_path / kind.value
        write_database(
            Result(), path, kind=kind, touched={"/never.py": "", "/never.html": "a.Plugin"}
        )
        data = CoverageData(str(path))
        data.read()
        assert data.lines("/never.py") == []
        assert data.has_arcs() is (kind is Kind.ARCS)


def test_the_data_of_another_file_is_taken_in_under_other_paths(tmp_path: Path) -> None:
    old = tmp_path / "old"
    write_database(result_with(tmp_path, HandMade().ran("/there/a.py", 1)), old)
    new = tmp_path / "new"
    other = DataFile(path=old, map_path=lambda path: path.replace("/there", "/here"))
    write_database(result_with(tmp_path, HandMade().ran("/here/a.py", 2)), new, others=[other])
    data = CoverageData(str(new))
    data.read()
    assert sorted(data.lines("/here/a.py") or ()) == [1, 2]


def test_the_tables_for_reading_say_what_the_records_say(tmp_path: Path) -> None:
    root = HandMade(pid=11, lost=(3, 0, 28, 9)).ran("/a.py", 1, 2).ended(0)
    root.knows("argv", b"a.py\0-x").spawned(13, "python3", "-S", "b.py")
    write_database(result_with(tmp_path, root), tmp_path / ".coverage")
    with sqlite3.connect(tmp_path / ".coverage") as db:
        row = db.execute(
            "SELECT pid, command, ending, lines, unique_lines FROM covsup_process"
        ).fetchone()
        assert row == (11, "a.py -x", "exit 0", 2, 2)
        assert db.execute("SELECT pid, command FROM covsup_unmeasured").fetchall() == [
            (13, "python3 -S b.py")
        ]
        assert db.execute("SELECT facts, errno FROM covsup_lost").fetchall() == [(3, 28)]
    db.close()


def test_what_a_data_file_holds_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / ".coverage"
    assert not is_data_file(path)
    path.touch()
    assert not is_data_file(path)
    write_database(result_with(tmp_path), path)
    assert is_data_file(path)
    assert kind_of(path) is None
    assert session_ids_in(path) == {"s"}
    write_database(result_with(tmp_path, HandMade(branch=True).ran("/a.py", 1)), path)
    assert kind_of(path) is Kind.ARCS
    write_database(result_with(tmp_path, HandMade().ran("/a.py", 1)), path)
    assert kind_of(path) is Kind.LINES


def test_a_data_file_of_coverage_pys_own_has_no_provenance(tmp_path: Path) -> None:
    data = CoverageData(str(tmp_path / ".coverage"))
    data.add_lines({"/a.py": [1]})
    data.close()
    assert session_ids_in(tmp_path / ".coverage") == set()
    assert read_provenance(tmp_path / ".coverage").processes == ()


@pytest.mark.parametrize(
    "content", [b"no database", b"SQLite format 3\0" + b"x" * 4096, b"\0" * 99]
)
def test_what_is_no_data_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".coverage"
    path.write_bytes(content)
    with pytest.raises(DataFileUnusable, match=r"\.coverage is not a coverage data file") as caught:
        is_data_file(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".coverage"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(DataFileUnusable, match="is not a coverage data file"):
        is_data_file(path)
    assert path.read_bytes() == before


def test_tables_of_a_newer_covsup_are_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / ".coverage"
    write_database(Result(), path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE covsup_schema SET version = 99")
    db.close()
    with pytest.raises(DataFileUnusable, match="version 99"):
        read_covsup_tables(path)


def test_a_directory_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "no such directory" / ".coverage"
    with pytest.raises(DataFileUnwritable, match="cannot write"):
        write_database(Result(), path)
    good = tmp_path / ".coverage"
    write_database(result_with(tmp_path, HandMade().ran("/a.py", 1)), good)
    before = good.read_bytes()
    broken = tmp_path / "broken"
    broken.write_bytes(before[:5000] + b"\xff" * (len(before) - 5000))
    with pytest.raises((DataFileUnusable, DataFileUnwritable)):
        write_database(Result(), good, others=[DataFile(path=broken)])
    assert good.read_bytes() == before
    assert [each.name for each in tmp_path.glob(".covsup-*")] == []


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".covsup-1-abcdef.tmp"
    leftover.touch()
    write_database(Result(), tmp_path / ".coverage")
    assert not leftover.exists()


def test_a_data_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / ".coverage").symlink_to(tmp_path / "real" / "data")
    write_database(Result(), tmp_path / ".coverage")
    assert (tmp_path / ".coverage").is_symlink()
    assert is_data_file(tmp_path / "real" / "data")


def own_rows(path: Path) -> list[list[tuple[object, ...]]]:
    """What coverage.py's own tables hold, whatever the numbers of files and contexts are."""
    names = "JOIN file ON file_id = file.id JOIN context ON context_id = context.id"
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [
            sorted(db.execute(query))
            for query in (
                "SELECT path FROM file",
                "SELECT context FROM context",
                f"SELECT path, context, numbits FROM line_bits {names}",
                f"SELECT path, context, fromno, tono FROM arc {names}",
                "SELECT key, value FROM meta WHERE key = 'has_arcs'",
            )
        ]


@pytest.mark.parametrize("branch", [False, True])
def test_rows_are_written_as_coverage_py_writes_them(
    tmp_path: Path, branch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    write_database(made_of(tmp_path, branch, 1), other)
    result = made_of(tmp_path, branch, 4)
    for name, schema, knows_json in (
        ("rows", True, True), ("one", True, False), ("api", False, True),
    ):  # fmt: skip
        monkeypatch.setattr(coverage_tables, "_is_known_schema", lambda known=schema: known)
        monkeypatch.setattr(
            coverage_tables, "_has_json_functions", lambda _, knows=knows_json: knows
        )
        for others in ((), (DataFile(path=other),)):
            write_database(result, tmp_path / f"{name}{len(others)}", others=others)
    assert own_rows(tmp_path / "rows0") == own_rows(tmp_path / "api0")
    assert own_rows(tmp_path / "rows1") == own_rows(tmp_path / "api1")
    assert own_rows(tmp_path / "one1") == own_rows(tmp_path / "api1")
    assert own_rows(tmp_path / "rows1") != own_rows(tmp_path / "rows0")


numbers = st.integers(-LARGEST_LINE, LARGEST_LINE) | st.integers(-9, 9)


@given(
    st.sets(st.tuples(numbers, numbers), max_size=9),
    st.sets(st.integers(1, 99) | st.just(70_000), max_size=9),
)
def test_arcs_become_rows_in_the_order_of_their_index(
    arcs: set[tuple[int, int]], lines: set[int]
) -> None:
    text = arc_numbers(arc_set_of(arcs), numbits(line_set_of(lines)))
    half = 1 << (ARC_BITS - 1)
    rows = [(n >> ARC_BITS, (n & (2 * half - 1)) - half) for n in json.loads(text)]
    assert rows == sorted([*arcs, *((line, line) for line in lines)])


def made_of(directory: Path, branch: bool, step: int) -> Result:
    made = HandMade(branch=branch)
    for context in ("", "one", "two"):
        made.ran("/a.py", *range(1, 50, step), context=context)
        made.ran("/b.py", 3, 700 + step, context=context)
        if branch:
            made.went("/a.py", (-1, step), (step, -1), context=context)
    made.ran("/empty.py")
    return image_result([read_journal(made.write(directory))])


def test_the_tables_are_coverage_pys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {}
    for known in (True, False):
        monkeypatch.setattr(coverage_tables, "_is_known_schema", lambda known=known: known)
        path = tmp_path / str(known)
        write_database(Result(), path, kind=Kind.ARCS, touched={"/a.x": "plugin", "/b.py": ""})
        with contextlib.closing(sqlite3.connect(path)) as db:
            names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
            tables[known] = {
                name: [
                    db.execute(f"PRAGMA {question}({name})").fetchall()
                    for question in ("table_info", "foreign_key_list", "index_list")
                ]
                for (name,) in names.fetchall()
            }
            assert db.execute("SELECT version FROM coverage_schema").fetchall() == [(7,)]
        data = CoverageData(str(path))
        data.read()
        assert (data.has_arcs(), data.measured_files()) == (True, {"/a.x", "/b.py"})
        assert (data.file_tracer("/a.x"), data.file_tracer("/b.py")) == ("plugin", "")
    assert tables[True] == tables[False]


def test_a_schema_that_is_not_known_is_left_to_coverage_py(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert coverage_tables._is_known_schema()
    package = tmp_path / "coverage"
    package.mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert not coverage_tables._is_known_schema()
    for text in ("SCHEMA_VERSION = 8\n", "from elsewhere import SCHEMA_VERSION\n"):
        (package / "sqldata.py").write_text(text)
        assert not coverage_tables._is_known_schema()
    (package / "sqldata.py").write_text("# 7\nSCHEMA_VERSION = 7\n")
    assert coverage_tables._is_known_schema()
