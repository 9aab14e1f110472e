"""Dynamic-context plugins: a frame that they name begins a context, which its return ends.

In one process and one thread the judge is coverage.py's C tracer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORES
from tests.plugins import tiny

if TYPE_CHECKING:
    from tests.world import Run, World

LABELS = """\
import coverage.plugin

class Labels(coverage.plugin.CoveragePlugin):
    def __init__(self, options):
        self.options = options

    def dynamic_context(self, frame):
        name = frame.f_code.co_name
        if self.options.get("fail") and name == "job_b":
            raise ValueError("no luck")
        return name if name.startswith("job_") else None

def coverage_init(reg, options):
    reg.add_dynamic_context(Labels(options))
"""

ALONE = """\
def shared(n):
    if n > 1:
        return shared(n - 1)
    return n

def job_a():
    job_b()
    return shared(2)

def job_b():
    shared(1)
    return [n for n in range(2)]

def job_fails():
    shared(3)
    raise KeyError

def job_yields():
    yield 1
    shared(2)
    yield 2

def plain():
    for step in job_yields():
        shared(step)

shared(1)
job_a()
job_b()
try:
    job_fails()
except KeyError:
    shared(1)
plain()
class job_class:
    x = shared(2)
"""


def labelled(run: Run, name: str = "main.py") -> dict[int, list[str]]:
    """The labels of each line."""
    found = run.data.contexts_by_lineno(str(run.directory / name))
    return {line: sorted(labels) for line, labels in found.items()}


@pytest.fixture
def labels(world: World) -> World:
    world.write("labels.py", LABELS)
    world.write(".coveragerc", "[run]\nplugins = labels\n")
    return world


def test_the_labels_are_those_of_coverage_pys_c_tracer(labels: World) -> None:
    labels.write("main.py", ALONE)
    judge = labels.run(
        labels.python, "-m", "coverage", "run", "main.py", environment={"COVERAGE_CORE": "ctrace"}
    )
    expected = labelled(judge)
    assert expected[11] == ["job_a", "job_b"]
    assert expected[4] == ["", "job_a", "job_b", "job_class", "job_fails", "job_yields"]
    for core in CORES:
        run = labels.covsup_run("main.py", branch=False, core=core)
        assert (run.status, run.stderr) == (0, ""), run
        assert labelled(run) == expected, core


@pytest.mark.parametrize("core", CORES)
def test_what_a_file_tracer_tells_has_the_labels_too(labels: World, core: str) -> None:
    labels.write("tiny.py", Path(tiny.__file__).read_text(encoding="utf-8"))
    labels.write("walk.py", tiny.WALKER)
    labels.write("a.walked", "one\ntwo\n")
    labels.write(".coveragerc", "[run]\nplugins = tiny, labels\n")
    labels.write(
        "main.py",
        "import os, walk\ndef job_a():\n    walk.all_at_once(os.path.abspath('a.walked'))\n"
        "job_a()\nnext(walk.walk(os.path.abspath('a.walked')))\n",
    )
    run = labels.covsup_run("main.py", core=core)
    assert (run.status, run.stderr) == (0, ""), run
    assert labelled(run, "a.walked") == {1: ["", "job_a"], 2: ["job_a"]}


TREE = """\
import os, threading

def work(n):
    return n

def job_a():
    thread = threading.Thread(target=work, args=(1,))
    thread.start()
    thread.join()

def job_b():
    return work(2)

if os.fork() == 0:
    job_b()
    os._exit(0)
os.wait()
job_a()
"""


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
def test_children_and_threads_have_their_labels(labels: World, core: str, *, branch: bool) -> None:
    labels.write("main.py", TREE)
    run = labels.covsup_run("main.py", branch=branch, core=core)
    assert (run.status, run.stderr) == (0, ""), run
    assert labelled(run)[4] == ["job_a", "job_b"], run


@pytest.mark.parametrize("core", CORES)
def test_a_plugin_that_raises_gives_no_more_labels(labels: World, core: str) -> None:
    labels.write(
        "main.py", "def job_a():\n    x = 1\ndef job_b():\n    x = 1\njob_a()\njob_b()\njob_a()\n"
    )
    labels.write(".coveragerc", "[run]\nplugins = labels\n[labels]\nfail = yes\n")
    run = labels.covsup_run("main.py", branch=False, core=core)
    assert run.status == 0, run
    (line,) = run.stderr.splitlines()
    assert (
        "labels.Labels failed in dynamic_context and was switched off: ValueError: no luck" in line
    )
    assert labelled(run)[2] == ["", "job_a"]
    assert labelled(run)[4] == [""]
