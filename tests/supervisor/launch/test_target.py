"""What TARGET means, and what is refused before anything runs."""

from __future__ import annotations

import errno
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import covsup
from covsup.interpreter_command import parse_command_line
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch import target as targets
from covsup.supervisor.launch.install_hint import covsup_requirement
from covsup.supervisor.launch.target import TargetKind, find_target
from tests.supervisor.live import on_linux

if TYPE_CHECKING:
    from tests.world import Run, World

SHOW = "import sys\nprint(sys.argv, __name__, sys.path[0])\n"


def refused(run: Run) -> str:
    """The one line with which a run was refused."""
    assert run.ended == 2, run
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("covsup: ")
    assert not (run.directory / ".covsup").exists()
    return line.removeprefix("covsup: ")


@pytest.mark.parametrize(
    "words",
    [
        ("target.py",),
        ("./target.py", "a b", "--branch", "-m", "--", "-x"),
        ("sub/script",),
        ("package_directory", "x"),
        ("archive.zip", "x"),
        ("app", "x"),
        ("-m", "module", "--grace=1"),
        ("-m", "package.inner"),
        ("-m", "package"),
        ("-m", "json.tool", "--help"),
    ],
    ids=" ".join,
)
def test_a_python_target_runs_as_python_would_run_it(world: World, words: tuple[str, ...]) -> None:
    world.write("target.py", SHOW)
    world.write("sub/script", SHOW)
    world.write("package_directory/__main__.py", SHOW)
    world.write("module.py", SHOW)
    world.write("package/__init__.py", "")
    world.write("package/__main__.py", SHOW)
    world.write("package/inner.py", SHOW)
    for name in ("archive.zip", "app"):
        with zipfile.ZipFile(world.directory / name, "w") as archive:
            archive.writestr("__main__.py", SHOW)
    environment = {"COLUMNS": "80"}
    plain = world.run(world.python, *words, environment=environment)
    run = world.run(world.python, "-m", "covsup", "run", *words, environment=environment)
    assert (run.ended, run.stdout) == (plain.ended, plain.stdout)
    assert plain.stdout


def test_a_program_on_standard_input_runs(world: World) -> None:
    run = world.covsup_run("-", "x", stdin=SHOW)
    assert run.stdout == "['-', 'x'] __main__ \n"


def test_a_command_runs_as_it_is(world: World) -> None:
    run = world.covsup_run("sh", "-c", "echo $0 $1 --branch", "zero", "-p")
    assert (run.ended, run.stdout) == (0, "zero -p --branch\n")


def test_an_executable_without_a_shebang_is_a_shell_script_as_in_any_shell(world: World) -> None:
    world.write("tool", "echo tool $1\n", mode=0o755)
    run = world.covsup_run("./tool", "x")
    assert (run.ended, run.stdout) == (0, "tool x\n")


def test_a_console_script_is_measured_with_its_own_interpreter(world: World) -> None:
    world.write("tool", f"#!{world.python}\nprint('tool')\n", mode=0o755)
    run = world.covsup_run("./tool", options=[f"--source={world.directory}"])
    assert (run.ended, run.stdout, run.lines("tool")) == (0, "tool\n", {2})


def test_options_after_the_target_are_the_targets(world: World) -> None:
    world.write("target.py", SHOW)
    run = world.run(world.python, "-m", "covsup", "run", "--branch", "target.py", "--branch", "-a")
    assert run.stdout.startswith("['target.py', '--branch', '-a']")


