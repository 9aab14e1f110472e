"""`pytest --covsup`, on real projects in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
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


THEN = "def test_then():\n    module.never()\n"


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


def test_every_report_is_made_where_it_is_wanted_and_runs_can_be_added(project: World) -> None:
    project.write("setup.cfg", "[coverage:html]\ndirectory = pages\n"
                               "[coverage:report]\nfail_under = 60\nprecision = 2\n")  # fmt: skip
    kinds = ["html", "xml:out.xml", "json:out.json", "lcov:out.info", "annotate:marked",
             "markdown:out.md", "markdown-append:all.md"]  # fmt: skip
    words = ["-p", "no:xdist", "--cov=module", *(f"--cov-report={each}" for each in kinds)]
    run = run_pytest(project, *words, "-k", "work")
    assert run.ended == 0, run
    assert [line for line in run.stdout.splitlines() if line.startswith("Coverage ")] == [
        "Coverage HTML written to dir pages",
        "Coverage XML written to file out.xml",
        "Coverage JSON written to file out.json",
        "Coverage LCOV written to file out.info",
        "Coverage annotated source written to dir marked",
        "Coverage Markdown information written to file out.md",
        "Coverage Markdown information appended to file all.md",
    ]
    assert "\nRequired test coverage of 60% reached. Total coverage: 75.00%\n" in run.stdout
    made = ("pages/index.html", "out.xml", "out.json", "out.info", "marked/module.py,cover")
    assert all((project.directory / name).exists() for name in made)
    again = run_pytest(project, *words, "--cov-append", "-k", "fork", "--cov-report=term")
    assert table(again)["module.py"] == ("8", "1", "87.50%")
    assert (project.directory / "all.md").read_text().count("module.py") == 2


def test_a_worker_of_xdist_that_crashes_is_replaced_and_loses_nothing(project: World) -> None:
    project.write(
        "test_crash.py",
        "import os, module\n"
        "def test_crash():\n"
        "    if not os.path.exists('crashed'):\n"
        "        open('crashed', 'w').close()\n"
        "        module.never()\n"
        "        os._exit(7)\n",
    )
    words = ["-n", "4", "--maxprocesses=2", "--dist=loadfile", "--covsup=module.py,"]
    run = run_pytest(project, *words, "--covsup=module")
    assert run.ended == 1, run
    assert "replacing crashed worker" in run.stdout
    assert "1 failed, 3 passed" in run.stdout  # loadfile gives the whole file to the next worker
    assert table(run)["module.py"] == ("8", "0", "100%")
    assert run.stdout.count("tests coverage") == 1


@pytest.mark.parametrize(
    ("words", "last_words", "ended"),
    [
        ((), "os.kill(os.getpid(), signal.SIGINT)", 2),
        (("-x",), "assert False", 1),
    ],
)
def test_a_run_that_is_cut_short_has_its_data_and_its_report(
    project: World, words: tuple[str, ...], last_words: str, ended: int
) -> None:
    project.write(
        "test_then.py",
        f"import os, signal, module\ndef test_then():\n    module.never()\n    {last_words}\n",
    )
    project.write("test_zlast.py", "def test_last():\n    pass\n")
    run = run_pytest(project, "--covsup", "--covsup-report=term-missing", *words)
    assert run.ended == ended, run
    assert table(run)["module.py"] == ("8", "0", "100%")
    assert table(run)["test_zlast.py"] == ("2", "1", "50%", "2")
    assert run.stdout.count("tests coverage") == 1
    assert run.file("module.py").missing_lines == set()


@pytest.mark.parametrize(
    ("last_words", "ended"),
    [
        # What pytest-timeout does when it cannot interrupt the test is os._exit(1).
        (f"@pytest.mark.timeout(0.1, method='thread')\n{THEN}    threading.Event().wait()\n", 1),
        (f"{THEN}    os.kill(os.getpid(), 9)\n", signal.SIGKILL),
    ],
    ids=["timeout", "SIGKILL"],
)
def test_the_supervisor_reports_for_a_pytest_that_was_killed(
    project: World, last_words: str, ended: int
) -> None:
    project.write("test_then.py", f"import os, threading, module, pytest\n{last_words}")
    words = ["--covsup", "--covsup-report=term-missing", "--covsup-report=json"]
    run = run_pytest(project, *words, "--covsup-fail-under=99")
    assert run.ended == ended, run
    assert re.search(r"^covsup: pytest, process \d+, ended without", run.stderr, re.MULTILINE)
    assert run.stdout.count("tests coverage") == 1
    assert table(run)["module.py"] == ("8", "0", "100%")
    assert "\nRequired test coverage of 99% reached. Total coverage: 100.00%\n" in run.stdout
    assert (project.directory / "coverage.json").exists()
    assert not (project.directory / ".covsup").exists()


def test_the_supervisor_makes_the_report_and_another_process_where_it_does_not(
    project: World,
) -> None:
    no_process = "import subprocess\nsubprocess.run = None\n"
    project.write("conftest.py", CONFTEST + no_process)
    words = ["-p", "no:xdist", "--covsup", "--covsup-report=term", "--covsup-fail-under=99"]
    reports = [run_pytest(project, *words)]
    no_supervisor = "import os, pathlib\nsession = pathlib.Path(os.environ['COVSUP_SESSION'])\n"
    for then in (
        "(session / 'answers-pytest').unlink()",
        "def no_fifo(*_): raise OSError\nos.mkfifo = no_fifo",
    ):
        project.write("conftest.py", CONFTEST + no_supervisor + then)
        reports.append(run_pytest(project, *words))
    for run in reports:
        assert (run.ended, run.stderr) == (1, ""), run
        assert table(run)["module.py"] == ("8", "1", "88%")
        assert "ERROR: Coverage failure: total of" in run.stdout
        assert not (project.directory / ".covsup").exists()


def test_what_runs_pytest_inside_of_a_test_keeps_its_data(project: World) -> None:
    project.write(
        "conftest.py",
        """\
