"""Run one workload and print its cost: ``timed.py NAME DIRECTORY``.

This is the measured program, so it imports almost nothing. It prints one line of JSON: the CPU time of
this process and its children inside ``work()``, and the tool that measures it.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from time import process_time


def watcher() -> str:
    """Return the tool that measures this process, as far as the program can see it; "" if none."""
    tracer = sys.gettrace()
    if tracer is not None:
        return type(tracer).__name__
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return ""
    return str(monitoring.get_tool(monitoring.COVERAGE_ID) or "")


def main(name: str, directory: str) -> None:
    sys.path[:0] = [directory, str(Path(__file__).resolve().parent / "workloads")]
    tool = watcher()
    before = os.times()
    start = process_time()
    importlib.import_module(name).work()
    inside = process_time() - start
    after = os.times()
    inside += after.children_user + after.children_system
    inside -= before.children_user + before.children_system
    print(f'{{"seconds": {inside:.6f}, "watcher": "{tool}"}}')


if __name__ == "__main__":
    main(*sys.argv[1:])
