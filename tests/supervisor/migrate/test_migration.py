"""What `covsup debug migrate` says of projects that come from coverage.py and pytest-cov."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.migrate.finding import Action, Finding
from covsup.supervisor.migrate.report import findings_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

CHANGE, DROP, UNSUPPORTED, STAYS = Action.CHANGE, Action.DROP, Action.UNSUPPORTED, Action.STAYS
OUT = ""  # leave it out

PROJECT = {
    ".coveragerc": """\
[run]
branch = true
parallel = true
timid = false
concurrency = gevent
debug = trace
relativ_files = true
[paths]
anything =
    src
[report]
exclude_also =
    if x
[plugin.of.somebody]
x = 1
""",
    "setup.cfg": """\
[options.extras_require]
test =
    pytest-cov>=4
    coverage-badge
[coverage:run]
parallel = true
[tool:pytest]
addopts = -p pytest_cov --cov=app
required_plugins = pytest-cov
""",
    "tox.ini": """\
[tox]
envlist =
    py312
    coverage
[testenv]
deps =
    py312: coverage[toml]>=7
passenv = COVERAGE_PROCESS_START
commands =
    coverage erase
    coverage run --parallel-mode --source=a,b --omit="*/x/*" -m pytest \\
        {posargs:tests}
    {envbindir}/python -m coverage run -a --concurrency multiprocessing manage.py test -p x
    coverage combine
    coverage report -m
[covsup]
grcae = 1
""",
    "Makefile": """\
