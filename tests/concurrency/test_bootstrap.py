"""The start inside a process: what it says of the image, and how it fails."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import covsup
from covsup import bootstrap
from covsup.bootstrap import library_directories
from covsup.datafile.journal.events import Ended, LibraryUsed
from covsup.datafile.journal.header import Core
from tests.concurrency.by_hand import StartKind
from tests.instrumented import NO_LIMIT, SANITIZED
from tests.journal.harness import TRACER_C, compiler

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.concurrency.by_hand import Session

PROGRAM = "import sys\nprint('out')\nprint('err', file=sys.stderr)\nraise SystemExit(3)\n"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def test_the_image_says_what_it_is(session: Session) -> None:
    outcome = session.run("pass\n", arguments=["a b", "two\nlines", os.fsdecode(b"\xff"), ""])
    properties = outcome.first.journal.properties
    assert properties["argv"].split(b"\0")[-4:] == [b"a b", b"two\nlines", b"\xff", b""]
    assert properties["executable"] == os.fsencode(sys.executable)
    assert properties["host"] == os.fsencode(os.uname().nodename)
    assert properties["cwd"] == os.fsencode(session.directory)
    assert properties["python"].decode() == sys.version.split()[0]
    assert (outcome.first.kind, outcome.first.parent) == (StartKind.SPAWNED, None)


def test_the_core_is_the_one_that_was_asked_for(core_session: Session, core: str) -> None:
    header = core_session.run("pass\n").first.journal.header
    assert header.core is Core["SETTRACE" if core == "settrace-fast" else core.upper()]
    assert not header.branch


def test_auto_is_the_best_core_that_there_is(session: Session) -> None:
    session.configure(branch=True)
    header = session.run("pass\n").first.journal.header
    assert header.core is (Core.MONITORING if sys.version_info >= (3, 12) else Core.SETTRACE)
    assert header.branch


@pytest.mark.parametrize(
    "flags", [["-I"], ["-E"], ["-s", "-B", "-O"], ["-X", "dev"], ["-W", "error"]]
)
def test_interpreter_flags_do_not_hinder_it(session: Session, flags: list[str]) -> None:
    outcome = session.run("import os\nraise SystemExit(4)\n", flags=flags)
    assert (outcome.status, outcome.stderr) == (4, "")
    assert outcome.first.lines("target.py") == {1, 2}


@pytest.mark.parametrize("value", ["x", "garbled.value", "\xe9.1.2", "a" * 300, ".".join("abc")])
def test_a_garbled_parent_is_an_unknown_one(session: Session, value: str) -> None:
    outcome = session.run("pass\n", environment={"COVSUP_PARENT": value})
    assert outcome.notes == []
    assert outcome.first.parent is None


def without_settings(session: Session) -> None:
    (session.path / "settings").unlink()


def with_other_settings(session: Session) -> None:
    (session.path / "settings").write_text("format=2\nsession=later\n", encoding="utf-8")


def with_a_directory_for_settings(session: Session) -> None:
    without_settings(session)
    (session.path / "settings").mkdir()


@pytest.mark.parametrize(
    "spoil", [without_settings, with_other_settings, with_a_directory_for_settings]
)
def test_a_start_that_fails_leaves_a_note_and_the_target_alone(
    session: Session, spoil: Callable[[Session], None]
) -> None:
    spoil(session)
    outcome = session.run(PROGRAM, arguments=["100%\n"])
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert outcome.images == []
    (note,) = outcome.notes
    lines = note.splitlines()
    assert "kind=start-failed" in lines
    assert "argv=100%25%0A" in lines
    assert any(line.startswith("why=") and len(line) > 10 for line in lines)


def without_override() -> None:
    """Let file permissions bind the program that is started, root's too."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH:
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_a_process_that_may_not_write_goes_on_unmeasured(session: Session) -> None:
    session.path.chmod(0o500)
    outcome = session.run(PROGRAM, preexec=without_override)
    session.path.chmod(0o700)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert outcome.images == outcome.notes == []


def test_settings_that_may_not_be_read_are_a_note(session: Session) -> None:
    (session.path / "settings").chmod(0)
    outcome = session.run(PROGRAM, preexec=without_override)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert "PermissionError" in outcome.notes[0]


@pytest.mark.skipif(SANITIZED, reason=NO_LIMIT)
def test_a_journal_that_cannot_be_made_is_a_note(session: Session) -> None:
    def without_room() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (48 << 20, 48 << 20))

    outcome = session.run(PROGRAM, preexec=without_room)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    if outcome.images == []:
        assert "OSError" in outcome.notes[0]
    else:
        assert outcome.lines() == {1, 2, 3, 4}


def test_a_session_that_is_over_is_passed_over_in_silence(session: Session) -> None:
    outcome = session.run(PROGRAM, environment={"COVSUP_SESSION": str(session.path / "gone")})
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert outcome.images == outcome.notes == []


def test_a_removed_working_directory_does_not_hinder_it(session: Session) -> None:
    session.write("child.py", "import os\nraise SystemExit(5)\n")
    outcome = session.run(
        """
        import os, subprocess, sys
        child = os.path.abspath("child.py")
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir(os.path.join(os.path.dirname(child), "gone"))
        raise SystemExit(subprocess.run([sys.executable, child]).returncode)
        """
    )
    assert outcome.status == 5, outcome.stderr
    assert outcome.notes == []
    assert outcome.images[1].journal.properties["cwd"] == b""
    assert outcome.lines("child.py") == {1, 2}


