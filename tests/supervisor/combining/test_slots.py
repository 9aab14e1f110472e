"""Forked processes that can make no file of their own: kept in their parent's, or said to be lost."""

from __future__ import annotations

import re
import resource
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.database.database import read_provenance
from covsup.datafile.provenance.model import End
from tests.supervisor.live import Live, beside, covsup, on_linux, state, wait_until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(not on_linux, reason="blocks behind a mapping are had on Linux")

UNLIMITED = resource.RLIM_INFINITY
LODGING = f"""\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, {UNLIMITED}))
if os.fork() == 0:
    print('pid', os.getpid(), flush=True)
    sys.stdin.readline()
    late = 1
    print('done', flush=True)
    os._exit(0)
"""


def test_a_file_stays_as_long_as_another_process_has_its_journal_in_it(world: World) -> None:
    world.write("target.py", LODGING)
    with Live(world, *covsup(world, "target.py", options=["--grace=0.2"])) as live:
        pid = int(live.wait_for(r"pid (\d+)")[1])
        live.wait_for(rf"covsup: process {pid} .* still running")
        assert live.ended() == 0
        assert "6-8" in beside(world, "report", "-m").stdout
        # The parent has ended, and is in the result: its file is there all the same, twice read.
        assert beside(world, "combine").returncode == 0
        (journal,) = world.directory.glob(".covsup/2*/*.journal~")
        ends = {each.pid: each.ending.end for each in read_provenance(world.data_file).processes}
        assert ends.pop(pid) is End.RUNNING
        assert list(ends.values()) == [End.EXITED]
        shown = beside(world, "debug", "journal", str(journal))
        assert shown.returncode == 0
        assert len(re.findall(r"^ *pid: ", shown.stdout, re.MULTILINE)) == 2
        assert re.search(rf"^ *pid: {pid}$", shown.stdout, re.MULTILINE)
        live.send("go\n")
        live.wait_for("done")
        wait_until(lambda: state(pid) in {"", "Z"}, "it ended")
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert combined.ended == 0, combined
    assert combined.lines("target.py") == set(range(1, 9))
    assert not (world.directory / ".covsup").exists()


def test_a_process_that_can_write_nothing_at_all_is_said(world: World) -> None:
    world.write("target.py", "print('ran', flush=True)\n")
    run = world.covsup_run("sh", "-c", f"(ulimit -f 0; {world.python} target.py) | cat")
    assert (run.ended, run.stdout) == (0, "ran\n")
    assert re.search(
        r"1 Python process was not measured: \d+.*: it could write neither a journal nor a note",
        run.stderr,
    ), run.stderr


def test_what_forks_without_any_journal_lost_is_said(world: World) -> None:
    # A file that is so small has no room for the journals of others.
    world.write(
        "target.py",
        "import os, resource\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (0, {UNLIMITED}))\n"
        "if os.fork() == 0:\n"
        "    late = 1\n"
        "    os._exit(0)\n"
        "os.wait()\n",
    )
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, (65536, {UNLIMITED}))"
    world.write(
        "limited.py",
        f"import os, resource, sys\n{limit}\n"
        "os.execv(sys.executable, [sys.executable, 'target.py'])\n",
    )
    run = world.covsup_run("limited.py", options=["--strict"])
    assert run.ended == 3
    assert re.search(
        r"covsup: processes forked below \d+ \(.*target\.py\) could make no journal and"
        r" lost \d+ facts and \d+ events?: File too large \(a file size limit, .*\)\n",
        run.stderr,
    ), run.stderr
    assert run.lines("target.py") == {1, 2, 3, 6}
    assert "in forks without a journal" in beside(world, "tree").stdout
