"""`pytest --covsup`, on real projects in processes of their own."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import Run, World

MODULE = """\
def work(flag):
    if flag:
        return 1
    return 2

def in_child():
    return 3

def never():
    return 4
"""

CONFTEST = """\
import module
started = module.work(1)
"""

TESTS = """\
import os
import module

def test_fork():
    pid = os.fork()
    if pid == 0:
        module.in_child()
        os._exit(0)
    os.waitpid(pid, 0)

def test_work():
    assert module.work(0) == 2
"""


@pytest.fixture
def project(world: World) -> World:
    world.write("module.py", MODULE)
    world.write("conftest.py", CONFTEST)
    world.write("test_module.py", TESTS)
    return world


def run_pytest(world: World, *words: str, environment: dict[str, str] | None = None) -> Run:
    """Run pytest as a user does, without what this suite's own pytest put into the environment."""
    clean = {name: "" for name in os.environ if name.startswith(("PYTEST_", "COVSUP_", "COV_CORE"))}
    return world.run(
        *(world.python, "-m", "pytest", "-p", "no:cacheprovider", *words),
        data_file=world.directory / ".coverage",
        environment={**clean, "PYTEST_ADDOPTS": "", **(environment or {})},
    )


def table(run: Run) -> dict[str, tuple[str, ...]]:
    """The rows of coverage.py's table, by file name."""
    rows = re.findall(r"^(\S+\.py|TOTAL) +(.*)$", run.stdout, re.MULTILINE)
    return {name: tuple(rest.split()) for name, rest in rows}


def test_everything_is_measured_from_the_first_line_and_in_children(project: World) -> None:
    words = ["--covsup", "--covsup-branch", "--covsup-report=term-missing", "-W", "error"]
    run = run_pytest(project, *words, "-p", "no:xdist")
    assert run.ended == 0, run
    assert run.stderr == ""
    assert run.stdout.count("test session starts") == 1
    assert re.search(r"=+ tests coverage =+\n_+ coverage: platform \w+, python [\d.]+", run.stdout)
    assert table(run) == {
        "conftest.py": ("2", "0", "0", "0", "100%"),
        "module.py": ("8", "1", "2", "0", "90%", "10"),
        "test_module.py": ("10", "0", "2", "0", "100%"),
        "TOTAL": ("20", "1", "4", "0", "96%"),
    }
    assert project.run(project.python, "-m", "covsup", "tree").stdout.count("fork") == 1
    assert not (project.directory / ".covsup").exists()


def test_the_options_of_pytest_cov_are_understood_and_its_minimum_fails_the_run(
    project: World,
) -> None:
    words = ["-n", "2", "--cov=module", "--cov-report=term:skip-covered", "--cov-report=xml"]
    run = run_pytest(project, *words, "--cov-fail-under=90.5", "--cov-precision=1")
    assert run.ended == 1, run
    assert table(run) == {
        "module.py": ("8", "1", "87.5%"),
        "TOTAL": ("8", "1", "87.5%"),
    }
    assert "Coverage XML written to file coverage.xml\n" in run.stdout
    assert (project.directory / "coverage.xml").read_text().startswith("<?xml")
    assert "ERROR: Coverage failure: total of 87.5 is less than fail-under=90.5\n" in run.stdout
    assert (
        "FAIL Required test coverage of 90.5% not reached. Total coverage: 87.50%\n" in run.stdout
    )


def test_a_worker_of_xdist_that_crashes_loses_nothing(project: World) -> None:
    project.write(
        "test_crash.py",
        "import os, module\ndef test_crash():\n    module.never()\n    os._exit(7)\n",
    )
    run = run_pytest(project, "-n", "2", "--covsup=module.py,", "--covsup=module")
    assert run.ended == 1, run
    assert "crashed while running" in run.stdout
    assert table(run)["module.py"] == ("8", "0", "100%")


def test_an_interrupted_run_keeps_its_data(project: World) -> None:
    project.write(
        "test_zlast.py",
        "import os, signal, module\n"
        "def test_last():\n"
        "    module.never()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n",
    )
    run = run_pytest(project, "--covsup")
    assert run.ended == 2, run
    assert run.file("module.py").missing_lines == set()


def test_tests_are_contexts_also_in_their_children(project: World) -> None:
    run = run_pytest(project, "--covsup", "--covsup-context=test", "--covsup-report=")
    assert run.ended == 0, run
    assert "tests coverage" not in run.stdout
    out = project.directory / "contexts.json"
    words = ["-m", "covsup", "json", "-q", "--show-contexts", "-o", str(out)]
    assert project.run(project.python, *words).ended == 0
    contexts = json.loads(out.read_text())["files"]["module.py"]["contexts"]
    assert contexts["4"] == ["test_module.py::test_work|run"]
    assert contexts["7"] == ["test_module.py::test_fork|run"]
    assert "" in contexts["2"]


def test_a_test_can_be_left_out(project: World) -> None:
    project.write(
        "test_out.py",
        "import module, pytest\n"
        "@pytest.mark.no_cover\n"
        "def test_marked():\n"
        "    module.never()\n"
        "def test_by_fixture(no_covsup):\n"
        "    module.never()\n",
    )
    run = run_pytest(project, "--covsup", "--strict-markers")
    assert run.ended == 0, run
    assert run.file("module.py").missing_lines == {10}


def test_covsup_run_and_the_plugin_are_one_session(project: World) -> None:
    run = project.covsup_run(
        *("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--covsup"),
        environment={"PYTEST_ADDOPTS": ""},
    )
    assert (run.ended, run.stderr) == (0, "")
    assert table(run)["TOTAL"] == ("20", "1", "4", "0", "96%")
    tree = project.run(project.python, "-m", "covsup", "tree").stdout
    assert "2 measured processes" in tree


def test_pytest_main_begins_at_once_and_names_what_came_before(project: World) -> None:
    project.write(
        "main.py",
        "import module, pytest, sys\n"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider', '-p', 'no:xdist', '--covsup']))\n",
    )
    run = project.run(
        project.python, "main.py",
        data_file=project.directory / ".coverage", environment={"PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert run.ended == 0, run
    assert "covsup: imported before measurement began: module\n" in run.stdout
    assert table(run)["test_module.py"] == ("10", "0", "100%")


def test_without_an_option_nothing_is_loaded(project: World) -> None:
    project.write(
        "test_module.py",
        "import sys\n"
        "def test_modules():\n"
        "    ours = {name for name in sys.modules if name.startswith('covsup')}\n"
        "    assert ours == {'covsup', 'covsup.embed', 'covsup.pytest_plugin'} | (\n"
        "        ours & {'covsup.bootstrap'})\n"
        "    assert 'coverage' not in sys.modules\n",
    )
    run = run_pytest(project, "-p", "no:xdist")
    assert run.ended == 0, run
    assert "tests coverage" not in run.stdout


@pytest.mark.parametrize(
    "words",
    [["--covsup-report=pdf"], ["--covsup-fail-under=101"], ["--covsup-report=term:html"]],
)
def test_wrong_options_are_refused_in_a_line(project: World, words: list[str]) -> None:
    run = run_pytest(project, "--covsup", *words)
    assert run.ended == 4
    assert "error: argument --covsup-" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_options_have_a_group_of_their_own(project: World) -> None:
    run = run_pytest(project, "--help")
    section = run.stdout[run.stdout.index("(covsup):") :]
    assert "--covsup=[SOURCE]" in section.split("\n\n")[0]
