"""What plugins may do besides tracing files: configure, be missing, fail, be somebody's real one."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORES

if TYPE_CHECKING:
    from tests.world import Run, World

# A tracer for template.py whose methods, and what they fail with, the settings name.
BRITTLE = """\
import os, signal
import coverage.plugin

class Tracer(coverage.plugin.FileTracer):
    def __init__(self, filename, options):
        self.filename, self.options = filename, options
        self.dynamic = options.get("dynamic") == "yes"

    def source_filename(self):
        return self.filename

    def has_dynamic_source_filename(self):
        return self.dynamic

    def dynamic_source_filename(self, filename, frame):
        self.fail("dynamic")
        return self.filename

    def line_number_range(self, frame):
        self.fail("line")
        return (1, 1) if self.options.get("fail") != "pair" else 5

    def fail(self, where):
        if self.options.get("fail") == where:
            raise ValueError("no such\\nluck")
        if self.options.get("interrupt") == where:
            raise KeyboardInterrupt

class Brittle(coverage.plugin.CoveragePlugin):
    def __init__(self, options):
        self.options = options

    def file_tracer(self, filename):
        if os.path.basename(filename) == "template.py":
            if self.options.get("fail") == "file":
                raise ValueError("no such\\nluck")
            return Tracer(filename, self.options)

def coverage_init(reg, options):
    if options.get("fail") == "load" and "COVSUP_SESSION" in os.environ:
        raise ImportError("not here")
    reg.add_file_tracer(Brittle(options))
"""

MAIN = """\
try:
    import template
    for count in range(3):
        template.render()
except KeyboardInterrupt:
    print("interrupted")
print("done")
"""


def brittle(world: World, core: str, options: str) -> Run:
    world.write("brittle.py", BRITTLE)
    world.write("template.py", "def render():\n    pass\n")
    world.write("main.py", MAIN)
    world.write(".coveragerc", f"[run]\nplugins = brittle\n[brittle]\n{options}")
    return world.covsup_run("main.py", core=core, branch=False)


@pytest.mark.parametrize(
    ("options", "where", "error"),
    [
        ("fail = file", "file_tracer", "ValueError: no such"),
        ("fail = dynamic\ndynamic = yes", "dynamic_source_filename", "ValueError: no such"),
        ("fail = line", "line_number_range", "ValueError: no such"),
        ("fail = pair", "line_number_range", "TypeError: line_number_range must return a tuple"),
    ],
    ids=["file", "dynamic", "line", "pair"],
)
@pytest.mark.parametrize("core", CORES)
def test_a_plugin_that_raises_is_switched_off_and_named_once(
    world: World, core: str, options: str, where: str, error: str
) -> None:
    run = brittle(world, core, options)
    assert (run.status, run.stdout) == (0, "done\n"), run
    (line,) = run.stderr.splitlines()
    assert f"plugin brittle.Brittle failed in {where} and was switched off: {error}" in line


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("where", ["dynamic", "line"])
def test_an_interrupt_within_a_plugin_is_the_programs(world: World, core: str, where: str) -> None:
    run = brittle(world, core, f"interrupt = {where}\ndynamic = yes")
    assert (run.status, run.stdout, run.stderr) == (0, "interrupted\ndone\n", ""), run


def test_a_plugin_that_only_the_program_cannot_load_is_named(world: World) -> None:
    run = brittle(world, CORES[0], "fail = load")
    assert (run.status, run.stdout) == (0, "done\n"), run
    assert "plugin brittle cannot be loaded: ImportError: not here" in run.stderr
    assert run.lines("template.py") == {1, 2}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "ModuleNotFoundError: No module named 'gone'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "PluginError: Plugin module 'gone' didn't define a coverage_init function"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
    ],
    ids=["missing", "broken", "no-plugin", "leaving"],
)
def test_a_plugin_that_cannot_be_loaded_is_refused(
    world: World, text: str | None, why: str
) -> None:
    if text is not None:
        world.write("gone.py", text)
    world.write(".coveragerc", "[run]\nplugins = gone\n")
    world.write("main.py", "print('ran')\n")
    run = world.covsup_run("main.py")
    assert (run.status, run.stdout) == (2, ""), run
    assert run.stderr == f"covsup: the plugin gone cannot be loaded: {why}\n"


CONFIGURER = """\
class Configurer:
    def configure(self, config):
        config.set_option("run:branch", True)
        config.set_option("run:omit", [*(config.get_option("run:omit") or []), "left_out.py"])

def coverage_init(reg, options):
    reg.add_configurer(Configurer())
