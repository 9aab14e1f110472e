"""Time plain Python, covsup and coverage.py in turn; print ratios of medians.

In every round each tool runs each workload once, and the order changes from round to round, so that a
slow minute of the machine affects all of them. README.md explains the numbers.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import startup
from prepared import WORKLOADS, Workload, prepare
from rich.console import Console
from rich.table import Table
from tools import PLAIN, OtherCore, Timing, Tool, measured_lines, run, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

Ratios = dict[str, dict[str, float]]
"""By workload and by tool: median CPU seconds inside, divided by plain's."""


def measure(
    workloads: Sequence[Workload], contenders: Sequence[Tool], rounds: int, directory: Path
) -> tuple[dict[str, dict[str, list[Timing]]], list[str]]:
    """Time everything; return the timings, and remarks about unfair runs and different lines."""
    remarks: list[str] = []
    timings: dict[str, dict[str, list[Timing]]] = {}
    for workload in workloads:
        taking_part = [PLAIN, *contenders]
        taken: dict[str, list[Timing]] = {tool.name: [] for tool in taking_part}
        lines: dict[str, dict[str, set[int]]] = {}
        for turn in range(rounds):
            order = taking_part[turn % len(taking_part) :] + taking_part[: turn % len(taking_part)]
            for tool in order:
                with tempfile.TemporaryDirectory(dir=directory) as scratch:
                    data = Path(scratch) / "data"
                    try:
                        taken[tool.name].append(run(tool, workload, directory, data))
                    except OtherCore as error:
                        remarks.append(f"{workload.name}: {error}")
                        taking_part.remove(tool)
                        continue
                    if turn == 0 and tool is not PLAIN:
                        lines[tool.name] = measured_lines(data)
        remarks += differences(workload, lines)
        timings[workload.name] = {name: times for name, times in taken.items() if times}
    return timings, remarks


def differences(workload: Workload, lines: dict[str, dict[str, set[int]]]) -> list[str]:
    """Describe where a tool has other lines than coverage.py's C tracer."""
    reference = lines.pop("coverage ctrace", None)
    if reference is None:
        return []
    found = []
    for name, files in lines.items():
        for file in sorted(files.keys() | reference.keys()):
            # coverage.py stores line 0 for an empty module, which does not exist.
            odd = (files.get(file, set()) ^ reference.get(file, set())) - {0}
            if odd:
                some = ", ".join(map(str, sorted(odd)[:8]))
                found.append(
                    f"{workload.name}: {name} and coverage ctrace differ in {len(odd)} lines of"
                    f" {Path(file).name}: {some}"
                )
    return found


def ratios(timings: dict[str, dict[str, list[Timing]]]) -> Ratios:
    found: Ratios = {}
    for workload, by_tool in timings.items():
        plain = statistics.median(timing.inside for timing in by_tool[PLAIN.name])
        found[workload] = {
            name: statistics.median(timing.inside for timing in times) / plain
            for name, times in by_tool.items()
        }
    return found


def table(title: str, found: Ratios, contenders: Sequence[Tool]) -> Table:
    """Make the table; the last column is covsup's default core over coverage.py's best."""
    names = [tool.name for tool in contenders]
    shown = Table("", *names, "covsup / coverage", title=title, title_justify="left")
    for column in shown.columns[1:]:
        column.justify = "right"
    titles = {workload.name: workload.title for workload in WORKLOADS}
    for workload, by_tool in found.items():
        cells = [f"{by_tool[name]:.2f}" if name in by_tool else "-" for name in names]
        versus = against_coverage(by_tool)
        cells.append("-" if versus is None else f"{versus:.2f}")
        shown.add_row(titles[workload], *cells)
    return shown


def against_coverage(by_tool: dict[str, float]) -> float | None:
    """Compare covsup's default core with coverage.py's fastest core."""
    ours = [ratio for name, ratio in by_tool.items() if name.startswith("covsup")]
    theirs = [ratio for name, ratio in by_tool.items() if name.startswith("coverage")]
    return ours[0] / min(theirs) if ours and theirs else None


def show_start(console: Console, times: dict[str, tuple[float, float]]) -> None:
    title = "start and end of a child that does nothing"
    console.print(milliseconds(title, ("wall", "CPU"), times))


def show_runs(console: Console, times: dict[str, tuple[float, float]]) -> None:
    title = "a program that does nothing: when its first line runs, when the command is over"
    console.print(milliseconds(title, ("first line", "over"), times))


def milliseconds(
    title: str, names: tuple[str, str], times: dict[str, tuple[float, float]]
) -> Table:
    """Make a table of two times of each kind, each also as its difference to plain."""
    shown = Table("", title=title, title_justify="left")
    for name in names:
        shown.add_column(f"{name} ms", justify="right")
        shown.add_column("over plain", justify="right")
    for kind, taken in times.items():
        cells = []
        for seconds, plain in zip(taken, times["plain"], strict=True):
            cells += [f"{seconds * 1e3:.2f}", f"{(seconds - plain) * 1e3:+.2f}"]
        shown.add_row(kind, *cells)
    return shown


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("workloads", nargs="*", help=f"startup, {', '.join(names)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool (default 5)")
    parser.add_argument("--starts", type=int, default=60, help="starts of each kind (default 60)")
    parser.add_argument("--mode", choices=("line", "branch", "both"), default="both")
    parser.add_argument("--pytrace", action="store_true", help="also coverage.py's slowest core")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    unknown = set(options.workloads) - {"startup", *names}
    if unknown:
        parser.error(f"unknown workload: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 130)
    wanted = set(options.workloads)
    chosen = [workload for workload in WORKLOADS if not wanted or workload.name in wanted]
    console.print(f"Python {platform.python_version()}, {platform.platform()}")
    numbers: dict[str, object] = {"python": platform.python_version()}
    remarks: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch).resolve()
        prepare(directory)
        if not wanted or "startup" in wanted:
            times = startup.measure(directory, options.starts)
            show_start(console, times)
            numbers["startup"] = times
            times = startup.measure_runs(directory, options.starts // 3)
            show_runs(console, times)
            numbers["runs"] = times
        modes = ("line", "branch") if options.mode == "both" else (options.mode,)
        for mode in modes if chosen else ():
            contenders = tools(branch=mode == "branch", slow=options.pytrace)
            timings, found = measure(chosen, contenders, options.rounds, directory)
            remarks += [f"{mode}: {remark}" for remark in found]
            numbers[mode] = ratios(timings)
            title = f"{mode} coverage: CPU time of the program, plain = 1"
            console.print(table(title, ratios(timings), contenders))
    for remark in remarks:
        console.print(remark, highlight=False)
    if options.json is not None:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
