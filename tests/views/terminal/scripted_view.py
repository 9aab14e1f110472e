"""A view whose contents a test sets, and the application that shows it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.datafile.fold.result import Lost, Result
from covsup.datafile.fold.sets import line_set_of
from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.model import (
    End,
    Ending,
    KnownFrom,
    ProcessRecord,
    Provenance,
    Unmeasured,
)
from covsup.datafile.session.marks import Mark, MarkedFacts
from covsup.datafile.session.settings import Settings
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees
from covsup.views.model.history import History
from covsup.views.model.view import Change
from covsup.views.sources.source_library import SourceLibrary
from covsup.views.terminal.app import TopApp
from covsup.views.terminal.palette import FULL
from covsup.views.terminal.pictures import Describing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from textual.pilot import Pilot

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.views.terminal.palette import Palette

PATIENCE = 20.0


class ScriptedView:
    """A View that a test fills."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.is_live = True
        self.history = History()
        self.settings = Settings(
            session="20260101-000000-00000000",
            command=("server.py", "8000"),
            started_ns=time.time_ns() - 5 * 10**9,
            supervisor_pid=1,
        )
        self.processes: list[ProcessRecord] = []
        self.unmeasured: list[Unmeasured] = []
        self.marks: dict[Mark, MarkedFacts] = {}
        self.fails: Exception | None = None
        self.refreshes = 0
        self._contexts: dict[str, dict[str, LineSet]] = {}
        self._first: dict[str, dict[tuple[int, str], LineSet]] = {}
        self._moved: dict[str, int] = {}
        self._new: dict[str, LineSet] = {}
        self._by: dict[str, int] = {}
        self._processes_changed = False

    # What a test does.

    def start(self, pid: int, *argv: str, parent: str | None = None) -> str:
        """A measured process has started. Gives its image id."""
        image_id = f"{pid:032x}"
        self.processes.append(
            ProcessRecord(
                image_id=image_id,
                session=self.settings.session,
                pid=pid,
                ppid=1,
                parent=parent,
                parent_known_from=KnownFrom.NOBODY,
                started=StartKind.FORKED if parent else StartKind.SPAWNED,
                generation=0,
                started_ns=time.time_ns() - 10**9,
                argv=argv,
                executable=argv[0],
                cwd="/srv",
                host="",
                python="3.12.1",
                core="monitoring",
                branch=False,
                ending=Ending(End.RUNNING),
                lines=0,
                unique_lines=0,
                threads=1,
                libraries=(),
                tracers=(),
                notes=(),
                lost=Lost(),
                forks_lost=Lost(),
            )
        )
        self._processes_changed = True
        return image_id

    def end(self, image_id: str, ending: Ending) -> None:
        """A process has ended."""
        self.processes = [
            each._replace(ending=ending, ended_ns=time.time_ns())
            if each.image_id == image_id
            else each
            for each in self.processes
        ]
        self._processes_changed = True

    def not_measured(self, pid: int, reason: str, *argv: str) -> None:
        """A Python runs that is not measured."""
        self.unmeasured.append(
            Unmeasured(self.settings.session, pid, argv, reason, at_ns=time.time_ns())
        )
        self._processes_changed = True

    def run(self, path: str, lines: Iterable[int], *, by: str = "", context: str = "") -> None:
        """Lines have run."""
        bits = line_set_of(list(lines))
        of_path = self._contexts.setdefault(path, {})
        new = bits & ~self.lines(path)
        of_path[context] = of_path.get(context, 0) | bits
        if new:
            self._new[path] = self._new.get(path, 0) | new
            owners = self._first.setdefault(path, {})
            owners[1, by] = owners.get((1, by), 0) | new
            self._by[by] = self._by.get(by, 0) + new.bit_count()
        else:
            self._new.setdefault(path, 0)

    def mark(self, name: str) -> None:
        """A mark is set now."""
        mark = Mark(self.settings.session, name, time.time_ns())
        self.marks[mark] = MarkedFacts({path: self.lines(path) for path in self.paths()}, {})

    # What the application uses.

    @property
    def result(self) -> Result:
        return Result(
            lines={
                (path, label): bits
                for path, contexts in self._contexts.items()
                for label, bits in contexts.items()
            },
            first=self._first,
            sessions={self.settings.session: self.settings},
            marks=self.marks,
        )

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            sessions=(self.settings,),
            processes=tuple(self.processes),
            observed=(),
            unmeasured=tuple(self.unmeasured),
            notes=(),
            problems=(),
            files=(),
        )

    @property
    def first_counts(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for owners in self._first.values():
            for (_, image_id), bits in owners.items():
                counts[image_id] = counts.get(image_id, 0) + bits.bit_count()
        return counts

    def refresh(self) -> Change:
        if self.fails is not None:
            raise self.fails
        at_ns = time.time_ns()
        new, self._new = self._new, {}
        by, self._by = self._by, {}
        if self.refreshes:
            self.history.add(at_ns, by)
            self._moved.update({path: at_ns for path, bits in new.items() if bits})
        self.refreshes += 1
        change = Change(
            at_ns=at_ns,
            lines={path: bits for path, bits in new.items() if bits},
            by_image=by,
            files=frozenset(new),
            contexts=frozenset(),
            processes=self._processes_changed,
            marks=bool(self.marks),
        )
        self._processes_changed = False
        return change

    def paths(self) -> Collection[str]:
        return self._contexts.keys()

    def lines(self, path: str) -> LineSet:
        united = 0
        for bits in self._contexts.get(path, {}).values():
            united |= bits
        return united

    def arcs(self, path: str) -> ArcSet | None:  # noqa: ARG002 - it is a line measurement
        return None

    def contexts_of(self, path: str) -> Mapping[str, LineSet]:
        return self._contexts.get(path, {})

    def moved_ns(self, path: str) -> int:
        return self._moved.get(path, 0)


class Unreadable(CovsupError):
    """The place cannot be read."""


class Screen:
    """The application in a terminal that is not real."""

    def __init__(self, app: TopApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(self.rows)

    @property
    def rows(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*("space" if each == " " else each for each in text))

    async def until(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        await self.until_true(lambda: all(text in self.text for text in texts), repr(texts))

    async def until_gone(self, text: str) -> None:
        """Wait until this is not on the screen any more."""
        await self.until_true(lambda: text not in self.text, f"{text!r} has gone")

    async def until_true(self, condition: object, what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < until, f"waited in vain until {what} in\n{self.text}"
            await asyncio.sleep(0.02)
            await self.pilot.pause()

    def style_of(self, text: str) -> str:
        """The style of the cells with this text."""
        for strip in self.app.screen._compositor.render_strips():
            for segment in strip:
                if text in segment.text:
                    return str(segment.style)
        raise AssertionError(f"no {text!r} in\n{self.text}")


def shown(
    view: ScriptedView,
    script: object,
    *,
    size: tuple[int, int] = (80, 24),
    palette: Palette = FULL,
) -> None:
    """Show a view, and run `script(screen)` meanwhile."""

    async def run() -> None:
        describing = Describing(process_trees, _command, lambda _, name: view.mark(name))
        with SourceLibrary(False) as library:
            app = TopApp(view, library, describing, palette)
            async with app.run_test(size=size) as pilot:
                # It ends the application, where a signal of pytest's timeout would leave it waiting.
                async with asyncio.timeout(2 * PATIENCE):
                    await script(Screen(app, pilot))  # type: ignore[operator]
            if app.failure is not None:
                raise app.failure

    asyncio.run(run())


def _command(argv: Sequence[str], room: int) -> str:
    return short_command(without_directory(argv), room)
