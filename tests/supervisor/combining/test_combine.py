"""Combining sessions, journals and data files: everything gets in, and nothing goes too early."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from coverage import CoverageData
from coverage.files import set_relative_directory

from covsup.datafile.database.database import read_provenance
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.session.directory import open_session
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.settings import write_settings
from covsup.supervisor.combining.combine import CombineResult, combine
from covsup.supervisor.combining.inputs import InputUnusable, NothingToCombine
from covsup.supervisor.errors import UsageError
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.watching import linux
from tests.datafile.handmade import DEAD_PID, HandMade, handmade_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Maps the file that it is told, as a measured process does, says so, and goes on till it is told.
MAPPER = """
import mmap, sys
with open(sys.stdin.readline().strip(), "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0)
print("mapped", flush=True)
sys.stdin.read()
"""

# The children only read and write files; xdist's threads are of no concern to them.
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    return tmp_path / ".coverage"


@pytest.fixture
def owner() -> Iterator[Callable[[HandMade, Path], subprocess.Popen[str]]]:
    """Give a function that makes a journal and a running process whose journal it is."""
    running: list[subprocess.Popen[str]] = []

    def begin(made: HandMade, directory: Path) -> subprocess.Popen[str]:
        # The journal is named for the process, which must exist first.
        child = subprocess.Popen(
            [sys.executable, "-c", MAPPER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        made.pid = child.pid
        path = made.write(directory)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        assert child.stdout.readline() == "mapped\n"
        running.append(child)
        return child

    yield begin
    for child in running:
        stop(child)


def stop(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def combine_settings(data_file: Path, **more: object) -> CombineSettings:
    return CombineSettings(data_file=data_file, **more)  # type: ignore[arg-type]


def lines(data_file: Path) -> dict[str, list[int]]:
    data = CoverageData(str(data_file))
    data.read()
    found = {path: sorted(data.lines(path) or ()) for path in data.measured_files()}
    data.close()
    return found


def test_sessions_are_combined_and_go(data_file: Path) -> None:
    handmade_session(data_file, [HandMade().ran("/a.py", 1), HandMade().ran("/a.py", 2)])
    handmade_session(data_file, [HandMade().ran("/b.py", 3)])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2], "/b.py": [3]}
    assert (len(outcome.sessions), outcome.images, outcome.kept) == (2, 3, ())
    assert outcome.sentences() == []
    assert [each.name for each in data_file.parent.iterdir()] == [".coverage"]


def test_the_provenance_is_in_the_file(data_file: Path) -> None:
    made = HandMade().ran("/a.py", 1, 2)
    session = handmade_session(data_file, [made], command=("a.py", "-x"))
    session.observe([Observation(pid=9, create_time=1.0, argv=("bash",), python=False)])
    outcome = combine(combine_settings=combine_settings(data_file))
    said = read_provenance(data_file)
    assert said == outcome.provenance
    assert [each.command for each in said.sessions] == [("a.py", "-x")]
    assert [(each.image_id, each.lines) for each in said.processes] == [(made.image_id, 2)]
    assert [each.argv for each in said.observed] == [("bash",)]


def test_the_static_context_of_the_session_is_the_label_of_its_facts(data_file: Path) -> None:
    handmade_session(data_file, [HandMade().ran("/a.py", 1)], context="ci-17")
    combine(combine_settings=combine_settings(data_file))
    data = CoverageData(str(data_file))
    data.read()
    assert data.contexts_by_lineno("/a.py") == {1: ["ci-17"]}


def test_an_earlier_data_file_is_replaced_unless_appended_to(data_file: Path) -> None:
    for append, expected in ((False, [1]), (False, [2]), (True, [2, 3])):
        handmade_session(data_file, [HandMade().ran("/a.py", expected[-1])])
        combine(combine_settings=combine_settings(data_file), append=append)
        assert lines(data_file) == {"/a.py": expected}
    assert len(read_provenance(data_file).sessions) == 2


def test_a_journal_whose_process_runs_is_folded_and_kept_and_that_is_said(
    data_file: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    running = HandMade().ran("/a.py", 2).knows("argv", b"server.py\0--port")
    child = owner(running, session.path)
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2]}
    assert [each.pid for each in session.journals()] == [child.pid]
    assert [each.image_id for each in outcome.running] == [running.image_id]
    (sentence,) = outcome.sentences()
    assert f"process {child.pid} (server.py --port) is still running" in sentence
    assert {each.pid: each for each in outcome.provenance.processes}[child.pid].ending.words == (
        "still running"
    )

    running.ran("/a.py", 3).write(session.path)
    stop(child)
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2, 3]}
    assert outcome.sentences() == []
    assert not session.path.exists()
    assert {each.ending.words for each in read_provenance(data_file).processes} == {"unknown"}


def test_what_an_unfinished_session_had_is_there_whatever_became_of_the_data_file(
    data_file: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    session = handmade_session(data_file, [HandMade(pid=DEAD_PID + 1).ran("/a.py", 1)])
    child = owner(HandMade().ran("/a.py", 2), session.path)
    combine(combine_settings=combine_settings(data_file))
    other = handmade_session(data_file, [HandMade().ran("/b.py", 7)])
    combine([other.path], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/b.py": [7]}
    stop(child)
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/b.py": [7]}
    (aside,) = outcome.aside
    assert lines(aside.data_file) == {"/a.py": [1, 2]}
    assert len(outcome.provenance_of(session.id).processes) == 2
    assert not session.path.exists()


def test_a_snapshot_deletes_nothing_and_may_be_repeated(
    data_file: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    running = HandMade().ran("/a.py", 2)
    child = owner(running, session.path)
    before = sorted(each.name for each in session.path.iterdir())
    for more in (3, 4):
        combine(combine_settings=combine_settings(data_file), keep=True)
        assert sorted(each.name for each in session.path.iterdir()) == before
        assert lines(data_file) == {"/a.py": list(range(1, more))}
        running.ran("/a.py", more).write(session.path)
    stop(child)
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2, 3, 4]}
    processes = {each.pid: each for each in outcome.provenance.processes}
    assert processes[child.pid].lines == processes[child.pid].unique_lines == 3


def test_combining_a_kept_session_again_gives_the_same(data_file: Path) -> None:
    handmade_session(data_file, [HandMade().ran("/a.py", 1), HandMade().ran("/a.py", 1, 2)])
    first = combine(combine_settings=combine_settings(data_file), keep=True)
    again = combine(combine_settings=combine_settings(data_file), keep=True)
    last = combine(combine_settings=combine_settings(data_file))
    counts = [
        [(each.image_id, each.lines, each.unique_lines) for each in outcome.provenance.processes]
        for outcome in (first, again, last)
    ]
    assert counts[0] == counts[1] == counts[2]
    assert lines(data_file) == {"/a.py": [1, 2]}


def test_an_image_that_execed_another_program_is_over_though_its_pid_lives(
    data_file: Path,
) -> None:
    made = HandMade(pid=os.getpid()).ran("/a.py", 1).about_to_exec("/bin/sleep", "sleep", "9")
    session = handmade_session(data_file, [made])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert outcome.running == ()
    assert not session.path.exists()


def test_a_session_of_which_any_program_runs_keeps_its_directory(data_file: Path) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    child = subprocess.Popen(
        ["sleep", "60"], env={**os.environ, "COVSUP_SESSION": str(session.path)}
    )
    try:
        outcome = combine(combine_settings=combine_settings(data_file))
        assert outcome.kept == (session.path,)
        running = f"still running: program {child.pid} (sleep 60) of the session: "
        assert outcome.sentences()[0].startswith(running)
        assert session.journals() == []
        HandMade().ran("/a.py", 2).write(open_session(session.path).path)
    finally:
        child.kill()
        child.wait()
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2]}
    assert not session.path.exists()


def test_a_session_whose_supervisor_runs_keeps_its_directory(data_file: Path) -> None:
    parent = psutil.Process(os.getppid())
    session = handmade_session(
        data_file,
        [HandMade().ran("/a.py", 1)],
        supervisor_pid=parent.pid,
        started_ns=time.time_ns(),
    )
    assert combine(combine_settings=combine_settings(data_file)).kept == (session.path,)
    assert session.path.exists()


def test_a_session_whose_supervisors_pid_came_again_goes(data_file: Path) -> None:
    started = int((psutil.Process(os.getppid()).create_time() - 60) * 1e9)
    session = handmade_session(
        data_file,
        [HandMade().ran("/a.py", 1)],
        supervisor_pid=os.getppid(),
        started_ns=started,
    )
    combine(combine_settings=combine_settings(data_file))
    assert not session.path.exists()


def test_a_process_of_another_host_is_kept_unless_its_journal_tells_its_end(
    data_file: Path,
) -> None:
    unsure = HandMade(pid=DEAD_PID + 1).ran("/a.py", 1).knows("host", b"far")
    sure = HandMade(pid=DEAD_PID + 2).ran("/a.py", 2).knows("host", b"far").ended(0)
    session = handmade_session(data_file, [unsure, sure])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2]}
    assert [each.image_id for each in session.journals()] == [unsure.image_id]
    assert "on far" in outcome.sentences()[0]


def test_the_end_of_a_process_of_another_host_may_be_told_by_its_parents_journal(
    data_file: Path,
) -> None:
    child = HandMade(pid=DEAD_PID + 1).ran("/a.py", 1).knows("host", b"far")
    parent = HandMade(pid=DEAD_PID + 2).knows("host", b"far").reaped(child.pid, 9).ended(0)
    session = handmade_session(data_file, [child, parent])
    assert combine(combine_settings=combine_settings(data_file)).running == ()
    assert not session.path.exists()


def ran_on(boot: str, machine: str, host: str) -> HandMade:
    """An image of a kernel and a machine, whose end is not known."""
    made = HandMade(pid=DEAD_PID + 1).ran("/a.py", 1)
    return made.knows("boot", boot.encode()).knows("machine", machine.encode()).knows(
        "host", host.encode()
    )  # fmt: skip


@pytest.mark.skipif(not linux.boot_id() or not linux.machine_id(), reason="there are no ids")
@pytest.mark.parametrize(
    ("boot", "machine", "host", "over"),
    [
        ("", "", "", True),
        ("", "", "other name", True),
        ("other", "", "", True),
        ("other", "other", "", False),
        ("other", "", "other name", False),
    ],
    ids=["here", "a container here", "before a restart", "of this name", "a copy of the machine"],
)
def test_a_machine_is_known_by_its_ids_and_not_by_its_name(
    data_file: Path, boot: str, machine: str, host: str, over: bool
) -> None:
    made = ran_on(
        boot or linux.boot_id(), machine or linux.machine_id(), host or os.uname().nodename
    )
    session = handmade_session(data_file, [made])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert (outcome.running == (), session.path.exists()) == (over, not over)
    assert lines(data_file) == {"/a.py": [1]}
    if not over:
        combine(combine_settings=combine_settings(data_file), assume_ended=True)
        assert not session.path.exists()


def test_a_process_that_knows_no_ids_is_on_the_machine_of_its_session(data_file: Path) -> None:
    for boot, over in ((linux.boot_id(), True), ("other", False)):
        made = HandMade(pid=DEAD_PID + 1).ran("/a.py", 1).knows("boot", b"")
        session = handmade_session(data_file, [made], boot=boot)
        combine(combine_settings=combine_settings(data_file))
        assert session.path.exists() is not over


def test_an_unreadable_session_is_told_and_does_not_hold_up_the_others(data_file: Path) -> None:
    bad = handmade_session(data_file, [HandMade().ran("/b.py", 1)])
    settings = (bad.path / "settings").read_text()
    (bad.path / "settings").write_text("rubbish")
    handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1]}
    (sentence,) = outcome.sentences()
    assert bad.id in sentence
    with pytest.raises(NothingToCombine, match="settings"):
        combine(combine_settings=combine_settings(data_file))
    (bad.path / "settings").write_text(settings)
    combine(combine_settings=combine_settings(data_file), append=True)
    assert lines(data_file) == {"/a.py": [1], "/b.py": [1]}


def test_a_session_directory_that_is_being_made_is_left_alone(data_file: Path) -> None:
    young = data_file.parent / ".covsup" / "20990101-000000-00000000"
    old = data_file.parent / ".covsup" / "20200101-000000-00000000"
    handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    young.mkdir()
    old.mkdir()
    os.utime(old, (1, 1))
    assert combine(combine_settings=combine_settings(data_file)).sentences() == []
    assert young.exists()
    assert not old.exists()


def test_a_partial_fold_that_cannot_be_read_is_told_and_nothing_beside_it_goes(
    data_file: Path,
) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    session.folded.write_text("rubbish")
    for _ in range(2):
        outcome = combine(combine_settings=combine_settings(data_file))
        assert lines(data_file) == {"/a.py": [1]}
        assert "folded is not a coverage data file" in outcome.sentences()[0]
        assert session.folded.read_text() == "rubbish"
        assert len(session.journals()) == 1


def test_a_session_of_a_run_with_append_is_united_with_what_is_there(data_file: Path) -> None:
    coverage_py_data(data_file, c=[3])
    handmade_session(data_file, [HandMade().ran("/a.py", 1)], append=True)
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1], "/c.py": [3]}


def test_empty_data_of_the_other_kind_is_no_obstacle(data_file: Path) -> None:
    handmade_session(data_file, [HandMade(branch=True)], branch=True)
    combine(combine_settings=combine_settings(data_file))
    handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    combine(combine_settings=combine_settings(data_file), append=True)
    assert lines(data_file) == {"/a.py": [1]}


@forks
def test_what_cannot_be_deleted_is_told_and_is_combined_all_the_same(data_file: Path) -> None:
    elsewhere = data_file.parent / "elsewhere"
    elsewhere.mkdir()
    there = handmade_session(elsewhere / ".coverage", [HandMade().ran("/a.py", 1)])
    said = combine_without_privileges(data_file, [there.path], closed=there.path.parent)
    assert "is combined but cannot be deleted" in said
    assert lines(data_file) == {"/a.py": [1]}
    assert there.path.exists()


def combine_without_privileges(data_file: Path, paths: list[Path], closed: Path) -> str:
    """Combine as a user who may write everything but the directory `closed`; gives what it said."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if os.getuid() == 0:
                for path in (data_file.parent, *data_file.parent.rglob("*")):
                    os.chown(path, 4242, 4242)
                # pytest's own directories let nobody but root pass.
                for parent in data_file.parents:
                    if parent.is_relative_to(tempfile.gettempdir()):
                        parent.chmod(parent.stat().st_mode | 0o011)
                closed.chmod(0o555)
                os.setgid(4242)
                os.setuid(4242)
            else:
                closed.chmod(0o555)
            outcome = combine(paths, combine_settings=combine_settings(data_file))
            os.write(write_end, "\n".join(outcome.sentences()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        said = stream.read()
    assert os.waitpid(pid, 0)[1] == 0
    closed.chmod(0o755)
    return said


@forks
def test_a_directory_that_cannot_be_written_loses_nothing(data_file: Path) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    (data_file.parent / "closed").mkdir()
    target = data_file.parent / "closed" / ".coverage"
    with pytest.raises(AssertionError):
        combine_without_privileges(target, [session.path], closed=target.parent)
    assert len(session.journals()) == 1
    assert not target.exists()


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "is not a journal": lambda whole: b"#!/bin/sh\n" + whole[10:],
    "header is damaged": lambda whole: whole[:60] + b"\x01" + whole[61:],
    "has format 9": lambda whole: whole[:8] + b"\x09" + whole[9:],
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_journal_that_cannot_be_read_is_told_in_one_line_and_left(
    data_file: Path, why: str
) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    broken = HandMade(pid=DEAD_PID + 1).ran("/a.py", 2).write(session.path)
    broken.write_bytes(BROKEN[why](broken.read_bytes()))
    for _ in range(2):
        outcome = combine(combine_settings=combine_settings(data_file))
        assert lines(data_file) == {"/a.py": [1]}
        (sentence,) = outcome.sentences()
        assert why in sentence
        assert str(broken) in sentence
        assert "\n" not in sentence
        assert [Path(each.path) for each in session.journals()] == [broken]


def test_a_truncated_journal_gives_what_is_sound_and_is_left(data_file: Path) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    cut = HandMade(pid=DEAD_PID + 1).ran("/a.py", 2, 3, 4).write(session.path)
    cut.write_bytes(cut.read_bytes()[: 512 + 8 * 5])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file)["/a.py"][:2] == [1, 2]
    assert len(outcome.sentences()) == 1
    assert cut.exists()


def test_a_journal_that_was_never_begun_holds_nothing_and_goes(data_file: Path) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    (session.path / f"{DEAD_PID}-{'0' * 32}.0.journal~").write_bytes(bytes(8192))
    outcome = combine(combine_settings=combine_settings(data_file))
    assert outcome.sentences() == []
    assert not session.path.exists()


def test_a_segment_that_cannot_be_read_keeps_the_others_of_its_image(data_file: Path) -> None:
    begin = HandMade().ran("/a.py", 1)
    session = handmade_session(data_file, [begin])
    rest = begin.next_segment().ran("/a.py", 2).write(session.path)
    good = rest.read_bytes()
    rest.write_bytes(b"x" * 600)
    combine(combine_settings=combine_settings(data_file))
    assert len(session.journals()) == 2
    rest.write_bytes(good)
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2]}


