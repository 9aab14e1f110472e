"""A pytest that is to be measured is restarted before anything of it is imported."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

from covsup import pytest_plugin, pytest_start
from covsup.supervisor.settings import pytest_options
from tests.pytest_plugin.test_pytest_plugin import run_pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

WITNESS = """\
with open("imported", "a") as file:
    file.write(__name__ + " ")
"""


@pytest.fixture
def project(world: World) -> World:
    world.write("early.py", f"import product\n{WITNESS}")
    world.write("conftest.py", WITNESS)
    world.write("product.py", "def work():\n    return 1\n")
    world.write("test_product.py", "import product\ndef test_it():\n    assert product.work()\n")
    return world


# The settings file, what is in it, the words of the command line, the environment.
WAYS: dict[str, tuple[str, str, list[str], dict[str, str]]] = {
    "option": ("", "", ["-p", "early", "--covsup=product"], {}),
    "PYTEST_PLUGINS": ("", "", ["--covsup"], {"PYTEST_PLUGINS": "early"}),
    "PYTEST_ADDOPTS": ("", "", ["-p", "early"], {"PYTEST_ADDOPTS": "--cov=product --cov-branch"}),
    "pytest.ini": ("pytest.ini", "[pytest]\naddopts = -p early --covsup\n", [], {}),
    "pyproject.toml": (
        "pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-pearly", "--cov"]\n', [], {},
    ),
    "argument file": ("words", "--covsup=product\n-q\n", ["-p", "early", "@words"], {}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_early_plugins_are_imported_once_and_what_they_import_is_measured(
    project: World, way: str
) -> None:
    name, content, words, environment = WAYS[way]
    if name:
        project.write(name, content)
    run = run_pytest(
        project,
        *("-p", "no:xdist", *words),
        environment={"PYTHONPATH": str(project.directory), **environment},
    )
    assert (run.ended, run.stderr) == (0, ""), run
    assert (project.directory / "imported").read_text().split() == ["early", "conftest"]
    assert run.lines("product.py") == {1, 2}
    assert "asked for too late" not in run.stdout


def test_the_script_reads_its_input_and_gives_its_status_as_without_covsup(project: World) -> None:
    script = project.write(
        "bin/pytest",
        f"#!{project.python}\nimport sys, pytest\nsys.exit(pytest.console_main())\n",
    )
    project.write("test_input.py", "def test_it():\n    assert input() == 'hello'\n")
    command = f"echo hello | {project.python} -X dev {script} -s -p no:cacheprovider --covsup"
    run = project.run("sh", "-c", f"{command} test_input.py missing.py")
    assert run.ended == 4, run
    assert "file or directory not found: missing.py" in run.stderr
    run = project.run("sh", "-c", f"{command} test_input.py", data_file=run.data_file)
    assert run.ended == 0, run
    assert run.stdout.count("test session starts") == 1


@pytest.mark.parametrize("words", [["--help"], ["--covsup-report=term"], ["--no-covsup"]])
def test_a_pytest_that_is_not_to_be_measured_runs_as_it_is(
    project: World, words: list[str]
) -> None:
    project.write("pytest.ini", "[pytest]\n# with --covsup it is measured\naddopts = -p early\n")
    more = ["--covsup"] if words != ["--covsup-report=term"] else []
    environment = {"PYTHONPATH": str(project.directory)}
    run = run_pytest(project, "-p", "no:xdist", *words, *more, environment=environment)
    assert (run.ended, run.stderr) == (0, ""), run
    assert (project.directory / "imported").read_text().split() == ["early", "conftest"]
    assert not run.data_file.exists()


COMMANDS: list[tuple[str, list[str] | None]] = [
    ("python -m pytest -x tests", ["-x", "tests"]),
    ("python -Wd -X dev -Im pytest.__main__ -m slow", ["-m", "slow"]),
    ("python -mpytest", []),
    ("/usr/bin/python3 /venv/bin/pytest --covsup", ["--covsup"]),
    ("python --check-hash-based-pycs always pytest a", ["a"]),
    ("python -m unittest pytest", None),
    ("python -c pytest", None),
    ("python run.py pytest", None),
    ("python - pytest", None),
    ("python", None),
    ("python -m", None),
]


@pytest.mark.parametrize(("command", "words"), COMMANDS)
def test_the_words_of_a_pytest_are_known_from_the_command_line(
    command: str, words: list[str] | None
) -> None:
    assert pytest_start.arguments(command.split()) == words


INI = "[pytest]\naddopts =\n    --covsup=one  --covsup-branch\n    # a comment\n    -ra\n"
TOML = '[pytest]\naddopts = ["--covsup=one", "-k a b"]\n'
NATIVE = '[tool.pytest]\naddopts = ["--covsup=one"]\n'
OTHERS = "[flake8]\nselect = --covsup\n"

# A settings file and what is in it, the command line, the options of `covsup run`.
ASKED: list[tuple[str, str, str, list[str] | None]] = [
    ("", "", "--covsup", []),
    ("", "", "--covsup=a --covsup=b,c tests", ["--source=a,b,c"]),
    ("", "", "--covsup tests --covsup-append", ["--source=tests", "--append"]),
    ("", "", "--covsup --covsup=a", []),
    ("", "", "--covsup=a --covsup-reset --cov=b --cov-config=x", ["--source=b", "--rcfile=x"]),
    ("", "", "--covsup=a --covsup-reset", None),
    ("", "", "--covsup-branch", None),
    ("", "", "--covsup --no-cov", None),
    ("", "", "--covsup --version", None),
    ("", "", "--covsup --covsup-report term-missing -n 2 -k x", []),
    ("pytest.ini", INI, "tests", ["--source=one", "--branch"]),
    ("pytest.ini", INI, "-o addopts=-q", None),
    ("pytest.ini", INI, "-o addopts=--cov -p no:cov", []),
    ("pytest.ini", INI, "--covsup-reset --covsup", ["--branch"]),
    ("pytest.ini", "[pytest]\naddopts = 'unclosed\n", "--covsup", None),
    ("pytest.toml", TOML, "", ["--source=one"]),
    ("pyproject.toml", NATIVE, "", ["--source=one"]),
    ("setup.cfg", INI.replace("[pytest]", "[tool:pytest]"), "", ["--source=one", "--branch"]),
    ("tox.ini", INI, "", ["--source=one", "--branch"]),
    ("tox.ini", OTHERS, "", None),
    ("other.ini", INI, "-c other.ini", ["--source=one", "--branch"]),
    ("other.ini", INI, "--config-file=other.ini --covsup-reset", None),
]


@pytest.mark.parametrize(("name", "content", "words", "options"), ASKED)
def test_what_a_pytest_asks_for_is_read_as_pytest_reads_it(
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str,
    words: str,
    options: list[str] | None,
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").touch()  # the search ends here
    if name:
        (tmp_path / "pytest.ini").unlink()
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setattr(pytest_options, "_is_installed", lambda _module: False)
    command = ["python", "-m", "pytest", *words.split()]
    assert pytest_options.options_for_run(command) == options


def test_the_settings_file_is_the_one_above_all_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path, tmp_path / "a", tmp_path / "b"):
        (place / "tests").mkdir(parents=True)
        (place / "pytest.ini").write_text(f"[pytest]\naddopts = {place.name}\n")
    (tmp_path / "a" / "tests" / "tox.ini").write_text("[tox]\n")
    (tmp_path / "a" / "tests" / "test_x.py").touch()
    monkeypatch.chdir(tmp_path)

    def found(*words: str) -> str:
        file = pytest_start.settings_file(words)
        assert file is not None
        return file[0]

    assert found("a/tests/test_x.py::test_y", "-q", "nothing") == f"{tmp_path}/a/pytest.ini"
    assert found("a/tests", "b/tests") == f"{tmp_path}/pytest.ini"
    assert found() == f"{tmp_path}/pytest.ini"
    assert found("-cb/pytest.ini", "a") == "b/pytest.ini"


def test_every_option_of_the_plugin_is_known_before_pytest_starts() -> None:
    class Group:
        def __init__(self) -> None:
            self.options: dict[str, Any] = {}

        def getgroup(self, *_names: str) -> Group:
            return self

        def addoption(self, name: str, **settings: Any) -> None:
            self.options[name] = settings

    group = Group()
    pytest_plugin._add_family(group, "covsup")
    parser = pytest_options._parser(["covsup"])
    known = {name: action for action in parser._actions for name in action.option_strings}
    for name, settings in group.options.items():
        takes = settings.get("action") not in ("store_true", "store_const")
        assert (known[name].nargs != 0) == takes, name
        if isinstance(known[name], argparse._AppendAction):
            assert settings["nargs"] == known[name].nargs
