"""embed.mark(): the program itself names a moment."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.database.read_result import read_result
from covsup.datafile.fold.sets import lines_in
from tests.supervisor.live import Live, beside
from tests.supervisor.watching.test_other_users import (
    USER,
    let_all_through,
    needs_reader,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.concurrency.by_hand import Session
    from tests.world import World


def before(data_file: Path, name: str) -> list[int]:
    """The lines of the target that had been executed when a mark was set."""
    for mark, facts in read_result(data_file).marks.items():
        if mark.name == name:
            return lines_in(*facts.lines.values())
    raise AssertionError(name)


def test_lines_before_the_call_are_known_and_lines_after_it_are_new(world: World) -> None:
    world.write(
        "target.py",
        "import sys\n"
        "from covsup import embed\n"
        "modules = set(sys.modules)\n"
        "done = embed.mark('here')\n"
        "print(done, sorted(set(sys.modules) - modules))\n"
        "late = 1\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    assert run.stdout == "True ['covsup.mark_files', 'covsup.pairs']\n"
    assert before(world.data_file, "here") == [1, 2, 3, 4]


FORKS = """\
import os, threading
from covsup import embed
def child():
    a = 1
    assert embed.mark("in a child")
    b = 1
def thread():
    assert embed.mark("in a thread")
    c = 1
if os.fork() == 0:
    child()
    os._exit(0)
os.wait()
thread = threading.Thread(target=thread)
thread.start()
thread.join()
"""


def test_a_forked_child_and_a_thread_set_marks(world: World) -> None:
    world.write("target.py", FORKS)
    run = world.covsup_run("target.py")
    assert (run.ended, run.stderr) == (0, "")
    in_child, in_thread = (
        before(world.data_file, "in a child"),
        before(world.data_file, "in a thread"),
    )
    assert set(in_child) >= {4, 5}
    assert not set(in_child) & {6, 8, 9, 14, 15, 16}
    assert set(in_thread) >= {4, 5, 6, 8, 13}
    assert 9 not in in_thread


def test_nothing_happens_where_nothing_is_measured(session: Session) -> None:
    program = (
        "import sys\n"
        "from covsup import embed\n"
        "print(embed.mark('x'), [each for each in sys.modules if 'mark' in each])\n"
        "try:\n    embed.mark(3)\nexcept TypeError as error:\n    print(error)\n"
    )
    outcome = session.run(program, measured=False)
    assert outcome.stdout == "False []\na mark's name is a str, not int\n", outcome


def test_a_mark_that_cannot_be_set_is_noted_and_the_program_goes_on(world: World) -> None:
    world.write(
        "target.py",
        "import os, resource\n"
        "from covsup import embed\n"
        "print(embed.mark(''))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "print(embed.mark('too large'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "print(embed.mark('fits'), [n for n in os.listdir(os.environ['COVSUP_SESSION'])\n"
        "                           if n.startswith('.new')])\n",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout) == (0, "False\nFalse\nTrue []\n"), run
    notes = [
        text for image in read_result(world.data_file).images.values() for _, text in image.notes
    ]
    assert any("no mark '': ValueError: a mark needs a name" in each for each in notes), notes
    assert any("no mark 'too large': OSError: " in each for each in notes), notes


@needs_reader
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_process_that_became_another_user_knows_its_own_lines(world: World) -> None:
    let_all_through(world.directory)
    world.write(
        "target.py",
        "import os, sys\n"
        "from covsup import embed, mark_files, pairs\n"
        "def master():\n"
        "    for line in sys.stdin:\n"
        "        of_master = 1\n"
        "def worker():\n"
        "    early = 1\n"
        f"    os.setgid({USER})\n"
        f"    os.setuid({USER})\n"
        "    assert embed.mark('worker')\n"
        "    late = 1\n"
        "    if os.fork() == 0:\n"
        "        in_child = 1\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    os._exit(0)\n"
        "if os.fork() == 0:\n"
        "    worker()\n"
        "status = os.wait()[1]\n"
        "print(status)\n"
        "master()\n",
    )
    run = world.covsup_run("target.py", stdin="\n")
    assert (run.ended, run.stdout, run.stderr) == (0, "0\n", ""), run
    executed = before(world.data_file, "worker")
    assert set(executed) >= {1, 2, 7, 8, 9, 10}
    assert not set(executed) & {11, 12, 13, 14, 15, 16}
    assert 5 in executed  # the master's file cannot be read: nothing that may be older is new


def test_marks_that_are_set_while_others_combine_are_exact(world: World) -> None:
    world.write(
        "target.py",
        "import os, time\n"
        "from covsup import embed\n"
        "def child(number):\n"
        "    exec(compile('\\n' * (20 + number) + 'x = 1', __file__, 'exec'))\n"
        "    os._exit(0)\n"
        "for number in range(50):\n"
        "    if os.fork() == 0:\n"
        "        child(number)\n"
        "    os.wait()\n"
        "    assert embed.mark(str(number))\n"
        "    time.sleep(0.02)\n",
    )
    opened = json.loads(beside(world, "env", "--shell=json").stdout)
    with Live(world, world.python, "target.py", environment=opened) as live:
        while live.process.poll() is None:
            assert beside(world, "combine").returncode == 0
        assert live.ended() == 0
    assert beside(world, "combine").returncode == 0
    marks = read_result(world.data_file).marks
    assert len(marks) == 50
    for mark, facts in marks.items():
        number = int(mark.name)
        (lines,) = facts.lines.values()
        assert [each for each in lines_in(lines) if each > 20] == list(range(21, 22 + number)), mark
