"""Measure the resident memory of a measured line, on every core, for lines and branches (Linux).

    python benchmarks/memory.py

A program of 60,000 lines in 1,800 functions runs each line once and reads its resident memory. So does
a program that runs almost nothing. The result is the difference of the two, measured minus plain,
divided by the lines: the memory in code objects, in our tables, and in the pages of the journal.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from prepared import WIDE_LINES, wide_source
from tools import CORES

PROGRAM = """
import sys
if len(sys.argv) > 1:
    import wide
    wide.work()
for line in open("/proc/self/smaps_rollup"):
    if line.startswith("Rss"):
        print(line.split()[1])
"""
COVERAGE_CORES = ("ctrace", "sysmon") if sys.version_info >= (3, 14) else ("ctrace",)
ROUNDS = 5


def resident(command: list[str], directory: Path) -> float:
    """Return the median of the KiB that the program prints."""
    printed = [
        subprocess.run(
            [sys.executable, *command],
            cwd=directory,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout
        for _ in range(ROUNDS)
    ]
    return statistics.median(map(int, printed))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="memory-") as place:
        directory = Path(place)
        (directory / "program.py").write_text(PROGRAM, encoding="utf-8")
        (directory / "wide.py").write_text(wide_source(), encoding="utf-8")
        compileall.compile_file(directory / "wide.py", quiet=2)

        def taken(tool: list[str]) -> float:
            wide = resident([*tool, "program.py", "wide"], directory)
            return wide - resident([*tool, "program.py"], directory)

        plain = taken([])
        print(f"plain: {plain * 1024 / WIDE_LINES:.0f} bytes a line")
        for kind, branch in (("lines", []), ("branches", ["--branch"])):
            tools = [
                (f"covsup {core}", ["-m", "covsup", "run", "-p", f"--core={core}"])
                for core in CORES
            ]
            for core in COVERAGE_CORES:
                settings = directory / f"{core}.rc"
                settings.write_text(f"[run]\ncore = {core}\n", encoding="utf-8")
                run = ["-m", "coverage", "run", f"--rcfile={settings}"]
                tools.append((f"coverage {core}", run))
            for name, tool in tools:
                more = (taken([*tool, *branch]) - plain) * 1024 / WIDE_LINES
                print(f"{name + ',':20} {kind:8} {more:6.0f} bytes a line more")


if __name__ == "__main__":
    if not os.path.exists("/proc/self/smaps_rollup"):  # noqa: PTH110
        sys.exit("memory.py needs /proc/self/smaps_rollup, which Linux has")
    main()