@pytest.mark.parametrize(
    ("flags", "check"),
    [
        (("-P",), "sys.flags.safe_path"),
        (("-W", "error", "-Wignore"), "sys.warnoptions == ['error', 'ignore']"),
        (("-O",), "sys.flags.optimize"),
        (("-OO", "-B"), "sys.flags.optimize == 2 and sys.dont_write_bytecode"),
        (("-X", "dev", "-Xfoo=bar"), "sys._xoptions == {'dev': True, 'foo': 'bar'}"),
        (("-I",), "sys.flags.isolated"),
        (("-u",), "sys.stdout.line_buffering or sys.stdout.write_through"),
        (("-X", "utf8=0"), "sys.flags.utf8_mode == 0"),
        (("-b",), "sys.flags.bytes_warning"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_flags_of_covsups_interpreter_reach_the_target(
    world: World, flags: tuple[str, ...], check: str
) -> None:
    world.write("target.py", f"import sys\nprint(bool({check}))\n")
    run = world.run(world.python, *flags, "-m", "covsup", "run", "target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, "True\n", "")


def test_flags_are_found_however_they_are_written() -> None:
    assert parse_command_line(
        ["python", "-P", "-Wd", "-W", "e", "-Im", "covsup", "-x"]
    ).options == (
        "-P",
        "-Wd",
        "-W",
        "e",
        "-I",
    )
    assert parse_command_line(["python", "-uB", "/bin/covsup", "run", "-S"]).options == ("-uB",)
    assert parse_command_line(["python", "--check-hash-based-pycs", "never", "x"]).options == (
        "--check-hash-based-pycs",
        "never",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.py",), "there is no script nothing.py"),
        (("no/such.py", "x"), "there is no script no/such.py"),
        (("no-such-command",), "there is neither a script nor a command no-such-command"),
        (("empty",), "empty is a directory without a __main__.py"),
        (("-m", "no_such_module"), "has no module no_such_module that can be run"),
        (("-m", "package.missing"), "has no module package.missing that can be run"),
        (("-m", "package"), "has no module package that can be run"),
        (("-m",), "-m needs the name of a module"),
        ((), "nothing to run"),
        (("data.bin",), "data.bin is neither Python nor executable"),
    ],
    ids=str,
)
def test_what_is_missing_is_refused_in_one_line(
    world: World, words: tuple[str, ...], message: str
) -> None:
    (world.directory / "empty").mkdir()
    world.write("package/__init__.py", "raise SystemExit('imported!')\n")
    world.write("data.bin", "\x7fELF...")
    run = world.run(world.python, "-m", "covsup", "run", "--", *words)
    assert message in refused(run)


def test_a_package_that_moves_its_modules_is_given_the_benefit_of_the_doubt(world: World) -> None:
    world.write("package/__init__.py", "import os\n__path__ = [os.path.abspath('elsewhere')]\n")
    world.write("elsewhere/inner.py", "print('inner')\n")
    run = world.covsup_run("-m", "package.inner")
    assert (run.ended, run.stdout) == (0, "inner\n")


@pytest.mark.parametrize("how", ["named", "on the path", "shebang", "env", "trampoline"])
def test_an_interpreter_without_covsup_is_refused_with_the_line_that_installs_it(
    world: World, bare_python: Path, how: str
) -> None:
    path = f"{bare_python.parent}{os.pathsep}{os.environ['PATH']}"
    words: tuple[str, ...] = ("./tool",)
    match how:
        case "named":
            words = (str(bare_python), "-c", "pass")
        case "on the path":
            words = ("python", "-c", "pass")
        case "shebang":
            world.write("tool", f"#!{bare_python} -u\n", mode=0o755)
        case "env":
            world.write("tool", "#!/usr/bin/env python\n", mode=0o755)
        case _:
            lines = f"#!/bin/sh\n'''exec' {bare_python} \"$0\" \"$@\"\n' '''\n"
            world.write("tool", lines, mode=0o755)
    run = world.covsup_run(*words, environment={"PATH": path})
    said = refused(run)
    assert said.startswith(f"{bare_python} has no covsup: install it with: ")
    # What is named is what is installed here, and not a name that no index has.
    source = covsup_requirement(sys.version_info[:2])
    assert said.removesuffix(", or use --carrier").endswith(f" {source}")
    assert said.endswith(", or use --carrier") == on_linux


def test_a_program_of_covsups_own_environment_need_not_be_on_the_path(world: World) -> None:
    world.write("target.py", "import sys\nprint(sys.executable)\n")
    name = Path(world.python).name
    run = world.run(
        world.python, "-m", "covsup", "run", name, "target.py", environment={"PATH": "/nowhere"}
    )
    assert (run.ended, run.stdout, run.stderr) == (0, f"{world.python}\n", "")
    assert run.lines("target.py") == {1, 2}


def test_what_cannot_be_looked_at_is_not_called_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(targets.os, "stat", refuse)
    for word in "locked/target.py", "locked/tool":
        with pytest.raises(UsageError, match=f"^cannot read {word}: permission denied$"):
            find_target([word])


def test_a_python_that_is_too_old_is_refused(world: World) -> None:
    world.write("python3.9", "#!/bin/sh\necho 'covsup-probe {\"version\": [3, 9]}'\n", mode=0o755)
    run = world.covsup_run("./python3.9", "x.py")
    assert refused(run) == "./python3.9 is Python 3.9, but covsup measures 3.11 and later"


def test_a_launcher_that_is_called_python_and_answers_nothing_is_just_run(world: World) -> None:
    world.write("python", f'#!/bin/sh\n[ "$1" = -c ] || exec {world.python} "$@"\n', mode=0o755)
    world.write("target.py", "print('here')\n")
    run = world.covsup_run("./python", "target.py")
    assert (run.ended, run.stdout, run.lines("target.py")) == (0, "here\n", {1})


def test_a_library_that_is_not_installed_is_refused(world: World, bare_python: Path) -> None:
    site = next(bare_python.parent.parent.glob("lib/python*/site-packages"))
    startup = site / "covsup.pth"
    source = Path(covsup.__file__).parents[1]
    line = "import os; os.environ.get('COVSUP_SESSION') and __import__('covsup.bootstrap').bootstrap.start()"
    startup.write_text(f"{source}\n{line}\n", encoding="utf-8")
    try:
        run = world.covsup_run(
            str(bare_python), "-c", "pass", options=["--concurrency=thread,gevent"]
        )
    finally:
        startup.unlink()
    said = refused(run)
    assert said.startswith(
        f"--concurrency=gevent, but {bare_python} has no gevent: install it with: "
    )
    assert said.endswith(" gevent")


def test_a_library_that_is_installed_is_accepted(world: World) -> None:
    pytest.importorskip("greenlet")
    world.write("target.py", "import greenlet\n")
    run = world.covsup_run("target.py", options=["--concurrency=greenlet"])
    assert (run.ended, run.stderr) == (0, "")


def test_a_python_without_startup_files_is_refused(world: World) -> None:
    world.write("target.py", "pass\n")
    source = Path(covsup.__file__).parents[1]
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    run = world.run(
        world.python, "-S", "-m", "covsup", "run", "target.py",
        environment={"PYTHONPATH": f"{source}{os.pathsep}{libraries}"},
    )  # fmt: skip
    assert "-S skips the startup files" in refused(run)


PROBED_3_11 = '#!/bin/sh\necho \'covsup-probe {"version": [3, 11], "loaded": true}\'\n'


def test_the_monitoring_core_is_refused_where_there_is_none(world: World) -> None:
    world.write("python3.11", PROBED_3_11, mode=0o755)
    run = world.covsup_run("./python3.11", "x.py", core="monitoring")
    assert "--core=monitoring needs Python 3.12; ./python3.11 is 3.11" in refused(run)


def test_a_command_on_the_path_wins_over_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sh").write_text("print()")
    assert find_target(["sh", "-c", "true"]).kind is TargetKind.COMMAND
    assert find_target(["./sh"]).kind is TargetKind.SCRIPT
