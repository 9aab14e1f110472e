"""File tracers: what they claim is told by them, on every core, in every process of the tree.

coverage.py's own C tracer is the judge wherever it can be asked: in one process and one thread.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

from tests.conftest import CORES
from tests.plugins import tiny

if TYPE_CHECKING:
    from coverage.plugin_support import Plugins

    from tests.world import Run, World

SETTINGS = "[run]\nplugins = tiny\nsource = .\nomit = walk.py, render.py, tiny.py\n"
FIXED = "a = 1\nif a > 1:\n    b = 2\nfor c in range(2):\n    d = c\n"
WALKED = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"

ALONE = """\
import os, walk
from render import render

render(os.path.abspath("a.fixed"))
walk.all_at_once(os.path.abspath("a.walked"))
try:
    walk.all_at_once("b.walked", until=2)
except walk.Stop:
    pass
walk.on_one_line(os.path.abspath("c.walked"))
walk.not_a_template("x")
steps = [walk.walk(os.path.abspath(name)) for name in ("d.walked", "e.walked")]
for count in range(3):
    for step in steps:
        next(step)
"""


@pytest.fixture
def templates(world: World) -> World:
    """A world with the plugin, both languages and some templates."""
    world.write("tiny.py", Path(tiny.__file__).read_text(encoding="utf-8"))
    world.write(".coveragerc", SETTINGS)
    world.write("render.py", tiny.COMPILER)
    world.write("walk.py", tiny.WALKER)
    world.write("a.fixed", FIXED)
    for name in "abcde":
        world.write(f"{name}.walked", WALKED)
    world.write("never.walked", WALKED)
    return world


def reported(world: World, run: Run) -> dict[str, tuple[list[int], list[int]]]:
    """What coverage.py's json report says of each file: the executed and the missing lines."""

    def as_in_the_run(reg: Plugins) -> None:
        reg.current_module = "tiny"
        tiny.coverage_init(reg, {})

    out = world.directory / "out.json"
    with contextlib.chdir(world.directory):
        measured = coverage.Coverage(
            data_file=str(run.data_file), config_file=False, plugins=[as_in_the_run]
        )
        measured.load()
        measured.json_report(outfile=str(out))
    files = json.loads(out.read_text(encoding="utf-8"))["files"]
    return {name: (each["executed_lines"], each["missing_lines"]) for name, each in files.items()}


def test_the_lines_are_those_of_coverage_pys_c_tracer(templates: World) -> None:
    templates.write("main.py", ALONE)
    for branch in (False, True):
        judge = templates.run(
            templates.python, "-m", "coverage", "run", *(["--branch"] if branch else []), "main.py",
            environment={"COVERAGE_CORE": "ctrace"},
        )  # fmt: skip
        expected = reported(templates, judge)
        assert expected["a.fixed"] == ([1, 2, 4, 5], [3])
        assert expected["c.walked"][0] == [1, 2, 3]
        for core in CORES:
            run = templates.covsup_run("main.py", branch=branch, core=core)
            assert (run.status, run.stderr) == (0, ""), run
            assert reported(templates, run) == expected, (core, branch)


def test_the_data_file_names_the_plugin_of_each_file(templates: World) -> None:
    templates.write("main.py", ALONE)
    run = templates.covsup_run("main.py")
    with contextlib.closing(sqlite3.connect(run.data_file)) as db:
        said = db.execute("SELECT path, tracer FROM file JOIN tracer ON file.id = file_id")
        found = {Path(path).name: tracer for path, tracer in said}
    templates_of_all = {"a.fixed", *(f"{name}.walked" for name in [*"abcde", "never"])}
    assert found == dict.fromkeys(templates_of_all, "tiny.Templates")


TREE = """\
import multiprocessing, os, subprocess, sys, threading
import walk

def part(name):
    walk.all_at_once(os.path.abspath(name))

if __name__ == "__main__":
    if sys.argv[1:] == ["child"]:
        part("c.walked")
        os._exit(0)
    if (pid := os.fork()) == 0:
        part("a.walked")
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    spawned = multiprocessing.get_context("spawn").Process(target=part, args=("b.walked",))
    spawned.start()
    spawned.join()
    subprocess.run([sys.executable, __file__, "child"], check=True)
    thread = threading.Thread(target=part, args=("d.walked",))
    thread.start()
    thread.join()
    import gevent
    gevent.joinall([gevent.spawn(part, "e.walked")])
"""


