"""Write a session directory of a chosen size, with real source files, and let it run if wanted.

    python benchmarks/synthetic_session.py DIRECTORY [--processes 1000] [--files 3000]
        [--lines 1000000] [--contexts 5000] [--branch] [--run --rate 20]

DIRECTORY gets the sources and `.covsup` with the session, whose path is printed. With --run, a process
maps the journal of each image that has not ended, and lines are added to these journals until the
program is interrupted, RATE a second. Views (`covsup top`, `covsup serve`) see what they see of a real
session of this size.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import random
import signal
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from written_journal import (
    ENDED,
    FORKED,
    PROCESS_SPAWNED,
    REAPED,
    SPAWNED,
    TAIL_AT,
    WrittenImage,
    arc_words,
    context_words,
    event,
    file_words,
    line_words,
    property_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FUNCTION = """\
def function_{number}(first, second=None):
    \"\"\"A function of a synthetic module.\"\"\"
    total = first
    if second:
        total += {number}
    else:
        total -= {number}
    for each in range(total):
        total += each
    return total

"""
FUNCTION_LINES = FUNCTION.count("\n")
BODY = (2, 3, 4, 7, 8, 9)  # the lines after its `def` that run
SPARE = 6  # the line after its `def` that does not run, but with `--run`
FAN_OUT = 8
MESSAGE = 1024  # bytes
ROOM = 1 << 16  # bytes of a journal for lines that are added later


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a session."""

    processes: int = 1000
    files: int = 3000
    lines: int = 1_000_000
    contexts: int = 5000
    branch: bool = False
    ended: float = 0.2  # the share of processes that have ended

    @property
    def functions(self) -> int:
        """The functions of each file. Seven lines of one run, with its `def`."""
        return max(2, self.lines // self.files // (len(BODY) + 1))


@dataclass
class Writer:
    """The journal of one image, and how to add lines to it."""

    image: WrittenImage
    path: Path
    tail: int = 0
    files: dict[str, int] = field(default_factory=dict)

    def add_line(self, path: str, line: int) -> None:
        """Add one line of a file that the journal has defined."""
        self.add_words(line_words(self.files[path], 0, [line]))

    def add_words(self, words: list[int]) -> None:
        """Add words: first they are handed out, then they are stored."""
        fd = os.open(self.path, os.O_WRONLY)
        try:
            begin, self.tail = self.tail, self.tail + 8 * len(words)
            os.pwrite(fd, struct.pack("=Q", self.tail), TAIL_AT)
            os.pwrite(fd, struct.pack(f"={len(words)}Q", *words), begin)
        finally:
            os.close(fd)


@dataclass
class SyntheticSession:
    """A session that was written."""

    path: Path
    sources: list[str]
    writers: list[Writer]  # of the images that have not ended


def source_path(directory: Path, number: int) -> Path:
    """The path of a source file."""
    return directory / "src" / f"package_{number // 50:03}" / f"module_{number:05}.py"


def spare_line(function: int) -> int:
    """The line of a function that does not run at first."""
    return 1 + function * FUNCTION_LINES + SPARE


def write_sources(shape: Shape, directory: Path) -> list[str]:
    """Write the source files, and give their paths."""
    text = "".join(FUNCTION.format(number=number) for number in range(shape.functions))
    paths = []
    for number in range(shape.files):
        path = source_path(directory, number)
        if number % 50 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
        path.write_text(text + f"NUMBER = {number}\n", encoding="utf-8")
        paths.append(str(path))
    return paths


def write_session(
    shape: Shape, directory: Path, pid_of: Callable[[int], int] = lambda number: 5_000_000 + number
) -> SyntheticSession:
    """Write a session and its sources. `pid_of` gives the pid of each image by its number."""
    from covsup.datafile.session.directory import create_session
    from covsup.datafile.session.settings import Settings

    data_file = directory / ".coverage"
    sources = write_sources(shape, directory)
    started_ns = time.time_ns() - 3600 * 10**9
    session = create_session(
        data_file,
        lambda name: Settings(
            session=name,
            branch=shape.branch,
            data_file=str(data_file),
            started_ns=started_ns,
            command=("python", "-m", "server"),
            cwd=str(directory),
            source_dirs=(str(directory / "src"),),
            boot=_boot_id(),
            host=os.uname().nodename,
        ),
    )
    images = list(_images(shape, started_ns, pid_of))
    ended = {number for number in range(1, shape.processes) if _has_ended(shape, number)}
    writers = []
    for number, image in enumerate(images):
        writer = Writer(image, session.path / image.name())
        words = _words(shape, number, sources, writer.files)
        for child in range(FAN_OUT * number + 1, min(FAN_OUT * number + 1 + FAN_OUT, len(images))):
            if images[child].start_kind == SPAWNED:
                argv = b"python\0-m\0worker\0%d" % child
                spawned = struct.pack("=I", images[child].pid) + argv
                words += event(PROCESS_SPAWNED, images[child].started_ns - 1000, spawned)
            if child in ended:
                status = 9 if child % 3 == 0 else 0
                words += event(
                    REAPED, _end_of(images[child]), struct.pack("=Ii", images[child].pid, status)
                )
        if number in ended:
            if number % 3:
                words += event(ENDED, _end_of(image), struct.pack("=Bi", 1, 0))
        else:
            writers.append(writer)
        contents = image.journal(words)
        writer.tail = len(contents)
        with writer.path.open("wb") as file:
            file.write(contents)
            file.truncate(len(contents) + ROOM)
    return SyntheticSession(session.path, sources, writers)


def _has_ended(shape: Shape, number: int) -> bool:
    return random.Random(number).random() < shape.ended


def _end_of(image: WrittenImage) -> int:
    return image.started_ns + 600 * 10**9


def _images(shape: Shape, started_ns: int, pid_of: Callable[[int], int]) -> Iterator[WrittenImage]:
    made: list[WrittenImage] = []
    for number in range(shape.processes):
        parent = made[(number - 1) // FAN_OUT] if number else None
        made.append(
            WrittenImage(
                image=random.Random(number).randbytes(16),
                pid=pid_of(number),
                started_ns=started_ns + number * 10**8,
                boottime_ns=10**12 + number * 10**8,
                branch=shape.branch,
                parent=bytes(16) if parent is None else parent.image,
                ppid=1 if parent is None else parent.pid,
                start_kind=SPAWNED if number % 4 == 0 else FORKED,
            )
        )
    yield from made


def _words(shape: Shape, number: int, sources: list[str], files: dict[str, int]) -> list[int]:
    """The words of an image: its share of all functions, and some that others execute, too."""
    chance = random.Random(number)
    words: list[int] = []
    for key, value in (
        ("boot", _boot_id().encode()),
        ("host", os.uname().nodename.encode()),
        ("argv", b"python\0-m\0worker\0%d" % number if number else b"python\0-m\0server"),
        ("executable", b"/usr/bin/python3"),
        ("cwd", b"/"),
    ):
        words += property_words(key, value)
    total = shape.files * shape.functions
    own = range(number * total // shape.processes, (number + 1) * total // shape.processes)
    contexts = list(
        range(
            number * shape.contexts // shape.processes,
            (number + 1) * shape.contexts // shape.processes,
        )
    )
    for context_id, context in enumerate(contexts, start=1):
        words += context_words(context_id, f"tests/test_{context // 40:03}.py::test_{context:05}")
    for function in (*own, *chance.sample(range(total), len(own) // 2)):
        # Neighbours are in different files, as functions that call each other are.
        path = sources[function % shape.files]
        begin = 1 + function // shape.files * FUNCTION_LINES
        if path not in files:
            files[path] = len(files)
            words += file_words(files[path], path, f"package.{Path(path).stem}")
        context_id = chance.randint(0, len(contexts))
        lines = [begin, *(begin + line for line in BODY)]
        words += line_words(files[path], context_id, lines)
        if shape.branch:
            arcs = [(begin + 3, begin + 4), (begin + 7, begin + 8), (begin + 7, begin + 9)]
            words += arc_words(files[path], context_id, arcs)
    return words


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Crowd:
    """Processes that each map a journal, and end when this one does."""

    def __init__(self, count: int) -> None:
        """Start them."""
        self.pids: list[int] = []
        self._directories, self._ready, self._ends = os.pipe(), os.pipe(), os.pipe()
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                os.close(self._ends[1])
                self._be_one()
            self.pids.append(pid)

    def _be_one(self) -> None:
        try:
            # Each message is for any of them. All have one length, so that none is divided.
            directory = os.read(self._directories[0], MESSAGE).decode().strip()
            (journal,) = Path(directory).glob(f"{os.getpid()}-*")
            with journal.open("rb") as file:
                mapping = mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ)
            os.write(self._ready[1], b"x")
            os.read(self._ends[0], 1)
            mapping.close()
        finally:
            os._exit(0)

    def map(self, session: SyntheticSession) -> None:
        """Have each of them map its journal, but for those whose images have ended."""
        running = {writer.image.pid for writer in session.writers}
        for pid in set(self.pids) - running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for _ in running:
            os.write(self._directories[1], str(session.path).encode().ljust(MESSAGE))
        for _ in running:
            os.read(self._ready[0], 1)

    def end(self) -> None:
        """End them."""
        os.close(self._ends[1])
        for pid in self.pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def run(session: SyntheticSession, shape: Shape, rate: float) -> None:
    """Add lines until SIGINT or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    chance = random.Random(0)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1 / rate)
            writer = chance.choice(session.writers)
            path = chance.choice(list(writer.files))
            writer.add_line(path, spare_line(chance.randrange(shape.functions)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    for name in ("processes", "files", "lines", "contexts"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Shape, name))
    parser.add_argument("--branch", action="store_true")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--rate", type=float, default=20.0)
    options = parser.parse_args()
    shape = Shape(
        processes=options.processes,
        files=options.files,
        lines=options.lines,
        contexts=options.contexts,
        branch=options.branch,
    )
    directory = options.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if not options.run:
        print(write_session(shape, directory).path)
        return
    crowd = Crowd(shape.processes)
    session = write_session(shape, directory, lambda number: crowd.pids[number])
    crowd.map(session)
    print(session.path, flush=True)
    run(session, shape, options.rate)
    crowd.end()


if __name__ == "__main__":
    main()
