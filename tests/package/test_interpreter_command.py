"""An interpreter's command line is read in one way, in measured processes and by the supervisor."""

from __future__ import annotations

import subprocess
import sys

import pytest

from covsup import bootstrap
from covsup.interpreter_command import parse_command_line, runs_covsup

COMMANDS = {
    "-m covsup run x.py": ("-m", "covsup"),
    "-mcovsup run": ("-m", "covsup"),
    "-P -Werror -Im covsup": ("-m", "covsup"),
    "-W error -X dev -m covsup": ("-m", "covsup"),
    "--check-hash-based-pycs never -m covsup": ("-m", "covsup"),
    "-I /venv/bin/covsup combine": ("", "/venv/bin/covsup"),
    "-- covsup": ("", "covsup"),
    "-c covsup": ("-c", "covsup"),
    "-m covsup.supervisor": ("-m", "covsup.supervisor"),
    "-m other covsup": ("-m", "other"),
    "x.py -m covsup": ("", "x.py"),
    "- covsup": ("", "-"),
    "-m": ("-m", ""),
    "-W": ("", ""),
    "": ("", ""),
}
OWN = {
    "-m covsup run x.py",
    "-mcovsup run",
    "-P -Werror -Im covsup",
    "-W error -X dev -m covsup",
    "--check-hash-based-pycs never -m covsup",
    "-I /venv/bin/covsup combine",
    "-- covsup",
}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_line_names_what_runs(words: str) -> None:
    argv = ["python", *words.split()]
    command = parse_command_line(argv)
    assert (command.kind, command.program) == COMMANDS[words]
    assert runs_covsup(argv) == (words in OWN)
    assert bootstrap.is_covsup_command(argv) == (words in OWN)


def test_reading_a_command_line_imports_nothing() -> None:
    code = (
        "import sys, covsup\n"
        "before = set(sys.modules)\n"
        "import covsup.interpreter_command, covsup.pairs\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["covsup.interpreter_command", "covsup.pairs"]
