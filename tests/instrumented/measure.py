"""`make coverage`: what the tests reach of covsup itself, and what they do not.

The Python of the supervisor's rooms is measured by covsup, other Python by coverage.py (see
measured_start.py), C by gcov; all on one version of Python, whose code alone is compiled. The tests
run as always. Some fail, because they look at what a process imports or at its environment, and a
measurement is in it: that is no failure here.

Not seen are

- the counters of a process that another one kills, and coverage.py's lines of a process that ends
  by os._exit(), exec or a signal;
- Python that covsup hides from trace functions and from sys.monitoring: what it calls within an
  import (registry.wake() and the adapters) or within an event (plugins.py);
- carrier/start.py, which runs where Python reads no .pth file.

Of a file of which nothing at all was seen, no line is listed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import coverage

from tests.instrumented import build

HERE = Path(__file__).resolve().parent
UNREACHED = build.ROOT / "build" / "coverage" / "unreached.txt"
COUNTERS = HERE.joinpath("counters.c").read_text(encoding="utf-8")
KIND = build.Kind(
    name="coverage",
    compile=(
        "--coverage", "-fprofile-update=atomic", "-fprofile-abs-path", "-O0",
        "-Wno-frame-larger-than",
    ),
    link=(),
    link_extensions=("--coverage",),
    interpreter=HERE / "counted_interpreter.c",
    added={f"{room}/counters.c": COUNTERS for room in ("tracer_c", "datafile")},
)  # fmt: skip


@dataclass
class File:
    """One source file: its lines that can run, those that did, and its functions that did not."""

    room: str
    lines: set[int] = field(default_factory=set)
    reached: set[int] = field(default_factory=set)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First and last line by name."""
    not_called: set[str] = field(default_factory=set)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", default="auto", help="worker processes of pytest")
    parser.epilog = "Other arguments are pytest's (default: all tests)."
    options, tests = parser.parse_known_args()
    place = build.place_of(KIND)
    python = build.make(KIND, place)
    prepare(place)
    with tempfile.TemporaryDirectory(prefix="coverage-") as temporary:
        run_tests(python, Path(temporary), options.jobs, tests)
        files = {**python_files(place), **c_files(place, Path(temporary))}
    report(place, files)
    return 0


def prepare(place: Path) -> None:
    """Remove what an earlier run measured, and open the session that measures the supervisor."""
    for path in (place / "objects").rglob("*.gcda"):
        path.unlink()
    data = place / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    (data / "coveragerc").write_text(
        f"[run]\nsource = {place / 'src' / 'covsup'}\ndata_file = {data / 'coverage'}\n"
        "parallel = true\ncore = sysmon\nsigterm = false\n",
        encoding="utf-8",
    )
    opened = covsup(data, "env", f"--source={place / 'src' / 'covsup'}", "--shell=path")
    tracer = next(build.ROOT.joinpath("src", "covsup", "tracer_c").rglob(
        f"_tracer.cpython-{sys.version_info[0]}{sys.version_info[1]}*.so"
    ))  # fmt: skip
    packages = next((place / "environment" / "lib").glob("python*/site-packages"))
    shutil.copy2(HERE / "measured_start.py", packages / "measured_start.py")
    (packages / "measured_start.settings").write_text(
        f"{opened.strip()}\n{tracer}\n{data / 'coveragerc'}\n", encoding="utf-8"
    )
    # Before covsup.pth, and after the path of covsup.
    (packages / "a_measured_start.pth").write_text("import measured_start\n", encoding="utf-8")


