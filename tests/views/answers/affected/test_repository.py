"""`covsup affected`: what git says, and data of other versions, machines and tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.views.answers.affected.sample import (
    FILES,
    LABELS,
    MEASURED,
    Project,
)

if TYPE_CHECKING:
    from tests.world import World


def test_a_file_without_data_affects_the_tests_of_its_importers(project: Project) -> None:
    project.write("shop/fresh.py", "VALUE = 1\n")
    run = project.affected()
    assert run.stdout == ""
    assert "shop/fresh.py: new" in run.stderr
    project.write("shop/labels.py", f"import shop.fresh\n\n\n{LABELS}")
    assert project.tests() == {"tests/test_labels.py"}


def test_the_change_of_a_branch_counts_from_where_it_left(project: Project) -> None:
    project.git("checkout", "-q", "-b", "feature")
    project.replace("shop/cart.py", "return max(prices)", "return sorted(prices)[-1]")
    project.commit()
    project.git("checkout", "-q", "main")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    project.commit()
    project.git("checkout", "-q", "feature")
    assert project.tests("--since=main") == {"tests/test_cart.py::test_largest"}
    assert project.tests("--since", "start") == {"tests/test_cart.py::test_largest"}


def test_work_in_a_directory_below_gives_ids_for_there(project: Project) -> None:
    project.replace("shop/cart.py", "return max(prices)", "return sorted(prices)[-1]")
    run = project.world.run(
        "sh", "-c",
        f"cd tests && {sys.executable} -m covsup affected ../.coverage",
    )  # fmt: skip
    assert run.stdout == "test_cart.py::test_largest\n", run


def test_windows_line_ends_make_no_difference(project: Project) -> None:
    path = project.directory / "shop/cart.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert project.tests() == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since=nothing",), "git knows no revision nothing"),
        (("--since=--all",), "git knows no revision --all"),
        (("no-such-file",), "there is no no-such-file: it is no session, and no file or directory"),
    ],
)
def test_mistakes_give_one_line(project: Project, words: tuple[str, ...], message: str) -> None:
    run = project.affected(*words)
    assert (run.ended, run.stdout, run.stderr) == (1, "", f"covsup: {message}\n")


def test_without_a_repository_or_git_the_reason_is_one_line(world: World) -> None:
    world.write("test_one.py", "def test_one():\n    pass\n")
    world.run(world.python, "-m", "pytest", *MEASURED)
    environment = {"GIT_CEILING_DIRECTORIES": str(world.directory.parent)}
    run = world.run(world.python, "-m", "covsup", "affected", environment=environment)
    assert run.ended == 1
    assert "not a git repository" in run.stderr
    assert run.stderr.count("\n") == 1
    run = world.run(world.python, "-m", "covsup", "affected", environment={"PATH": "/nowhere"})
    assert run.stderr == "covsup: there is no git command, which knows what changed\n"


def test_data_without_tests_says_how_to_record_them(own_project: Project) -> None:
    own_project.write("test_one.py", "def test_one():\n    pass\n")
    own_project.commit()
    own_project.measure("--covsup", "--covsup-report=")
    run = own_project.affected()
    assert run.ended == 1
    assert "pytest --covsup --covsup-context=test" in run.stderr


def test_data_of_a_later_or_an_unknown_version_of_the_source(own_project: Project) -> None:
    project = own_project
    project.write(".gitignore", FILES[".gitignore"])
    for name in ("shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.commit()
    # Two lines more: the data has other line numbers than the base.
    project.write("shop/labels.py", f"# one\n# two\n{LABELS}".replace('"bar"', '"b"'))
    project.commit("measured")
    project.measure(*MEASURED)
    only = {"tests/test_labels.py::test_label[x|y]"}
    assert project.tests("--since=HEAD~1") == only
    assert project.tests() == set()
    # The change is relative to the data too: nothing differs from HEAD, but from what was measured.
    project.write("shop/labels.py", LABELS.replace('"bar"', '"c"'))
    project.commit("later")
    run = project.affected()
    assert set(run.stdout.splitlines()) == only
    assert "shop/labels.py: changed since the measurement" in run.stderr
    assert project.tests("--since=HEAD~1") == only
    # A version that was never committed is not known.
    project.write("shop/labels.py", LABELS.replace('"bar"', '"d"'))
    project.measure(*MEASURED)
    project.write("shop/labels.py", LABELS.replace('"bar"', '"e"'))
    run = project.affected()
    assert run.stdout == "tests/test_labels.py\n"
    assert "shop/labels.py: the measured version is not in the repository" in run.stderr


@pytest.mark.parametrize("core_of_all", ["auto", "settrace"])
def test_data_of_branches_is_as_good(own_project: Project, core_of_all: str) -> None:
    project = own_project
    for name in (".gitignore", "shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.write(".coveragerc", "[run]\nbranch = True\n")
    project.write("pyproject.toml", f'[tool.covsup]\ncore = "{core_of_all}"\n')
    project.commit()
    project.measure(*MEASURED, "--covsup-branch")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    assert project.tests() == {"tests/test_labels.py::test_label[x|y]"}
    project.write("shop/labels.py", LABELS.replace('if "|"', 'if "z"'))
    assert project.tests() == {"tests/test_labels.py::test_label"}


def test_a_session_that_is_not_combined_answers_too(own_project: Project) -> None:
    project = own_project
    for name in (".gitignore", "shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.commit()
    run = project.world.covsup_run(
        "-m", "pytest", "-p", "no:cacheprovider", options=["-p", "--dynamic-context=test"]
    )
    assert run.ended == 0, run
    (session,) = (project.directory / ".covsup").glob("2*")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    run = project.affected(str(session))
    # The data has no digest yet of a version that is gone.
    assert run.stdout == "tests/test_labels.py\n", run
    assert "shop/labels.py: the measured version is not in the repository" in run.stderr


def test_data_of_another_machine_is_read_as_this_working_tree(project: Project) -> None:
    elsewhere = project.directory.with_name("elsewhere")
    shutil.copytree(project.directory, elsewhere)
    moved = project.directory.with_name("moved")
    project.directory.rename(moved)
    try:
        path = elsewhere / "shop/cart.py"
        path.write_text(path.read_text().replace("return max(prices)", "return 2"))
        run = subprocess.run(
            (sys.executable, "-m", "covsup", "affected"),
            cwd=elsewhere, env=project.world.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.stdout == "tests/test_cart.py::test_largest\n", run
        note = f"the data was recorded in {project.directory}; it is read as {elsewhere}"
        assert run.stderr == f"covsup: {note}\n"
    finally:
        moved.rename(project.directory)


def test_new_files_of_tools_and_of_environments_are_no_tests(project: Project) -> None:
    project.write("env/lib/site-packages/pkg/test_it.py", "")
    project.write("venv/test_it.py", "")
    project.write(".hidden/test_it.py", "")
    run = project.affected()
    assert run.stdout == ""
    note = "new, in a directory that pytest does not search"
    assert f"covsup: .hidden/test_it.py, venv/test_it.py: {note}\n" in run.stderr


@pytest.mark.parametrize("name", [b"test_\xff.py", b"test_\n.py", b"test_ '\".py"])
def test_names_of_any_bytes_are_printed_as_they_are(project: Project, name: bytes) -> None:
    project.write(f"tests/{os.fsdecode(name)}", "def test_a():\n    pass\n")
    done = subprocess.run(
        (sys.executable, "-m", "covsup", "affected", "--format=null"),
        cwd=project.directory, env=project.world.environment(), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"tests/" + name + b"\0"
    run = project.affected("--format=json")
    assert json.loads(run.stdout)["tests"][0]["path"] == f"tests/{os.fsdecode(name)}"
    run = project.affected("-q")
    assert run.stderr == ""


def test_a_changed_submodule_is_reported(project: Project) -> None:
    inner = project.directory / "inner"
    inner.mkdir()
    git = ("git", "-C", str(inner), "-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run((*git, "init", "-q"), check=True)
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "one"), check=True)
    project.git("add", "inner")
    project.git("commit", "-q", "-m", "a submodule")
    assert project.affected().stderr == "covsup: none of 12 tests is affected\n"
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "two"), check=True)
    run = project.affected()
    assert "covsup: inner: what uses these links and submodules is not known\n" in run.stderr
    shutil.rmtree(inner)


def test_without_a_common_commit_the_revision_itself_is_the_base(project: Project) -> None:
    project.git("checkout", "-q", "--orphan", "other")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    project.commit()
    run = project.affected("--since=main")
    assert run.stdout == "tests/test_labels.py::test_label[x|y]\n"
    assert "has no commit that main and HEAD share" in run.stderr


def test_a_repository_without_a_commit_has_only_new_files(own_project: Project) -> None:
    own_project.write("test_one.py", "def test_one():\n    pass\n")
    own_project.measure(*MEASURED)
    assert own_project.tests("-q") == {"test_one.py"}


def test_data_of_coverage_py_names_tests_by_function(own_project: Project) -> None:
    project = own_project
    project.write(".gitignore", FILES[".gitignore"])
    project.write("shop/__init__.py", "")
    project.write("shop/labels.py", LABELS)
    project.write("test_it.py", "from shop.labels import label\ndef test_bar():\n    label('|')\ndef test_it():\n    label('')\n")  # fmt: skip
    project.write("pyproject.toml", "[tool.coverage.run]\ndynamic_context = 'test_function'\n")
    project.commit()
    run = project.world.run(
        project.world.python, "-m", "coverage", "run", "-m", "pytest", "-p", "no:covsup"
    )
    assert run.ended == 0, run
    project.replace("shop/labels.py", '"bar"', '"b"')
    run = project.affected()
    assert run.stdout == "test_it.py::test_bar\n", run
    assert "the data does not say which version it measured" in run.stderr


def test_a_data_file_of_any_name_is_no_change(own_project: Project) -> None:
    own_project.write("test_one.py", "def test_one():\n    pass\n")
    own_project.measure(*MEASURED)
    shutil.copy(own_project.directory / ".coverage", own_project.directory / "main.coverage")
    run = own_project.affected("main.coverage")
    assert run.stdout == "test_one.py\n"
    assert "main.coverage" not in run.stderr
