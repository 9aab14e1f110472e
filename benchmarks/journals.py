"""Measure the size of journals on the disk, of processes that each run the same lines.

    python benchmarks/journals.py [--processes 10] [--lines 5000]

For each core, and for lines and branches, it prints the size of a journal's blocks, and how many of
its bytes are in use. `du` prints the same for the directory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from prepared import WIDE_FUNCTIONS, WIDE_LINES, wide_source
from tools import CORES

PARENT = """
import subprocess, sys
for _ in range(int(sys.argv[1])):
    subprocess.run([sys.executable, "-c", "import wide; wide.work()"], check=True)
"""


def journals(directory: Path, processes: int, *options: str) -> list[tuple[int, int]]:
    """Run the processes; return for each journal the bytes of its blocks and the bytes in use."""
    supervise = [sys.executable, "-m", "covsup", "run", "-p", f"--rcfile={os.devnull}", *options]
    subprocess.run(
        [*supervise, "--", sys.executable, "-c", PARENT, str(processes)],
        cwd=directory,
        check=True,
        env={**os.environ, "PYTHONPATH": str(directory)},
        stderr=subprocess.DEVNULL,
    )
    found = []
    for path in directory.glob(".covsup/*/*.journal~"):
        with path.open("rb") as file:
            (tail,) = struct.unpack_from("=Q", file.read(512), 256)
        found.append((path.stat().st_blocks * 512, tail))
    # The parent has the smallest journal, because it executes almost nothing.
    return sorted(found)[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--lines", type=int, default=5_000)
    options = parser.parse_args()
    source = wide_source(functions=options.lines * WIDE_FUNCTIONS // WIDE_LINES)
    for core in CORES:
        for kind in ("lines", "branches"):
            with tempfile.TemporaryDirectory(prefix="journals-") as place:
                directory = Path(place)
                (directory / "wide.py").write_text(source, encoding="utf-8")
                branch = ["--branch"] if kind == "branches" else []
                sizes = journals(directory, options.processes, f"--core={core}", *branch)
            if len(sizes) != options.processes:
                raise RuntimeError(f"{len(sizes)} journals were written, not {options.processes}")
            taken, used = (statistics.median(each) / 1024 for each in zip(*sizes, strict=True))
            print(f"{core:10} {kind:8} {taken:6.0f} KiB a journal, {used:6.1f} KiB in use")


if __name__ == "__main__":
    main()