def test_a_session_of_lines_beside_one_of_branches_is_set_aside_once(data_file: Path) -> None:
    one = handmade_session(data_file, [HandMade().ran("/a.py", 1)], started_ns=1)
    handmade_session(data_file, [HandMade(branch=True).ran("/a.py", 2)], branch=True, started_ns=2)
    outcome = combine(combine_settings=combine_settings(data_file))
    (aside,) = outcome.aside
    assert aside.data_file == data_file.with_name(f".coverage-{one.id}")
    assert (lines(data_file), lines(aside.data_file)) == ({"/a.py": [2]}, {"/a.py": [1]})
    (sentence,) = outcome.sentences()
    assert f"session {one.id} measured lines only" in sentence
    assert not (data_file.parent / ".covsup").exists()
    with pytest.raises(NothingToCombine):
        combine(combine_settings=combine_settings(data_file))


def test_what_is_of_the_other_kind_than_the_data_file_is_set_aside_or_left(
    data_file: Path,
) -> None:
    coverage_py_data(data_file, c=[3])
    session = handmade_session(data_file, [HandMade(branch=True).ran("/a.py", 2)], branch=True)
    other = data_file.with_name("other")
    combine([session.path], combine_settings=combine_settings(other), keep=True)
    outcome = combine(combine_settings=combine_settings(data_file), append=True)
    assert lines(data_file) == {"/c.py": [3]}
    assert lines(outcome.data_file_of(session.id)) == {"/a.py": [2]}
    with pytest.raises(NothingToCombine, match="measured branches"):
        combine([other], combine_settings=combine_settings(data_file), append=True)
    assert (lines(data_file), lines(other)) == ({"/c.py": [3]}, {"/a.py": [2]})