def covsup(directory: Path, *arguments: str) -> str:
    """Run a command of the normal build."""
    environment = {name: text for name, text in os.environ.items() if "COVSUP" not in name}
    return subprocess.run(
        [sys.executable, "-m", "covsup", *arguments, f"--data-file={directory / 'covsup'}",
         "--rcfile="],
        cwd=directory, env=environment, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip


def run_tests(python: Path, temporary: Path, jobs: str, arguments: list[str]) -> None:
    """Run the tests, whose programs in C (the journal's writer alone) have counters as well."""
    programs = shlex.join([*build.compiler(), "--coverage", "-fprofile-abs-path"])
    done = subprocess.run(
        [python, "-m", "pytest", "-n", jobs, "--dist=loadgroup", "--timeout=300", "--tb=line",
         "-p", "no:cacheprovider", "-p", "measured_start", f"--basetemp={temporary / 'tests'}",
         *arguments],
        cwd=build.ROOT, env={**os.environ, "CC": programs}, check=False,
    )  # fmt: skip
    if done.returncode not in {0, 1}:
        sys.exit(f"pytest ended with {done.returncode}: nothing is reported")


def python_files(place: Path) -> dict[Path, File]:
    """Read both measurements of the Python files."""
    data, package = place / "data", place / "src" / "covsup"
    covsup(data, "env", "--close")
    with contextlib.suppress(subprocess.CalledProcessError):  # no test started covsup
        covsup(data, "combine", "--assume-ended")
    measure = coverage.Coverage(data_file=str(data / "all"), config_file=False)
    measure.combine([str(path) for path in (*data.glob("coverage.*"), *data.glob("covsup"))])
    measure.save()
    found: dict[Path, File] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        _, lines, _, missing, _ = measure.analysis2(str(path))
        file = File(room_of(name), set(lines), set(lines) - set(missing))
        for function, (first, body, last) in functions_of(path).items():
            inside = {line for line in file.lines if body <= line <= last}
            file.functions[function] = first, last
            if inside and not inside & file.reached:
                file.not_called.add(function)
        found[name] = file
    return found


def functions_of(path: Path) -> dict[str, tuple[int, int, int]]:
    """Give first line, first line of the body, and last line of each function of a file."""
    found = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}."
                if not isinstance(child, ast.ClassDef):
                    body = child.body[0].lineno
                    found[name[:-1]] = child.lineno, body, child.end_lineno or body
            walk(child, name)

    walk(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def c_files(place: Path, temporary: Path) -> dict[Path, File]:
    """Read gcov's counters. A header's functions count in every file that includes it."""
    packages = [place / "src" / "covsup", build.ROOT / "src" / "covsup"]
    found: dict[Path, File] = {}
    called: dict[Path, set[str]] = defaultdict(set)
    for notes in [*(place / "objects").rglob("*.gcno"), *temporary.rglob("*.gcno")]:
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(notes)],
            cwd=place, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            print(f"{notes.name}: {done.stderr.strip()}")
            continue
        for each in json.loads(done.stdout)["files"]:
            path = place / each["file"]
            package = next((each for each in packages if path.is_relative_to(each)), None)
            if package is None or path.name == "counters.c":
                continue
            name = path.relative_to(package)
            file = found.setdefault(name, File(room_of(name)))
            for line in each["lines"]:
                file.lines.add(line["line_number"])
                if line["count"]:
                    file.reached.add(line["line_number"])
            for function in each["functions"]:
                file.functions[function["name"]] = function["start_line"], function["end_line"]
                if function["execution_count"]:
                    called[name].add(function["name"])
    for name, file in found.items():
        file.not_called = set(file.functions) - called[name]
    return found


def room_of(name: Path) -> str:
    """Give the room of a file: its directory, or its own name at the top."""
    return str(name.parent) if name.parent != Path() else name.name


def report(place: Path, files: dict[Path, File]) -> None:
    """Print a table of the rooms, and write what no test reaches to UNREACHED."""
    rooms: dict[tuple[str, str], list[File]] = defaultdict(list)
    for name, file in files.items():
        language = "Python" if name.suffix == ".py" else "C"
        rooms[language, file.room].append(file)
        rooms[language, "all"].append(file)
    print(f"\n{'room':32} {'':6} {'lines':>7} {'reached':>8} {'missed':>7}")
    for (language, room), found in sorted(rooms.items(), key=lambda item: item[0][::-1]):
        lines = sum(len(file.lines) for file in found)
        reached = sum(len(file.reached) for file in found)
        percent = 100 * reached / lines if lines else 100
        print(f"{room:32} {language:6} {lines:7} {percent:7.1f}% {lines - reached:7}")
    UNREACHED.parent.mkdir(parents=True, exist_ok=True)
    with UNREACHED.open("w", encoding="utf-8") as out:
        for name, file in sorted(files.items(), key=lambda item: (item[1].room, item[0])):
            if file.lines - file.reached:
                out.write(f"{described(place / 'src' / 'covsup' / name, name, file)}\n")
    print(f"\nwhat no test reaches: {UNREACHED.relative_to(build.ROOT)}")


def described(path: Path, name: Path, file: File) -> str:
    """Describe what was not reached of a file: functions that are never called, then lines."""
    source = path.read_text(encoding="utf-8").splitlines()
    missed = sorted(file.lines - file.reached)
    head = f"src/covsup/{name}: {len(file.reached)} of {len(file.lines)} lines reached"
    if not file.reached:
        return f"{head}\n"
    described = [head]
    for function in sorted(file.not_called, key=lambda each: file.functions[each]):
        first, last = file.functions[function]
        described.append(f"    never called: {function} (lines {first} to {last})")
        missed = [line for line in missed if not first <= line <= last]
    described += [f"    {line:5}: {source[line - 1].strip()}" for line in missed]
    return "\n".join(described) + "\n"


if __name__ == "__main__":
    sys.exit(main())
