"""`covsup env`: a session that nobody supervises, for Pythons that somebody else starts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.sessions.shells import set_variables
from tests.supervisor.launch.test_target import refused
from tests.supervisor.live import Live, beside

if TYPE_CHECKING:
    from tests.world import Run, World

TARGET = """\
import sys
def half(value):
    if value:
        return 1
    return 2
half(len(sys.argv) > 1)
"""
WAITING = """\
import os
print("up", os.getpid(), flush=True)
input()
print("on")
"""


def covsup(world: World, *words: str, environment: dict[str, str] | None = None) -> Run:
    return world.run(world.python, "-m", "covsup", *words, environment=environment)


def opened(world: World, *options: str) -> dict[str, str]:
    run = covsup(world, "env", "--shell=json", "--branch", *options)
    assert run.ended == 0, run
    found: dict[str, str] = json.loads(run.stdout)
    assert list(found) == ["COVSUP_SESSION"]
    return found


def test_what_is_exported_has_every_python_measured_and_combine_collects_again_and_again(
    world: World,
) -> None:
    world.write("target.py", TARGET)
    script = """\
eval "$(python -m covsup env --branch --source=.)"
python target.py
python -m covsup combine || exit 1
sh -c 'cd / && python "$0"/target.py more' "$PWD"
python -m covsup combine || exit 1
python -m covsup combine || exit 1
python -m covsup tree
"""
    run = world.run("sh", "-c", script)
    assert run.ended == 0, run
    assert run.stderr == ""
    assert run.file("target.py").executed_branches == {(3, 4), (3, 5)}
    tree = run.stdout.partition("\nsession ")[2]
    assert "2 measured processes\n" in tree, run
    assert tree.count("exit 0") == 2
    assert "-m covsup" not in tree, "covsup's own commands are no part of the session"


def test_a_process_that_goes_on_is_collected_as_far_as_it_is_and_later_whole(world: World) -> None:
    world.write("waiting.py", WAITING)
    session = opened(world)
    with Live(world, world.python, "waiting.py", environment=session) as live:
        live.wait_for("up")
        first = beside(world, "combine")
        assert "still running" in first.stderr
        assert "still running" in beside(world, "tree").stdout
        refusal = beside(world, "erase")
        assert (refusal.returncode, "still runs, so it is kept" in refusal.stderr) == (1, True)
        live.send("\n")
        assert live.ended() == 0
    run = covsup(world, "combine")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("waiting.py") == {1, 2, 3, 4}


def test_erase_empties_an_open_session_and_only_closing_it_ends_it(world: World) -> None:
    world.write("target.py", TARGET)
    session = opened(world)
    path = Path(session["COVSUP_SESSION"])
    world.run(world.python, "target.py", environment=session)
    erased = covsup(world, "erase")
    assert (erased.ended, erased.stderr.count("\n")) == (0, 1)
    assert os.listdir(path) == ["settings"]  # noqa: PTH208
    world.run(world.python, "target.py", "more", environment=session)
    closed = covsup(world, "env", "--close", environment=session)
    assert closed.stdout == "unset COVSUP_SESSION\n"
    assert covsup(world, "env", "--close").ended == 0
    run = covsup(world, "combine")
    assert run.file("target.py").executed_branches == {(3, 4)}
    assert not path.exists()


def test_one_that_was_killed_without_anybody_watching_has_all_of_its_lines(world: World) -> None:
    world.write("target.py", "import os\nprint(1)\nos.kill(os.getpid(), 9)\n")
    session = opened(world)
    world.run(world.python, "target.py", environment=session)
    run = covsup(world, "combine")
    assert run.lines("target.py") == {1, 2, 3}
    assert "end unknown" in covsup(world, "tree").stdout


def test_run_in_such_an_environment_is_a_session_of_its_own(world: World) -> None:
    world.write("target.py", TARGET)
    session = opened(world, "--data-file=other")
    run = world.covsup_run("target.py", environment=session)
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py")
    assert not list(Path(session["COVSUP_SESSION"]).glob("*.journal~"))


def test_open_sessions_are_listed_for_people_and_for_programs(world: World) -> None:
    world.write("waiting.py", WAITING)
    assert json.loads(beside(world, "env", "--list", "--json").stdout) == []
    session = opened(world)["COVSUP_SESSION"]
    opened(world, "--data-file=other")
    with Live(world, world.python, "waiting.py", environment={"COVSUP_SESSION": session}) as live:
        live.wait_for("up")
        (found,) = json.loads(beside(world, "env", "--list", "--json").stdout)
        assert (found["path"], found["branch"]) == (session, True)
        assert (found["running"], found["journals"]) == ([live.pid], 1)
        (line,) = beside(world, "env", "--list").stdout.splitlines()
        assert line.startswith(f"{session}  since ")
        assert line.endswith(" 1 running, 1 to combine")
    covsup(world, "env", "--close")
    assert covsup(world, "env", "--list").stdout == ""


def test_a_line_that_is_run_again_and_again_reuses_the_session_that_measures_the_same(
    world: World,
) -> None:
    line = ("env", "--reuse", "--shell=path")
    first = covsup(world, *line)
    assert first.ended == 0, first
    assert covsup(world, *line).stdout == first.stdout
    other = covsup(world, *line, "--branch")
    assert other.stdout != first.stdout
    assert covsup(world, *line, "--branch").stdout == other.stdout
    covsup(world, "env", "--close")
    assert covsup(world, *line).stdout not in {first.stdout, other.stdout}


def test_a_second_session_in_a_shell_and_one_that_is_gone_are_named(world: World) -> None:
    session = opened(world)
    path = Path(session["COVSUP_SESSION"])
    second = covsup(world, "env", environment=session)
    assert f"names session {path.name} already" in second.stderr, second
    shutil.rmtree(path)
    for words in (("env",), ("combine",), ("tree",), ("erase",), ("env", "--list"), ("report",)):
        run = covsup(world, *words, environment=session)
        assert f"{path}, which does not exist any more" in run.stderr, run


ODD = 'it\'s "$HOME" `a` \\b !c #d,e:f=g %h ü \n.x'


SHELLS = {
    "sh": ["sh", "-c"], "bash": ["bash", "-c"], "zsh": ["zsh", "-fc"], "fish": ["fish", "-c"],
    "csh": ["csh", "-fc"], "tcsh": ["tcsh", "-fc"],
}  # fmt: skip


@pytest.mark.parametrize("form", [each for each in SHELLS if shutil.which(each)])
def test_a_path_with_anything_in_it_comes_through_every_shell(form: str) -> None:
    program = "import os; print(ascii(os.environ['COVSUP_SESSION']))"
    say = f'{shlex.quote(sys.executable)} -Sc "{program}"'
    said = subprocess.run(
        [*SHELLS[form], f"{set_variables(form, Path(ODD))}{say}"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert said.stdout.splitlines() == [ascii(ODD)]


def test_forms_for_programs_that_are_no_shell() -> None:
    odd = Path("/a b/c$d")
    assert json.loads(set_variables("json", odd)) == {"COVSUP_SESSION": "/a b/c$d"}
    assert set_variables("env-file", odd) == "COVSUP_SESSION=/a b/c$d\n"
    assert set_variables("systemd", odd) == 'COVSUP_SESSION="/a b/c\\$d"\n'
    assert set_variables("path", odd) == "/a b/c$d\n"
    assert set_variables("powershell", Path("/it's")) == "$Env:COVSUP_SESSION = '/it''s'\n"
    assert shlex.split(set_variables("docker", odd)) == [
        "--env", "COVSUP_SESSION=/a b/c$d",
        "--mount", "type=bind,source=/a b/c$d,target=/a b/c$d",
    ]  # fmt: skip
    assert 'type=bind,"source=/a,b"' in set_variables("docker", Path("/a,b"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--shell=bahs", "did you mean 'bash'?"),
        ("--user=nobody-of-this-name", "there is no such user"),
        ("--grace=1", "there is no option --grace (see `covsup env --help`)"),
        ("--concurrency=treads", "did you mean 'thread'?"),
    ],
)
def test_what_cannot_be_is_refused_and_opens_nothing(
    world: World, option: str, message: str
) -> None:
    run = covsup(world, "env", option)
    assert message in run.stderr, run
    assert (run.ended != 0, run.stdout, run.stderr.count("\n")) == (True, "", 1)
    assert not (world.directory / ".covsup").exists()
    assert refused(world.covsup_run("nothing.py"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_processes_of_a_user_who_was_let_in_are_measured_as_others_are(
    world: World,
) -> None:
    for directory in (world.directory, *world.directory.parents):
        if directory.stat().st_uid == 0 and directory.parent != directory:
            directory.chmod(directory.stat().st_mode | 0o011)
    world.write(
        "target.py",
        "import os, sys\n"
        "os.setgid(int(sys.argv[1]))\n"
        "os.setuid(int(sys.argv[1]))\n"
        "if os.fork() == 0:\n"
        "    print(os.getuid(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n",
    )
    session = opened(world, "--user=65534", "--user=daemon")
    path = Path(session["COVSUP_SESSION"])
    assert (path.stat().st_mode & 0o777, (path / "settings").stat().st_mode & 0o777) == (
        0o711, 0o644,
    )  # fmt: skip
    assert (path / "uid-1").stat().st_uid == 1
    run = world.run(world.python, "target.py", "65534", environment=session)
    assert (run.stdout, run.stderr) == ("65534\n", "")
    assert len(list((path / "uid-65534").glob("*.journal~"))) == 1
    run = covsup(world, "combine")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py") == {1, 2, 3, 4, 5, 6, 7}


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="needs a pid namespace of its own"
)
def test_a_process_of_another_pid_namespace_is_not_taken_for_one_that_has_ended(
    world: World,
) -> None:
    world.write("waiting.py", WAITING)
    session = opened(world)
    with Live(world, world.python, "waiting.py", environment=session) as live:
        live.wait_for("up")
        inside = subprocess.run(
            ["unshare", "-pf", "--mount-proc", world.python, "-m", "covsup", "combine"],
            cwd=world.directory, env=world.environment(), capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
        if "unshare" in inside.stderr:
            pytest.skip(inside.stderr)
        assert "still running" in inside.stderr, inside
        live.send("\n")
        assert live.ended() == 0
    run = covsup(world, "combine")
    assert run.lines("waiting.py") == {1, 2, 3, 4}
    with Live(
        world, "unshare", "-pf", "--mount-proc", world.python, "waiting.py", environment=session
    ) as live:
        live.wait_for("up 1\n")
        assert "still running" in beside(world, "combine").stderr


@pytest.mark.parametrize("how", ["setting", "variable", "setting and variable"])
def test_sessions_are_where_the_user_wants_them_and_every_command_finds_them(
    world: World, how: str
) -> None:
    world.write("target.py", TARGET)
    place = world.directory / "elsewhere" / "sessions"
    variable = {"COVSUP_SESSIONS": str(place)} if "variable" in how else {}
    if how.startswith("setting"):
        setting = "no/where" if variable else place
        world.write("pyproject.toml", f'[tool.covsup]\nsessions = "{setting}"\n')

    def told(*words: str) -> Run:
        run = covsup(world, *words, environment=variable)
        assert run.ended == 0, run
        return run

    told("run", "-p", "target.py")
    (session,) = place.glob("*.covsup/2*")
    assert not (world.directory / ".covsup").exists()
    assert not (world.directory / "no").exists()
    assert session.name in told("tree").stdout
    assert told("combine").lines("target.py") == {1, 2, 3, 5, 6}
    told("erase")
    told("env")
    told("env", "--close")
    told("run", "-p", "target.py", "more")
    # One that was made before the setting was is found, too.
    plain = covsup(world, "run", "-p", "target.py", environment={"COVSUP_SESSIONS": ""})
    assert plain.ended == 0
    assert len(list(world.directory.glob(".covsup/2*"))) == 1
    assert told("combine").lines("target.py") == {1, 2, 3, 4, 5, 6}
    told("run", "target.py")
    told("run", "-p", "target.py")
    told("erase")
    assert os.listdir(place) == []  # noqa: PTH208
    assert not (world.directory / ".covsup").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_place_that_another_user_has_made_is_not_used(world: World) -> None:
    world.write("target.py", TARGET)
    variable = {"COVSUP_SESSIONS": str(world.directory / "place")}
    assert covsup(world, "run", "-p", "target.py", environment=variable).ended == 0
    (sessions,) = world.directory.glob("place/*.covsup")
    os.chown(sessions, 65534, -1)
    line = refused(covsup(world, "run", "target.py", environment=variable))
    assert line.startswith(f"cannot make a session directory in {sessions}: {sessions} belongs to")
