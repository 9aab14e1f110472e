"""`make sanitize`: the tests that exercise the C code, under the compiler's sanitizers.

Both extensions are built with AddressSanitizer and UndefinedBehaviorSanitizer, and run in an
interpreter that has both, with debug hooks on every allocation. The carrier is loaded into programs
of all kinds, which AddressSanitizer cannot be; in it, undefined behaviour ends the program.

A sanitizer ends the process that it finds a fault in and writes a report to a file. The run fails if
a test fails, or if there is a report, whichever process it is from.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conftest import CORES
from tests.instrumented import build

HERE = Path(__file__).resolve().parent
SANITIZERS = (
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g",
    "-O1", "-Wno-frame-larger-than",
)  # fmt: skip
# What executes the most C in three minutes on two processors. The corpus runs as tables, each in one
# session of the core that `auto` means: row by row takes three times the time.
TESTS = (
    "tests/tracer", "tests/contexts", "tests/plugins", "tests/concurrency", "tests/embed",
    "tests/datafile/test_gather.py", "tests/datafile/test_orders.py", "tests/datafile/test_fold_laws.py",
    "tests/journal/test_reader.py", "tests/journal/test_samples.py", "tests/journal/test_sorting.py",
    "tests/leaks", "tests/corpus", "--deselect=tests/tracer/test_growth.py",
    f"-k=(not test_corpus or (table_in_one_session and {CORES[0]})) and not (test_leaks and lines)",
)  # fmt: skip
REPORT_LINES = 60


def kind(reports: Path) -> build.Kind:
    """Describe the build whose reports go to that directory."""
    return build.Kind(
        name="sanitize",
        compile=SANITIZERS,
        link=SANITIZERS[:1],
        carrier=("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-g"),
        interpreter=HERE / "sanitized_interpreter.c",
        defines={"REPORTS": str(reports)},
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", default="auto", help="worker processes of pytest")
    parser.epilog = "Other arguments are pytest's, in place of the tests that are run otherwise."
    options, tests = parser.parse_known_args()
    place = build.ROOT / "build" / f"sanitize-{sys.version_info[0]}.{sys.version_info[1]}"
    reports = place / "reports"
    try:
        python = build.make(kind(reports), place)
    except build.CannotBuild as error:
        print(f"skipped: no sanitized build can be made here: {error}")
        return 0
    reports.mkdir(exist_ok=True)
    reports.chmod(0o1777)  # for processes that became another user
    take_reports(reports)
    prove(python, reports)
    done = subprocess.run(
        [python, "-m", "pytest", "-n", options.jobs, "--dist=loadgroup", "--timeout=300",
         "-p", "no:cacheprovider", *(tests or TESTS)],
        cwd=build.ROOT, check=False,
    )  # fmt: skip
    found = take_reports(reports)
    for name, text in found.items():
        print(f"==== {name}\n" + "\n".join(text.splitlines()[:REPORT_LINES]))
    print(f"sanitizers: {len(found)} reports")
    return 1 if found else done.returncode


def take_reports(reports: Path) -> dict[str, str]:
    """Read and remove the reports."""
    found = {}
    for path in sorted(reports.iterdir()):
        found[path.name] = path.read_text(encoding="utf-8", errors="replace")
        path.unlink()
    return found


def prove(python: Path, reports: Path) -> None:
    """Commit one fault of each kind, in a process without an environment, and see it reported."""
    with tempfile.TemporaryDirectory() as directory:
        library = f"{directory}/planted.so"
        build.run_compiler([
            *build.compiler(), *SANITIZERS, "-fPIC", "-c", str(HERE / "planted.c"),
            "-o", f"{library}.o",
        ])  # fmt: skip
        build.run_compiler([*build.compiler(), "-shared", f"{library}.o", "-o", library])
        for fault, report in ("use_after_free", "address"), ("overflow", "undefined"):
            code = f"import ctypes; ctypes.CDLL({library!r}).{fault}()"
            subprocess.run([python, "-c", code], env={}, check=False, stderr=subprocess.DEVNULL)
            if not any(name.startswith(report) for name in take_reports(reports)):
                sys.exit(f"the sanitizers do not report {fault}() in planted.c")


if __name__ == "__main__":
    sys.exit(main())
