"""Where settings come from, who wins, and what they mean elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.commands.run import make_parser
from covsup.supervisor.errors import UsageError
from covsup.supervisor.sessions.create import check_data_file
from covsup.supervisor.settings.resolved_settings import RunSettings, resolve_run_settings
from tests.supervisor.launch.test_target import refused

if TYPE_CHECKING:
    import argparse

    from tests.world import Run, World


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty directory, with no settings from elsewhere."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)
    return tmp_path


def settings(*words: str) -> RunSettings:
    return resolve_run_settings(options(*words))


def options(*words: str) -> argparse.Namespace:
    return make_parser().parse_args(words)


def test_without_files_and_options_the_defaults_hold(here: Path) -> None:
    found = settings()
    assert not found.branch
    assert found.core == "auto"
    assert found.concurrency == ("auto",)
    assert found.data_file == here / ".coverage"
    assert (found.grace, found.strict, found.fail_under) == (5.0, False, None)


COVERAGERC = """\
[run]
branch = true
source = {source}
omit =
    gen/*
    */skip.py
context = nightly
data_file = data/cov
cover_pylib = true
"""


COVERAGE_TOML = """\
[tool.coverage.run]
branch = true
source = ['{source}']
omit = ['gen/*', '*/skip.py']
context = 'nightly'
data_file = 'data/cov'
cover_pylib = true
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".coveragerc", COVERAGERC),
        ("setup.cfg", COVERAGERC.replace("[run]", "[coverage:run]")),
        ("tox.ini", COVERAGERC.replace("[run]", "[coverage:run]")),
        (
            "pyproject.toml",
            COVERAGE_TOML,
        ),
    ],
)
def test_coverages_files_say_what_they_say_to_coverage(here: Path, name: str, text: str) -> None:
    (here / "src").mkdir()
    (here / name).write_text(text.format(source="src"))
    found = settings()
    assert found.branch
    assert found.source_dirs == (str(here / "src"),)
    assert found.omit == (str(here / "gen/*"), "*/skip.py")
    assert found.context == "nightly"
    assert found.data_file == here / "data/cov"
    assert found.cover_pylib


def test_the_command_line_wins_over_coverages_files(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "src").mkdir()
    (here / "lib").mkdir()
    (here / ".coveragerc").write_text(COVERAGERC.format(source="src"))
    monkeypatch.setenv("COVERAGE_FILE", "from-variable")
    assert settings().data_file == here / "from-variable"
    found = settings("--source=lib,some.pkg", "--omit=a/*", "--context=x", "--data-file=y")
    assert (found.source_dirs, found.source_pkgs) == ((str(here / "lib"),), ("some.pkg",))
    assert found.omit == (str(here / "a/*"),)
    assert (found.context, found.data_file) == ("x", here / "y")


def test_the_directory_of_the_data_file_is_made_as_coverage_makes_it(here: Path) -> None:
    check_data_file(settings("--data-file=build/cov/data"))
    assert (here / "build" / "cov").is_dir()
    (here / "file").touch()
    with pytest.raises(UsageError, match="cannot put a data file into"):
        check_data_file(settings("--data-file=file/data"))


def test_a_value_that_coverage_refuses_is_found(here: Path) -> None:
    (here / ".coveragerc").write_text("[run]\nbranch = true\nparallel = maybe\n")
    with pytest.raises(UsageError, match=r"maybe \(line 3: \[run\] parallel\)$"):
        settings()
    (here / ".coveragerc").write_text("[run]\nconcurrency = gevnt\n")
    with pytest.raises(UsageError, match=r"gevnt; did you mean 'gevent'\?$"):
        settings()
    (here / ".coveragerc").write_text("[run]\nconcurrency = asyncio\n")
    with pytest.raises(UsageError, match=r"write it in \[tool\.covsup\]"):
        settings()


