"""Starts the measurement of covsup's own Python files, in each process of `make coverage`.

A .pth file of the environment imports this module, before covsup.pth. The process is measured

- by covsup, if it runs a command of covsup's own (the supervisor's rooms). Two things keep covsup
  from measuring itself, and both are undone here: `bootstrap.start()` does nothing in a command of
  covsup's (`is_covsup_command()`), and the filter leaves out the files in `own_dirs`. The adapters
  stay off, because this process must not hand the session on: it starts the sessions that are
  tested. The journal needs no adapter to survive a fork or a kill.
- by coverage.py otherwise: a process that covsup measures is in a session already, and the rooms
  that switch measurement on (bootstrap, concurrency) run before covsup can record a line.

It is also a plugin of the pytest that runs the tests (PYTEST_DONT_REWRITE: it is imported already).
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

PLACE = os.path.dirname(os.path.abspath(__file__))
BOOTSTRAP = "src/covsup/bootstrap.py"
TRACER = "covsup.tracer_c._tracer"


def start() -> None:
    """Start one of the two, in the main interpreter of each process."""
    try:
        with open(os.path.join(PLACE, "measured_start.settings"), encoding="utf-8") as file:
            session, plain_tracer, rcfile = file.read().split("\n")[:3]
    except OSError:
        return
    if not is_main_interpreter():
        return  # coverage.py's extension does not work in others
    # Not by an import: that is to be measured when the process does it.
    bootstrap = load("bootstrap_unmeasured", f"{os.path.dirname(rcfile)}/../{BOOTSTRAP}")
    if bootstrap.is_covsup_command(sys.orig_argv):
        measure_by_covsup(session, plain_tracer)
    else:
        measure_by_coverage(rcfile)


def is_main_interpreter() -> bool:
    """Tell by the interpreter's number. The module that knows it has another name on 3.12."""
    interpreters: Any
    try:
        interpreters = __import__("_interpreters")
    except ImportError:
        try:
            interpreters = __import__("_xxsubinterpreters")
        except ImportError:
            return True
    current = interpreters.get_current()
    return int(current[0] if isinstance(current, tuple) else current) == 0


def load(name: str, path: str) -> Any:
    """Execute the module in a file, without an entry in sys.modules."""
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure_by_covsup(session: str, plain_tracer: str) -> None:
    """Do what bootstrap.start() does, without the adapters, with covsup's own files."""
    # The normal build: what this measurement executes in C is not what a test reached.
    tracer = load(TRACER, plain_tracer)
    import covsup.tracer_c

    sys.modules[TRACER] = tracer
    vars(covsup.tracer_c)["_tracer"] = tracer
    from covsup import bootstrap
    from covsup.concurrency import registry

    configure, install = tracer.configure, registry.install
    tracer.configure = lambda **rules: configure(**{**rules, "own_dirs": []})
    tracer.propagate_session = lambda _: None
    vars(registry)["install"] = lambda _: []
    bootstrap.measure(session)
    vars(registry)["install"] = install


def measure_by_coverage(rcfile: str) -> None:
    """Do what coverage.py's own startup file does; it is asked by a variable."""
    import coverage

    before = os.environ.get("COVERAGE_PROCESS_START")
    os.environ["COVERAGE_PROCESS_START"] = rcfile
    coverage.process_startup()
    if before is None:
        del os.environ["COVERAGE_PROCESS_START"]
    else:
        os.environ["COVERAGE_PROCESS_START"] = before


def pytest_sessionfinish() -> None:
    """Save what the tests executed in their own process: pytest-xdist may kill it at its end."""
    import coverage

    measurement = getattr(coverage.process_startup, "coverage", None)
    if measurement is not None:
        measurement.save()


start()
