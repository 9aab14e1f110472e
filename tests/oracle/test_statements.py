"""Every kind of statement gets the report that coverage.py's C tracer gets."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORES
from tests.oracle.comparison import differences
from tests.oracle.driver import WHERE, can_run
from tests.world import FileReport, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DRIVER = WHERE.parent / "driver.py"
FILES = [path for path in sorted(WHERE.glob("*.py")) if can_run(path)]
QUIETLY = {"PYTHONDONTWRITEBYTECODE": "1"}

type_of_reports = dict[str, FileReport]


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], type_of_reports]:
    """Give the reports of all files by one measurer: a core of covsup, or `oracle`; run once."""

    @cache
    def measure(by: str, branch: bool) -> type_of_reports:
        world = World(tmp_path_factory.mktemp(f"{by}-{branch}"))
        if by == "oracle":
            run = world.run(
                *(world.python, "-m", "coverage", "run", "--data-file=.coverage"),
                *(["--branch"] if branch else []),
                DRIVER,
                environment={**QUIETLY, "COVERAGE_CORE": "ctrace"},
            )
        else:
            run = world.covsup_run(DRIVER, branch=branch, core=by, environment=QUIETLY)
        assert run.ended == 0, str(run)
        return run.report

    return measure


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("branch", [True, False], ids=["branches", "lines"])
@pytest.mark.parametrize("by", CORES)
def test_a_statement_is_reported_as_by_the_oracle(
    measured: Callable[[str, bool], type_of_reports], by: str, branch: bool, path: Path
) -> None:
    oracle, ours = measured("oracle", branch), measured(by, branch)
    assert (str(path) in oracle) == (str(path) in ours)
    if str(path) in oracle:
        assert not differences(oracle[str(path)], ours[str(path)])


NOT_LEFT = """\
def never[T](x: T): return x
def called[T](x: T): return x
called(1)
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs type parameters")
@pytest.mark.parametrize("core", CORES)
def test_a_definition_with_type_parameters_on_one_line_is_left_only_by_a_call(
    world: World, core: str
) -> None:
    # The oracle takes the code that makes the type parameters for a call.
    program = world.write("program.py", NOT_LEFT)
    report = world.covsup_run(program, core=core, branch=True).file("program.py")
    assert report.missing_branches == {(1, -1)}
    assert report.executed_branches == {(1, 2), (2, -2), (2, 3)}


RAISED_AFTER_THE_CLAUSES = """\
def raises(x):
    try:
        raise ExceptionGroup("", [ValueError()])
    except* ValueError:
        if x: raise KeyError
    return 1
for x in 0, 1:
    try: raises(x)
    except ExceptionGroup: pass
"""


@pytest.mark.parametrize("core", CORES)
def test_what_an_except_star_clause_raises_leaves_the_function(world: World, core: str) -> None:
    # From 3.14 on the oracle goes to line -1 first.
    program = world.write("program.py", RAISED_AFTER_THE_CLAUSES)
    report = world.covsup_run(program, core=core, branch=True).file("program.py")
    assert report.executed_branches >= {(5, 6), (5, -1)}