def test_what_comes_late_of_a_run_goes_to_its_own_result_alone(
    data_file: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    first = handmade_session(data_file, [HandMade(pid=DEAD_PID + 1).ran("/a.py", 1)])
    child = owner(HandMade().ran("/a.py", 2), first.path)
    combine([first.path], combine_settings=combine_settings(data_file), ends_run=True)
    stop(child)
    combine(combine_settings=combine_settings(data_file), keep=True)
    assert lines(data_file) == {"/a.py": [1, 2]}
    # Sessions of which there is no result yet make a new one.
    handmade_session(data_file, [HandMade().ran("/b.py", 7)])
    outcome = combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/b.py": [7]}
    assert lines(outcome.data_file_of(first.id)) == {"/a.py": [1, 2]}
    assert not (data_file.parent / ".covsup").exists()


def test_what_is_left_of_a_run_without_data_is_neither_set_aside_nor_named(data_file: Path) -> None:
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    child = subprocess.Popen(
        ["sleep", "60"], env={**os.environ, "COVSUP_SESSION": str(session.path)}
    )
    try:
        combine([session.path], combine_settings=combine_settings(data_file), ends_run=True)
    finally:
        child.kill()
        child.wait()
    assert combine(combine_settings=combine_settings(data_file), keep=True).sentences() == []
    (session.path / "folded").unlink()
    other = handmade_session(data_file, [HandMade().ran("/b.py", 2)])
    combine([other.path], combine_settings=combine_settings(data_file))
    outcome = combine(combine_settings=combine_settings(data_file))
    assert (outcome.sentences(), lines(data_file)) == ([], {"/b.py": [2]})
    assert sorted(path.name for path in data_file.parent.iterdir()) == [".coverage"]


def test_a_run_whose_covsup_was_killed_does_not_replace_the_result_of_a_later_one(
    data_file: Path,
) -> None:
    for killed_ns, expected in ((1, {"/b.py": [2]}), (3, {"/a.py": [1]})):
        later = handmade_session(data_file, [HandMade().ran("/b.py", 2)], started_ns=2)
        combine([later.path], combine_settings=combine_settings(data_file))
        killed = handmade_session(
            data_file, [HandMade().ran("/a.py", 1)], started_ns=killed_ns, supervisor_pid=DEAD_PID
        )
        outcome = combine(combine_settings=combine_settings(data_file))
        assert lines(data_file) == expected
        assert lines(outcome.data_file_of(killed.id)) == {"/a.py": [1]}


def test_a_session_that_was_set_aside_and_goes_on_stays_aside_and_is_not_reported_again(
    data_file: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    first = handmade_session(data_file, [HandMade(pid=DEAD_PID + 1).ran("/a.py", 1)], started_ns=1)
    running = HandMade().ran("/a.py", 2)
    child = owner(running, first.path)
    handmade_session(data_file, [HandMade(branch=True).ran("/a.py", 9)], branch=True, started_ns=2)
    aside = data_file.with_name(f".coverage-{first.id}")
    for turn in (True, False):
        outcome = combine(combine_settings=combine_settings(data_file))
        assert any("measured lines only" in each for each in outcome.sentences()) is turn
        assert (lines(data_file), lines(aside)) == ({"/a.py": [9]}, {"/a.py": [1, 2]})
    running.ran("/a.py", 3).write(first.path)
    stop(child)
    combine(combine_settings=combine_settings(data_file))
    assert (lines(data_file), lines(aside)) == ({"/a.py": [9]}, {"/a.py": [1, 2, 3]})
    assert not first.path.exists()


def test_sessions_of_other_data_files_in_the_same_directory_are_left_to_these(
    data_file: Path,
) -> None:
    other = data_file.with_name("other")
    handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    handmade_session(other, [HandMade().ran("/b.py", 2)])
    moved = handmade_session(data_file, [HandMade().ran("/c.py", 3)])
    moved_settings = moved.settings._replace(data_file="/ci/7/.coverage")
    write_settings(moved.path / "settings", moved_settings)
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1], "/c.py": [3]}
    assert not moved.path.exists()
    with pytest.raises(NothingToCombine, match=r"of this data file, but of .*/other"):
        combine(combine_settings=combine_settings(data_file))
    combine(combine_settings=combine_settings(other))
    assert lines(other) == {"/b.py": [2]}


