"""Whether the owner of a journal runs, as far as the process table tells."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.reader import read_journal
from covsup.datafile.session.directory import JournalFile
from covsup.datafile.session.settings import Settings
from covsup.supervisor.watching import still_running
from covsup.supervisor.watching.still_running import ImageState, ProcessSnapshot, supervisor_runs
from tests.datafile.handmade import DEAD_PID, HandMade

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.journal.header import Header

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


def judge(made: HandMade, directory: Path, host: str | None = None) -> ImageState:
    path = made.write(directory)
    journal = JournalFile.at(path)
    assert journal is not None
    return ProcessSnapshot([], [journal]).state_of(read_journal(path).header, host)


def test_a_pid_that_is_gone_has_ended(tmp_path: Path) -> None:
    assert judge(HandMade(pid=DEAD_PID), tmp_path) is ImageState.ENDED


def test_a_live_pid_without_the_journal_in_its_mappings_is_another_image(tmp_path: Path) -> None:
    assert judge(HandMade(pid=os.getpid()), tmp_path) is ImageState.ENDED


def test_a_zombie_has_ended(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert judge(HandMade(pid=child.pid), tmp_path) is ImageState.ENDED
    finally:
        child.wait()


def test_another_host_cannot_be_asked(tmp_path: Path) -> None:
    assert judge(HandMade(), tmp_path, host="far") is ImageState.REMOTE
    assert judge(HandMade(), tmp_path, host=os.uname().nodename) is ImageState.ENDED


@pytest.fixture
def unreadable_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process look like one of another user, whose mappings may not be read."""
    monkeypatch.setattr(
        ProcessSnapshot,
        "_read_process",
        lambda self, pid: self._unreadable.update({pid: still_running._start_of(pid)}),
    )


@pytest.mark.usefixtures("unreadable_maps")
def test_where_mappings_may_not_be_read_the_start_of_the_process_decides(tmp_path: Path) -> None:
    started = still_running._start_of(os.getpid())
    assert started is not None
    assert started.boottime_ns is not None
    for later_ns, state_of in ((10**9, ImageState.RUNNING), (-(10**9), ImageState.ENDED)):
        made = HandMade(pid=os.getpid(), boottime_ns=started.boottime_ns + later_ns)
        assert judge(made, tmp_path) is state_of


def test_a_zombie_has_no_start() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert still_running._start_of(child.pid) is None
    finally:
        child.wait()
    assert still_running._start_of(DEAD_PID) is None


def test_a_member_is_known_by_the_sessions_name_whatever_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "real" / "20200101-000000-abcdef01").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    session = tmp_path / "real" / "20200101-000000-abcdef01"
    there = tmp_path / "link" / session.name / "uid-7"
    child = subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"],
                                                   "COVSUP_SESSION": str(there)})  # fmt: skip
    try:
        assert ProcessSnapshot([session], []).members[session] == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_a_session_without_a_supervisor_or_with_ourselves_is_supervised_by_nobody_else() -> None:
    for pid in (0, os.getpid(), DEAD_PID):
        assert not supervisor_runs(Settings(session="x", supervisor_pid=pid))
    elsewhere = Settings(session="x", supervisor_pid=os.getppid(), host="far", started_ns=2**62)
    assert not supervisor_runs(elsewhere)


@pytest.mark.skipif(not still_running._HAS_PROC, reason="only Linux tells when a process started")
def test_a_supervisor_is_known_whatever_its_clock_was_set_to_since() -> None:
    parent = still_running._start_of(os.getppid())
    assert parent is not None
    assert parent.boottime_ns is not None
    for after_ns, runs in ((10**9, True), (-(10**9), False)):
        for clock_ns in (1, time.time_ns(), 2**62):
            settings = Settings(
                session="x", supervisor_pid=os.getppid(), started_ns=clock_ns,
                started_boottime_ns=parent.boottime_ns + after_ns,
            )  # fmt: skip
            assert supervisor_runs(settings) is runs


def test_a_header_is_judged_by_the_image_and_not_by_the_pid(tmp_path: Path) -> None:
    made = HandMade(pid=DEAD_PID)
    header: Header = read_journal(made.write(tmp_path)).header
    look = ProcessSnapshot([], [])
    look._mapped_by_pid.add((made.pid, made.image_id))
    assert look.state_of(header, "far") is ImageState.RUNNING
    look._mapped_by_pid = {(os.getpid(), made.image_id)}
    assert look.state_of(header, None) is ImageState.ENDED
