"""`covsup diff`: what one measurement covers that another does not."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import coverage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covsup.datafile.fold.sets import line_set_of, lines_in
from covsup.views.answers.diff.line_map import map_of_texts
from covsup.views.answers.diff.words import ranges
from tests.supervisor.live import Live, beside, covsup
from tests.views.marked import LOOP, SERVER

if TYPE_CHECKING:
    from tests.world import Run, World

OLD = """\
import sys


def handle(word):
    if word == "a":
        return "A"
    elif word == "b":
        return "B"
    return "?"


def gone():
    return 3


for each in sys.argv[1:]:
    print(handle(each), gone())
"""
NEW = """\
import sys

LIMIT = 3


def handle(word):
    if word == "a":
        return "A"
    elif word == "b":
        return "B"
    elif word == "c":
        return "C"
    return "?"


def added(x):
    if x:
        return 1
    return 2


for each in sys.argv[1:]:
    print(handle(each), added(0))
"""
CHANGES = {
    "newly_covered": [3, 11, 13, 16, 17, 19, 23],
    "no_longer_covered": [10],
    "changed_and_not_covered": [12, 18],
}


def git(world: World, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e", *words],
        cwd=world.directory, check=True, capture_output=True,
    )  # fmt: skip


def measured(world: World, data_file: str, *words: str, branch: bool = True) -> None:
    run = world.covsup_run("app.py", *words, branch=branch, data_file=world.directory / data_file)
    assert (run.ended, run.stderr) == (0, ""), run


def diff(world: World, *words: str) -> dict[str, Any]:
    """The answer as JSON."""
    outcome = beside(world, "diff", "--format=json", *words)
    assert (outcome.returncode, outcome.stderr) == (0, ""), outcome
    answer: dict[str, Any] = json.loads(outcome.stdout)
    return answer


def text(world: World, *words: str) -> Run:
    return world.run(world.python, "-m", "covsup", "diff", *words, environment={"COLUMNS": "80"})


def changes(file: dict[str, Any]) -> dict[str, list[int]]:
    """The lines of the three kinds of changes in one file."""
    return {
        "newly_covered": file["newly_covered"]["lines"],
        "no_longer_covered": file["no_longer_covered"]["lines"],
        "changed_and_not_covered": file["changed_and_not_covered"],
    }


@pytest.fixture
def edited(world: World) -> World:
    """A program that was measured, edited, and measured again. git has the first version."""
    git(world, "init", "-q")
    world.write("app.py", OLD)
    git(world, "add", "app.py")
    git(world, "commit", "-qm", "one")
    measured(world, "old.data", "a", "b")
    world.write("app.py", NEW)
    measured(world, "new.data", "a", "z")
    return world


def test_lines_of_an_edited_file_are_matched_by_their_text_from_git(edited: World) -> None:
    answer = diff(edited, "old.data", "new.data")
    (file,) = answer["files"]
    assert changes(file) == CHANGES
    assert file["no_longer_covered"]["branches"] == [[9, 10]]
    assert [17, 19] in file["newly_covered"]["branches"]
    assert answer["notes"] == []


@pytest.mark.parametrize("source", ["HEAD", "before"])
def test_the_user_says_where_the_earlier_sources_are(edited: World, source: str) -> None:
    (edited.directory / "before").mkdir()
    edited.write("before/app.py", OLD)
    if source == "before":
        shutil.rmtree(edited.directory / ".git")
    (file,) = diff(edited, "old.data", "new.data", f"--old-source={source}")["files"]
    assert changes(file) == CHANGES


def test_the_other_way_round_the_later_sources_are_found(edited: World) -> None:
    git(edited, "commit", "-qam", "two")
    (file,) = diff(edited, "new.data", "old.data")["files"]
    assert file["newly_covered"]["lines"] == [8, 12, 13, 17]
    assert file["no_longer_covered"]["lines"] == [9]


def test_without_the_earlier_text_lines_are_compared_by_number_and_that_is_said(
    edited: World,
) -> None:
    shutil.rmtree(edited.directory / ".git")
    answer = diff(edited, "old.data", "new.data")
    assert answer["compared_by_number"] == ["app.py"]
    assert any("compared by their numbers: give --old-source" in note for note in answer["notes"])
    said = text(edited, "old.data", "new.data").stdout
    assert "numbers" in said


def test_the_percentages_are_those_of_coverage_py(edited: World) -> None:
    answer = diff(edited, "old.data", "new.data")
    for name, side, source in (("old.data", "old", OLD), ("new.data", "new", NEW)):
        edited.write("app.py", source)
        reader = coverage.Coverage(data_file=str(edited.directory / name), config_file=False)
        reader.load()
        expected = reader.report(file=io.StringIO())
        assert answer[side]["percent"] == pytest.approx(expected)


def test_the_text_fits_into_80_columns_and_ends_with_status_3_on_a_loss(edited: World) -> None:
    run = text(edited, "old.data", "new.data", "--fail-on=lost")
    assert (run.ended, run.stderr) == (3, ""), run
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert run.stdout.splitlines()[3:7] == [
        "88.2 % -> 76.9 % (-11.31) of 1 file",
        "newly covered: 7 lines, 4 branches",
        "no longer covered: 1 line, 1 branch",
        "changed and not covered: 2 lines",
    ]
    assert "  - 10\n  - branches 9->10\n" in run.stdout
    same = text(edited, "new.data", "new.data", "--fail-on=lost")
    assert same.ended == 0
    assert "nothing differs" in same.stdout


def test_contexts_say_which_tests_cover_a_line_and_which_did(world: World) -> None:
    world.write(
        "app.py",
        "import sys\n"
        "from covsup import embed\n"
        "def first():\n    return 1\n"
        "def second():\n    return 2\n"
        "with embed.context('test ' + sys.argv[1]):\n"
        "    (first if sys.argv[1] == '1' else second)()\n",
    )
    measured(world, "one", "1")
    measured(world, "two", "2")
    (file,) = diff(world, "one", "two")["files"]
    assert file["newly_covered"]["contexts"] == {"test 2": [6]}
    assert file["no_longer_covered"]["contexts"] == {"test 1": [4]}
    said = text(world, "one", "two").stdout
    assert "  + 6\n" in said
    assert "      test 2: 6\n" in said
    assert "      test 1: 4\n" in said


def test_markdown_is_bounded_and_nothing_in_it_becomes_markup(world: World) -> None:
    world.write(
        "app.py",
        "import sys\n"
        "from covsup import embed\n"
        "with embed.context('<script>|`x`*' + sys.argv[1]):\n"
        "    for number in range(int(sys.argv[1])):\n"
        "        name = f'm{number}_' + 'long_' * 40 + '.py'\n"
        "        open(name, 'w').write('x = 1\\n')\n"
        "        exec(compile('x = 1', __file__.replace('app.py', name), 'exec'))\n",
    )
    measured(world, "one", "0")
    measured(world, "two", "400")
    run = text(world, "one", "two", "--format=markdown")
    assert (run.ended, run.stderr) == (0, ""), run
    assert len(run.stdout) < 65_536
    assert "<script>" not in run.stdout
    assert "`" not in run.stdout
    assert re.search(r"and \d+ more files\n", run.stdout)
    assert run.stdout.count("<details>") == run.stdout.count("</details>")
    assert "| newly covered |" in run.stdout
    rows = [line for line in run.stdout.splitlines() if line.startswith("| <code>")]
    assert rows
    assert {line.count("|") for line in rows} == {6}


def test_lines_and_branches_are_compared_by_lines_and_that_is_said(edited: World) -> None:
    measured(edited, "lines", "a", "b", branch=False)
    answer = diff(edited, "lines", "new.data")
    assert not answer["has_branches"]
    assert any("so lines are compared" in note for note in answer["notes"])
    (file,) = answer["files"]
    assert changes(file) == {
        "newly_covered": [11, 13],
        "no_longer_covered": [10],
        "changed_and_not_covered": [],
    }


def test_a_deleted_file_is_no_loss_and_a_file_that_no_longer_runs_is_one(world: World) -> None:
    world.write("app.py", "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\n")
    world.write("deleted.py", "x = 1\n")
    world.write("unused.py", "x = 1\n")
    measured(world, "one", "deleted", "unused")
    (world.directory / "deleted.py").unlink()
    measured(world, "two")
    answer = diff(world, "one", "two")
    assert answer["gone"] == ["deleted.py"]
    lost = {file["path"]: file["no_longer_covered"]["lines"] for file in answer["files"]}
    assert lost == {"app.py": [3], "unused.py": [1]}


def test_a_mark_of_a_running_session_and_of_its_data_file(world: World) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py", options=("--branch",))) as live:
        live.wait_for("ready")
        assert beside(world, "mark", "before a").returncode == 0
        live.send("a\n")
        live.wait_for("ready")
        (file,) = diff(world, "mark:before a")["files"]
        assert changes(file)["newly_covered"] == [3, 4, *LOOP]
        assert beside(world, "mark", "after a").returncode == 0
        live.send("b\n")
        live.wait_for("ready")
        (file,) = diff(world, "mark:before a", "mark:after a")["files"]
        assert changes(file)["newly_covered"] == [3, 4, *LOOP]
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    (file,) = diff(world, "mark:after a")["files"]
    assert changes(file)["newly_covered"] == [5, 6, 14]
    (file,) = diff(world, ".coverage@mark:after a", ".coverage")["files"]
    assert changes(file)["newly_covered"] == [5, 6, 14]
    run = text(world, "mark:nonsense")
    assert run.ended == 1
    assert "has no mark 'nonsense': its marks are 'after a', 'before a'" in run.stderr


def test_a_file_that_was_edited_within_one_measurement_is_named(edited: World) -> None:
    run = edited.covsup_run(
        "app.py", "a", options=["--append"], data_file=edited.directory / "old.data"
    )
    assert run.ended == 0, run
    answer = diff(edited, "old.data", "new.data")
    assert "app.py: edited while one side was measured" in "".join(answer["notes"])


def test_a_session_is_compared_with_a_data_file_while_it_runs(world: World) -> None:
    world.write("server.py", SERVER)
    assert world.covsup_run("server.py").ended == 0
    (world.directory / ".coverage").rename(world.directory / "old")
    with Live(world, *covsup(world, "server.py", options=("--branch",))) as live:
        live.wait_for("ready")
        live.send("b\n")
        live.wait_for("ready")
        (file,) = diff(world, "old")["files"]
        assert changes(file)["newly_covered"] == [3, 5, 6, 12, 13]


def test_paths_of_another_checkout_are_mapped(world: World) -> None:
    for name in ("ci", "here"):
        (world.directory / name).mkdir()
    world.write("ci/app.py", "import sys\nif sys.argv[1:]:\n    x = 1\n")
    world.write("here/app.py", "import sys\nif sys.argv[1:]:\n    x = 1\n")
    for name in ("ci", "here"):
        run = world.covsup_run(
            f"{name}/app.py",
            *(["1"] if name == "here" else []),
            data_file=world.directory / f"{name}.data",
        )
        assert run.ended == 0, run
    world.write(".coveragerc", "[paths]\nall =\n    here\n    */ci\n")
    (file,) = diff(world, "ci.data", "here.data")["files"]
    assert file["path"] == "here/app.py"
    assert changes(file)["newly_covered"] == [3]


def test_many_files_are_compared_and_those_that_reports_omit_are_left_out(world: World) -> None:
    world.write("app.py", "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\n")
    names = [f"m{number}" for number in range(20)]
    for name in names:
        world.write(f"{name}.py", "x = 1\n")
    measured(world, "one", *names[:15])
    measured(world, "two", *names[5:])
    world.write(".coveragerc", "[report]\nomit = m7.py, m19.py, m0.py\n")
    answer = diff(world, "one", "two")
    new = [file["path"] for file in answer["files"] if file["newly_covered"]["lines"]]
    lost = [file["path"] for file in answer["files"] if file["no_longer_covered"]["lines"]]
    assert sorted(new) == sorted(f"m{number}.py" for number in range(15, 19))
    assert sorted(lost) == sorted(f"m{number}.py" for number in range(1, 5))
    assert answer["new"]["statements"] == 17 + 3


def test_what_cannot_be_compared_gives_one_line(world: World) -> None:
    world.write("app.py", "x = 1\n")
    world.write("text", "not a data file\n")
    measured(world, ".coverage")
    for words, said in (
        (
            ("nowhere",),
            "there is no nowhere: it is no session, and no file or directory. A mark of that name is mark:nowhere",
        ),
        ((".coverage",), "is the newest measurement: there is nothing to compare it with"),
        (("text",), "is not a coverage data file"),
        ((".coverage", ".coverage", "--old-source=nope"), "there is no such directory"),
        ((".coverage", ".coverage", "--old-source=--help"), "there is no such directory"),
        (("mark:x",), "it has no marks"),
    ):
        run = text(world, *words)
        assert run.ended in {1, 2}, run
        assert run.stdout == ""
        assert run.stderr.count("\n") == 1
        assert said in run.stderr


lines_of_text = st.lists(st.sampled_from([b"a", b"b", b"c", b"", b"d = 1"]), max_size=12)


@given(lines_of_text, lines_of_text)
def test_a_line_is_only_matched_with_an_equal_line_and_in_order(
    old: list[bytes], new: list[bytes]
) -> None:
    line_map = map_of_texts(b"\n".join(old), b"\n".join(new))
    old, new = old or [b""], new or [b""]  # an empty text is one empty line
    if line_map.is_same:
        assert old == new
        return
    matched = [lines_in(line_map.lines(1 << line)) for line in range(1, len(old) + 1)]
    pairs = [(line, to[0]) for line, to in enumerate(matched, 1) if to]
    assert all(old[line - 1] == new[to - 1] for line, to in pairs)
    assert [to for _, to in pairs] == sorted({to for _, to in pairs})


def test_ranges_go_on_over_lines_that_are_no_statements() -> None:
    assert ranges(line_set_of([1, 2, 3, 5]), 0) == ["1-3", "5"]
    assert ranges(line_set_of([1, 3, 6]), line_set_of([1, 3, 5, 6])) == ["1-3", "6"]
    assert ranges(0, 0) == []
