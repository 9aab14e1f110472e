"""Many threads write one journal without a lock, and fork while they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import Note
from tests.journal.harness import NO_FALLOCATE, NO_POPULATE, NO_WIPE, Harness, build, executed

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.journal.reader import Journal
    from tests.journal.harness import Done


TSAN = {"TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}


def check_threads(done: Done, threads: int, lines: int, forks: int) -> None:
    """Every record of every thread is there once, whole and in no other's place."""
    assert done.stderr == ""
    assert done.status == 0
    assert done.answers("threads") == [str(threads * lines)]
    journals = done.journals()
    root = journals[0].header.image_id
    own = [journal for journal in journals if journal.header.image_id == root]
    children = [journal for journal in journals if journal.header.image_id != root]
    for thread in range(1, threads + 1):
        assert executed(own, thread) == set(range(1, lines + 1))
        arcs = set().union(*(journal.arcs.get((thread, 0), set()) for journal in own))
        assert arcs == {(line, -line) for line in range(3, lines + 1, 3)}
        assert any(thread in journal.files for journal in own)
    expected = {f"{t} at {n}" for t in range(1, threads + 1) for n in range(50, lines + 1, 50)}
    assert sorted(notes_of(own)) == sorted(expected)
    assert sum(journal.header.threads_started for journal in own) == threads
    assert all(journal.torn == 0 for journal in journals)
    assert all(journal.header.lost_facts == 0 for journal in journals)
    assert len(children) == forks
    for child in children:
        assert child.lines == {(1000, 0): set(range(1, 11))}
        assert child.header.parent_image_id == root


def notes_of(journals: list[Journal]) -> list[str]:
    events = (event for journal in journals for event in journal.events)
    return [event.text for event in events if isinstance(event, Note)]


def test_threads_write_one_journal_and_lose_nothing(harness: Harness) -> None:
    check_threads(harness.run("start DIR -\nthreads 8 20000 0"), 8, 20000, 0)


def test_threads_that_fill_segments_together_lose_nothing(harness: Harness) -> None:
    done = harness.run("limit fsize 32768\nstart DIR -\nthreads 8 2000 0")
    check_threads(done, 8, 2000, 0)
    assert len(done.journals()) > 5


@pytest.mark.parametrize("limit", ["max", "32768"])
def test_forks_while_threads_write_get_clean_journals(harness: Harness, limit: str) -> None:
    done = harness.run(f"limit fsize {limit}\nstart DIR -\nthreads 4 10000 50")
    check_threads(done, 4, 10000, 50)


@pytest.mark.parametrize("missing", [[NO_POPULATE], [NO_POPULATE, NO_FALLOCATE]])
def test_threads_of_an_old_kernel_lose_nothing(
    seam_program: Path, session: Path, missing: list[str]
) -> None:
    # Without a way to allocate behind a mapping one thread grows the file, by its path.
    done = Harness(seam_program, session).run(
        "start DIR -\nthreads 4 5000 20", {"SEAM_ALWAYS": ",".join([*missing, NO_WIPE])}
    )
    check_threads(done, 4, 5000, 20)


@pytest.mark.parametrize("limit", ["max", "32768"])
def test_thread_sanitizer_finds_no_race_in_the_writer(
    thread_sanitized_program: Path, session: Path, limit: str
) -> None:
    # Without forks: in a child, ThreadSanitizer reports races with threads that it does not have.
    harness = Harness(thread_sanitized_program, session)
    done = harness.run(
        f"limit fsize {limit}\nstart DIR -\nthreads 8 5000 0",
        TSAN,
    )
    check_threads(done, 8, 5000, 0)


def test_thread_sanitizer_finds_no_race_in_a_child(
    thread_sanitized_program: Path, session: Path
) -> None:
    harness = Harness(thread_sanitized_program, session)
    done = harness.run(
        "limit fsize 32768\nstart DIR -\nline 99 1 0\nfork\nthreads 8 3000 0\nend",
        TSAN,
    )
    assert done.stderr == ""
    assert (done.status, done.answers("child")) == (0, ["0"])
    parent, *child = done.journals()
    assert parent.lines == {(99, 0): {1}}
    for thread in range(1, 9):
        assert executed(child, thread) == set(range(1, 3001))


def test_thread_sanitizer_finds_no_race_where_one_thread_grows_the_file(
    built: Path, thread_sanitized_program: Path, session: Path
) -> None:
    program = build(
        built / f"thread-seam-{session.parent.name}", "-fsanitize=thread", "-DJOURNAL_SEAM"
    )
    done = Harness(program, session).run(
        "start DIR -\nthreads 4 3000 0",
        {"SEAM_ALWAYS": NO_POPULATE, **TSAN},
    )
    check_threads(done, 4, 3000, 0)


def test_thread_sanitizer_finds_no_race_in_slots(
    thread_sanitized_program: Path, session: Path
) -> None:
    harness = Harness(thread_sanitized_program, session)
    done = harness.run(
        "start DIR -\nline 99 1 0\nlimit fsize 0\nfork\nthreads 8 1500 0\nend",
        TSAN,
    )
    assert done.stderr == ""
    assert (done.status, done.answers("child")) == (0, ["0"])
    _, *child = done.journals()
    for thread in range(1, 9):
        assert executed(child, thread) == set(range(1, 1501))


@pytest.mark.parametrize("limit", ["max", "32768"])
def test_address_and_undefined_behaviour_sanitizers_find_nothing(
    address_sanitized_program: Path, session: Path, limit: str
) -> None:
    harness = Harness(address_sanitized_program, session)
    done = harness.run(f"""
        limit fsize {limit}
        start DIR -
        property argv x
        file 1 /a.py a
        context 3 label
        event 8 -
        blob 4 -
        long-property big 20000
        arc 1 -2147483648 2147483647 4294967295
        line 16777215 4294967295 4294967295
        fork
        ensure
        property cwd /
        lines 1 1 10000
        end
        threads 4 3000 5
    """)
    assert done.stderr == ""
    assert (done.status, done.answers("child")) == (0, ["0"])
    assert done.answers("threads") == ["12000"]
