"""covsup.embed: what a program that knows of covsup may ask for, measured and not measured."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

import covsup
from covsup.datafile.journal.events import Ended, EndedHow, Note
from tests.concurrency.by_hand import Session, ended_by

if TYPE_CHECKING:
    from tests.world import World

EVERYTHING = """\
import sys
before = {*sys.modules, "covsup"}
from covsup import embed
embed.flush_events(), embed.cleanup(), embed.cleanup_on_sigterm(), embed.cleanup_on_signal(1)
embed.pause(), embed.resume(), embed.resume()
print(embed.active(), embed.flush_events(), embed.init(), embed.active())
print(sorted(set(sys.modules) - before))
"""


def test_where_nothing_is_measured_nothing_happens_and_nothing_is_imported(
    session: Session,
) -> None:
    outcome = session.run(
        EVERYTHING + "print(embed.snapshot('snap'), __import__('os').path.exists('snap'))\n",
        measured=False,
    )
    assert outcome.stderr == ""
    assert outcome.stdout == "False False False False\n['covsup.embed']\nFalse False\n"


def test_in_a_measured_process_nothing_else_is_imported_and_twice_is_once(
    core_session: Session,
) -> None:
    outcome = core_session.run(EVERYTHING + "embed.cleanup_on_sigterm()\n")
    assert outcome.stderr == ""
    assert outcome.stdout == "True True True True\n['covsup.embed']\n"
    assert outcome.lines() == set(range(1, 9))


PAUSED = """\
import os
import threading
from covsup import embed

def hidden():
    return 1

def shown():
    return 2

def steps():
    yield 1
    yield 2
    yield 3

def work(value):
    embed.pause()
    hidden()
    embed.pause()
    embed.resume()
    if value:
        hidden()
    embed.resume()
    if value:
        shown()
    return value

walk = steps()
next(walk)
embed.pause()
next(walk)
thread = threading.Thread(target=hidden)
thread.start()
thread.join()
embed.resume()
next(walk)
work(1)
embed.pause()
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
    embed.resume()
    shown()
else:
    embed.resume()
    shown()
    os._exit(0)
"""
PAUSED_HIDES = {6, 13, *range(18, 23), *range(31, 35), 39, 40, 41}


@pytest.mark.parametrize("branch", [False, True])
def test_what_is_paused_is_not_recorded_and_what_goes_on_then_is(
    session: Session, core: str, *, branch: bool
) -> None:
    session.configure(core=core, branch=branch)
    outcome = session.run(PAUSED, flags=["-W", "ignore"])
    assert (outcome.status, outcome.stderr) == (0, "")
    ran = {
        number
        for number, line in enumerate(PAUSED.splitlines(), 1)
        if line.strip() and not line.strip().startswith("else")
    }
    # Where a generator waits is the beginning of an arc that ends when it goes on.
    waits = {13} if branch and core != "monitoring" else set()
    assert ran - outcome.lines() == PAUSED_HIDES - waits


SEVERAL = """\
import threading
import greenlet
from covsup import embed
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def entered(done, go):
    hidden = 1
    done.set()
    go.wait()
    shown = 1

def both(barrier):
    barrier.wait()
    embed.pause()
    hidden = 1
    barrier.wait()
    hidden = 1
    embed.resume()
    barrier.wait()
    shown = 1

def one():
    hidden = 1
    main.switch()
    shown = 1

def start(*arguments):
    thread = threading.Thread(target=arguments[0], args=arguments[1:])
    thread.start()
    return thread

def inside():
    interpreter = interpreters.create()
    script = "import sys; sys.path.insert(0, ''); import inner"
    assert interpreters.run_string(interpreter, script) is None
    interpreters.destroy(interpreter)

done, go, barrier = threading.Event(), threading.Event(), threading.Barrier(2)
embed.pause()
hidden = start(entered, done, go), done.wait()
embed.resume()
go.set() or hidden[0].join()
thread = start(both, barrier)
both(barrier) or thread.join()
main = greenlet.getcurrent()
other = greenlet.greenlet(one)
embed.pause()
hidden = other.switch()
embed.resume()
other.switch()
inside()
"""
INNER = """\
from covsup import embed
assert embed.active() and embed.init()
embed.pause()
hidden = 1
embed.resume()
with embed.context("inner"):
    shown = 1
embed.cleanup_on_sigterm()
shown = embed.flush_events()
"""


def test_a_pause_is_of_all_threads_greenlets_and_interpreters(core_session: Session) -> None:
    core_session.write("inner.py", INNER)
    outcome = core_session.run(SEVERAL)
    assert (outcome.status, outcome.stderr) == (0, "")
    for source, lines in (SEVERAL, outcome.lines()), (INNER, outcome.lines("inner.py")):
        for number, line in enumerate(source.splitlines(), 1):
            told = line.strip().partition(" ")[0]
            if told in {"hidden", "shown"}:
                assert (number in lines) == (told == "shown"), (number, line)


SIGNALS = """\
import os, signal, sys
from covsup import embed

