"""A large page made of numbers, without a run: a thousand processes, three thousand files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.views.web.data.rows import (
    Context,
    ContextFiles,
    File,
    PageMark,
    Process,
    ProcessEnd,
    Since,
    Source,
    State,
    Totals,
    Unused,
)

if TYPE_CHECKING:
    from typing import Final

BEGIN: Final = 1_700_000_000_000
PACKAGES: Final = 40
ENDS: Final = (
    ProcessEnd(how="exited", status=0, signal=None, words="exit 0"),
    ProcessEnd(how="exited", status=1, signal=None, words="exit 1"),
    ProcessEnd(how="killed", status=None, signal="SIGKILL", words="killed by SIGKILL"),
)


class SyntheticPage:
    """What one_file() writes, of any size."""

    def __init__(self, *, processes: int = 0, files: int = 0, contexts: int = 0) -> None:
        self._processes = [_process(number) for number in range(processes)]
        self._files = [_file(number) for number in range(files)]
        self._contexts = [
            Context(
                id=number, label=f"tests/test_{number % 97}.py::test_{number}|run", lines=number
            )
            for number in range(contexts)
        ]

    def analyse_all(self) -> None:
        """Nothing is to be analysed."""

    def state(self) -> State:
        statements = sum(each["statements"] or 0 for each in self._files)
        executed = sum(each["executed"] for each in self._files)
        return State(
            version=1,
            title="synthetic",
            place="nowhere",
            live=False,
            finished=True,
            can_mark=False,
            branch=True,
            at=BEGIN + 600_000,
            revision=1,
            files=self._files,
            processes=self._processes,
            contexts=self._contexts,
            marks=[PageMark(id=0, name="a mark", at=BEGIN)],
            totals=Totals(
                statements=statements,
                executed=executed,
                branches=0,
                taken=0,
                percent=100 * executed / max(1, statements),
                files=len(self._files),
                analysed=len(self._files),
            ),
            activity=[(BEGIN + number * 1000, number % 50) for number in range(200)],
        )

    def source(self, number: int) -> Source:
        lines = 60 + number % 500
        return Source(
            id=number,
            path=self._files[number]["path"],
            lines=[[("", f"value_{line} = {line}")] for line in range(lines)],
            statements=list(range(1, lines)),
            executed=list(range(1, lines, 2)),
            excluded=[],
            missing_branches={},
            first={},
            contexts={},
            context_counts={},
            regions=[],
            digest_differs=False,
            error=None,
        )

    def unused(self) -> Unused:
        return Unused(complete=True, items=[])

    def since(self, _: int) -> Since:
        return Since(files=[])

    def context(self, number: int) -> ContextFiles:
        return ContextFiles(id=number, files=[])


def _file(number: int) -> File:
    statements = 20 + number * 37 % 600
    return File(
        id=number,
        path=f"package_{number % PACKAGES:02}/part_{number % 7}/module_{number:04}.py",
        statements=statements,
        executed=statements * (number * 13 % 101) // 100,
        branches=0,
        taken=0,
        lines=statements * (number * 13 % 101) // 100,
        moved=None,
    )


def _process(number: int) -> Process:
    """The first one starts twenty masters, which start the others."""
    parent = None if number == 0 else 0 if number <= 20 else 1 + number % 20
    started = BEGIN + number * 500
    is_measured = number % 50 != 49
    return Process(
        id=f"image-{number}",
        parent=None if parent is None else f"image-{parent}",
        how="start" if number == 0 else "fork",
        pid=1000 + number,
        command=f"python worker.py {number}",
        argv=["python", "worker.py", str(number)],
        cwd="/",
        started=started,
        ended=BEGIN + 600_000 if number <= 20 else started + 20_000,
        end=ENDS[number % 3 if number > 20 else 0],
        measured=is_measured,
        reason=None if is_measured else "started with -S",
        lines=number % 100,
        first=number % 10,
        threads=1,
        python="3.12.1",
        generation=0,
    )
