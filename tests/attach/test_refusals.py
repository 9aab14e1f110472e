"""What cannot be attached is refused in one line, and nothing is changed in the process."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.attaching import remote_call
from covsup.supervisor.attaching.python_runtime import runtime_in
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.attaching.running_python import RunningPython, running_python
from tests.attach.targets import CAN_BE_ATTACHED, LOOPS, WHY_NOT, do, maps, running, sessions
from tests.carrier.test_trust import as_root
from tests.supervisor.live import UNTIL_OBSERVED, Live, beside, covsup
from tests.supervisor.watching.test_other_users import AS_USER, USER, let_all_through, needs_reader

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.world import World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attaching needs Linux")
needs_314 = pytest.mark.skipif(not CAN_BE_ATTACHED, reason=WHY_NOT)


AS_OTHER_USER = (
    f"import os, sys, threading, time\nos.setgroups([])\nos.setgid({USER})\nos.setuid({USER})\n"
)


def refused(world: World, *words: str) -> str:
    """The one line with which `covsup attach` refuses."""
    done: CompletedProcess[str] = beside(world, "attach", *words)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert re.fullmatch(r"covsup: [^\n]+\n", done.stderr), done
    assert sessions(world) == []
    return done.stderr.removeprefix("covsup: ").rstrip("\n")


@pytest.mark.parametrize("pid", ["999999999", "0"])
def test_no_such_process(world: World, pid: str) -> None:
    assert refused(world, pid) == f"there is no process {pid}"


def test_a_pid_that_is_no_number(world: World) -> None:
    done = beside(world, "attach", "gunicorn")
    assert done.returncode == 2
    assert "invalid int value: 'gunicorn'" in done.stderr


def test_what_is_not_a_python(world: World) -> None:
    with Live(world, "/bin/sleep", "100") as live:
        assert refused(world, str(live.pid)) == f"process {live.pid} (sleep 100) is not a Python"


def test_a_zombie(world: World) -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert "(a zombie)" in refused(world, str(child.pid))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it can be attached")
def test_an_older_python(world: World) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        why = refused(world, str(live.pid))
        assert f"runs Python {sys.version_info[0]}.{sys.version_info[1]}, and only 3.14 and" in why
        do(live, "after")


def test_a_command_of_covsup(world: World) -> None:
    with Live(world, *covsup(world, "/bin/cat")) as live:
        done = beside(world, "attach", str(live.pid))
        assert done.returncode == 1
        assert done.stderr.endswith("is a command of covsup's own\n")


@needs_314
def test_a_thread(world: World) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        thread = max(int(each.name) for each in Path(f"/proc/{live.pid}/task").iterdir())
        assert f"is a thread of process {live.pid}" in refused(world, str(thread))


@needs_314
@pytest.mark.parametrize("way", ["variable", "option"])
def test_a_python_without_remote_debugging(world: World, way: str) -> None:
    environment = {"PYTHON_DISABLE_REMOTE_DEBUG": "1"} if way == "variable" else {}
    options = () if way == "variable" else ("-X", "disable-remote-debug")
    world.write("target.py", LOOPS)
    with Live(world, world.python, *options, "target.py", environment=environment) as live:
        do(live, "before")
        assert "does not allow remote debugging" in refused(world, str(live.pid))
        do(live, "after")


@needs_314
def test_a_process_that_covsup_run_measures(world: World) -> None:
    world.write("target.py", UNTIL_OBSERVED + "print(os.getpid(), flush=True)\ninput()\n")
    with Live(world, *covsup(world, "target.py")) as live:
        pid = int(live.wait_for(r"(\d+)\n")[1])
        (session,) = sessions(world)
        for command in "attach", "detach":
            done = beside(world, command, str(pid))
            assert done.returncode == 1
            assert "`covsup run` (process" in done.stderr
        assert (
            f"is measured already, into session {session}, by"
            in beside(world, "attach", str(pid)).stderr
        )
        live.send("\n")
        assert live.ended() == 0


@needs_314
def test_a_process_of_covsup_env_can_only_be_detached(world: World) -> None:
    path = beside(world, "env", "--shell=path").stdout.strip()
    world.write("target.py", LOOPS)
    with Live(world, world.python, "target.py", environment={"COVSUP_SESSION": path}) as live:
        do(live, "before")
        done = beside(world, "attach", str(live.pid))
        assert done.returncode == 1
        assert f"into session {path}, by `covsup env`" in done.stderr
        assert beside(world, "detach", str(live.pid)).stdout.startswith("Detached: ")
        assert ".journal" not in maps(live.pid)
        child = "import subprocess; subprocess.run([sys.executable, '-c', 'pass'])"
        do(live, "run", child)
        assert list(Path(path).glob("*.journal~")) == []


@needs_314
def test_what_is_not_measured_cannot_be_detached(world: World) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        done = beside(world, "detach", str(live.pid))
        assert done.returncode == 1
        assert done.stderr.endswith("is not measured\n")


@needs_314
def test_a_start_that_fails_leaves_nothing_behind(world: World) -> None:
    with running(world, LOOPS) as live:
        do(live, "run", "[sys.monitoring.use_tool_id(each, 'mine') for each in range(6)]")
        why = refused(world, str(live.pid))
        assert "every tool id of sys.monitoring is in use by other tools" in why
        assert ".journal" not in maps(live.pid)
        do(live, "run", "[sys.monitoring.free_tool_id(each) for each in range(6)]")
        assert beside(world, "attach", str(live.pid)).returncode == 0
        do(live, "after")
        assert beside(world, "detach", str(live.pid)).returncode == 0
        live.kill(9)
        live.ended()
        assert live.rest() == ""


@needs_314
@as_root
def test_root_attaches_the_process_of_another_user(world: World) -> None:
    let_all_through(world.directory)
    source = AS_OTHER_USER + LOOPS
    with running(world, source) as live:
        do(live, "before")
        done = beside(world, "attach", str(live.pid))
        assert done.returncode == 0, done
        do(live, "after")
        assert beside(world, "detach", str(live.pid)).returncode == 0
        live.kill(9)
        live.ended()
        assert live.rest() == ""
    assert beside(world, "report").returncode == 0


@needs_314
@as_root
def test_a_user_who_cannot_read_the_session_is_named(world: World) -> None:
    let_all_through(world.directory)
    hidden = world.directory / "hidden"
    hidden.mkdir(mode=0o700)
    source = AS_OTHER_USER + LOOPS
    with running(world, source) as live:
        do(live, "before")
        why = refused(world, f"--data-file={hidden}/data", str(live.pid))
        assert f"user {USER} of process" in why
        assert list(hidden.iterdir()) == []
        do(live, "after")
        live.kill(9)
        live.ended()
        assert live.rest() == ""


@needs_314
@as_root
@needs_reader
def test_a_user_attaches_an_own_process_without_further_rights(world: World) -> None:
    let_all_through(world.directory)
    os.chown(world.directory, USER, USER)
    world.write("target.py", LOOPS)
    with Live(world, *AS_USER, world.python, "target.py") as live:
        do(live, "before")
        for command in "attach", "detach":
            done = subprocess.run(
                [*AS_USER, world.python, "-m", "covsup", command, str(live.pid)],
                cwd=world.directory, env=world.environment(), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), done
            do(live, "after")
    assert (world.directory / ".coverage").stat().st_uid == USER


@needs_314
@as_root
@needs_reader
def test_another_users_process_is_refused(world: World) -> None:
    with running(world, LOOPS) as live:
        do(live, "before")
        done = subprocess.run(
            [*AS_USER, world.python, "-m", "covsup", "attach", str(live.pid)],
            cwd=world.directory,
            env=world.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done
        assert done.stderr.endswith("belongs to user 0: attach as that user, or as root\n"), done


@needs_314
@as_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv drops the capability")
def test_without_the_right_to_trace_it_is_refused(world: World) -> None:
    source = AS_OTHER_USER + LOOPS
    with running(world, source) as live:
        do(live, "before")
        done = subprocess.run(
            ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace",
             world.python, "-m", "covsup", "attach", str(live.pid)],
            cwd=world.directory, env=world.environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1, done
        assert re.fullmatch(r"covsup: process \d+ .*\(CAP_SYS_PTRACE\)\n", done.stderr), done


@needs_314
@as_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare makes the other files")
def test_a_process_that_sees_other_files_is_refused(world: World) -> None:
    world.write("target.py", LOOPS)
    inside = f"mount -t tmpfs none {world.directory}/.covsup && exec {world.python} target.py"
    (world.directory / ".covsup").mkdir()
    with Live(world, "unshare", "--mount", "sh", "-c", inside) as live:
        do(live, "before")
        why = refused(world, str(live.pid))
        assert "does not see" in why
        do(live, "after")
        live.kill(9)
        live.ended()
        assert live.rest() == ""


def test_the_reasons_of_the_system_are_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scope = tmp_path / "ptrace_scope"
    scope.write_text("1\n")
    monkeypatch.setattr(remote_call, "_PTRACE_SCOPE", scope)
    assert "ptrace_scope is 1" in remote_call.reason_of("7 (x)", "PermissionError not permitted")
    scope.write_text("0\n")
    assert "CAP_SYS_PTRACE" in remote_call.reason_of("7 (x)", "PermissionError not permitted")
    assert remote_call.reason_of("7 (x)", "RuntimeError odd").endswith("cannot be attached: odd")
    lost = "RuntimeError Can't find the main thread in the remote process"
    assert "has sub-interpreters" in " ".join(remote_call.reason_of("7 (x)", lost).split())


def test_the_runtime_of_this_python_is_found() -> None:
    program = Path(sys.executable).resolve()
    libraries = [
        Path(line.split(None, 5)[5].strip())
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "/libpython3." in line
    ]
    found = [runtime for each in (program, *libraries) if (runtime := runtime_in(each))]
    expected = sys.hexversion if sys.version_info >= (3, 13) else 0
    assert [each.hexversion for each in found[:1]] == [expected]
    assert runtime_in(Path("/bin/sh")) is None


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 90, b"text"])
def test_a_file_that_is_no_program_has_no_runtime(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert runtime_in(path) is None


def test_a_prerelease_calls_only_itself() -> None:
    final, next_final, beta = 0x030E00F0, 0x030E02F0, 0x030F00B1
    assert remote_call.may_call(final, next_final)
    assert remote_call.may_call(beta, beta)
    assert not remote_call.may_call(beta, 0x030F00B2)
    assert not remote_call.may_call(final, 0x030F00F0)
    assert not remote_call.may_call(0x030F00F0, beta)


@pytest.mark.parametrize("size", [0, 40, 0xFFFF])
def test_a_table_of_impossible_sections_is_not_read(tmp_path: Path, size: int) -> None:
    head = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    head[0x3A:0x40] = struct.pack("<HHH", size, 0xFFFF, 0)
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1 << 33)  # a sparse file
    assert runtime_in(path) is None


@as_root
def test_root_executes_no_program_below_a_directory_of_another_user(tmp_path: Path) -> None:
    let_all_through(tmp_path)
    program = tmp_path / "bin" / "python3.14"
    program.parent.mkdir(mode=0o755)
    shutil.copy("/bin/true", program)
    program.chmod(0o755)
    os.chown(program.parent, USER, -1)  # the library that Python loads is of that user
    with subprocess.Popen(["sleep", "100"]) as process:
        assert not remote_call.is_trusted(str(program), python_of(process.pid, str(program)))
        process.kill()


@as_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="unshare makes the other mounts")
def test_root_executes_no_program_of_a_process_with_other_mounts() -> None:
    program = os.path.realpath("/bin/true")
    with subprocess.Popen(["sleep", "100"]) as process:
        assert remote_call.is_trusted(program, python_of(process.pid, program))
        process.kill()
    words = ["unshare", "--mount", "sh", "-c", "echo in; exec sleep 100"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        program_there = f"/proc/{process.pid}/root{program}"
        assert not remote_call.is_trusted(program_there, python_of(process.pid, program))
        process.kill()


def python_of(pid: int, executable: str) -> RunningPython:
    """A process of another user, as far as trust is concerned."""
    return RunningPython(
        pid=pid, inner_pid=pid, uid=USER, gid=USER, groups=(), argv=(), executable=executable,
        hexversion=0x030E00F0, session=None, memory=(),
    )  # fmt: skip


@needs_314
def test_a_process_that_ends_meanwhile_is_named(world: World) -> None:
    with Live(world, world.python, "-c", "print('ready', flush=True); input()") as live:
        live.wait_for("ready")
        process = running_python(live.pid)
        live.kill(9)
        live.ended()
        with pytest.raises(AttachRefused, match=r"ended before it could be asked$"):
            remote_call.execute_in(process, "/dev/null")
