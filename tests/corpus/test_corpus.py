"""Every promised line and branch, and no other, on every core."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from tests.corpus.tables import TABLES
from tests.corpus.witness import read_log, rewritten
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.corpus.row import Row

EVERY_ROW = [
    pytest.param(row, id=f"{table}-{row.name}") for table, rows in TABLES.items() for row in rows
]


def skip_what_cannot_run(row: Row) -> None:
    if not row.python <= sys.version_info[:2] < row.until:
        pytest.skip(f"needs Python from {row.python} and below {row.until}")
    if row.linux and not sys.platform.startswith("linux"):
        pytest.skip("needs Linux")
    for module in row.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"this Python has no {module}")


def expect_known_gaps(request: pytest.FixtureRequest, row: Row, core: str) -> None:
    """Expect a failure, strictly, where the row tells of a gap."""
    for known in (core, "*"):
        if known in row.gaps:
            request.applymarker(pytest.mark.xfail(reason=row.gaps[known], strict=True))


def written(world: World, row: Row) -> World:
    for name, text in row.sources().items():
        world.write(name, text, mode=0o755 if text.startswith("#!") else None)
    return world


def measured_as_promised(world: World, row: Row, core: str, *, branch: bool) -> None:
    skip_what_cannot_run(row)
    here = written(World(world.directory / "measured"), row)
    run = here.covsup_run(
        *row.command,
        options=row.options,
        core=core,
        branch=branch,
        stdin=row.stdin,
        timeout=row.timeout,
    )
    assert run.ended == row.ends, str(run)
    if row.prints is not None:
        assert run.stdout == row.prints, str(run)
    if row.same_as_plain:
        plainly = written(World(world.directory / "plainly"), row)
        plain = plainly.run(
            *row.plain_command(plainly.python), stdin=row.stdin, timeout=row.timeout
        )
        ours, theirs = str(here.directory), str(plainly.directory)
        assert run.stdout.replace(ours, "") == plain.stdout.replace(theirs, ""), str(run)
        assert run.stderr.replace(ours, "") == plain.stderr.replace(theirs, ""), str(run)
        assert run.ended == plain.ended
    wrong = {
        name: found
        for name, expected in row.judged().items()
        if (found := expected.differences(run.file(name), branch=branch))
    }
    assert not wrong, f"{wrong}\n{run}"


@pytest.mark.parametrize("row", EVERY_ROW)
def test_every_promised_line_and_branch_and_no_other(
    world: World, row: Row, core: str, request: pytest.FixtureRequest
) -> None:
    expect_known_gaps(request, row, core)
    measured_as_promised(world, row, core, branch=True)


@pytest.mark.parametrize("row", EVERY_ROW)
def test_every_promised_line_and_no_other_without_branches(
    world: World, row: Row, core: str, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--line-mode"):
        pytest.skip("the corpus in line mode: run it with --line-mode")
    expect_known_gaps(request, row, core)
    measured_as_promised(world, row, core, branch=False)


@pytest.mark.slow
@pytest.mark.parametrize("row", EVERY_ROW)
def test_the_marks_of_the_rows_are_what_runs(world: World, row: Row, tmp_path: Path) -> None:
    skip_what_cannot_run(row)
    if not row.witness:
        pytest.skip("rewriting would change what this one does")
    log = tmp_path / "told"
    log.touch()
    log.chmod(0o666)
    here = World(tmp_path / "told_by")
    judged, sources = row.judged(), row.sources()
    tags = {name: f"file{number}" for number, name in enumerate(judged)}
    for name, text in sources.items():
        telling = rewritten(text, tag=tags[name], log=log) if name in tags else text
        here.write(name, telling, mode=0o755 if text.startswith("#!") else None)
    run = here.run(*row.plain_command(here.python), stdin=row.stdin, timeout=row.timeout)
    assert run.ended == row.ends, str(run)
    if row.prints is not None:
        assert run.stdout == row.prints, str(run)
    told = read_log(log)
    wrong = {
        name: found
        for name, expected in judged.items()
        if (found := told[tags[name]].contradictions(sources[name], expected))
    }
    assert not wrong, f"{wrong}\n{run}"
