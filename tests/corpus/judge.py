"""Run rows of the corpus under covsup, alone or many in one session, and say what is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.instrumented import NO_LIMIT, SANITIZED
from tests.world import Run, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.corpus.row import Row

BATCH = Path(__file__).with_name("batch.py")


def reason_not_to_run(row: Row) -> str | None:
    """Say why this Python on this machine cannot run the row, if so."""
    if not row.python <= sys.version_info[:2] < row.until:
        return f"needs Python from {row.python} and below {row.until}"
    if row.linux and not sys.platform.startswith("linux"):
        return "needs Linux"
    if row.root and os.getuid() != 0:
        return "needs root"
    for module in row.needs:
        if importlib.util.find_spec(module) is None:
            return f"this Python has no {module}"
    if SANITIZED and any("RLIMIT_AS" in text for text in row.sources().values()):
        return NO_LIMIT
    return None


def written(world: World, row: Row) -> World:
    """Put the row's files into the world."""
    for name, text in row.sources().items():
        world.write(name, text, mode=0o755 if text.startswith("#!") else None)
    return world


def wrongs(run: Run, row: Row, *, branch: bool) -> list[str]:
    """Say what of the run is not as the row promises."""
    found = []
    if run.ended != row.ends:
        found.append(f"ended with {run.ended!r} and not with {row.ends!r}")
    if row.prints is not None and run.stdout != row.prints:
        found.append(f"printed {run.stdout!r} and not {row.prints!r}")
    if row.same_as_plain:
        found += unlike_plain(run, row)
    for name, expected in row.judged().items():
        found += [
            f"{name}: {wrong}" for wrong in expected.differences(run.file(name), branch=branch)
        ]
    return found


def unlike_plain(run: Run, row: Row) -> list[str]:
    """Run the row without covsup, and say what it then does otherwise."""
    plainly = written(World(run.directory.parent / f"{run.directory.name}-plainly"), row)
    plain = plainly.run(*row.plain_command(plainly.python), stdin=row.stdin, timeout=row.timeout)
    found = []
    for name in ("stdout", "stderr", "ended"):
        ours, theirs = (
            str(getattr(one, name)).replace(str(one.directory), "") for one in (run, plain)
        )
        if ours != theirs:
            found.append(f"{name} differs: plainly it is\n{theirs}")
    return found


def alone(world: World, row: Row, core: str, *, branch: bool) -> tuple[Run, list[str]]:
    """Run the row in a session of its own."""
    here = written(World(world.directory / "measured"), row)
    run = here.covsup_run(
        *row.command,
        options=row.options,
        core=core,
        branch=branch,
        stdin=row.stdin,
        timeout=row.timeout,
    )
    return run, wrongs(run, row, branch=branch)


def together(
    world: World, rows: Sequence[Row], core: str, *, branch: bool
) -> dict[str, tuple[Run, list[str]]]:
    """Run rows in one session, by their names."""
    programs = []
    for row in rows:
        here = written(World(world.directory / row.name), row)
        here.write(".stdin", row.stdin)
        command = row.plain_command(world.python)
        programs.append(
            {"directory": str(here.directory), "command": command, "timeout": row.timeout}
        )
    manifest = world.write("manifest.json", json.dumps(programs))
    session = world.covsup_run(BATCH, manifest, core=core, branch=branch, timeout=280)
    assert session.ended == 0, str(session)
    return {
        row.name: (run, wrongs(run, row, branch=branch))
        for row in rows
        for run in [part_of(session, row)]
    }


def part_of(session: Run, row: Row) -> Run:
    """Give one program of a session as if it had run alone."""
    directory = session.directory / row.name
    ended = (directory / ".ended").read_text()
    code = -signal.SIGKILL if ended == "hung" else int(ended)
    run = Run(
        command=row.plain_command("python"),
        directory=directory,
        data_file=session.data_file,
        status=code if code >= 0 else None,
        signal=signal.Signals(-code) if code < 0 else None,
        stdout=(directory / ".stdout").read_text(errors="replace"),
        stderr=(directory / ".stderr").read_text(errors="replace"),
        left=("hung, and was killed",) if ended == "hung" else (),
    )
    run.report = session.report  # one data file for all: it is read and analysed once
    run.data = session.data
    return run
