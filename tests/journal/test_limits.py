"""Where a process is short of something, or in a strange place, its facts survive or are counted."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journal.harness import Harness, executed, go_on, journals_in, wait_for

if TYPE_CHECKING:
    import subprocess

NOBODY = 65534


def test_no_descriptor_stays_open(harness: Harness) -> None:
    done = harness.run("""
        descriptors
        start DIR -
        descriptors
        lines 1 1 50000
        descriptors
        fork
        forked
        lines 1 1 50000
        descriptors
        end
    """)
    assert len(set(done.answers("descriptors"))) == 1


def test_a_process_that_closes_everything_goes_on_recording(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        close-all
        close 0
        lines 1 1 50000
        fork
        close 2
        forked
        lines 2 1 50000
        descriptors
        end
        descriptors
    """)
    assert done.answers("descriptors") == ["1", "2"]
    assert executed(done.journals(), 1) == set(range(1, 50001))
    assert executed(done.journals(), 2) == set(range(1, 50001))


@pytest.mark.parametrize("limit", [8192, 12288, 100000, 1 << 20])
def test_under_a_file_size_limit_a_journal_goes_on_in_segments(
    harness: Harness, limit: int
) -> None:
    done = harness.run(f"limit fsize {limit}\nstart DIR -\nlines 1 1 5000")
    assert done.status == 0  # SIGXFSZ would end it
    assert executed(done.journals(), 1) == set(range(1, 5001))
    assert all(path.stat().st_size <= limit for path in done.directory.iterdir())


def test_a_file_size_limit_that_comes_later_does_not_stop_the_journal(harness: Harness) -> None:
    done = harness.run("start DIR -\nlimit fsize 0\nlines 1 1 50000")
    assert (done.status, done.answers("lines")) == (0, ["50000"])
    assert executed(done.journals(), 1) == set(range(1, 50001))


def test_a_file_size_limit_without_room_is_an_error_and_no_signal(harness: Harness) -> None:
    done = harness.run("limit fsize 4096\nstart DIR -\nline 1 1 0")
    assert done.status == 0
    assert done.answers("start") == [f"{errno.EFBIG} fitting the journal into RLIMIT_FSIZE"]
    assert list(done.directory.iterdir()) == []


def test_a_child_that_may_not_make_a_journal_counts_and_tries_again(harness: Harness) -> None:
    # A file so small has no slots.
    done = harness.run("""
        limit fsize 65536
        start DIR -
        fork
        limit fsize 0
        ensure
        line 1 1 0
        line 1 2 0
        lose
        event 8 61
        mappings
        limit fsize max
        retry
        line 1 3 0
        end
        line 1 4 0
    """)
    assert (done.status, done.answers("child")) == (0, ["0"])
    assert done.answers("ensure") == ["-1 epoch 1 errno 77"]
    parent, child = done.journals()
    assert parent.lines == {(1, 0): {4}}
    assert parent.header.lost_facts == 0
    assert child.lines == {(1, 0): {3}}
    assert child.header.lost_facts == 0
    told = parent.header
    assert (told.forks_lost_facts, told.forks_lost_events) == (3, 1)
    assert (told.forks_lost_errno, told.forks_lost_stage) == (errno.EFBIG, 3)


