"""Compare the instructions that covsup adds to hot paths with recorded counts: `make bench-check`.

valgrind's cachegrind counts the instructions, so other load on the machine does not change them. A
count is that of a measured process minus that of a plain one, forked children included. A recorded
count is valid for one release of Python on one kind of machine. On others the check prints that it
is skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prepared import wide_source
from startup import session

RECORDED = Path(__file__).with_name("recorded.json")
TOLERANCE = 0.20  # on another CPU, libc selects other functions, under valgrind too
SLACK = 150_000  # a longer path or environment may cost this much
TIME_LIMIT = 120.0

FUNCTION = """
def function(items):
    total = 0
    for item in items:
        if item % 3:
            total += item
        elif item < 0:
            total -= item
    return total

"""
PROGRAMS = {
    "start": "",
    "first lines": wide_source(functions=60) + "\nwork()\n",
    "hot loop": f"{FUNCTION}\nfunction(range(20_000))\n",
    "hot calls": "def call(x):\n    return x\n\nfor x in range(20_000):\n    call(x)\n",
    "hot context": (
        "from covsup import embed\n"
        f"{FUNCTION}\nwith embed.context('hot'):\n    function(range(20_000))\n"
    ),
    "generator": (
        "def made(count):\n    for x in range(count):\n        if x != 3:\n            yield x\n\n"
        "for x in made(20_000):\n    pass\n"
    ),
    "forks": (
        f"import os\n{FUNCTION}\nfunction(range(9))\n"
        "for _ in range(4):\n    if os.fork() == 0:\n        os._exit(0)\n    os.wait()\n"
    ),
}


def instructions(program: Path, environment: dict[str, str], out: Path) -> int:
    """Run a program under valgrind; return the instructions of it and of its forked children."""
    out.mkdir()
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--log-file={out}/%p.log"]
    command += [f"--cachegrind-out-file={os.devnull}", sys.executable, str(program)]
    subprocess.run(command, env=environment, cwd=program.parent, check=True, timeout=TIME_LIMIT)
    total = 0
    for log in out.glob("*.log"):
        found = re.search(r"I +refs: +([\d,]+)", log.read_text(errors="replace"))
        if found is None:
            raise RuntimeError(f"{log.name} of {program.name}: valgrind counted nothing")
        total += int(found[1].replace(",", ""))
    return total


def count(directory: Path) -> dict[str, int]:
    """Return the instructions that covsup adds to each program."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVSUP_", "COVERAGE_", "PYTHON"))
    } | {"PYTHONHASHSEED": "0"}
    for name, text in PROGRAMS.items():
        (directory / f"{name}.py").write_text(text, encoding="utf-8")
    # Compile covsup.embed now, so that no counted program does.
    subprocess.run([sys.executable, "-c", "import covsup.embed"], env=plain, check=True)
    with session(directory, plain) as added, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        kinds = {"plain": plain, "measured": plain | added}
        running = {
            (name, kind): pool.submit(
                instructions,
                directory / f"{name}.py",
                environment,
                directory / f"counts of {name}, {kind}",
            )
            for name in PROGRAMS
            for kind, environment in kinds.items()
        }
        counts = {key: future.result() for key, future in running.items()}
        if not list(directory.glob(".covsup/*/*.journal~")):
            raise RuntimeError("nothing was measured")
    return {name: counts[name, "measured"] - counts[name, "plain"] for name in PROGRAMS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="record instead of comparing")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench-check: skipped: valgrind is not installed")
        return 0
    key = f"{platform.python_version()} {platform.machine()}"
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if key not in recorded and not options.record:
        print(f"bench-check: skipped: nothing is recorded for Python {key}")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        counts = count(Path(directory))
    if options.record:
        recorded[key] = counts
        RECORDED.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
    slower = 0
    for name, now in counts.items():
        before = recorded[key][name]
        print(f"{name:12} {now:12,} instructions added; recorded: {before:12,}", end="")
        if now > before + abs(before) * TOLERANCE + SLACK:
            slower += 1
            print("  TOO MANY")
        else:
            print()
    if slower:
        print(f"bench-check: slower on Python {key}; to accept it: python {__file__} --record")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
