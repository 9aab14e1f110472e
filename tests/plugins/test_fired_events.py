"""Events that C code sends for functions of its own (Cython with linetrace)."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

# As Cython's plugin does, it takes the name of the source from the frame.
PLUGIN = """\
import coverage
class Tracer(coverage.plugin.FileTracer):
    def has_dynamic_source_filename(self):
        return True
    def dynamic_source_filename(self, filename, frame):
        return frame.f_code.co_filename
    def line_number_range(self, frame):
        return 7, 7
class Compiled(coverage.plugin.CoveragePlugin):
    def file_tracer(self, filename):
        return Tracer() if filename.endswith(".compiled") else None
def coverage_init(registry, options):
    registry.add_file_tracer(Compiled())
"""
FIRES = """\
import os, sys
import fires
code = compile("pass", os.path.abspath(sys.argv[1]), "exec")
def back():
    return 1
def fail():
    raise ValueError
def caller():
    for line in 5, 18, 1000:
        fires.fire(code, line, back, 1)
    fires.fire(code, 18, back, 0)
    try:
        fires.fire(code, 18, fail, 0)
    except ValueError:
        line = 1
    if line:
        return 1
    return 2
for _ in range(2):
    caller()
"""
FIRES_LINES = set(range(1, 21)) - {18}
TRACES = """\
import os, sys
import fires
code = compile("pass", os.path.abspath(sys.argv[1]), "exec")
def caller():
    fires.trace(code)
    a = 1
    return a
for _ in range(2):
    caller()
"""
SETTING = "[run]\nsource = .\nomit = Cython/*\nplugins = Cython.Coverage\n"


@pytest.fixture
def fires(world: World) -> None:
    """Build the extension, and make a plugin that has the name of Cython's."""
    source = Path(__file__).with_name("fires.c")
    built = world.directory / f"fires{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", source, "-o", built],
        check=True,
    )
    world.write("Cython/__init__.py", "")
    world.write("Cython/Coverage.py", PLUGIN)
    world.write("a.compiled", "a = 1\n" * 9)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="C code cannot fire events")
@pytest.mark.usefixtures("fires")
@pytest.mark.parametrize("branch", [False, True])
@pytest.mark.parametrize("core", ["monitoring", "settrace"])
def test_events_of_c_code_are_not_taken_for_those_of_its_caller(
    world: World, core: str, *, branch: bool
) -> None:
    world.write(".coveragerc", "[run]\nsource = .\nomit = names.py,Cython/*\nplugins = names\n")
    world.write("names.py", PLUGIN)
    world.write("target.py", FIRES)
    run = world.covsup_run("target.py", "a.compiled", core=core, branch=branch)
    assert run.ended == 0, run
    assert run.lines("target.py") == FIRES_LINES
    assert run.data.file_tracer(str(world.directory / "target.py")) == ""
    assert run.lines("a.compiled") == set()
    name = "a.compiled" if core == "monitoring" else "target.py"
    [said] = run.stderr.splitlines()
    assert f"{world.directory / name}: build it with" in said, run
    if branch and core == "settrace":
        arcs = run.arcs("target.py")
        assert {(9, 10), (10, 9), (9, 11), (11, 12), (12, 13), (16, 17), (17, -8)} <= arcs, arcs
        assert not {arc for arc in arcs if abs(arc[1]) in {18, 1000}}


@pytest.mark.skipif(sys.version_info < (3, 13), reason="C code cannot fire events")
@pytest.mark.usefixtures("fires")
@pytest.mark.parametrize("core", ["monitoring", "settrace"])
def test_nothing_is_said_of_compiled_code_outside_of_what_is_measured(
    world: World, core: str
) -> None:
    world.write("target.py", FIRES)
    run = world.covsup_run("target.py", "a.compiled", options=["--omit=*.compiled"], core=core)
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("target.py") == FIRES_LINES


@pytest.mark.usefixtures("fires")
@pytest.mark.parametrize("core", ["auto", "settrace", "settrace-fast"])
def test_frames_that_c_code_makes_are_measured_with_the_plugin_of_cython(
    world: World, core: str
) -> None:
    world.write(".coveragerc", SETTING)
    world.write("target.py", TRACES)
    run = world.covsup_run("target.py", "a.compiled", core=core)
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("a.compiled") == {7}
    assert run.lines("target.py") == set(range(1, 10))


@pytest.mark.usefixtures("fires")
@pytest.mark.parametrize("core", ["settrace", "settrace-fast"])
def test_frames_that_c_code_makes_silence_no_caller(world: World, core: str) -> None:
    world.write("target.py", TRACES)
    run = world.covsup_run("target.py", "a.compiled", options=["--omit=*.compiled"], core=core)
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("target.py") == set(range(1, 10))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no other core")
@pytest.mark.usefixtures("fires")
def test_a_core_that_the_plugin_of_cython_gets_no_lines_from_is_named(world: World) -> None:
    world.write(".coveragerc", SETTING)
    world.write("target.py", TRACES)
    run = world.covsup_run("target.py", "a.compiled", core="monitoring")
    assert run.ended == 0, run
    assert "--core=monitoring gets no lines of Cython's modules" in run.stderr
    assert run.lines("target.py") == set(range(1, 10))