@pytest.mark.parametrize("mib", [64, 256, 1024])
def test_under_an_address_space_limit_a_journal_takes_little_of_it(
    harness: Harness, mib: int
) -> None:
    done = harness.run(f"limit as {mib << 20}\nstart DIR -\nlines 1 1 100000")
    assert done.answers("start") == ["0 no failure"]
    assert executed(done.journals(), 1) == set(range(1, 100001))
    assert all(each.header.capacity <= (mib << 20) // 64 for each in done.journals())


def test_a_child_needs_no_more_address_space_than_its_parent(harness: Harness) -> None:
    # The limit leaves room for nothing: the child maps its journal over its parent's.
    done = harness.run("""
        start DIR -
        fork
        limit as used
        forked
        lines 1 1 1000
        end
    """)
    assert executed(done.journals(), 1) == set(range(1, 1001))
    assert len(done.journals()) == 2


def test_a_journal_takes_little_address_space_and_more_as_it_grows(harness: Harness) -> None:
    # A program may limit its address space at any time, and its own data comes first.
    done = harness.run("""
        start DIR -
        lines 1 1 10000
        mapped-kib
        lines 1 10001 1000000
        mapped-kib
    """)
    small, large = map(int, done.answers("mapped-kib"))
    assert small <= 1024
    assert large <= 2 * 8 * 1024
    assert executed(done.journals(), 1) == set(range(1, 1000001))


def test_a_child_reaches_a_far_slot_where_the_address_space_is_nearly_full(
    harness: Harness,
) -> None:
    before = "fork\nensure\nend\n" * 1500
    done = harness.run(f"""
        start DIR -
        limit fsize 0
        {before}
        limit as 16777216
        fork
        ensure
        lines 1 1 3000
        mapped-kib
        fork
        ensure
        line 1 3001 0
        mapped-kib
        end
        end
    """)
    assert executed(done.journals(), 1) == set(range(1, 3002))
    # The file that has the slots and two slots; its own child has one slot, and left those two.
    assert done.answers("mapped-kib") == ["1056", "1040"]


def test_without_descriptors_a_journal_grows_and_a_child_lodges_in_it(harness: Harness) -> None:
    done = harness.run("""
        start DIR -
        limit nofile 3
        lines 1 1 50000
        fork
        ensure
        line 2 1 0
        end
    """)
    assert executed(done.journals(), 1) == set(range(1, 50001))
    parent, child = done.journals()
    assert child.lines == {(2, 0): {1}}
    assert child.header.offset == parent.header.slots_at
    assert len(list(done.directory.iterdir())) == 1


def test_a_deleted_session_directory_harms_nobody(harness: Harness) -> None:
    with harness.running("""
        start DIR -
        line 1 1 0
        wait
        lines 1 1 50000
        fork
        ensure
        line 1 1 0
        end
        wait
        fork
        ensure
        line 7 7 0
        end
        line 1 1 0
    """) as process:
        wait_for(process, "waiting")
        for path in harness.directory.iterdir():
            path.unlink()
        harness.directory.rmdir()
        go_on(process)
        assert wait_for(process, "lines") == "lines 50000"
        # It lodges in a file that goes with the last process.
        assert wait_for(process, "ensure").startswith("ensure 0")
        assert wait_for(process, "child") == "child 0"
        harness.directory.mkdir(mode=0o700)
        go_on(process)
        assert wait_for(process, "child") == "child 0"
        assert process.wait() == 0
    (child,) = journals_in(harness.directory)
    assert child.lines == {(7, 0): {7}}


def test_a_session_directory_that_does_not_exist_is_an_error(harness: Harness) -> None:
    done = harness.run("start DIR/nowhere -\nline 1 1 0\nensure\nparent\nstart DIR -\nline 1 2 0")
    assert done.answers("start") == [f"{errno.ENOENT} creating the journal", "0 no failure"]
    assert done.answers("ensure")[0].startswith("-1")
    assert done.answers("parent") == [""]
    assert done.journal().lines == {(1, 0): {2}}


def test_a_session_directory_of_an_impossible_name_is_an_error(harness: Harness) -> None:
    done = harness.run(f"start /{'x' * 4000}/{'y' * 90} -\nstart /{'x' * 4070} -")
    answer = f"{errno.ENAMETOOLONG} naming the journal"
    assert done.answers("start") == [answer, answer]


@pytest.mark.usefixtures("as_root")
def test_a_process_without_root_reads_its_journal_under_any_umask(
    harness: Harness, session: Path
) -> None:
    session.chmod(0o777)
    open_to_all(session)
    done = harness.run(f"""
        umask 0777
        setuid {NOBODY}
        start DIR -
        lines 1 1 50000
        fork
        forked
        lines 2 1 50000
        end
    """)
    assert done.answers("setuid") == ["0"]
    assert executed(done.journals(), 1) == set(range(1, 50001))
    assert executed(done.journals(), 2) == set(range(1, 50001))
    for path in session.iterdir():
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, NOBODY)


@pytest.mark.usefixtures("as_root")
def test_a_process_that_gives_up_root_keeps_its_journal(harness: Harness) -> None:
    done = harness.run(f"""
        start DIR -
        setuid {NOBODY}
        lines 1 1 50000
        fork
        ensure
        line 2 1 0
        parent
        end
        line 1 50001 0
    """)
    assert done.answers("lines") == ["50000"]
    parent, child = done.journals()
    assert parent.lines == {(1, 0): set(range(1, 50002))}
    assert child.lines == {(2, 0): {1}}
    assert (parent.header.uid, child.header.uid) == (0, NOBODY)
    (value,) = done.answers("parent")
    assert value.startswith(child.header.image_id)