EMPTY: dict[str, list[HandMade]] = {
    "no process": [],
    "a process that executed nothing": [HandMade()],
}


@pytest.mark.parametrize("what", EMPTY)
@pytest.mark.parametrize("how", [{}, {"append": True}, {"keep": True}])
@pytest.mark.parametrize("more", [{}, {"open": True}, {"source_pkgs": ("nowhere",)}])
def test_a_session_without_data_leaves_the_data_there_as_they_are(
    data_file: Path, what: str, how: dict[str, bool], more: dict[str, object]
) -> None:
    coverage_py_data(data_file, c=[3])
    handmade_session(data_file, EMPTY[what], **more)
    outcome = combine(combine_settings=combine_settings(data_file), **how)
    assert outcome.has_no_data
    assert any(each.startswith("no data was collected: ") for each in outcome.sentences())
    assert lines(data_file) == {"/c.py": [3]}


def test_journals_that_were_never_begun_leave_the_data_there_as_they_are(data_file: Path) -> None:
    coverage_py_data(data_file, c=[3])
    before = data_file.read_bytes()
    session = handmade_session(data_file)
    (session.path / f"{DEAD_PID}-{'0' * 32}.0.journal~").write_bytes(bytes(8192))
    (session.path / f"{DEAD_PID}-{'1' * 32}.0.journal~").touch()
    assert combine(combine_settings=combine_settings(data_file)).has_no_data
    assert data_file.read_bytes() == before
    assert not (data_file.parent / ".covsup").exists()