def test_a_named_rcfile_is_read_instead_and_an_empty_one_means_none(here: Path) -> None:
    (here / ".coveragerc").write_text("[run]\nbranch = true\n")
    (here / "other.ini").write_text("[run]\ncontext = other\n")
    assert settings("--rcfile=other.ini").context == "other"
    assert not settings("--rcfile=other.ini").branch
    assert settings("--rcfile=other.ini").rcfile == str(here / "other.ini")
    assert not settings("--rcfile=").branch
    with pytest.raises(UsageError, match=r"no-such\.ini"):
        settings("--rcfile=no-such.ini")


def test_options_may_be_repeated_and_hold_lists(here: Path) -> None:
    found = settings("--include=a.py,*/b.py", "--include=c/*", "--concurrency=thread, fork")
    assert found.include == (str(here / "a.py"), "*/b.py", str(here / "c/*"))
    assert found.concurrency == ("thread", "fork")


def test_concurrency_in_coverages_file_leaves_processes_in(here: Path) -> None:
    (here / ".coveragerc").write_text("[run]\nconcurrency = multiprocessing, thread\n")
    assert settings().concurrency == (
        "multiprocessing", "thread", "fork", "exec", "spawn", "exit",
    )  # fmt: skip
    assert settings("--concurrency=auto").concurrency == ("auto",)


def test_our_own_table_is_read_and_the_command_line_wins(here: Path) -> None:
    (here / "pyproject.toml").write_text(
        "[tool.covsup]\ncore = 'settrace'\nconcurrency = ['thread']\ngrace = 1.5\nstrict = true\n"
        "fail_under = 80\nleave_orphans = true\n"
    )
    found = settings()
    assert (found.core, found.concurrency, found.grace) == ("settrace", ("thread",), 1.5)
    assert (found.strict, found.fail_under, found.leave_orphans) == (True, 80.0, True)
    found = settings("--core=auto", "--concurrency=auto", "--grace=0", "--fail-under=0")
    assert (found.core, found.concurrency, found.grace) == ("auto", ("auto",), 0.0)
    assert found.fail_under == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grce = 1", "has no 'grce'; did you mean 'grace'?"),
        ("xyz = 1", "has no 'xyz'; there are: carrier, concurrency, core, "),
        ("branch = true", "has no 'branch', which is a setting of coverage.py: write it in ["),
        (
            "grace = 'long'",
            "grace = 'long' is not a number of seconds: write, for example, grace =",
        ),
        ("grace = -1", " is not a number of seconds"),
        ("grace = nan", " is not a number of seconds"),
        ("strict = 'maybe'", "strict = 'maybe' is not true or false: write, for example, strict ="),
        ("fail_under = 101", " is not a number from 0 to 100"),
        ("core = 'monitor'", "core: unknown core 'monitor'; did you mean 'monitoring'?"),
        ("concurrency = 'treads'", "unknown concurrency 'treads'; did you mean 'thread'?"),
        ("dynamic_context = 'x'", "dynamic_context: unknown dynamic context 'x' (known: "),
    ],
)
@pytest.mark.parametrize("file", ["pyproject.toml", "setup.cfg", ".coveragerc"])
def test_a_mistake_in_our_own_settings_is_named(
    here: Path, file: str, text: str, message: str
) -> None:
    is_toml = file.endswith(".toml")
    section = "[tool.covsup]" if is_toml else "[covsup]"
    (here / file).write_text(f"{section}\n{text if is_toml else text.replace(chr(39), '')}\n")
    with pytest.raises(UsageError) as caught:
        settings()
    said = str(caught.value).replace(" = '-1'", " = -1").replace(" = 'nan'", " = nan")
    assert said.startswith(f"{file}: {section} ")
    assert message in said


@pytest.mark.parametrize(
    "text", ["strict = 1", "strict = 'true'", "grace = '5'", "core = 3", "concurrency = [1]",
             "concurrency = {}", "grace = ", "fail_under = true"]
)  # fmt: skip
def test_a_wrong_type_is_refused_where_there_are_types(here: Path, text: str) -> None:
    (here / "pyproject.toml").write_text(f"[tool.covsup]\n{text}\n")
    with pytest.raises(UsageError, match=r"^pyproject\.toml: "):
        settings()


