"""Runs a module of unittest tests as its own users do, and writes each test's result to a file.

    python record.py REPORT main MODULE [test ...]        as `python -m MODULE` runs it
    python record.py REPORT unittest MODULE [test ...]    as `python -m unittest` does

One line per result: a list of the test's name and what became of it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import unittest
from pathlib import Path
from typing import Any

RESULTS = {
    "addSuccess": "passed",
    "addSkip": "skipped",
    "addExpectedFailure": "passed",
    "addUnexpectedSuccess": "failure",
    "addFailure": "failure",
    "addError": "error",
}


def record(report: Path) -> None:
    """Let every unittest result tell `report` too."""
    process = os.getpid()

    def write(test: unittest.TestCase, result: str) -> None:
        # Opened for each: some tests count descriptors. A forked child's results are its own.
        if os.getpid() == process:
            with report.open("a", encoding="utf-8") as file:
                file.write(json.dumps([test.id(), result]) + "\n")

    def telling(original: Any, result: str) -> Any:
        def add(self: unittest.TestResult, test: unittest.TestCase, *details: Any) -> None:
            original(self, test, *details)
            write(test, result)

        return add

    for name, result in RESULTS.items():
        setattr(unittest.TestResult, name, telling(getattr(unittest.TestResult, name), result))
    add_subtest = unittest.TestResult.addSubTest

    def add_subtest_too(
        self: unittest.TestResult,
        test: unittest.TestCase,
        subtest: unittest.TestCase,
        error: Any,
    ) -> None:
        add_subtest(self, test, subtest, error)
        if error is not None:
            failed = issubclass(error[0], test.failureException)
            write(test, "failure" if failed else "error")

    unittest.TestResult.addSubTest = add_subtest_too  # type: ignore[method-assign,assignment]


def main() -> None:
    """Run what the command line names."""
    report, how, module, *tests = sys.argv[1:]
    record(Path(report))
    if how == "unittest":
        unittest.main(module=None, argv=["unittest", "-v", *(tests or [module])])
    else:
        sys.argv[1:] = ["-v", *(test.removeprefix("__main__.") for test in tests)]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
