"""Run the programs of a manifest, a few at a time, each in its directory; a target for one session.

The manifest is a JSON list of {directory, command, timeout}. Beside each program's files `.stdin`
is its standard input, `.stdout` and `.stderr` become its output, and `.ended` its exit status,
negative for a signal, or `hung`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

AT_ONCE = 3


def run(program: dict[str, Any]) -> None:
    """Run one program to its end, or to that of its time."""
    directory = Path(program["directory"])
    with (
        (directory / ".stdin").open("rb") as stdin,
        (directory / ".stdout").open("wb") as stdout,
        (directory / ".stderr").open("wb") as stderr,
    ):
        try:
            ended: object = subprocess.run(
                program["command"],
                cwd=directory,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                timeout=program["timeout"],
                start_new_session=True,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            ended = "hung"
    (directory / ".ended").write_text(str(ended))


if __name__ == "__main__":
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(run, json.loads(Path(sys.argv[1]).read_text())))