def test_closed_standard_descriptors_stay_closed(session: Session) -> None:
    source = """
        import os
        status = 0
        for number in range(3):
            try:
                os.fstat(number)
                status += 1 << number
            except OSError:
                pass
        status += 8 * (len(os.listdir("/proc/self/fd")) - 1)
        os._exit(status)
        """

    def close_all() -> None:
        os.closerange(0, 3)

    plain = session.run(source, measured=False, preexec=close_all)
    assert session.run(source, preexec=close_all).status == plain.status


def test_library_directories_are_those_of_sysconfig() -> None:
    stdlib, third = (set(found) for found in library_directories())
    for scheme in sysconfig.get_scheme_names():
        paths = sysconfig.get_paths(scheme)
        known = {
            kind: path
            for kind, path in paths.items()
            if os.path.exists(path)  # noqa: PTH110 - as the rest of this, in strings
        }
        assert {known[kind] for kind in ("stdlib", "platstdlib") if kind in known} <= stdlib
        assert {known[kind] for kind in ("purelib", "platlib", "scripts") if kind in known} <= third
    assert not {path for path in stdlib | third if not path.startswith("/")}


def test_a_base_that_is_a_link_counts_by_both_names(tmp_path: Path) -> None:
    real = tmp_path.resolve() / "real"
    real.mkdir()
    link = real / "link"
    link.symlink_to("../real")
    base = f"{link}/link/python"
    assert bootstrap.real_path(base) == f"{real}/python"
    assert bootstrap.real_path(str(link)) == str(real)
    assert bootstrap.real_path(f"{real}/none") == f"{real}/none"
    assert bootstrap.with_real_paths([f"{base}/lib", "/usr/lib"], {base: f"{real}/python"}) == [
        f"{base}/lib",
        "/usr/lib",
        f"{real}/python/lib",
    ]


def test_an_environment_behind_a_link_is_third_party_too(session: Session) -> None:
    environment = session.directory / "behind"
    environment.symlink_to(sys.prefix)
    session.write("child.py", "import coverage.exceptions\nraise SystemExit(2)\n")
    outcome = session.run(
        """
        import subprocess
        raise SystemExit(subprocess.run(["behind/bin/python", "child.py"]).returncode)
        """
    )
    assert outcome.status == 2, outcome.stderr
    assert outcome.lines("child.py") == {1, 2}
    assert outcome.lines("exceptions.py") == set()


SUB_INTERPRETER = """
import os, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
if sys.version_info >= (3, 13):
    made = interpreters.create(sys.argv[1])
else:
    made = interpreters.create(isolated=sys.argv[1] == "isolated")
failure = interpreters.run_string(made, f"import sys; sys.path.insert(0, {os.getcwd()!r}); import inner")
assert not failure, failure
interpreters.destroy(made)
"""


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_a_sub_interpreter_is_measured(core_session: Session, kind: str, core: str) -> None:
    if core == "settrace" and sys.version_info >= (3, 13):
        pytest.skip("from 3.13 on a call into an interpreter has a thread state of its own")
    if kind == "isolated" and sys.version_info < (3, 12):
        pytest.skip("before 3.12 an isolated interpreter starts neither processes nor threads")
    core_session.write(
        "inner.py",
        """
        import multiprocessing, os, subprocess, sys, threading
        def body():
            done.append(1)
        done = []
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        subprocess.run([sys.executable, "-c", "pass"], env={})
        """,
    )
    outcome = core_session.run(SUB_INTERPRETER, arguments=[kind])
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.notes == []
    assert outcome.first.lines("inner.py") == set(range(1, 9))
    assert outcome.child_of(outcome.first, StartKind.SPAWNED).argv[1:] == ["-c", "pass"]
    names = [event.name for event in outcome.first.events(LibraryUsed)]
    assert names == ["multiprocessing"]
    assert len(outcome.first.events(Ended)) == 1
    assert list(outcome.first.journal.properties) == [
        "boot", "machine", "host", "pid_namespace", "argv", "executable", "cwd", "python",
    ]  # fmt: skip


def test_a_free_threaded_python_runs_unmeasured_and_a_note_says_why(session: Session) -> None:
    """None is at hand: this one says that it is one, and must not load the extension."""
    source = str(Path(covsup.__file__).parents[1])
    outcome = session.run(
        f"""
        import sys
        sys.abiflags = "t"
        sys.path.insert(0, {source!r})
        from covsup import bootstrap
        bootstrap.start()
        print([name for name in sys.modules if "_tracer" in name])
        """,
        flags=("-S",),
    )
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "[]\n", "")
    assert outcome.images == []
    (note,) = outcome.notes
    assert "why=NotImplementedError: covsup does not measure free-threaded Pythons" in note


def test_nothing_in_c_is_built_for_a_free_threaded_python(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *compiler(), "-std=c11", "-DPy_GIL_DISABLED", "-fsyntax-only",
            f"-I{sysconfig.get_path('include')}", f"-I{TRACER_C}",
            str(TRACER_C / "core" / "code_state.c"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0
    assert "covsup measures Pythons with the GIL" in done.stderr