def test_data_files_without_data_replace_nothing_and_stay(data_file: Path) -> None:
    coverage_py_data(data_file, c=[3])
    other = coverage_py_data(data_file.with_name("other"))
    hollow = data_file.with_name("hollow")
    hollow.touch()
    for paths in ([other], [other, hollow]):
        assert combine(paths, combine_settings=combine_settings(data_file)).has_no_data
    assert lines(data_file) == {"/c.py": [3]}
    assert other.exists()


def test_a_data_file_that_is_no_database_is_not_overwritten(data_file: Path) -> None:
    data_file.write_text("my diary")
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    for append in (False, True):
        with pytest.raises(DataFileUnusable, match="is not a coverage data file"):
            combine(combine_settings=combine_settings(data_file), append=append)
    assert data_file.read_text() == "my diary"
    assert len(session.journals()) == 1


def test_a_data_directory_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    data_file = tmp_path / ".coverage"
    made = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    with pytest.raises(DataFileUnwritable, match="cannot write"):
        combine([made.path], combine_settings=combine_settings(tmp_path / "nowhere" / ".coverage"))
    assert len(made.journals()) == 1
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1]}


def coverage_py_data(path: Path, **of: list[int]) -> Path:
    data = CoverageData(str(path))
    data.add_lines({f"/{name}.py": numbers for name, numbers in of.items()})
    data.close()
    return path


