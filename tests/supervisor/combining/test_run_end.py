"""The end of a run when something is wrong there: the status is the target's, one line says it all."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

from tests.supervisor.live import Live, covsup, wait_until

if TYPE_CHECKING:
    from tests.world import Run, World

REAL = Path(coverage.__file__)

# It shadows coverage.py. `prepared` and `ended` are the words of the test's programs.
SHADOW = """\
import os, sys
{first}
__path__, __file__ = [{directory!r}], {file!r}
exec(compile(open(__file__).read(), __file__, 'exec'))
"""
WHEN_PREPARING = """\
import os, sys, time
while not os.path.exists('importing'):
    time.sleep(0.01)
sys.exit(int(sys.argv[1]))
"""


def shadow_coverage(world: World, first: str) -> dict[str, str]:
    """Have covsup import a coverage.py that begins with `first`; gives the environment for it."""
    text = SHADOW.format(first=first, directory=str(REAL.parent), file=str(REAL))
    world.write("shadow/coverage/__init__.py", text)
    return {"PYTHONPATH": str(world.directory / "shadow")}


def the_one_line(run: Run) -> str:
    """Give the line in which covsup says what is wrong."""
    (line,) = run.stderr.splitlines()
    assert line.startswith("covsup: "), run
    return line


def follow(world: World, line: str) -> Run:
    """Give the command that a line names, as a user would."""
    found = re.search("`covsup (.*)`", line)
    assert found is not None, line
    return world.run(world.python, "-m", "covsup", *shlex.split(found[1]))


FAILURES = {
    "ImportError": "raise ImportError('it is\\nnot whole')",
    "MemoryError": "raise MemoryError",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "SystemExit": "sys.exit('bye')",
    "RecursionError": "def down(): down()\ndown()",
    "SyntaxError": "exec('(')",
    "an old one": "version_info = (1, 0); del sys.modules['coverage']; raise AttributeError('Coverage')",
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("status", [42, 0])
def test_a_broken_coverage_py_costs_neither_the_status_nor_the_data(
    world: World, failure: str, status: int
) -> None:
    world.write("target.py", "import sys\nsys.exit(int(sys.argv[1]))\n")
    broken = shadow_coverage(world, failure)
    run = world.covsup_run(
        "target.py", str(status), options=["--source=.", "--omit=shadow/*"], environment=broken
    )
    if failure == "raise KeyboardInterrupt" and status == 0:
        assert run.signal is signal.SIGINT, run
    else:
        assert run.ended == (status or 1), run
    line = the_one_line(run)
    assert not run.data_file.exists()
    run = follow(world, line)
    assert run.ended == 0, run
    assert run.lines("target.py") == {1, 2}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_fails_while_the_end_is_prepared_is_tried_again_at_the_end(
    world: World, failure: str
) -> None:
    world.write("target.py", WHEN_PREPARING)
    once = "\n".join(f"    {line}" for line in failure.splitlines())
    run = world.covsup_run(
        "target.py",
        "42",
        options=["--source=.", "--omit=shadow/*"],
        environment=shadow_coverage(
            world,
            f"if not os.path.exists('importing'):\n    open('importing', 'x').close()\n{once}",
        ),
    )
    assert (run.ended, run.stderr) == (42, ""), run
    assert run.lines("target.py") >= {1, 2, 4}


def test_the_end_waits_for_what_is_being_prepared(world: World) -> None:
    world.write("target.py", WHEN_PREPARING)
    # The target ends at this very moment, and the main thread is done with it long before.
    slow = shadow_coverage(
        world,
        f"__path__ = [{str(REAL.parent)!r}]\n"
        "import time\n"
        "open('importing', 'x').close()\n"
        "time.sleep(0.5)",
    )
    run = world.covsup_run(
        "target.py", "42", options=["--source=.", "--omit=shadow/*"], environment=slow
    )
    assert (run.ended, run.stderr) == (42, ""), run
    assert run.lines("target.py") >= {1, 2, 4}


def hung(world: World, before: str, after: str) -> dict[str, str]:
    """Have covsup hang in the import of coverage.py; gives the environment for it."""
    return shadow_coverage(
        world,
        f"import time, weakref\n"
        f"{before}\n"
        f"    open('importing', 'w').close()\n"
        f"    while not os.path.exists('go on'):\n"
        f"        time.sleep(0.01)\n"
        f"{after}\n",
    )


def wait_for_the_end(world: World, live: Live) -> None:
    """Return when covsup imports coverage.py, has no children, and holds no signal back."""
    wait_until((world.directory / "importing").exists, "coverage.py is imported")
    children = Path(f"/proc/{live.pid}/task/{live.pid}/children")
    status = Path(f"/proc/{live.pid}/status")
    if children.exists():
        wait_until(lambda: not children.read_text(), "the target and the helper have ended")
        wait_until(
            lambda: re.search(r"^SigBlk:\s*0+$", status.read_text(), re.MULTILINE) is not None,
            "signals are let through",
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
@pytest.mark.parametrize("status", [42, 0])
def test_a_signal_at_the_end_says_how_to_go_on(world: World, number: int, status: int) -> None:
    world.write("target.py", WHEN_PREPARING)
    hangs = hung(world, "if True:", "")
    options = ["--branch", "--source=.", "--omit=shadow/*"]
    command = covsup(world, "target.py", str(status), options=options)
    with Live(world, *command, environment=hangs) as live:
        wait_for_the_end(world, live)
        live.kill(number)
        line = live.rest()
        assert live.ended() == (status or -number), line
    assert line.count("\n") == 1
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    assert line.startswith(f"covsup: interrupted{by}; the data is kept in ")
    run = follow(world, line)
    assert run.ended == 0, run
    assert run.lines("target.py") >= {1, 2, 4}


def test_a_signal_in_a_callback_of_the_interpreter_is_not_forgotten(world: World) -> None:
    world.write("target.py", "import sys\nsys.exit(42)\n")
    # It hangs in the callback, and once more behind it.
    hangs = hung(
        world,
        "class Referent: pass\nreferent = Referent()\ndef callback(_):",
        "reference = weakref.ref(referent, callback)\ndel referent\ncallback(None)",
    )
    options = ["--branch", "--source=.", "--omit=shadow/*"]
    with Live(world, *covsup(world, "target.py", options=options), environment=hangs) as live:
        wait_for_the_end(world, live)
        live.kill(signal.SIGTERM)
        line = live.rest()
        assert live.ended() == 42, line
    assert line.count("\n") == 1, line
    assert line.startswith("covsup: interrupted by SIGTERM; the data is kept in ")


def test_settings_that_become_unreadable_during_the_run_end_in_one_line(world: World) -> None:
    world.write(".coveragerc", "[run]\nbranch = true\n")
    world.write(
        "target.py", "import sys\nopen('.coveragerc', 'wb').write(b'[run\\xff')\nsys.exit(42)\n"
    )
    run = world.covsup_run("target.py")
    assert run.ended == 42
    line = the_one_line(run)
    assert ".coveragerc" in line or "utf-8" in line
    world.write(".coveragerc", "")
    assert follow(world, line).lines("target.py") == {1, 2, 3}


def test_a_result_in_a_full_place_is_made_later_by_the_command_of_the_line(world: World) -> None:
    world.write("target.py", "import os, sys\nos.mkdir('.coverage')\nsys.exit(int(sys.argv[1]))\n")
    for status in 42, 0:
        run = world.covsup_run("target.py", str(status))
        assert run.ended == (status or 1)
        line = the_one_line(run)
        (world.directory / ".coverage").rmdir()
        assert follow(world, line).lines("target.py") == {1, 2, 3}
        (world.directory / ".coverage").unlink()


def test_a_working_directory_that_is_gone_costs_nothing(world: World) -> None:
    world.write("target.py", "import os, sys\nos.rmdir(os.getcwd())\nsys.exit(42)\n")
    (world.directory / "here").mkdir()
    command = shlex.join(
        [world.python, "-m", "covsup", "run", "--branch", f"--data-file={world.data_file}",
         f"--source={world.directory}", "../target.py"]
    )  # fmt: skip
    run = world.run("sh", "-c", f"cd here && exec {command}")
    assert (run.ended, run.stderr) == (42, ""), run
    assert run.lines("target.py") == {1, 2, 3}


def test_reports_that_nothing_can_be_written_to_leave_the_status(world: World) -> None:
    world.write(
        "test_it.py", "import os\ndef test_it():\n    os._exit(int(os.environ['WANTED']))\n"
    )
    words = [world.python, "-m", "covsup", "run", "-m", "pytest", "-q", "--covsup=.", "test_it.py"]
    full = f"exec {shlex.join(words)} >/dev/full 2>err"
    if not Path("/dev/full").exists():
        pytest.skip("there is no full device")
    for wanted in "42", "0":
        run = world.run("sh", "-c", full, environment={"WANTED": wanted})
        assert run.ended == int(wanted), run
        assert "Traceback" not in (world.directory / "err").read_text()
        assert run.lines("test_it.py") >= {1, 3}


def test_a_watcher_that_fails_costs_no_status_and_is_said(world: World) -> None:
    # The target takes covsup's descriptors away, in the one way that there is from outside.
    resource = pytest.importorskip("resource")
    if sys.platform != "linux":
        pytest.skip("another process's limits are Linux's")
    del resource
    world.write(
        "target.py",
        "import os, resource, subprocess, sys, time\n"
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))\n"
        "time.sleep(0.3)\n"
        "sys.exit(42)\n",
    )
    run = world.covsup_run("target.py", options=["--strict"])
    assert run.ended == 42, run
    assert "Traceback" not in run.stderr
    assert all(line.startswith("covsup: ") for line in run.stderr.splitlines()), run


def test_the_thread_of_early_imports_has_ended_when_the_run_ends(world: World) -> None:
    # A thread that is slow to end, as on a busy machine, and no descriptor for libgcc_s.so.
    code = """