import os
import pytest
pytest_plugins = ["pytester"]

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if "forked" not in item.keywords:
        return None
    from _pytest.runner import runtestprotocol  # as pytest-forked does
    child = os.fork()
    if child == 0:
        runtestprotocol(item, log=False)
        os._exit(0)
    os.waitpid(child, 0)
    return True
""",
    )
    project.write(
        "test_inside.py",
        """\
import sys
import pytest

def inner(pytester, call):
    pytester.syspathinsert(sys.path[0])
    pytester.makepyfile(f"import sys; sys.path.append({str(call[1])!r})\\n"
                        f"import module\\ndef test_inner(): module.{call[0]}()")

def test_subprocess(pytester, pytestconfig):
    inner(pytester, ("in_child", pytestconfig.rootpath))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--covsup")
    result.assert_outcomes(passed=1)

def test_inprocess(pytester, pytestconfig):
    inner(pytester, ("never", pytestconfig.rootpath))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--covsup-context=test", "--covsup")
    result.assert_outcomes(passed=1)
    after_the_inner_one = 1

def test_killed(pytester):
    pytester.makepyfile("import os\\ndef test_inner(): os._exit(3)")
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider", "--covsup").ret == 3

@pytest.mark.forked
def test_forked():
    import module
    module.work(0)
