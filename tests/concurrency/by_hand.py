"""A session directory made by hand, and what the processes that ran in it left there.

The supervisor has no part in these tests: they show what a measured process does by itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from covsup.datafile.errors import JournalNotBegun
from covsup.datafile.journal.header import Core, StartKind
from covsup.datafile.journal.reader import Journal, read_journal

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence

    from covsup.datafile.journal.events import Event

FOREIGN = ("COVSUP_", "COVERAGE_", "COV_CORE_", "PYTEST_", "PYTHON", "GEVENT", "EVENTLET")

E = TypeVar("E", bound="Event")


def clean_environment() -> dict[str, str]:
    """The tests' own environment without what would change a program's behaviour."""
    return {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}


@dataclass(kw_only=True)
class Image:
    """One process image of the session: the first segment of its journal."""

    journal: Journal

    @property
    def id(self) -> str:
        return self.journal.header.image_id

    @property
    def parent(self) -> str | None:
        return self.journal.header.parent_image_id

    @property
    def pid(self) -> int:
        return self.journal.header.pid

    @property
    def kind(self) -> StartKind:
        return self.journal.header.start_kind

    @property
    def generation(self) -> int:
        return self.journal.header.generation

    @property
    def argv(self) -> list[str]:
        return self.journal.properties["argv"].decode().split("\0")

    def events(self, kind: type[E]) -> list[E]:
        """Its events of one kind, in order."""
        return [event for event in self.journal.events if isinstance(event, kind)]

    def lines(self, name: str) -> set[int]:
        """The lines that it ran in the file of that base name, whichever facts say so."""
        found: set[int] = set()
        for (file, _), lines in self.journal.lines.items():
            if Path(self.journal.files[file].path).name == name:
                found |= lines
        for (file, _), arcs in self.journal.arcs.items():
            if Path(self.journal.files[file].path).name == name:
                found |= {end for arc in arcs for end in arc if end > 0}
        return found


@dataclass(kw_only=True)
class Outcome:
    """A program's end, its output, and its images with the first one in front."""

    status: int
    """As subprocess gives it: negative for a signal."""
    stdout: str
    stderr: str
    images: list[Image]
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> Image:
        return self.images[0]

    def of_kind(self, kind: StartKind) -> list[Image]:
        return [image for image in self.images if image.kind is kind]

    def child_of(self, parent: Image, kind: StartKind) -> Image:
        """The one image that this one started so."""
        found = [each for each in self.of_kind(kind) if each.parent == parent.id]
        assert len(found) == 1, self
        return found[0]

    def lines(self, name: str = "target.py") -> set[int]:
        return set().union(*(image.lines(name) for image in self.images))


class Session:
    """A directory to run programs in, and the session directory that they write to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "session"
        self.path.mkdir(mode=0o700)
        self.configure()

    def configure(self, *, core: str = "auto", branch: bool = False, **more: str) -> None:
        pairs = {
            "format": "1",
            "session": "by-hand",
            "core": core,
            "branch": "1" if branch else "0",
            "concurrency": "auto",
            **more,
        }
        text = "".join(f"{key}={value}\n" for key, value in pairs.items())
        (self.path / "settings").write_text(text, encoding="utf-8")

    def write(self, name: str, source: str) -> Path:
        path = self.directory / name
        path.write_text(textwrap.dedent(source).lstrip("\n"), encoding="utf-8")
        return path

    def run(
        self,
        source: str,
        *,
        flags: Sequence[str] = (),
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        measured: bool = True,
        preexec: Callable[[], object] | None = None,
    ) -> Outcome:
        """Run the source as target.py, and read what all processes left. Input is empty."""
        target = self.write("target.py", source)
        env = {**clean_environment(), **(environment or {})}
        if measured:
            env.setdefault("COVSUP_SESSION", str(self.path))
        done = subprocess.run(
            [sys.executable, *flags, str(target), *arguments],
            cwd=self.directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            preexec_fn=preexec,
        )
        return self.outcome(done.returncode, done.stdout, done.stderr)

    def outcome(self, status: int = 0, stdout: str = "", stderr: str = "") -> Outcome:
        journals = []
        for path in self.path.glob("*.0.journal~"):
            with contextlib.suppress(JournalNotBegun):  # killed or running just before its start
                journals.append(read_journal(path))
        journals.sort(key=lambda each: each.header.start_realtime_ns)
        notes = [path.read_text(encoding="utf-8") for path in self.path.glob("*.note")]
        return Outcome(
            status=status,
            stdout=stdout,
            stderr=stderr,
            images=[Image(journal=journal) for journal in journals],
            notes=notes,
        )


def ended_by(number: signal.Signals) -> int:
    """The status that subprocess gives to a death by that signal."""
    return -number


__all__ = ["Core", "Image", "Outcome", "Session", "StartKind", "clean_environment", "ended_by"]