def test_sessions_journals_and_data_files_are_combined_in_any_mix(
    data_file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    journal = HandMade().ran("/b.py", 2).write(elsewhere)
    other = coverage_py_data(elsewhere / "data.sqlite", c=[3])
    parallel = coverage_py_data(elsewhere / ".coverage.host.1.x", d=[4])
    paths = [session.path, journal, other, elsewhere]
    assert lines_after(data_file, paths, keep=True) == {
        "/a.py": [1], "/b.py": [2], "/c.py": [3], "/d.py": [4],
    }  # fmt: skip
    assert journal.exists() and other.exists() and parallel.exists()  # noqa: PT018
    assert len(lines_after(data_file, paths, keep=False)) == 4
    assert not session.path.exists()
    assert list(elsewhere.iterdir()) == []


def lines_after(data_file: Path, paths: list[Path], *, keep: bool) -> dict[str, list[int]]:
    combine(paths, combine_settings=combine_settings(data_file), keep=keep)
    return lines(data_file)


def test_the_data_file_itself_may_be_among_what_is_combined(data_file: Path) -> None:
    coverage_py_data(data_file, c=[3])
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    assert lines_after(data_file, [session.path, data_file], keep=False) == {
        "/a.py": [1],
        "/c.py": [3],
    }


def test_one_journal_of_a_session_may_be_combined_alone(data_file: Path) -> None:
    one, two = HandMade().ran("/a.py", 1), HandMade(pid=DEAD_PID + 1).ran("/a.py", 2)
    session = handmade_session(data_file, [one, two], context="label")
    (journal, _) = sorted(session.journals(), key=lambda each: each.pid)
    assert lines_after(data_file, [journal.path], keep=False) == {"/a.py": [1]}
    assert [each.image_id for each in session.journals()] == [two.image_id]
    combine(combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2]}


def test_a_data_file_that_cannot_be_read_is_told_and_left(data_file: Path) -> None:
    broken = data_file.parent / "broken"
    broken.write_text("x")
    session = handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    outcome = combine([session.path, broken], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1]}
    assert "broken is not a coverage data file" in outcome.sentences()[0]
    assert broken.exists()
    with pytest.raises(NothingToCombine, match="broken"):
        combine([broken], combine_settings=combine_settings(data_file))