""",
    )
    project.write("test_module.py", "")
    run = run_pytest(project, "--covsup", "--covsup-context=test", "-p", "no:xdist")
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.file("module.py").missing_lines == {3}
    assert run.stdout.count("tests coverage") == 1
    run.data.set_query_context("test_inside.py::test_inprocess|run")
    lines = (project.directory / "test_inside.py").read_text().splitlines()
    assert lines.index("    after_the_inner_one = 1") + 1 in run.lines("test_inside.py")


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
        "import module, pytest, subprocess, sys\n"
        "@pytest.mark.no_cover\n"
        "def test_marked():\n"
        "    module.never()\n"
        "def test_by_fixture(no_covsup):\n"
        "    module.never()\n"
        "    command = [sys.executable, '-c', 'import module; module.never()']\n"
        "    subprocess.check_call(command)\n"
        "    subprocess.check_call(command, env={})\n"
        "    subprocess.check_call(command, env={}, close_fds=False)\n",
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


def test_the_context_of_tests_can_be_a_setting_of_the_run(project: World) -> None:
    run = project.covsup_run(
        *("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"),
        options=("--dynamic-context=test",),
        environment={"PYTEST_ADDOPTS": ""},
    )
    assert (run.ended, run.stderr) == (0, "")
    assert "tests coverage" not in run.stdout
    assert "test_module.py::test_work|run" in run.data.measured_contexts()


def test_what_switches_it_off_before_it_is_asked_for_is_said(project: World) -> None:
    project.write("pytest.ini", "[pytest]\naddopts = --no-cov\n")
    run = run_pytest(project, "--cov", "-p", "no:xdist")
    assert run.ended == 0, run
    assert "\nWARNING: Coverage disabled via --no-cov switch!\n" in run.stdout
    assert not run.data_file.exists()
    project.write("pytest.ini", "[pytest]\naddopts = --covsup\n")
    run = run_pytest(project, "--no-covsup", "-p", "no:xdist")
    assert "Coverage" not in run.stdout


def test_pytest_main_begins_at_once_and_the_next_command_has_the_rest(project: World) -> None:
    project.write(
        "main.py",
        "import module, pytest\n"
        "words = ['-p', 'no:cacheprovider', '-p', 'no:xdist']\n"
        "assert pytest.main([*words, '--covsup']) == 0\n"
        "assert pytest.main([*words, '--covsup=module', '--covsup-report=']) == 0\n"
        "module.never()\n",
    )
    run = project.run(
        project.python, "main.py",
        data_file=project.directory / ".coverage", environment={"PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert run.ended == 0, run
    assert "covsup: imported before measurement began: module\n" in run.stdout
    assert "covsup: source module: asked for too late, this process is measured" in run.stdout
    assert re.search(r"^test_module.py +10 +0 +100%$", run.stdout, re.MULTILINE)
    assert table(run)["module.py"] == ("8", "4", "50%")
    report = project.run(project.python, "-m", "covsup", "report", data_file=run.data_file)
    assert (report.ended, report.stderr) == (0, "")
    assert 10 in report.lines("module.py")
    assert not (project.directory / ".covsup").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the carrier is for Linux")
def test_pytest_main_takes_the_carrier_of_the_settings_along(project: World) -> None:
    project.write("pyproject.toml", "[tool.covsup]\ncarrier = true\n")
    project.write("child.py", "ran = 1\n")
    project.write(
        "test_child.py",
        "import subprocess, sys\n"
        "def test_child():\n"
        "    subprocess.run([sys.executable, '-S', 'child.py'], check=True)\n",
    )
    words = ["-p", "no:cacheprovider", "-p", "no:xdist", "test_child.py", "--covsup"]
    run = project.run(
        project.python, "-c", f"import pytest; raise SystemExit(pytest.main({words}))",
        data_file=project.directory / ".coverage", environment={"PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert run.ended == 0, run
    assert run.lines("child.py") == {1}


def test_without_an_option_nothing_is_loaded(project: World) -> None:
    project.write(
        "test_module.py",
        "import sys\n"
        "def test_modules():\n"
        "    ours = {name for name in sys.modules if name.startswith('covsup')}\n"
        "    assert ours == {'covsup', 'covsup.embed', 'covsup.interpreter_command',\n"
        "        'covsup.pytest_plugin', 'covsup.pytest_start'} | (\n"
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
    run = run_pytest(project, "--help", "--covsup")
    assert (run.ended, run.stderr, run.data_file.exists()) == (0, "", False)
    section = run.stdout[run.stdout.index("(covsup):") :]
    assert "--covsup=[SOURCE]" in section.split("\n\n")[0]
