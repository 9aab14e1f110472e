"""Time `covsup combine` and `coverage combine` on the data of the same processes.

    python benchmarks/combine.py --processes 1000 [--branch] [--rounds 5]

Every process executes mostly the same lines, and some lines that only few others execute. covsup gets
a journal of each process, coverage.py a parallel data file of each. The tools take turns, each on a
fresh copy. CPU time and peak memory are those of the tool's own process, as the kernel counts them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from written_journal import (
    ENDED,
    WrittenImage,
    arc_words,
    context_words,
    event,
    file_words,
    line_words,
    property_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_OF_FUNCTION = 10
Facts = dict[str, tuple[list[int], list[tuple[int, int]]]]


@dataclass(frozen=True)
class Shape:
    """The size of the data."""

    processes: int
    modules: int
    lines: int  # executed by a process in each module, about
    branch: bool
    contexts: int

    def facts(self) -> Iterator[dict[str, Facts]]:
        """Yield the lines and arcs of each process, by context and path; always the same ones."""
        for number in range(self.processes):
            chance = random.Random(number)
            yield {
                f"test_{number}_{context}" if self.contexts else "": {
                    f"/src/package/module_{module:02}.py": self._of_module(chance, module)
                    for module in range(self.modules)
                }
                for context in range(self.contexts or 1)
            }

    def _of_module(
        self, chance: random.Random, module: int
    ) -> tuple[list[int], list[tuple[int, int]]]:
        functions = 3 * self.lines // LINES_OF_FUNCTION
        everybody = range(functions // 5)  # the lines of an import, and functions that all call
        own = chance.sample(range(functions), functions // 6)
        lines: list[int] = []
        arcs: list[tuple[int, int]] = []
        for function in {*everybody, *own}:
            begin = 1 + (function * 37 + module) % functions * LINES_OF_FUNCTION
            lines += range(begin, begin + LINES_OF_FUNCTION)
            arcs += [(begin + 2, begin + 3), (begin + 7, -begin)]
        return lines, arcs if self.branch else []


def make_journals(shape: Shape, directory: Path) -> None:
    """Create a session in `directory` with a journal of each process."""
    from covsup.datafile.session.directory import create_session
    from covsup.datafile.session.settings import Settings

    data_file = directory / ".coverage"
    session = create_session(
        data_file,
        lambda name: Settings(
            session=name, branch=shape.branch, data_file=str(data_file), started_ns=10**18
        ),
    )
    for number, by_context in enumerate(shape.facts()):
        image = WrittenImage(
            image=random.Random(number).randbytes(16),
            pid=5_000_000 + number,
            started_ns=10**18 + number * 10**6,
            boottime_ns=10**15 + number * 10**6,
            branch=shape.branch,
        )
        path = session.path / image.name()
        path.write_bytes(image.journal(journal_words(number, by_context)))


def journal_words(number: int, by_context: dict[str, Facts]) -> list[int]:
    words: list[int] = []
    files: dict[str, int] = {}
    for key, value in (
        ("argv", b"python\0-m\0worker\0%d" % number),
        ("executable", b"/usr/bin/python3"),
        ("cwd", b"/src"),
        ("host", os.uname().nodename.encode()),
    ):
        words += property_words(key, value)
    for context, (label, facts) in enumerate(
        by_context.items(), start=1 if "" not in by_context else 0
    ):
        if label:
            words += context_words(context, label)
        for path, (lines, arcs) in facts.items():
            if path not in files:
                files[path] = len(files)
                words += file_words(files[path], path, f"package.{Path(path).stem}")
            words += line_words(files[path], context, lines)
            words += arc_words(files[path], context, arcs)
    return words + event(ENDED, 10**18 + number * 10**6 + 10**9, struct.pack("=Bi", 1, 0))


def make_data_files(shape: Shape, directory: Path) -> None:
    """Create the data files that coverage.py would write for the same processes."""
    from coverage import CoverageData
    from coverage.numbits import nums_to_numbits

    empty = directory / "empty"
    data = CoverageData(str(empty))
    paths = next(shape.facts())
    names = list(next(iter(paths.values())))
    if shape.branch:
        data.add_arcs({name: [(1, 2)] for name in names})
    else:
        data.add_lines({name: [1] for name in names})
    data.write()
    data.close(force=True)
    with sqlite3.connect(empty) as db:
        db.execute("DELETE FROM line_bits")
        db.execute("DELETE FROM arc")
        db.execute("DELETE FROM context")
        ids = dict(db.execute("SELECT path, id FROM file"))
    db.close()
    for number, by_context in enumerate(shape.facts()):
        path = directory / f".coverage.host.pid{number}.X{number:x}x"
        shutil.copyfile(empty, path)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = off")
        db.execute("PRAGMA synchronous = off")
        db.execute("BEGIN")
        for context, (label, facts) in enumerate(by_context.items(), start=1):
            db.execute("INSERT INTO context (id, context) VALUES (?, ?)", (context, label))
            if shape.branch:
                db.executemany(
                    "INSERT INTO arc VALUES (?, ?, ?, ?)",
                    (
                        (ids[name], context, begin, end)
                        for name, (lines, arcs) in facts.items()
                        for begin, end in {*arcs, *((line, line) for line in lines)}
                    ),
                )
            else:
                db.executemany(
                    "INSERT INTO line_bits VALUES (?, ?, ?)",
                    (
                        (ids[name], context, nums_to_numbits(lines))
                        for name, (lines, _) in facts.items()
                    ),
                )
        db.execute("COMMIT")
        db.close()
    empty.unlink()


def in_a_child(task: object) -> None:
    """Run in a process of its own, because children inherit the peak memory of this one."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            task()  # type: ignore[operator]
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the data could not be created")