def test_nothing_to_combine_is_an_error_and_leaves_the_data_file(data_file: Path) -> None:
    coverage_py_data(data_file, c=[3])
    with pytest.raises(NothingToCombine, match="no session"):
        combine(combine_settings=combine_settings(data_file))
    with pytest.raises(InputUnusable, match="there is no"):
        combine([data_file.parent / "missing"], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/c.py": [3]}


def test_paths_are_remapped_as_coverage_py_does(data_file: Path, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    here = str(tmp_path / "src" / "a.py")
    one = HandMade().ran("/build/7/src/a.py", 1).ran(here, 2)
    handmade_session(data_file, [one, HandMade().ran("/build/8/src/a.py", 1)])
    paths = {"source": [str(tmp_path / "src"), "/build/*/src"]}
    outcome = combine(combine_settings=combine_settings(data_file, paths=paths))
    assert lines(data_file) == {here: [1, 2]}
    assert {each.path for each in outcome.provenance.files} == {here}


def test_relative_files_are_stored_relative(
    data_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    set_relative_directory()
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("x = 1\n")
    handmade_session(
        data_file, [HandMade().ran(str(tmp_path / "pkg" / "a.py"), 1)],
        source_dirs=(str(tmp_path / "pkg"),),
    )  # fmt: skip
    combine(combine_settings=combine_settings(data_file, relative_files=True))
    assert lines(data_file) == {str(Path("pkg") / "a.py"): [1]}
    monkeypatch.undo()
    set_relative_directory()


def test_source_files_never_executed_are_listed_but_not_omitted_ones(
    data_file: Path, tmp_path: Path
) -> None:
    for name in ("pkg/__init__.py", "pkg/a.py", "pkg/b.py", "pkg/omitted.py", "pkg/sub/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    handmade_session(
        data_file,
        [HandMade().ran(str(tmp_path / "pkg" / "a.py"), 1)],
        source_dirs=(str(tmp_path / "pkg"),),
        omit=("*/omitted.py",),
    )
    combine(combine_settings=combine_settings(data_file))
    expected = {"pkg/__init__.py": [], "pkg/a.py": [1], "pkg/b.py": []}
    assert lines(data_file) == {str(tmp_path / name): ran for name, ran in expected.items()}


def test_a_source_package_is_found_where_it_was_imported_from(
    data_file: Path, tmp_path: Path
) -> None:
    for name in ("one/__init__.py", "one/sub.py", "two/__init__.py", "two/deep/__init__.py",
                 "two/deep/x.py", "three.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    made = HandMade().ran(str(tmp_path / "one/__init__.py"), 1, module="one")
    made.ran(str(tmp_path / "two/deep/x.py"), 1, module="two.deep.x")
    made.ran(str(tmp_path / "three.py"), 1, module="three")
    handmade_session(data_file, [made], source_pkgs=("one", "two", "three", "four"))
    outcome = combine(combine_settings=combine_settings(data_file))
    assert set(lines(data_file)) == {
        str(tmp_path / name)
        for name in ("one/__init__.py", "one/sub.py", "two/__init__.py", "two/deep/__init__.py",
                     "two/deep/x.py", "three.py")
    }  # fmt: skip
    assert outcome.sentences() == ["module four was never imported (module-not-imported)"]


def test_a_session_that_measured_nothing_says_so(data_file: Path) -> None:
    handmade_session(data_file, [HandMade()])
    assert combine(combine_settings=combine_settings(data_file)).sentences() == [
        "no data was collected (no-data-collected)"
    ]
    assert len(read_provenance(data_file).processes) == 1


def test_progress_is_told_journal_by_journal(data_file: Path) -> None:
    handmade_session(data_file, [HandMade(pid=DEAD_PID + number) for number in range(3)])
    told: list[tuple[int, int]] = []
    combine(
        combine_settings=combine_settings(data_file),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_rules_come_from_coverage_pys_settings(tmp_path: Path) -> None:
    rcfile = tmp_path / "rc"
    rcfile.write_text(
        "[run]\nrelative_files = true\ndata_file = d/.cov\n[paths]\nsource =\n  src\n  /there\n"
        "[report]\ninclude_namespace_packages = true\n"
    )
    read = CombineSettings.read(str(rcfile))
    assert (read.relative_files, read.namespace_packages) == (True, True)
    assert read.paths == {"source": ["src", "/there"]}
    assert read.data_file.is_absolute()
    assert read.data_file.parts[-2:] == ("d", ".cov")
    assert CombineSettings.read(str(rcfile), tmp_path / "x").data_file == tmp_path / "x"
    with pytest.raises(UsageError, match="missing"):
        CombineSettings.read(str(tmp_path / "missing"))


def test_two_combinations_at_once_are_as_good_as_one(data_file: Path) -> None:
    for number in range(1, 6):
        handmade_session(
            data_file, [HandMade(pid=DEAD_PID + k).ran("/a.py", 10 * number + k) for k in range(4)]
        )
    outcomes: list[CombineResult] = []
    barrier = threading.Barrier(4)

    def one() -> None:
        barrier.wait()
        with contextlib.suppress(NothingToCombine):
            outcomes.append(combine(combine_settings=combine_settings(data_file)))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines(data_file) == {"/a.py": [10 * n + k for n in range(1, 6) for k in range(4)]}
    assert sum(outcome.images for outcome in outcomes) == 20


# Dies at the n-th thing that it does to a file. Argument: n; then what the test wants combined.
DYING = """
import os, sys
from pathlib import Path
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.settings.combine_settings import CombineSettings
import sqlite3, shutil, coverage.sqldata

left = int(sys.argv[1])
watched = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect",
           "shutil.rmtree", "os.scandir", "os.listdir"}

def count(event, arguments):
    global left
    if event in watched:
        left -= 1
        if left == 0:
            os._exit(77)

sys.addaudithook(count)
combine(combine_settings=CombineSettings(data_file=Path(sys.argv[2])), keep=sys.argv[3] == "keep")
"""


def die_at(n: int, data_file: Path, keep: str = "") -> int:
    """Combine in a process of its own that dies at its n-th step; gives its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            sys.argv = ["", str(n), str(data_file), keep]
            exec(compile(DYING, "dying", "exec"), {"__name__": "__main__"})
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@forks
@pytest.mark.timeout(240)  # some 150 steps, each synced to the disk, which others may keep busy
def test_killed_at_any_step_it_may_be_repeated_and_nothing_is_lost(
    tmp_path: Path, owner: Callable[[HandMade, Path], subprocess.Popen[str]]
) -> None:
    n, status = 0, 77
    while status == 77:
        n += 1
        assert n < 500
        place = tmp_path / str(n)
        place.mkdir()
        data_file = place / ".coverage"
        coverage_py_data(data_file, old=[1])
        ended = [HandMade(pid=DEAD_PID + k).ran("/a.py", 1 + k) for k in range(2)]
        over = handmade_session(data_file, ended)
        goes_on = handmade_session(data_file, [HandMade().ran("/b.py", 1)])
        broken = goes_on.path / f"{DEAD_PID}-{'7' * 32}.0.journal~"
        broken.write_bytes(b"x" * 600)
        status = die_at(n, data_file)
        assert status in {0, 77}
        if over.path.exists() or goes_on.journals() != []:
            with contextlib.suppress(NothingToCombine):
                combine(combine_settings=combine_settings(data_file))
        found = lines(data_file)
        assert {path: found[path] for path in ("/a.py", "/b.py")} == {"/a.py": [1, 2], "/b.py": [1]}
        processes = read_provenance(data_file).processes
        assert sorted(each.unique_lines for each in processes) == [1, 1, 1]
        assert broken.exists()
    assert n > 50


@pytest.mark.parametrize(
    "place",
    ["artifact/{id}", "artifact/one", "artifact", "a/{id}", "a/b/c/{id}", "a/covsup/deep/one"],
)
def test_sessions_are_found_in_a_directory_whatever_a_ci_has_made_of_their_names(
    data_file: Path, place: str
) -> None:
    fetched = data_file.parent / "fetched"
    for number, above in enumerate(("", "second") if place.startswith("a/") else ("",)):
        session = handmade_session(data_file, [HandMade().ran("/a.py", number + 1)])
        to = fetched / above / place.format(id=session.id)
        to.parent.mkdir(parents=True, exist_ok=True)
        session.path.rename(to)
    named = fetched if place.startswith("a/") else fetched / "artifact"
    combine([named], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1, 2] if place.startswith("a/") else [1]}
    assert [each for each in fetched.rglob("*") if each.is_file()] == []


def test_data_files_are_found_in_the_directories_of_a_directory_of_artifacts(
    data_file: Path,
) -> None:
    artifacts = data_file.parent / "artifacts"
    for file, name in (("a/.coverage.x", "a"), ("b/.coverage.y", "b"), ("b/.coverage", "c")):
        (artifacts / file).parent.mkdir(parents=True, exist_ok=True)
        coverage_py_data(artifacts / file, **{name: [1]})
    combine([artifacts], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1], "/b.py": [1]}
    assert (artifacts / "b" / ".coverage").exists(), "a result of its own"


def test_what_is_deeper_is_left_alone_where_there_is_something_at_hand(data_file: Path) -> None:
    below = data_file.parent / "project" / ".coverage"
    below.parent.mkdir()
    handmade_session(below, [HandMade().ran("/b.py", 2)])
    handmade_session(data_file, [HandMade().ran("/a.py", 1)])
    combine([data_file.parent], combine_settings=combine_settings(data_file))
    assert lines(data_file) == {"/a.py": [1]}
