"""What users of pytest-cov rely on: a table of runs, each with what it prints and how it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.test_pytest_plugin import run_pytest, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world import World

PACKAGE = {
    "src/pack/__init__.py": "",
    "src/pack/used.py": "def work(flag):\n    if flag:\n        return 1\n    return 2\n",
    "src/pack/other.py": "def other():  # pragma: no cover\n    return 3\nleft = 1\n",
    "tests/test_used.py": "from pack import used\ndef test_it():\n    assert used.work(1) == 1\n",
    "pytest.ini": "[pytest]\npythonpath = src\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run."""

    name: str
    words: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    ends: int = 0
    rows: Mapping[str, tuple[str, ...]] | None = None
    """Of the table that is printed; empty: no table."""
    says: tuple[str, ...] = ()
    says_not: tuple[str, ...] = ()


USED = ("4", "1", "75%")
OTHER = ("1", "1", "0%")

ROWS = [
    Row(
        name="a package by its name, with files that nothing imports",
        words=("--cov=pack",),
        rows={"src/pack/__init__.py": ("0", "0", "100%"), "src/pack/used.py": USED,
              "src/pack/other.py": OTHER, "TOTAL": ("5", "2", "60%")},
    ),
    Row(
        name="settings of the reports",
        words=("--cov=pack", "--cov-config=cover.ini"),
        files={"cover.ini": "[run]\nbranch = true\nomit = */__init__.py\n[report]\n"
                            "show_missing = true\nprecision = 1\nexclude_also = left = 1\n"},
        rows={"src/pack/used.py": ("4", "1", "2", "1", "66.7%", "4"),
              "src/pack/other.py": ("0", "0", "0", "0", "100.0%"),
              "TOTAL": ("4", "1", "2", "1", "66.7%")},
    ),
    Row(
        name="files without a missing line are left out by the settings",
        words=("--cov=tests", "--cov=pack", "--cov-branch"),
        files={".coveragerc": "[report]\nskip_covered = true\n"},
        says=("2 files skipped due to complete coverage",),
        says_not=("test_used.py ",),
    ),
    Row(
        name="a failed test, and no report on failure",
        words=("--cov=pack", "--no-cov-on-fail"),
        files={"tests/test_fails.py": "def test_it():\n    assert 0\n"},
        ends=1,
        rows={},
    ),
    Row(
        name="a failed test, and a report",
        words=("--cov=pack", "--cov-fail-under=50"),
        files={"tests/test_fails.py": "def test_it():\n    assert 0\n"},
        ends=1,
        says=("Required test coverage of 50% reached. Total coverage: 60.00%",),
    ),
    Row(
        name="a minimum of the settings that is not reached, without a report",
        words=("--cov=pack", "--cov-report="),
        files={".coveragerc": "[report]\nfail_under = 60.5\nprecision = 1\n"},
        ends=1,
        rows={},
        says=("FAIL Required test coverage of 60.5% not reached. Total coverage: 60.00%",),
    ),
    Row(
        name="tests are only collected",
        words=("--cov=pack", "--cov-fail-under=99", "--collect-only"),
        says_not=("FAIL Required", "ERROR: Coverage failure"),
    ),
    Row(
        name="no test is selected and nothing is measured",
        words=("--cov=missing_package", "-k", "nothing"),
        ends=5,
        says=("No data to report.",),
    ),
    Row(
        name="an impossible pair of reports",
        words=("--cov=pack", "--cov-report=markdown:a.md", "--cov-report=markdown-append:a.md"),
        ends=4,
        rows={},
    ),
    Row(
        name="the program changes everything around it",
        words=("--cov=pack", "-W", "error", "-p", "no:tmpdir"),
        files={"tests/test_around.py": "import os, sys\n"
               "def test_around(monkeypatch):\n"
               "    os.environ.clear()\n"
               "    os.mkdir('gone')\n"
               "    os.chdir('gone')\n"
               "    os.rmdir('../gone')\n"
               "    sys.modules.pop('pack.used')\n"},
        rows={"src/pack/__init__.py": ("0", "0", "100%"), "src/pack/used.py": USED,
              "src/pack/other.py": OTHER, "TOTAL": ("5", "2", "60%")},
    ),
    Row(
        name="workers in other processes, with contexts",
        words=("-n", "2", "--cov=pack", "--cov-context=test", "--cov-report=term:skip-covered"),
        rows={"src/pack/used.py": USED, "src/pack/other.py": OTHER, "TOTAL": ("5", "2", "60%")},
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_run_prints_and_ends_as_users_of_pytest_cov_expect(world: World, row: Row) -> None:
    for name, content in {**PACKAGE, **row.files}.items():
        world.write(name, content)
    xdist = () if "-n" in row.words else ("-p", "no:xdist")
    run = run_pytest(world, "-q", *xdist, *row.words)
    assert run.ended == row.ends, run
    assert "Traceback" not in run.stderr, run
    if row.rows is not None:
        assert table(run) == dict(row.rows), run
    for text in row.says:
        assert re.search(re.escape(text), run.stdout), run
    for text in row.says_not:
        assert text not in run.stdout, run
    if "--cov-context=test" in row.words:
        assert "tests/test_used.py::test_it|run" in run.data.measured_contexts()
