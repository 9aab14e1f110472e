"""Runs CPython's own tests plainly and under covsup, and prints each test whose result differs.

    python tests/transparency/cpython.py [--core monitoring --core settrace] [--jobs 2] [module ...]

Whatever the running interpreter brings as `test` is compared, module by module, with the standard
library measured too (every line that runs is then ours to leave alone).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.transparency import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

# Those about processes, threads, tracing, start and end, and what such tests are built from.
MODULES = Path(__file__).with_name("cpython_modules.txt").read_text(encoding="utf-8").split()

# Some installed Pythons have the tests of multiprocessing, but not the few lines that start them.
LAUNCHERS = {f"test_multiprocessing_{method}": method for method in ("fork", "spawn", "forkserver")}
LAUNCHER = """
import test._test_multiprocessing
import unittest

test._test_multiprocessing.install_tests_in_module_dict(globals(), "{method}")

if __name__ == "__main__":
    unittest.main()
"""


class CPython:
    """The interpreter's own tests, run by its own regrtest."""

    launchers: Path

    def prepare(self, work: Path) -> None:
        self.launchers = work / "launchers"
        self.launchers.mkdir()
        for name, method in LAUNCHERS.items():
            (self.launchers / f"{stand_in(name)}.py").write_text(
                LAUNCHER.format(method=method), encoding="utf-8"
            )

    def command(self, module: str, report: Path, match: Sequence[str]) -> compare.Command:
        arguments = ["-m", "test", f"--junit-xml={report}", "-v"]
        if module in LAUNCHERS and not exists(module):
            arguments.append(f"--testdir={self.launchers}")
            module = stand_in(module)
        for test in match:
            arguments += ["-m", test]
        return compare.Command(arguments=[*arguments, module])


def exists(module: str) -> bool:
    """Whether this Python's test package has that module."""
    return importlib.util.find_spec(f"test.{module}") is not None


def stand_in(module: str) -> str:
    """Name what starts a module's tests where it is not there; regrtest would look for that one."""
    return module.replace("test_multiprocessing", "test_processes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="test modules (default: all that matter here)")
    compare.add_options(parser)
    options = parser.parse_args()
    there_are = [
        name
        for name in dict.fromkeys(options.modules or MODULES)
        if exists(name) or (name in LAUNCHERS and exists("_test_multiprocessing"))
    ]
    return compare.main(CPython(), there_are, options)


if __name__ == "__main__":
    sys.exit(main())
