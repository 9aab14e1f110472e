"""Every promised line and branch, and no other, on every core.

The core that this Python would choose runs each row in a session of its own; another core runs each
table in one session, which takes a third of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORES
from tests.corpus.judge import alone, reason_not_to_run, together, written
from tests.corpus.tables import TABLES
from tests.corpus.witness import read_log, rewritten
from tests.instrumented import SANITIZED
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.corpus.row import Row

EVERY_ROW = [
    pytest.param(row, id=f"{table}-{row.name}") for table, rows in TABLES.items() for row in rows
]
OPTION = "the corpus in line mode: run it with --line-mode"


def skip_what_cannot_run(row: Row) -> None:
    if reason := reason_not_to_run(row):
        pytest.skip(reason)


@pytest.mark.parametrize("row", EVERY_ROW)
@pytest.mark.parametrize("core", CORES[:1])
def test_every_promised_line_and_branch_and_no_other(
    world: World, row: Row, core: str, request: pytest.FixtureRequest
) -> None:
    skip_what_cannot_run(row)
    if gap := row.gap(core):
        request.applymarker(pytest.mark.xfail(reason=gap, strict=True))
    run, wrong = alone(world, row, core, branch=True)
    assert not wrong, "\n".join([*wrong, str(run)])


def whole_table(world: World, table: str, core: str, *, branch: bool) -> None:
    rows = [row for row in TABLES[table] if reason_not_to_run(row) is None and not row.options]
    judged = together(world, rows, core, branch=branch)
    wrong = {
        row.name: "\n".join([*found, str(run)])
        for row in rows
        for run, found in [judged[row.name]]
        if bool(found) != bool(row.gap(core))
    }
    assert not wrong, "\n\n".join(f"{name}: {found}" for name, found in wrong.items())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("core", CORES if SANITIZED else CORES[1:])
def test_a_table_in_one_session_has_every_promised_line_and_branch_and_no_other(
    world: World, table: str, core: str
) -> None:
    whole_table(world, table, core, branch=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("core", CORES)
def test_a_table_in_one_session_has_every_promised_line_without_branches(
    world: World, table: str, core: str, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--line-mode"):
        pytest.skip(OPTION)
    whole_table(world, table, core, branch=False)


@pytest.mark.slow
@pytest.mark.parametrize("row", EVERY_ROW)
def test_the_marks_of_the_rows_are_what_runs(world: World, row: Row, tmp_path: Path) -> None:
    skip_what_cannot_run(row)
    if not row.witness:
        pytest.skip("rewriting would change what this one does")
    log = tmp_path / "log"
    log.touch()
    log.chmod(0o666)
    judged, sources = row.judged(), row.sources()
    tags = {name: f"file{number}" for number, name in enumerate(judged)}
    here = written(World(tmp_path / "rewritten"), row)
    for name, tag in tags.items():
        here.write(name, rewritten(sources[name], tag=tag, log=log))
    run = here.run(*row.plain_command(here.python), stdin=row.stdin, timeout=row.timeout)
    assert run.ended == row.ends, str(run)
    if row.prints is not None:
        assert run.stdout == row.prints, str(run)
    found_by_tag = read_log(log)
    wrong = {
        name: found
        for name, expected in judged.items()
        if (found := found_by_tag[tags[name]].contradictions(sources[name], expected))
    }
    assert not wrong, f"{wrong}\n{run}"