@pytest.mark.parametrize("core", CORES)
def test_templates_are_told_in_every_process_and_thread(templates: World, core: str) -> None:
    templates.write("main.py", TREE)
    run = templates.covsup_run("main.py", core=core, branch=False)
    assert run.status == 0, run
    found = reported(templates, run)
    for name in "abcde":
        assert found[f"{name}.walked"] == ([1, 2, 3, 4, 5, 6, 7], []), run
    assert found["never.walked"] == ([], [1, 2, 3, 4, 5, 6, 7])


LOOKED_INTO = """\
import os, sys, threading, weakref
import walk

class Thing:
    pass

def make():
    thing = Thing()
    return thing, weakref.ref(thing)

def tracer(frame, event, arg):
    return tracer

path = os.path.abspath("a.walked")
assert walk.lets_go(path, make) is None
sys.settrace(tracer)
walk.all_at_once(path)
sys.settrace(None)
threading.settrace(tracer)
thread = threading.Thread(target=walk.all_at_once, args=(os.path.abspath("b.walked"),))
thread.start()
thread.join()
"""


@pytest.mark.parametrize("core", CORES)
def test_a_plugin_that_looks_at_variables_changes_none(templates: World, core: str) -> None:
    templates.write("main.py", LOOKED_INTO)
    run = templates.covsup_run("main.py", branch=False, core=core)
    assert (run.status, run.stderr) == (0, ""), run
    found = reported(templates, run)
    assert found["a.walked"][1] == found["b.walked"][1] == []


def test_a_plugin_is_found_beside_the_script_from_any_directory(templates: World) -> None:
    templates.write(
        "sub/child.py", "import os, runpy, sys\nos.chdir('/')\nrunpy.run_path(sys.argv[1])\n"
    )
    templates.write("main.py", "import os, walk\nwalk.all_at_once(os.environ['TEMPLATE'])\n")
    start = templates.write(
        "start.sh",
        'cd sub && PYTHONPATH=.. exec python child.py "$MAIN"\n',
    )
    run = templates.covsup_run(
        "sh", start, branch=False,
        environment={
            "MAIN": str(templates.directory / "main.py"),
            "TEMPLATE": str(templates.directory / "a.walked"),
        },
    )  # fmt: skip
    assert run.status == 0, run
    assert reported(templates, run)["a.walked"][1] == [], run


def test_the_rules_hold_for_the_source_and_not_for_what_runs(templates: World) -> None:
    templates.write(".coveragerc", "[run]\nplugins = tiny\ninclude = *.walked\nomit = b.*\n")
    templates.write("main.py", ALONE)
    run = templates.covsup_run("main.py", branch=False)
    assert set(reported(templates, run)) == {f"{name}.walked" for name in "acde"}


def test_a_plugin_has_the_options_of_its_own_section(templates: World) -> None:
    templates.write(".coveragerc", SETTINGS + "[tiny]\nsuffix = .other\n")
    templates.write("a.other", FIXED)
    templates.write(
        "main.py", "import os\nfrom render import render\nrender(os.path.abspath('a.other'))\n"
    )
    run = templates.covsup_run("main.py", branch=False)
    found = reported(templates, run)
    assert found["a.other"] == ([1, 2, 4, 5], [3])
    assert "a.fixed" not in found


def test_nothing_of_coverage_py_is_imported_where_no_plugin_claims_files(world: World) -> None:
    world.write("quiet.py", "class P:\n    def configure(self, config): pass\n"
                "def coverage_init(reg, options): reg.add_configurer(P())\n")  # fmt: skip
    world.write(".coveragerc", "[run]\nplugins = quiet\n")
    world.write("main.py", "import sys\nprint('coverage' in sys.modules, 'quiet' in sys.modules)\n")
    run = world.covsup_run("main.py")
    assert run.stdout == "False False\n", run
