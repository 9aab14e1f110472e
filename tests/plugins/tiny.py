"""Plugins for programs under test, and two tiny template languages for them to know.

`*.fixed` is a template that is compiled to Python under its own name, one template line to two
lines of Python; `*.walked` is walked through by `walk.py`, whose frames know where they are. Copied
into a test's world under the name that the test's settings give.
"""

from pathlib import Path

import coverage.plugin

COMPILER = """\
import os

def compiled(path):
    code = []
    with open(path) as lines:
        for line in lines:
            depth = len(line) - len(line.lstrip())
            code.append(" " * depth + "pass")
            code.append(line.rstrip() or "pass")
    return compile("\\n".join(code), path, "exec")

def render(path, **names):
    exec(compiled(path), names)
    return names
"""

WALKER = """\
class Stop(Exception):
    pass

def walk(path, until=99):
    with open(path) as lines:
        for n, line in enumerate(lines, 1):
            if n > until:
                raise Stop(line)
            yield line.strip()

def all_at_once(path, until=99):
    return [line for line in walk(path, until)]

def on_one_line(path, n=1, last=3):
    while n < last: n = n + 1
    return n

def lets_go(path, make):
    n = 1
    thing, alive = make()
    thing = None
    return alive()

def not_a_template(other):
    return other
"""


class FixedTracer(coverage.plugin.FileTracer):
    def __init__(self, filename):
        self.filename = filename

    def source_filename(self):
        return self.filename

    def line_number_range(self, frame):
        line = (frame.f_lineno + 1) // 2
        return line, line


class WalkTracer(coverage.plugin.FileTracer):
    def has_dynamic_source_filename(self):
        return True

    def dynamic_source_filename(self, _, frame):
        return frame.f_locals.get("path")

    def line_number_range(self, frame):
        n = frame.f_locals.get("n", -1)
        return (n, n + 1) if n == 5 else (n, n)


class Reporter(coverage.plugin.FileReporter):
    def lines(self):
        return {n for n, line in enumerate(self.source().splitlines(), 1) if line.strip()}


class Templates(coverage.plugin.CoveragePlugin):
    def __init__(self, options):
        self.suffixes = (options.get("suffix", ".fixed"), ".walked")

    def file_tracer(self, filename):
        if filename.endswith(self.suffixes[0]):
            return FixedTracer(filename)
        return WalkTracer() if filename.endswith("/walk.py") else None

    def file_reporter(self, filename):
        return Reporter(filename)

    def find_executable_files(self, src_dir):
        for path in Path(src_dir).rglob("*"):
            if path.name.endswith(self.suffixes):
                yield str(path)


def coverage_init(reg, options):
    reg.add_file_tracer(Templates(options))
