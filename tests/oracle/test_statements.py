"""Every kind of statement gets the report that coverage.py's C tracer gets."""

from __future__ import annotations

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