def combine(module: str, original: Path, work: Path) -> tuple[float, float, float]:
    """Combine a fresh copy; return CPU seconds, wall seconds and the peak memory in MiB."""
    subprocess.run(["cp", "-a", f"{original}/.", work], check=True)
    # Both tools need compiled modules. coverage.py's were compiled at its installation.
    excluded = ("COVSUP_", "PYTHONDONTWRITEBYTECODE")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(excluded)
    }
    arguments = ["combine", f"--rcfile={os.devnull}"]
    command = [sys.executable, "-m", module, *arguments, "-q"]
    begin = os.times().elapsed
    with subprocess.Popen(command, cwd=work, env=environment) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} ended with status {child.returncode}")
    wall = os.times().elapsed - begin
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def contents(data_file: Path) -> dict[str, object]:
    """Return the executed lines or arcs, by file."""
    from coverage import CoverageData

    data = CoverageData(str(data_file))
    data.read()
    return {
        path: sorted(data.arcs(path) or ()) if data.has_arcs() else sorted(data.lines(path) or ())
        for path in data.measured_files()
    }


def compare(*data_files: Path) -> None:
    one, *others = (contents(each) for each in data_files)
    if any(other != one for other in others):
        raise RuntimeError("the tools do not agree on what was executed")


def main() -> None:
    parser = argparse.ArgumentParser(description="covsup combine against coverage combine")
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--modules", type=int, default=40)
    parser.add_argument("--lines", type=int, default=120, help="per module and process, about")
    parser.add_argument("--contexts", type=int, default=0, help="test contexts of a process")
    parser.add_argument("--branch", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("covsup", "coverage"))
    options = parser.parse_args()
    shape = Shape(
        options.processes, options.modules, options.lines, options.branch, options.contexts
    )
    makers = {"covsup": make_journals, "coverage": make_data_files}
    tools = [name for name in makers if options.only in (None, name)]
    with tempfile.TemporaryDirectory(prefix="combine-") as place:
        top = Path(place)
        for tool in tools:
            (top / tool).mkdir()
            in_a_child(lambda tool=tool: makers[tool](shape, top / tool))
        taken: dict[str, list[tuple[float, float, float]]] = {tool: [] for tool in tools}
        for turn in range(options.rounds):
            for tool in tools if turn % 2 else tools[::-1]:
                work = top / f"work-{tool}"
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                taken[tool].append(combine(tool, top / tool, work))
        in_a_child(lambda: compare(*(top / f"work-{tool}" / ".coverage" for tool in tools)))
    print(f"{shape.processes} processes, {options}")
    medians = {}
    for tool, rounds in taken.items():
        cpu, wall, memory = (statistics.median(each) for each in zip(*rounds, strict=True))
        medians[tool] = cpu
        each = 1e6 * cpu / shape.processes
        print(f"{tool:9} {cpu:8.2f} s CPU {wall:8.2f} s {memory:7.0f} MiB {each:8.0f} µs a process")
    if len(medians) == 2:
        print(f"coverage / covsup: {medians['coverage'] / medians['covsup']:.1f}")


if __name__ == "__main__":
    main()