INI = "[covsup]\ngrace = 2\nstrict = yes\nconcurrency =\n    thread\n    fork, exec\n"


@pytest.mark.parametrize("name", ["setup.cfg", "tox.ini", ".coveragerc", "named"])
def test_our_own_settings_may_stand_in_files_that_are_not_toml(here: Path, name: str) -> None:
    (here / name).write_text(INI)
    found = settings(*(["--rcfile=named"] if name == "named" else []))
    assert (found.grace, found.strict) == (2.0, True)
    assert found.concurrency == ("thread", "fork", "exec")
    assert found.warnings == ()


def test_our_own_settings_stand_in_one_file(here: Path) -> None:
    (here / "setup.cfg").write_text(INI)
    (here / "pyproject.toml").write_text("[tool.covsup]\ngrace = 1\n")
    with pytest.raises(UsageError, match=r"settings are in pyproject\.toml and in setup\.cfg"):
        settings()
    (here / "named.toml").write_text("[tool.covsup]\ngrace = 3\n")
    assert settings("--rcfile=named.toml").grace == 3.0


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("pyproject.toml", "[covsup]\ngrace = 1\n", "[tool.covsup]"),
        ("setup.cfg", "[tool:covsup]\ngrace = 1\n", "[covsup]"),
        ("tox.ini", "[tool.covsup]\ngrace = 1\n", "[covsup]"),
        (".coveragerc", "[covsup:run]\ngrace = 1\n", "[covsup]"),
        ("pyproject.toml", "[tool.covsup.run]\ngrace = 1\n", "has no 'run'; there are: "),
        ("pyproject.toml", "[tool]\ncovsup = 1\n", "not a table"),
    ],
)
def test_our_section_under_a_wrong_name_is_refused(
    here: Path, name: str, text: str, right: str
) -> None:
    (here / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        settings()
    assert str(caught.value).startswith(name)
    assert right in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".coveragerc", b"[run\n"),
        (".coveragerc", b"[run]\nbranch = maybe\n"),
        (".coveragerc", b"\xff\xfe\x00"),
        (".coveragerc", b"[run]\nconcurrency = gevnt\n"),
        (".coveragerc.toml", b"[run]\nbranch = 3\n"),
        ("pyproject.toml", b"[tool.coverage.run]\nbranch = \n"),
        ("setup.cfg", b"[coverage:run]\nbranch\n[[\n"),
        ("pyproject.toml", b"[tool.covsup]\n\xff\n"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_read_are_refused(world: World, name: str, text: bytes) -> None:
    (world.directory / name).write_bytes(text)
    world.write("target.py", "print('ran')\n")
    run = world.covsup_run("target.py")
    assert refused(run)


def test_settings_odd_but_readable_are_told_and_used(world: World) -> None:
    world.write(".coveragerc", "[run]\nbranhc = true\n")
    world.write("target.py", "print('ran')\n")
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout) == (0, "ran\n")
    assert "branhc" in run.stderr
    assert run.stderr.count("\n") == 1


def test_include_is_ignored_aloud_where_there_is_a_source(here: Path) -> None:
    found = settings("--source=pkg", "--include=x")
    assert found.include == ()
    assert found.warnings == ("--include is ignored because --source is set (include-ignored)",)
    (here / ".coveragerc").write_text("[run]\ndisable_warnings = include-ignored\n")
    assert settings("--source=pkg", "--include=x").warnings == ()


@pytest.mark.parametrize("source", ["/", "gone"])
def test_a_source_that_cannot_be_is_refused(here: Path, source: str) -> None:
    (here / ".coveragerc").write_text(f"[run]\nsource_dirs = {source}\n")
    with pytest.raises(UsageError):
        settings()