cov: ## coverage run everything
\t@$(PYTHON) -m coverage run --save-signal=USR1 -m unittest && coverage combine -q data/*
\tpip install -U pytest-cov "coverage[toml]>=7" pytest-cover
""",
    "noxfile.py": """\
def tests(session):
    session.install("-e", ".", "pytest-cov")
    session.run("coverage", "run", "-p",
                "-m", "pytest", *session.posargs,
                env={"COVERAGE_CORE": "sysmon"})
    session.run("coverage", "report", external=True)
""",
    ".github/workflows/ci.yml": """\
    steps:
      - name: coverage run and coverage combine
        run: |
          (cd sub; coverage run x.py)   # coverage run
          bash -c "coverage run -p y.py && coverage combine"
      - run: poetry run coverage run -m pytest ${{ matrix.args }}
        path: .coverage.*
""",
    "Dockerfile": 'CMD ["coverage", "run", "--timid", "-m", "app"]\n',
    "requirements/dev.txt": "# coverage\ncoverage>=7 ; python_version > '3'\npytest\ncoveralls\n",
    "pyproject.toml": """\
[project]
dependencies = ["coverage", "other"]
[tool.poetry.group.dev.dependencies]
pytest-cov = "^4"
[tool.hatch.envs.default.scripts]
cov = "coverage run -m pytest {args}"
""",
    "sitecustomize.py": "import coverage\ncoverage.process_startup()\n",
    "unit.service": "ExecStart=/venv/bin/coverage run app.py\nEnvironment=COVERAGE_DEBUG=sys\n",
    "test.sh": "nosetests --with-coverage\npy.test --cov-report= --cov=x tests\n",
    "src/start.pth": "import coverage; coverage.process_startup()\n",
    "tests/conftest.py": "from pytest_cov.embed import cleanup_on_sigterm\ncleanup_on_sigterm()\n",
    "runtests.py": "import coverage\ncoverage.Coverage()\n",
    ".venv/lib/x.py": "import coverage\ncoverage.Coverage()\n",
}

EXPECTED = {
    (".coveragerc", 3, "[run] parallel = true", DROP),
    (".coveragerc", 5, "[run] concurrency = gevent", DROP),
    (".coveragerc", 6, "[run] debug = trace", UNSUPPORTED),
    (".coveragerc", 7, "[run] has no 'relativ_files'; did you mean 'relative_files'?", OUT),
    (".coveragerc", 15, ("[plugin.of.somebody] is not a section of coverage.py; there are: html,"
     " json, lcov, paths, report, run, xml"), OUT),
    ("setup.cfg", 3, "pytest-cov>=4", "covsup"),
    ("setup.cfg", 6, "[coverage:run]", STAYS),
    ("setup.cfg", 8, "--cov=app", STAYS),
    ("setup.cfg", 8, "-p pytest_cov", OUT),
    ("setup.cfg", 9, "pytest-cov", "covsup"),
    ("tox.ini", 7, "coverage[toml]>=7", "covsup"),
    ("tox.ini", 8, "COVERAGE_PROCESS_START", DROP),
    ("tox.ini", 11, ('coverage run --parallel-mode --source=a,b --omit="*/x/*" -m pytest'
     " {posargs:tests}"), 'covsup run --parallel-mode --source=a,b --omit="*/x/*" -m pytest {posargs:tests}'),
    ("tox.ini", 13, ("{envbindir}/python -m coverage run -a --concurrency multiprocessing manage.py"
     " test -p x"), "{envbindir}/python -m covsup run -a manage.py test -p x"),
    ("tox.ini", 14, "coverage combine", "covsup combine"),
    ("tox.ini", 17, "[covsup] has no 'grcae'; did you mean 'grace'?", OUT),
    ("Makefile", 2, "$(PYTHON) -m coverage run --save-signal=USR1 -m unittest",
     "$(PYTHON) -m covsup run -p -m unittest"),
    ("Makefile", 2, "coverage combine -q data/*", "covsup combine -q data/*"),
    ("Makefile", 3, "pytest-cov", "covsup"),
    ("Makefile", 3, "coverage[toml]>=7", "covsup"),
    ("noxfile.py", 2, "pytest-cov", "covsup"),
    ("noxfile.py", 3, "coverage run -p -m pytest ${session.posargs}",
     "covsup run -p -m pytest ${session.posargs}"),
    ("noxfile.py", 5, "COVERAGE_CORE", DROP),
    (".github/workflows/ci.yml", 4, "coverage run x.py", "covsup run -p x.py"),
    (".github/workflows/ci.yml", 5, "coverage run -p y.py", "covsup run -p y.py"),
    (".github/workflows/ci.yml", 5, "coverage combine", "covsup combine"),
    (".github/workflows/ci.yml", 6, "coverage run -m pytest ${{ matrix.args }}",
     "covsup run -p -m pytest ${{ matrix.args }}"),
    (".github/workflows/ci.yml", 7, ".coverage.*", OUT),
    ("Dockerfile", 1, "coverage run --timid -m app", "covsup run -p -m app"),
    ("requirements/dev.txt", 2, "coverage>=7", "covsup"),
    ("pyproject.toml", 2, "coverage", "covsup"),
    ("pyproject.toml", 4, "pytest-cov", "covsup"),
    ("pyproject.toml", 6, "coverage run -m pytest {args}", "covsup run -p -m pytest {args}"),
    ("sitecustomize.py", 2, "coverage.process_startup()", DROP),
    ("unit.service", 1, "/venv/bin/coverage run app.py", "/venv/bin/covsup run -p app.py"),
    ("unit.service", 2, "COVERAGE_DEBUG", UNSUPPORTED),
    ("test.sh", 1, "--with-coverage", UNSUPPORTED),
    ("test.sh", 2, "--cov-report= --cov=x", STAYS),
    ("src/start.pth", 1, "coverage.process_startup()", DROP),
    ("tests/conftest.py", 1, "from pytest_cov.embed import cleanup_on_sigterm",
     "from covsup.embed import cleanup_on_sigterm"),
    ("runtests.py", 2, "coverage.Coverage(...)", UNSUPPORTED),
}  # fmt: skip


def told(findings: list[Finding]) -> set[tuple[str, int, str, object]]:
    return {
        (each.path, each.line, each.found, each.instead if each.action is CHANGE else each.action)
        for each in findings
    }


def test_every_place_is_found_and_says_what_to_write(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = told(list(findings_in(tmp_path, None)))
    assert found - EXPECTED == set()
    assert EXPECTED - found == set()


@pytest.mark.parametrize(
    ("rc", "script", "said"),
    [
        # What looks like one run may be that of many environments.
        ("parallel = true", "coverage run x\ncoverage combine -q",
         ["covsup run -p x", "covsup combine -q"]),
        ("parallel = true", "coverage run x", ["covsup run x"]),
        ("branch = true", "coverage run x\ncoverage combine", ["covsup run x", OUT]),
        ("branch = true", "coverage run -p x\ncoverage run -p y\ncoverage combine --keep",
         ["covsup run -p x", "covsup run -p y", "covsup combine --keep"]),
        ("branch = true", "coverage run x\ncoverage run -a y\ncoverage report",
         ["covsup run x", "covsup run -a y"]),
        ("branch = true", "coverage run x\ncoverage combine --rcfile x a/.coverage",
         ["covsup run x", "covsup combine --rcfile x a/.coverage"]),
        ("parallel = true", ("export COVERAGE_FILE=.coverage.$N\ncoverage run -p x\n"
         "tar c .coverage.*\ncoverage combine -q"), ["covsup run x", "covsup combine -q .coverage.*"]),
        ("branch = true", "coverage run --rcfile x -m y\ncoverage combine --rcfile x",
         ["covsup run --rcfile x -m y", OUT]),
    ],
)  # fmt: skip
def test_combining_stays_where_several_runs_are_combined(
    tmp_path: Path, rc: str, script: str, said: list[str]
) -> None:
    (tmp_path / ".coveragerc").write_text(f"[run]\n{rc}\n")
    (tmp_path / "ci.sh").write_text(script)
    found = [each for each in findings_in(tmp_path, None) if each.path == "ci.sh"]
    assert [each.instead for each in found] == said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".coveragerc", "[run]\nbranch = true\nsource = app\nparallel = false\n[html]\ntitle = x\n"),
        ("pyproject.toml", "[tool.coverage.run]\nbranch = true\n[tool.covsup]\nstrict = true\n"),
        ("tox.ini", "[testenv]\ncommands =\n    coverage html\n    coverage report\n    # coverage run\n"),
        ("ci.sh", "echo coverage runs here; coverage-run x; mycoverage run x; coverage run=1\n"),
        ("app.py", "import coverage\nprint(coverage.__version__)\n"),
        ("broken.py", "import coverage\nx = \n"),
        ("Makefile", "cov:\n\tCOVERAGE_FILE=x coverage xml\n\tpip install coveralls pytest-cover\n"),
    ],
    ids=lambda text: text if "\n" not in text else "",
)  # fmt: skip
def test_what_is_the_same_is_not_listed(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert list(findings_in(tmp_path, None)) == []


WORKFLOW = """\
jobs:
  tests:
    strategy:
      matrix:
        os: [ubuntu-latest, windows-latest, macos-14]
        python-version: ["3.8", "3.10", "3.11", "pypy-3.10", "3.13"]
        include:
          - os: windows-2022
            python-version: "3.9"
          - {os: ubuntu-latest, python-version: 3.12}
        python:
          - 3.9.18
          - "3.12"
          - pypy3.9
        other:
          - 3.6
    runs-on: ${{ matrix.os }}
    steps:
      - run: uv tool install coverage[toml]
      - run: uvx coverage run -m pytest
      - run: pip install pipx && pipx install coverage
"""
WINDOWS, OLD = "Windows", "3.11 and later"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (".github/workflows/ci.yml", WORKFLOW, [
            (5, "windows-latest", "Windows"), (5, "macos-14", "macOS"),
            (6, "pypy-3.10", "CPython only"), (6, "Python 3.8, 3.10", OLD),
            (8, "windows-2022", "Windows"), (9, "Python 3.9", OLD), (12, "Python 3.9", OLD),
            (14, "pypy3.9", "CPython only"),
            (19, "uv tool install coverage", "is another"), (20, "coverage run -m pytest", ""),
            (20, "uvx coverage", "is another"), (21, "pipx install coverage", "is another"),
        ]),
        (".gitlab-ci.yml", ("test:\n  image: python:3.9-slim\n  tags: [saas-windows-medium-amd64]\n"
         "  script: pytest\n"), [(2, "Python 3.9", OLD), (3, "saas-windows-medium-amd64", "Windows")]),
        ("azure-pipelines.yml", ("# tests\npool:\n  vmImage: windows-2019\nvariables:\n"
         "  python.version: '3.7'\nsteps:\n- script: pytest\n"),
         [(3, "windows-2019", "Windows"), (5, "Python 3.7", OLD)]),
        (".travis.yml", "os: osx\npython:\n- 2.7\n- 3.12\n- pypy\nscript: tox\n",
         [(1, "os: osx", "macOS"), (3, "Python 2.7", OLD), (5, "pypy", "CPython only")]),
        ("appveyor.yml", "image: Visual Studio 2022\ntest_script: pytest\n",
         [(1, "Visual Studio 2022", "Windows")]),
        ("tox.ini", ("[tox]\nenvlist =\n    py{38,39,312}-{a,b}\n    pypy3\n    lint\n[testenv]\n"
         "deps = x==3.8\n[testenv:y]\nbasepython = python3.9\n"),
         [(3, "Python 3.8, 3.9", OLD), (4, "pypy3", "CPython only"), (9, "Python 3.9", OLD)]),
        ("tox.toml", 'env_list = ["3.9", "3.13", "py310"]\n', [(1, "Python 3.9, 3.10", OLD)]),
        ("noxfile.py", ('import nox\nVERSIONS = ["3.8",\n    "3.12"]\n'
         '@nox.session(python=["3.9", "pypy3.10", "3.11"])\ndef tests(session): pass\n'),
         [(2, "Python 3.8", OLD), (4, "pypy3.10", "CPython only"), (4, "Python 3.9", OLD)]),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.8"\n',
         [(2, 'requires-python = ">=3.8"', "covsup needs Python 3.11")]),
        ("setup.py", 'setup(\n    python_requires=">=3.7, <4",\n)\n',
         [(2, 'python_requires=">=3.7, <4"', "covsup needs Python 3.11")]),
        ("setup.cfg", "[options]\npython_requires = >=3.6\n",
         [(2, "python_requires = >=3.6", "covsup needs Python 3.11")]),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.9"\n',
         [(2, 'python = "^3.9"', "covsup needs Python 3.11")]),
    ],
    ids=lambda each: each if isinstance(each, str) and "\n" not in each else "",
)  # fmt: skip
def test_pythons_and_systems_that_are_not_measured_are_named(
    tmp_path: Path, name: str, text: str, said: list[tuple[int, str, str]]
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    found = sorted(findings_in(tmp_path, None), key=lambda each: each.line)
    assert {(each.line, each.found) for each in found} == {each[:2] for each in said}
    for line, word, why in said:
        assert any(why in each.why for each in found if each[1:3] == (line, word)), (line, word)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".github/workflows/ci.yml", ("jobs:\n  t:\n    runs-on: ubuntu-latest\n    python-version: '3.11'\n"
         "    - run: pytest --timeout=3.10 # windows-latest\n    version: 3.9\n")),
        (".github/workflows/lint.yml", "runs-on: windows-latest\npython-version: '3.9'\nrun: ruff\n"),
        ("tox.ini", "[tox]\nenvlist = py311,py312,py3,py\n[testenv]\ncommands = python3.9 x\n"),
        ("noxfile.py", "@nox.session(python=['3.11', '3.12'])\ndef f(s): s.run('x', '3.9')\n"),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.11"\ndependencies = ["x>=3.8"]\n'),
    ],
    ids=lambda text: text if "\n" not in text else "",
)  # fmt: skip
def test_pythons_and_systems_that_are_measured_are_not_named(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert list(findings_in(tmp_path, None)) == []


def test_names_of_data_files_that_are_told_apart_stay(tmp_path: Path) -> None:
    (tmp_path / "tox.ini").write_text(
        "[testenv]\nsetenv =\n    COVERAGE_FILE=.coverage.{envname}\n"
    )
    (tmp_path / "ci.sh").write_text("tar c .coverage.*\n")
    assert list(findings_in(tmp_path, None)) == []


def test_the_command_prints_it_on_eighty_columns_and_changes_nothing(world: World) -> None:
    nothing = world.run(world.python, "-m", "covsup", "debug", "migrate")
    assert nothing.stdout == "Nothing to change: settings and command lines stay as they are.\n"
    for name, text in PROJECT.items():
        world.write(name, text)
    world.write("own.ini", "[run]\nsigterm = true\n")
    run = world.run(world.python, "-m", "covsup", "debug", "migrate", "--rcfile=own.ini", ".")
    assert (run.ended, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    index = lines.index("own.ini:2: [run] sigterm = true")
    assert lines[index + 1] == (
        "    no longer needed: nothing has to be saved when a signal ends a process"
    )
    assert "    write: covsup run -p -m app" in lines
    assert run.stdout.endswith("No file was changed.\n")
    for name, text in PROJECT.items():
        assert (world.directory / name).read_text() == text
    gone = world.run(world.python, "-m", "covsup", "debug", "migrate", "nowhere")
    assert (gone.ended, gone.stderr) == (2, "covsup: there is no directory nowhere\n")
