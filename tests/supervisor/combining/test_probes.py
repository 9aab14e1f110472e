"""Under --strict, interpreters that are only asked about themselves are no losses; others are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

# As tox does: it looks for an interpreter, makes an environment, and runs a program in another one.
LAUNCHER = """\
import subprocess, sys
bare, *words = sys.argv[1:]
subprocess.run([bare, *words], env={}, check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "program.py"], check=True)
"""
COOKIES = ("a" * 32, "b" * 32)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("{directory}/lib/site-packages/python_discovery/_py_info_collect.py", *COOKIES), 0),
        (("-I", "-S", "-c", "import sys; print(sys.version_info)"), 0),
        (("-m", "ensurepip", "--version"), 0),
        (("program.py",), 3),
        (("-c", "import program"), 3),
        (("lib/site-packages/python_discovery/_py_info_collect.py",), 3),
    ],
    ids=["query", "code", "ensurepip", "program", "code of the program", "another use"],
)
def test_strict_tells_probes_from_losses(
    world: World, bare_python: Path, words: tuple[str, ...], status: int
) -> None:
    world.write("launcher.py", LAUNCHER)
    world.write("program.py", "ran = 1\n")
    world.write("lib/site-packages/python_discovery/_py_info_collect.py", "print('{}')\n")
    said = [word.format(directory=world.directory) for word in words]
    run = world.covsup_run("launcher.py", str(bare_python), *said, options=["--strict"])
    assert run.ended == status, run
    assert run.lines("program.py") == {1}
    assert ("1 Python process was not measured" in run.stderr) == bool(status)