@pytest.mark.usefixtures("as_root")
def test_a_process_in_another_root_keeps_its_journal(harness: Harness, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = harness.run(f"""
        start DIR -
        chroot {elsewhere}
        lines 1 1 50000
        fork
        ensure
        lines 2 1 1
        end
    """)
    assert done.answers("chroot") == ["0"]
    assert done.answers("child") == ["0"]
    parent, child = done.journals()
    assert parent.lines == {(1, 0): set(range(1, 50001))}
    assert child.lines == {(2, 0): {1}}
    assert list(elsewhere.iterdir()) == []


def open_to_all(path: Path) -> None:
    """Let another user come as far as `path`: pytest's own directories are private."""
    for parent in path.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)


def seen_by(process: subprocess.Popen[str], directory: Path) -> Path:
    """A directory as a process sees it that has mounts of its own."""
    return Path(f"/proc/{process.pid}/root{directory}")


def own_disk(process: subprocess.Popen[str]) -> None:
    answer = wait_for(process, "tmpfs").split()[1]
    if answer != "0":
        pytest.skip(f"cannot mount a small file system of its own here (errno {answer})")


def test_a_full_disk_loses_only_what_has_no_room_and_says_so(harness: Harness) -> None:
    with harness.running("""
        tmpfs DIR 256k
        start DIR -
        fill DIR/ballast 40960
        lines 1 1 50000
        line 1 60000 0
        unlink DIR/ballast
        wait
        lines 2 1 100
        wait
    """) as process:
        own_disk(process)
        stored = int(wait_for(process, "lines").split()[1])
        wait_for(process, "waiting")
        directory = seen_by(process, harness.directory)
        (journal,) = journals_in(directory)
        # Not a page of the disk is left that was not used.
        assert stored == (8192 + 40960 - 512) // 8
        assert journal.lines == {(1, 0): set(range(1, stored + 1))}
        assert journal.header.lost_facts == 50000 - stored + 1
        assert journal.header.lost_stage == 9
        assert journal.header.lost_errno == errno.EFAULT
        go_on(process)
        wait_for(process, "waiting")
        assert process.poll() is None


def test_after_the_disk_has_room_again_facts_are_stored_again(harness: Harness) -> None:
    with harness.running("""
        tmpfs DIR 128k
        start DIR -
        fill DIR/ballast 0
        lines 1 1 2000
        unlink DIR/ballast
        event 8 61
        lines 2 1 100
        wait
    """) as process:
        own_disk(process)
        wait_for(process, "waiting")
        (journal,) = journals_in(seen_by(process, harness.directory))
        # The event did not wait for the pause to end, and its success ended the pause.
        assert [event.text for event in journal.events] == ["a"]
        assert journal.lines[2, 0] == set(range(1, 101))


def test_a_child_on_a_full_disk_leaves_nothing_and_goes_on(harness: Harness) -> None:
    with harness.running("""
        tmpfs DIR 128k
        start DIR -
        fill DIR/ballast 4096
        fork
        ensure
        lose
        unlink DIR/ballast
        retry
        line 1 1 0
        end
        wait
    """) as process:
        own_disk(process)
        assert wait_for(process, "ensure").startswith("ensure -1")
        wait_for(process, "waiting")
        journals = journals_in(seen_by(process, harness.directory))
        assert len(journals) == 2
        parent, child = journals
        assert child.lines == {(1, 0): {1}}
        assert (parent.header.forks_lost_facts, parent.header.forks_lost_stage) == (1, 8)


def test_a_small_journal_does_not_fill_the_kernels_cache(harness: Harness) -> None:
    harness.run("start DIR -\nlines 1 1 2000")
    (path,) = harness.directory.glob("*.journal~")
    assert 0 < cached(path) < 256 << 10  # reading ahead would make it megabytes


def cached(path: Path) -> int:
    """How many bytes of a file the kernel has in its cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    size = path.stat().st_size
    pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.addressof(first), size, pages)
        del first
        assert failed == 0, os.strerror(ctypes.get_errno())
    return sum(byte & 1 for byte in pages.raw) * mmap.PAGESIZE
