"""Events of sys.monitoring that C code fires for functions of its own (Cython with linetrace)."""

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
        return frame.f_lineno, frame.f_lineno
class Compiled(coverage.plugin.CoveragePlugin):
    def file_tracer(self, filename):
        return Tracer() if filename.endswith(".compiled") else None
def coverage_init(registry, options):
    registry.add_file_tracer(Compiled())
"""
TARGET = """\
import os, sys
import fires
code = compile("pass", os.path.abspath(sys.argv[1]), "exec")
def caller():
    fires.fire(code)
    return 1
for _ in range(2):
    caller()
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="C code cannot fire events")
@pytest.mark.parametrize("name", ["a.compiled", "compiled.py"])
def test_events_of_c_code_are_not_taken_for_those_of_its_caller(world: World, name: str) -> None:
    source = Path(__file__).with_name("fires.c")
    built = world.directory / f"fires{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", source, "-o", built],
        check=True,
    )
    world.write("names.py", PLUGIN)
    world.write(".coveragerc", "[run]\nplugins = names\nomit = names.py\n")
    world.write(name, "a = 1\n" * 9)
    world.write("target.py", TARGET)
    run = world.covsup_run("target.py", name)
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("target.py") == set(range(1, 9))
    assert run.data.file_tracer(str(world.directory / "target.py")) == ""
    assert run.lines(name) == set()
