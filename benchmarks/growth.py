"""Measure how the cost of the first run of code grows with its size.

    python benchmarks/growth.py [--core=settrace] [shape ...]

Each shape is generated with n and with 4n pieces. The output has the CPU time inside the program beyond
that of a run with LINE events alone, and the ratio: 4 is linear, 16 is quadratic. (For those events,
CPython 3.12 and 3.13 themselves need quadratic time in the lines of a code object, because they search
each line from the start of its table.) The status is 1 if a ratio is above 8.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 8.0
LEAST = 0.004  # seconds: smaller costs are noise and have no ratio
ROUNDS = 3

MAIN = """\
import sys, time
with open(sys.argv[1]) as file:
    code = compile(file.read(), sys.argv[1], "exec")
if len(sys.argv) > 2:
    tool = sys.monitoring
    events = tool.events.LINE | tool.events.PY_START
    tool.use_tool_id(3, "bare")
    for event in tool.events.LINE, tool.events.PY_START:
        tool.register_callback(3, event, lambda *_: tool.DISABLE)
    tool.set_events(3, events)
before = time.process_time()
exec(code, {"__name__": "shape"})
print(time.process_time() - before)
"""


def _function(n: int, body: Callable[[int], str], *, before: str = "", after: str = "") -> str:
    lines = "".join(body(i) for i in range(n))
    return f"def f(a, b):\n{before}{lines}{after}    return a\nf(1, 0)\n"


SHAPES: dict[str, tuple[int, Callable[[int], str]]] = {
    "functions on one line": (40_000, lambda n: "".join(f"def f{i}(): pass\n" for i in range(n))),
    "decorated functions": (
        5_000,
        lambda n: "d = lambda f: f\n" + "".join(f"@d\n@d\ndef f{i}(): pass\n" for i in range(n)),
    ),
    "functions that run": (
        5_000,
        lambda n: "".join(
            f"def f{i}(a):\n    if a:\n        return 1\n\nf{i}(0)\n" for i in range(n)
        ),
    ),
    "lines": (50_000, lambda n: _function(n, lambda i: f"    c = {i}\n")),
    "branches": (10_000, lambda n: _function(n, lambda i: f"    if a == {i}:\n        b = {i}\n")),
    "loops in loops that unpack": (
        2_500,
        lambda n: _function(
            n,
            lambda _: "    for c, d in ((1, 0),):\n        while d:\n            d = 0\n",
        ),
    ),
    "handlers": (
        3_000,
        lambda n: _function(
            n,
            lambda i: f"    try:\n        b = a[{i}]\n    except TypeError:\n        b = {i}\n",
        ),
    ),
    "branches in one try": (
        5_000,
        lambda n: _function(
            n,
            lambda i: (
                f"        for c, d in ():\n            b = {i}\n        if b:\n            a = 2\n"
            ),
            before="    try:\n",
            after="    except ValueError:\n        pass\n",
        ),
    ),
    "conditions on one line": (
        5_000,
        lambda n: "def f(a, b):\n    return (" + " or ".join(["b"] * n) + ")\nf(1, 0)\n",
    ),
    "a branch over many lines": (
        10_000,
        lambda n: (
            "def f(a, b):\n    return a and {\n"
            + "".join(f"        {i}: a + b,\n" for i in range(n))
            + "    }\nf(1, 0)\n"
        ),
    ),
    "cases": (
        5_000,
        lambda n: _function(
            n,
            lambda i: f"        case [{i}, *rest]:\n            b = rest\n",
            before="    match a:\n",
        ),
    ),
    "nested blocks": (
        300,
        lambda n: _function(
            n,
            lambda _: (
                "".join(
                    f"{'    ' * (depth + 1)}for x{depth}, _ in ((1, 2),):\n" for depth in range(18)
                )
                + "    " * 19
                + "if a: b = 1\n"
            ),
        ),
    ),
    "classes in classes": (
        500,
        lambda n: "".join(
            "".join(f"{'  ' * depth}class C{i}:\n" for depth in range(15)) + "  " * 15 + "x = 1\n"
            for i in range(n)
        ),
    ),
}
"""By name: the smaller number of pieces, and the source of a module of n pieces that runs them."""


BARE = ["bare"] if hasattr(sys, "monitoring") else []


def cpu_time(directory: Path, *words: str) -> float:
    command = [sys.executable, *words]
    times = []
    for _ in range(ROUNDS):
        done = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
        times.append(float(done.stdout))
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", nargs="*", choices=[[], *SHAPES], help="default: all")
    parser.add_argument("--core", default="auto")
    options = parser.parse_args()
    measured = ["-m", "covsup", "run", "--branch", f"--core={options.core}"]
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.py").write_text(MAIN, encoding="utf-8")
        for title in options.shape or SHAPES:
            n, source = SHAPES[title]
            costs = []
            for size in n, 4 * n:
                shape = directory / "shape.py"
                shape.write_text(source(size), encoding="utf-8")
                least = cpu_time(directory, "main.py", str(shape), *BARE)
                cost = cpu_time(directory, *measured, "main.py", str(shape)) - least
                costs.append(max(cost, LEAST))
            ratio = costs[1] / costs[0] if costs[0] > LEAST else 0.0
            worst = max(worst, ratio)
            print(f"{title:28} {costs[0] * 1e3:9.1f} ms {costs[1] * 1e3:9.1f} ms {ratio:6.1f}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