def own(number, frame):
    print("own", number, flush=True)

def default():
    pass

def handler():
    signal.signal(signal.SIGTERM, own)

def ignored():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

for prepare in default, handler, ignored:
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGINT:
        pid = os.fork()
        if pid == 0:
            prepare()
            before = signal.getsignal(number)
            for _ in range(2):
                embed.cleanup_on_sigterm()
                embed.cleanup_on_signal(number)
            assert signal.getsignal(number) is before
            try:
                os.kill(os.getpid(), number)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            os._exit(7)
        print(prepare.__name__, number, os.waitpid(pid, 0)[1] & ~128, flush=True)
for number in 0, 9, 19, 64, 65, 1000, 10**30, -1:
    embed.cleanup_on_signal(number)
os.kill(os.getpid(), 15)
"""


def test_a_signal_does_what_it_would_have_done_and_is_told(core_session: Session) -> None:
    plain = core_session.run(SIGNALS, measured=False)
    assert plain.stdout.count("\n") == 3 * 5 + 4, plain
    outcome = core_session.run(SIGNALS)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (
        plain.status, plain.stdout, plain.stderr,
    )  # fmt: skip
    ends = [
        each.events(Ended)[-1].status
        for each in outcome.images[1:]
        if each.events(Ended)[-1].how is EndedHow.SIGNAL
    ]
    assert ends == [15, 1, 3, 1, 3, 1, 3]
    notes = [note.text for each in outcome.images for note in each.events(Note)]
    assert sum("signal 15 came" in note for note in notes) == 1
    assert sum("signal 02 came" in note for note in notes) == 3


def test_a_thread_deep_in_c_dies_at_once(session: Session) -> None:
    outcome = session.run("""
        import os, signal, threading, time
        from covsup import embed
        embed.cleanup_on_sigterm()
        threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        threading.Lock().acquire() and b"a".join([b"b"] * 10**9)
        """)
    assert outcome.status == ended_by(signal.SIGTERM)


def test_an_end_by_a_signal_is_known_where_nobody_saw_it(world: World) -> None:
    opened = world.run(world.python, "-m", "covsup", "env", "--shell=path")
    world.write(
        "target.py",
        "import os\nfrom covsup import embed\nembed.cleanup_on_sigterm()\nos.kill(os.getpid(), 15)\n",
    )
    run = world.run(
        world.python, "target.py", environment={"COVSUP_SESSION": opened.stdout.strip()}
    )
    assert run.ended is signal.SIGTERM
    assert "killed by SIGTERM" in world.run(world.python, "-m", "covsup", "tree").stdout


SNAPSHOT = """\
import os, signal, sys
before = set(sys.modules)
from covsup import embed
print(embed.snapshot("first"))
def later():
    return 1
later()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.chdir("/")
print(embed.snapshot(sys.argv[1]))
print(embed.snapshot("/dev/null/snapshot"))
print(sorted(set(sys.modules) - before))
"""


def test_a_snapshot_holds_what_ran_until_then_and_is_no_part_of_the_session(
    world: World,
) -> None:
    world.write("target.py", SNAPSHOT)
    world.write(".coveragerc", "[run]\nrelative_files = true\n")
    second = world.directory / "a b" / "second"
    second.parent.mkdir()
    run = world.covsup_run("target.py", second)
    assert run.stdout == "True\nTrue\nFalse\n['covsup.embed']\n", run
    assert (run.ended, run.stderr) == (0, "")

    def lines(path: Path) -> set[int]:
        data = coverage.CoverageData(basename=str(path))
        data.read()
        return set(data.lines("target.py") or ())

    assert lines(world.directory / "first") >= {1, 2, 3, 4}
    assert 5 not in lines(world.directory / "first")
    assert lines(second) >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
    assert 11 not in lines(second)
    tree = world.run(world.python, "-m", "covsup", "tree", "--all").stdout
    # The processes that wrote the snapshots are not among the session's.
    assert tree.splitlines()[-1] == "1 measured process", tree
    assert sum("─ " in line for line in tree.splitlines()) == 1, tree


def test_init_measures_where_the_startup_files_were_skipped(core_session: Session) -> None:
    site = str(Path(covsup.__file__).parent.parent)
    outcome = core_session.run(
        """
        from covsup import embed
        def later():
            return 1
        print(embed.active(), embed.init(), embed.active(), embed.init())
        later()
        """,
        flags=["-S"],
        environment={"PYTHONPATH": site},
    )
    assert (outcome.stdout, outcome.stderr) == ("False True True True\n", "")
    assert outcome.lines() >= {3, 4, 5}
