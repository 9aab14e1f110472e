"""What a combination did, and how it is told."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.shown import few, process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from covsup.datafile.provenance import Provenance


class StillRunning(NamedTuple):
    """An image that was folded as far as it had come, and whose journal is kept."""

    session: str
    image_id: str
    pid: int
    argv: tuple[str, ...]
    host: str  # "" = this one


class Outcome(NamedTuple):
    """What a combination did."""

    data_file: Path
    sessions: tuple[str, ...]  # ids
    images: int  # process images folded
    data_files: int  # data files combined
    running: tuple[StillRunning, ...]
    unreadable: tuple[str, ...]  # one sentence per journal or data file that was left where it is
    warnings: tuple[str, ...]  # what coverage.py would warn of
    kept: tuple[Path, ...]  # session directories that stay
    provenance: Provenance  # of everything that is in the data file now
    programs: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Processes, by pid and command line, that belong to a session of which no measured process runs, but these do."""
    leftovers: tuple[str, ...] = ()  # one sentence per thing that could not be deleted

    def sentences(self) -> list[str]:
        """What there is to say, a line each; nothing where all went as it should."""
        said = list(self.unreadable)
        here = [each for each in self.running if not each.host]
        elsewhere = [each for each in self.running if each.host]
        if here:
            said.append(
                f"{_processes(here)} still running: measured so far, the journal is kept;"
                " `covsup combine` picks up the rest"
            )
        if elsewhere:
            hosts = ", ".join(sorted({each.host for each in elsewhere}))
            said.append(
                f"{_processes(elsewhere)} on {hosts}, which cannot be asked whether it still"
                " runs: measured so far, the journal is kept"
            )
        if self.programs:
            named = few([process(pid, argv) for pid, argv in self.programs])
            noun = "program" if len(self.programs) == 1 else "programs"
            said.append(
                f"still running: {noun} {named} of the session: what Python is started there is"
                " measured, too; `covsup combine` picks it up"
            )
        return [*said, *self.leftovers, *self.warnings]


def _processes(running: Sequence[StillRunning]) -> str:
    shown = few([process(each.pid, each.argv) for each in running])
    return f"process {shown} is" if len(running) == 1 else f"processes {shown} are"
