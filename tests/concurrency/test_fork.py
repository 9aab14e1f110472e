"""Forked children: each has a journal of its own, and goes on where its parent was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.journal.events import Ended, EndedHow, Reaped
from tests.concurrency.by_hand import StartKind

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session


def test_a_forked_child_is_an_image_below_its_parent(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import os
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        os.waitpid(pid, 0)
        """
    )
    child = outcome.child_of(outcome.first, StartKind.FORKED)
    assert child.events(Ended)[0].how is EndedHow.UNDERSCORE_EXIT
    assert child.events(Ended)[0].status == 7
    assert [(event.pid, event.status) for event in outcome.first.events(Reaped)] == [
        (child.pid, 7 << 8)
    ]
    assert outcome.first.lines("target.py") == {1, 2, 3, 5}
    assert 4 in child.lines("target.py")


def test_frames_that_are_active_at_the_fork_go_on_being_measured(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import os
        def outer():
            inner()
            print("outer")
        def inner():
            global pid
            pid = os.fork()
            print("inner")
        outer()
        if pid == 0:
            print("child")
            raise SystemExit(3)
        os.waitpid(pid, 0)
        """
    )
    assert outcome.lines() == set(range(1, 14)) - {6}
    child = outcome.child_of(outcome.first, StartKind.FORKED)
    assert child.lines("target.py") >= {11, 12}
    assert child.events(Ended)[0].status == 3


def test_a_child_knows_itself_as_the_parent_of_what_it_starts(session: Session) -> None:
    outcome = session.run(
        """
        import os, subprocess, sys
        if os.fork() == 0:
            if os.fork() == 0:
                subprocess.run([sys.executable, "-c", "pass"])
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
        """
    )
    child = outcome.child_of(outcome.first, StartKind.FORKED)
    grandchild = outcome.child_of(child, StartKind.FORKED)
    assert outcome.child_of(grandchild, StartKind.SPAWNED).argv[1:] == ["-c", "pass"]


def test_every_way_of_forking_gives_the_child_a_journal(session: Session) -> None:
    outcome = session.run(
        """
        import ctypes, os, pty, subprocess, sys, threading
        def child(status):
            os._exit(status)
        pid, fd = os.forkpty()
        if pid == 0:
            child(11)
        os.waitpid(pid, 0)
        pid, fd = pty.fork()
        if pid == 0:
            child(12)
        os.waitpid(pid, 0)
        pid = ctypes.CDLL(None).fork()
        if pid == 0:
            child(13)
        os.waitpid(pid, 0)
        def in_a_thread():
            pid = os.fork()
            if pid == 0:
                child(14)
            os.waitpid(pid, 0)
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
        def before_exec():
            print("before exec", file=sys.stderr)
        subprocess.run(["true"], preexec_fn=before_exec)
        """
    )
    assert outcome.status == 0, outcome.stderr
    children = outcome.of_kind(StartKind.FORKED)
    statuses = {event.status for child in children for event in child.events(Ended)}
    assert statuses == {11, 12, 13, 14}
    assert {child.parent for child in children} == {outcome.first.id}
    assert any(25 in child.lines("target.py") for child in children)


def test_a_daemon_that_closes_every_descriptor_is_measured(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import os, sys, time
        done, tell = os.pipe()
        def daemonize():
            if os.fork() > 0:
                return False
            os.setsid()
            if os.fork() > 0:
                os._exit(0)
            os.chdir("/")
            os.umask(0o777)
            keep = os.dup2(tell, 900)
            os.closerange(0, 900)
            return True
        if daemonize():
            for number in range(3):
                number += 1
            os._exit(5)  # which closes what the first process waits for
        os.close(tell)
        os.read(done, 1)
        """
    )
    assert outcome.lines() == set(range(1, 20))
    daemon = [each for each in outcome.images for end in each.events(Ended) if end.status == 5]
    assert len(daemon) == 1
    assert daemon[0].lines("target.py") >= {9, 10, 11, 12, 13, 15, 16, 17}


def test_the_parents_journal_is_not_written_by_its_child(session: Session) -> None:
    outcome = session.run(
        """
        import os
        pid = os.fork()
        if pid == 0:
            for number in range(3):
                import json
            raise SystemExit(0)
        os.waitpid(pid, 0)
        """
    )
    assert outcome.first.lines("target.py") == {1, 2, 3, 7}
    assert len(outcome.first.events(Ended)) == 1