"""


def test_a_configurer_changes_the_settings_of_the_run(world: World) -> None:
    world.write("plugs/__init__.py", "")
    world.write("plugs/configurer.py", CONFIGURER)
    world.write(".coveragerc", "[run]\nplugins = plugs.configurer\nsource = .\nomit = plugs/*\n")
    world.write("left_out.py", "x = 1\n")
    world.write("main.py", "import left_out\nif left_out.x:\n    y = 1\n")
    run = world.covsup_run("main.py", branch=False)
    assert run.data.has_arcs(), run
    assert run.data.measured_files() == {str(world.directory / "main.py")}


def test_a_plugin_may_be_a_part_of_the_package_that_is_run(world: World) -> None:
    world.write("package/__init__.py", "from package import names\n")
    world.write("package/names.py", "NAME = 'template.py'\n")
    world.write("package/plugin.py", "from package.names import NAME\n" + BRITTLE)
    world.write("package/__main__.py", "import template\ntemplate.render()\n")
    world.write("template.py", "def render():\n    x = 1\n    y = 2\n")
    world.write(".coveragerc", "[run]\nplugins = package.plugin\n")
    run = world.covsup_run("-m", "package", branch=False)
    assert (run.status, run.stderr) == (0, ""), run
    assert run.lines("template.py") == {1}
    assert run.lines("package/__main__.py") == {1, 2}


JINJA = """\
import os
import coverage.plugin
import jinja2

class Plugin(coverage.plugin.CoveragePlugin, coverage.plugin.FileTracer):
    def file_tracer(self, filename):
        return Template(filename) if filename.endswith(".jinja") else None

    def file_reporter(self, filename):
        return Reporter(filename)

class Template(coverage.plugin.FileTracer):
    def __init__(self, filename):
        self.filename = filename

    def source_filename(self):
        return self.filename

    def line_number_range(self, frame):
        template = frame.f_globals.get("__jinja_template__")
        if template is None or frame.f_code.co_name == "<module>":
            return -1, -1
        lines = {code: line for line, code in template.debug_info}
        line = lines.get(frame.f_lineno, -1)
        return line, line

class Reporter(coverage.plugin.FileReporter):
    def lines(self):
        code = jinja2.Environment().compile(self.source(), raw=True)
        debug_info = code.rpartition("debug_info = '")[2].partition("'")[0]
        return {int(pair.partition("=")[0]) for pair in debug_info.split("&")}

def coverage_init(reg, options):
    reg.add_file_tracer(Plugin())
"""

JINJA_TEMPLATE = """\
{% macro row(item) %}
  {{ item }}
{% endmacro %}
{% for item in items %}
  {% if item %}
    {{ row(item) }}
  {% else %}
    {{ unlikely }}
  {% endif %}
{% endfor %}
"""


@pytest.mark.parametrize("core", CORES)
def test_jinja_templates_are_covered_in_gevents_greenlets(world: World, core: str) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("gevent")
    world.write("jinjas.py", JINJA)
    world.write(".coveragerc", "[run]\nplugins = jinjas\n")
    world.write("page.jinja", JINJA_TEMPLATE)
    world.write(
        "main.py",
        "from gevent import monkey, joinall, sleep, spawn\nmonkey.patch_all()\nimport jinja2\n"
        "loader = jinja2.FileSystemLoader('.')\n"
        "def slow(items):\n    for item in items:\n        sleep(0)\n        yield item\n"
        "def work(n):\n    page = jinja2.Environment(loader=loader).get_template('page.jinja')\n"
        "    return page.render(items=slow(range(1, n)))\n"
        "jobs = [spawn(work, n) for n in (3, 5)]\njoinall(jobs, raise_error=True)\n"
        "print([len(job.value.split()) for job in jobs])\n",
    )
    run = world.covsup_run("main.py", core=core)
    assert (run.status, run.stdout, run.stderr) == (0, "[2, 4]\n", ""), run
    out = world.directory / "out.json"
    done = world.run(world.python, "-m", "covsup", "json", "-q", "-o", out)
    assert done.status == 0, done
    found = json.loads(out.read_text(encoding="utf-8"))["files"]["page.jinja"]
    assert found["missing_lines"] == [8]
    assert {2, 4, 5, 6} <= set(found["executed_lines"])


def test_facts_of_claimed_code_survive_a_kill(world: World) -> None:
    world.write("brittle.py", BRITTLE)
    world.write("template.py", "import os\ndef render():\n    os.kill(os.getpid(), 9)\n")
    world.write("main.py", "import template\ntemplate.render()\n")
    world.write(".coveragerc", "[run]\nplugins = brittle\n")
    run = world.covsup_run("main.py", branch=False)
    assert run.ended is signal.SIGKILL
    assert run.lines("template.py") == {1}