import resource, sys, time
from types import SimpleNamespace
from covsup.supervisor.combining.early_imports import EarlyImports

class SlowLock:
    def __init__(self, lock):
        self.lock = lock
        self.acquire = lock.acquire
    def __enter__(self):
        self.lock.acquire()
    def __exit__(self, *_):
        self.lock.release()
    def release(self):
        self.lock.release()
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass

early = EarlyImports(SimpleNamespace(
    parallel_mode=False, source_dirs=(), source_pkgs=(), append=False, fail_under=None,
    for_pytest=False))
early._loading = SlowLock(early._loading)
early.begin()
early.wait()
early.join()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
sys.exit(42)
"""
    run = world.run(world.python, "-c", code)
    assert (run.ended, run.stderr) == (42, "")


def test_the_end_of_a_run_does_not_wait_for_threads_of_plugins(world: World) -> None:
    code = """
import threading, time
from types import SimpleNamespace
from covsup.supervisor.combining.early_imports import EarlyImports

early = EarlyImports(SimpleNamespace(
    parallel_mode=False, source_dirs=(), source_pkgs=(), append=False, fail_under=None,
    for_pytest=False))
early.begin()
early.wait()
ended = threading.Event()
threading.Thread(target=ended.wait, daemon=True).start()
waits = []
time.sleep = waits.append
early.join()
ended.set()
print(len(waits) < 1000)
"""
    run = world.run(world.python, "-c", code)
    assert (run.stdout, run.stderr, run.ended) == ("True\n", "", 0)


def test_a_signal_after_the_session_was_stored_and_deleted_loses_nothing(world: World) -> None:
    world.write("target.py", "print('ran')\n")
    world.write(
        "interrupted.py",
        """\
import os, signal, sys
from covsup.datafile.session.directory import Session
from covsup.supervisor.entry import main

delete = Session.delete

def delete_and_be_interrupted(session):
    delete(session)
    os.kill(os.getpid(), signal.SIGTERM)

Session.delete = delete_and_be_interrupted
sys.argv = ["covsup", "run", "target.py"]
main()
""",
    )
    run = world.run(world.python, "interrupted.py")
    line = the_one_line(run)
    assert "interrupted by SIGTERM; the result is in" in line
    assert run.lines("target.py") == {1}