AS_NOBODY = """\
import os, sys
import coverage, covsup.supervisor.launch.supervise, difflib, locale, subprocess, zipfile  # for later, out of reach then
from covsup.supervisor.cli import main
from covsup.supervisor.commands.run import make_parser
make_parser()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def as_nobody(world: World, *words: str) -> Run:
    """Run covsup as a user who may not do everything; only as far as to its refusal."""
    for path in (world.directory, *world.directory.parents):
        if path.stat().st_uid == os.getuid() and path != Path(path.anchor):
            path.chmod(path.stat().st_mode | 0o055)
    return world.run(world.python, "-c", AS_NOBODY, *words)


def test_an_unwritable_data_directory_is_refused(world: World) -> None:
    world.write("target.py", "print('ran')\n")
    world.write("data/keep", "")
    (world.directory / "data").chmod(0o555)
    run = as_nobody(world, "run", "--data-file=data/cov", "target.py")
    assert refused(run) == (
        f"cannot put a data file into {world.directory / 'data'}: permission denied; name a"
        " --data-file elsewhere"
    )


def test_an_unreadable_settings_file_is_refused(world: World) -> None:
    world.write("target.py", "print('ran')\n")
    world.write(".coveragerc", "[run]\n", mode=0o000)
    assert refused(as_nobody(world, "run", "target.py")) == (
        "cannot read .coveragerc: Permission denied"
    )


def test_an_unreadable_script_is_refused(world: World) -> None:
    world.write("target.py", "print('ran')\n", mode=0o000)
    assert refused(as_nobody(world, "run", "target.py")) == (
        "cannot read target.py: permission denied"
    )


def test_relative_settings_mean_what_they_mean_where_covsup_was_started(world: World) -> None:
    world.write("src/one.py", "one = 1\n")
    world.write("src/two.py", "two = 1\n")
    world.write("elsewhere/keep", "")
    world.write(
        "target.py",
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', "
        "'import sys; sys.path.insert(0, \"../src\"); import one, two'], cwd='elsewhere')\n",
    )
    run = world.covsup_run(
        "target.py", options=["--source=src", "--omit=src/two.py", "--data-file=out"],
        data_file=world.directory / "out",
    )  # fmt: skip
    assert run.ended == 0
    assert run.lines("src/one.py") == {1}
    assert run.data.measured_files() == {str(world.directory / "src/one.py")}


def test_what_would_start_coverage_py_in_every_process_is_not_passed_on(world: World) -> None:
    rcfile = world.write("rc", "[run]\nbranch = true\nparallel = true\n")
    world.write(
        "target.py",
        "import subprocess, sys\nif not sys.argv[1:]:\n"
        "    subprocess.run([sys.executable, __file__, 'again'])\nprint('coverage' in sys.modules)\n",
    )
    run = world.covsup_run(
        "target.py", branch=False, environment={"COVERAGE_PROCESS_START": str(rcfile)}
    )
    assert (run.ended, run.stdout) == (0, "False\nFalse\n")
    assert run.stderr.count("\n") == 1
    assert "COVERAGE_PROCESS_START is not passed on" in run.stderr
    assert not list(world.directory.glob(".coverage.*pid*"))
    assert world.run(world.python, "-m", "covsup", "report").ended == 0


def test_a_source_may_be_a_file(world: World) -> None:
    world.write("m.py", "import n\nran = 1\n")
    world.write("n.py", "other = 1\n")
    world.write("never.py", "never = 1\n")
    for source in "./m.py,never.py", f"{world.directory}/m.py,./never.py":
        run = world.covsup_run("m.py", options=[f"--source={source}"])
        assert (run.ended, run.stderr) == (0, "")
        assert {Path(path).name for path in run.data.measured_files()} == {"m.py", "never.py"}
        assert run.lines("m.py") == {1, 2}
        assert run.file("never.py").missing_lines == {1}
