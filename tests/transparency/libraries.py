"""Runs the tests of greenlet, gevent and eventlet plainly and under covsup, and compares results.

    python tests/transparency/libraries.py [--core ...] [--jobs 2] [greenlet|gevent|eventlet|module ...]

greenlet and gevent install their tests; for eventlet, `--eventlet` names an unpacked sdist. The
library and the standard library are measured both.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pkgutil
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.transparency import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_LIBRARY = str(Path(os.__file__).parent)


class Libraries:
    """The tests of all three; a module's name says whose it is."""

    recorder: Path

    def __init__(self, eventlet: Path | None) -> None:
        self.eventlet = eventlet

    def prepare(self, work: Path) -> None:
        # Alone in its directory: that becomes sys.path[0].
        self.recorder = work / "record" / "record.py"
        self.recorder.parent.mkdir()
        shutil.copy(Path(__file__).with_name("record.py"), self.recorder)

    def modules(self, library: str) -> list[str]:
        """The test modules of a library."""
        if library == "eventlet":
            tests = sorted((self.eventlet / "tests").glob("*.py")) if self.eventlet else []
            names = [
                f"tests.{path.stem}"
                for path in tests
                if "test_" in path.name or "_test" in path.name
            ]
        else:
            package = importlib.util.find_spec(f"{library}.tests")
            places = package.submodule_search_locations if package is not None else None
            names = [
                f"{library}.tests.{module.name}"
                for module in pkgutil.iter_modules(places or [])
                if module.name.startswith("test_")
            ]
        return names

    def command(self, module: str, report: Path, match: Sequence[str]) -> compare.Command:
        library, _, name = module.partition(".")
        record = [str(self.recorder), str(report)]
        if library == "greenlet":
            return compare.Command(
                arguments=[*record, "unittest", module, *match], sources=sources(library)
            )
        if library == "gevent":
            return compare.Command(
                arguments=[*record, "main", module, *match],
                sources=sources(library),
                environment={"GEVENTTEST_USE_RESOURCES": "-network"},
            )
        arguments = ["-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junit-xml={report}"]
        if match:
            arguments += ["-k", match[0].rpartition(".")[2].partition("[")[0]]
        return compare.Command(
            arguments=[*arguments, f"tests/{name}.py"],
            cwd=self.eventlet,
            environment={"PYTHONPATH": str(self.eventlet)},
            sources=[*sources("eventlet"), str(self.eventlet)],
        )


def sources(library: str) -> list[str]:
    """What is measured."""
    found = importlib.util.find_spec(library)
    places = found.submodule_search_locations if found is not None else None
    return [*(places or []), STANDARD_LIBRARY]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["greenlet", "gevent", "eventlet"])
    parser.add_argument("--eventlet", type=Path, help="directory of eventlet's sdist")
    compare.add_options(parser)
    options = parser.parse_args()
    suite = Libraries(options.eventlet and options.eventlet.resolve())
    modules: list[str] = []
    for name in options.names:
        modules += [name] if "." in name else suite.modules(name)
    return compare.main(suite, modules, options)


if __name__ == "__main__":
    sys.exit(main())
