"""Drive the journal's writer alone, in processes that do what a script says (see harness.c)."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covsup.datafile.journal.reader import Journal, read_journal, read_slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRACER_C = Path(__file__).resolve().parents[2] / "src" / "covsup" / "tracer_c"
HARNESS_C = Path(__file__).with_name("harness.c")
LIMIT_S = 50.0
"""No process of a test may take longer; pytest's own limit comes after."""

NO_WIPE = "madvise(wipeonfork)=22"
NO_POPULATE = "madvise(populate)=22"
NO_FALLOCATE = "fallocate=95"
"""Calls that an old kernel or another file system does not have (SEAM_ALWAYS): EINVAL, EOPNOTSUPP."""


def compiler() -> list[str]:
    """The C compiler that builds covsup here."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    return command if shutil.which(command[0]) else ["cc"]


def build(to: Path, *options: str) -> Path:
    """Compile the writer and the harness into one program."""
    sources = sorted((TRACER_C / "journal").glob("*.c"))
    command = [*compiler(), "-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", *options]
    command += [f"-I{TRACER_C}", *map(str, sources), str(HARNESS_C), "-pthread", "-o", str(to)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return to


@dataclass(frozen=True)
class Done:
    """What a process of the harness said and left behind."""

    status: int
    said: list[str]
    stderr: str
    directory: Path

    def journals(self) -> list[Journal]:
        return journals_in(self.directory)

    def journal(self) -> Journal:
        (journal,) = self.journals()
        return journal

    def answers(self, command: str) -> list[str]:
        """What `command` said, each time."""
        return [line.partition(" ")[2] for line in self.said if line.split(" ")[0] == command]


def journals_in(directory: Path) -> list[Journal]:
    """All journals of a directory, each without a problem, in the order of their starts."""
    journals = []
    for path in directory.glob("*.journal~"):
        journal = read_journal(path)
        slots = read_slots(path, journal.header)
        assert slots.problems == []
        journals += [journal, *slots.journals]
    assert [journal.problems for journal in journals if journal.problems] == []
    return sorted(journals, key=lambda each: (each.header.start_boottime_ns, each.header.segment))


def executed(journals: list[Journal], file_id: int, context_id: int = 0) -> set[int]:
    """The lines of one file in all journals."""
    return set().union(*(journal.lines.get((file_id, context_id), set()) for journal in journals))


@dataclass(frozen=True)
class Harness:
    """The program and the session directory it writes to."""

    program: Path
    directory: Path

    def script(self, text: str) -> str:
        """`text` with the session's directory in place of DIR."""
        lines = (line.strip() for line in text.strip().splitlines())
        return "\n".join(line.replace("DIR", str(self.directory)) for line in lines)

    def run(self, script: str, environment: Mapping[str, str] | None = None) -> Done:
        """Obey a script to its end, or to that of the process."""
        done = subprocess.run(
            [self.program, self.script(script)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        said = done.stdout.splitlines()
        return Done(done.returncode, said, done.stderr, self.directory)

    @contextmanager
    def running(
        self, script: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """A process to talk to; killed in the end."""
        with subprocess.Popen(
            [self.program, self.script(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def wait_for(process: subprocess.Popen[str], beginning: str) -> str:
    """The next line said that begins so; fails when the process ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return line.strip()
    raise AssertionError(f"the process ended without saying {beginning!r}")


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a process that waits go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
