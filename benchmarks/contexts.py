"""Time programs under covsup with and without contexts.

There are three programs: a suite of 5,000 tests, each a context, that call a library of small
functions; 10,000 requests, each a context, of which a hundred at a time interleave over greenlets;
and one hot loop in a context, the worst case. Every round runs each program plain, under covsup
without contexts, and under covsup with contexts. The output has the medians of the CPU time inside
the program, and their ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import sys, time
from covsup import embed
import library
which, contexts = sys.argv[1], sys.argv[2] == "contexts"

def tests(count):
    for number in range(count):
        for phase in "setup", "run", "teardown":
            if contexts:
                embed.switch_context(f"tests/test_{number % 100}.py::test_{number}|{phase}")
            if phase == "run":
                library.test(number)
            else:
                library.fixture(number)

def requests(count):
    import greenlet
    def request(number):
        with embed.context(f"GET /items/{number}") if contexts else library.nothing:
            for step in range(5):
                library.handle(number + step)
                main.switch()
    main = greenlet.getcurrent()
    for start in range(0, count, 100):
        flows = [greenlet.greenlet(request) for number in range(100)]
        for number, flow in enumerate(flows):
            flow.switch(start + number)
        while any(flows):
            for flow in flows:
                if flow:
                    flow.switch()

def loop(count):
    with embed.context("loop") if contexts else library.nothing:
        library.hot(count)

began = time.process_time()
globals()[which](int(sys.argv[3]))
print(time.process_time() - began)
"""

LIBRARY = """
import contextlib
nothing = contextlib.nullcontext()
table = {number: str(number) for number in range(1000)}
"""

FUNCTION = """
def parse_{n}(value):
    parts = []
    for digit in str(value + {n}):
        if digit in "02468":
            parts.append(int(digit) * 2)
        else:
            parts.append(ord(digit))
    found = sorted(parts, reverse=True)
    if len(found) > 3:
        return sum(found) + len(table[value % 1000])
    return "".join(map(str, found))
"""

REST = """
functions = [value for name, value in sorted(globals().items()) if name.startswith("parse_")]
def fixture(number):
    return {key: table[key] for key in range(number % 7)}
def test(number):
    results = []
    for function in functions[number % 50:number % 50 + 20]:
        results.append(function(number))
    text = ",".join(map(str, results)) * 20
    assert text.upper().lower().split(",") == text.split(",")
def handle(number):
    found = [function(number) for function in functions[number % 90:number % 90 + 5]]
    return ("%r" % found).encode().hex()
def hot(count):
    total = 0
    for number in range(count):
        total += number
        if total & 1:
            total += 1
    return total
"""

SIZES = {"tests": 5_000, "requests": 10_000, "loop": 1_000_000}


def once(directory: Path, options: list[str] | None, which: str, mode: str) -> float:
    """Run a program; return the CPU seconds that it measured inside."""
    command = [sys.executable]
    if options is not None:
        data = directory / f"{which}.{mode}"
        command += ["-m", "covsup", "run", f"--data-file={data}", *options, "--"]
    output = subprocess.run(
        [*command, "program.py", which, mode, str(SIZES[which])],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVSUP_")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(output.split()[-1])


def main() -> None:
    """Print a line for each program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", default="auto")
    parser.add_argument("--branch", action="store_true")
    parser.add_argument("programs", nargs="*", default=list(SIZES))
    options = parser.parse_args()
    run = [f"--core={options.core}", *(["--branch"] if options.branch else [])]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "program.py").write_text(PROGRAM)
        functions = "".join(FUNCTION.format(n=n) for n in range(100))
        (directory / "library.py").write_text(LIBRARY + functions + REST)
        for which in options.programs:
            plain, without, within = [], [], []
            for _ in range(options.rounds):
                plain.append(once(directory, None, which, "plain"))
                without.append(once(directory, run, which, "none"))
                within.append(once(directory, run, which, "contexts"))
            medians = [statistics.median(each) for each in (plain, without, within)]
            sys.stdout.write(
                f"{which:10} plain {medians[0]:.3f} s  without {medians[1]:.3f} s"
                f"  with {medians[2]:.3f} s  with/without {medians[2] / medians[1]:.2f}\n"
            )


if __name__ == "__main__":
    main()
