"""Hold some packages' own test suites to the oracle, and print every difference.

    python tests/oracle/packages.py [--sdists DIR] [--work DIR] [NAME ...]

Each source distribution is unpacked into a directory of its own (with --sdists from there, else
downloaded with pip, which needs a network), and its suite is run in one process by pytest: twice
under `coverage run --branch` with the C tracer, once under `covsup run --branch` on each core. What
the two runs of the oracle do not agree on is no difference. The exit status is 1 if any is left.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.oracle.comparison import all_differences
from tests.world import Run, World, become_subreaper

if TYPE_CHECKING:
    from collections.abc import Iterator

CORES = ("monitoring", "settrace") if sys.version_info >= (3, 12) else ("settrace", "settrace-fast")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A source distribution whose suite runs in one thread and alike each time."""

    name: str
    version: str
    tests: tuple[str, ...] = ("tests",)
    root: str = "src"
    """What goes to the front of the import path."""
    without: tuple[str, ...] = ()
    """Tests that start processes or threads, look at time or memory, or need what is not there."""


PACKAGES = (
    Package(
        name="attrs", version="26.1.0", without=("benchmark", "mypy", "pyright", "slots_cache")
    ),
    Package(name="boltons", version="26.2.0", root="."),
    Package(name="cachetools", version="8.0.0", without=("threading", "stampede", "lock", "cond")),
    Package(
        name="cattrs",
        version="26.2.1",
        tests=("tests/test_gen.py", "tests/test_structure.py", "tests/test_generics.py"),
        without=("hyp",),
    ),
    Package(
        name="click",
        version="8.5.1",
        without=("deprecations", "pager", "editor", "stress", "subprocess"),
    ),
    Package(name="h11", version="0.16.0", tests=("h11",), root=".", without=("against_stdlib",)),
    Package(name="humanize", version="4.17.0"),
    Package(name="idna", version="3.20", root=".", without=("main", "cli")),
    Package(name="jinja2", version="3.1.6", without=("async", "thread")),
    Package(name="lark", version="1.3.1", tests=("tests/__main__.py",), root="."),
    Package(name="markdown_it_py", version="4.3.0", root=".", without=("fuzz", "cli", "benchmark")),
    Package(name="mistune", version="3.4.0"),
    Package(name="more_itertools", version="11.2.1", root=".", without=("Concurrent", "serialize")),
    Package(name="packaging", version="26.3", without=("musl", "manylinux", "property")),
    Package(name="parso", version="0.8.7", tests=("test",), root=".", without=("cache", "fuzz")),
    Package(name="pyparsing", version="3.3.3", root=".", without=("diagram",)),
    Package(name="pyrsistent", version="0.20.0", root=".", without=("hypothesis", "memory")),
    Package(name="tabulate", version="0.10.0", tests=("test",), root=".", without=("cli", "numpy")),
    Package(name="tomlkit", version="0.15.2", root="."),
    Package(name="toolz", version="1.2.0", tests=("toolz",), root="."),
    Package(name="wsproto", version="1.3.2"),
)


def unpacked(package: Package, sdists: Path, work: Path) -> Path:
    """Give the directory of the package's sources."""
    found = [*sdists.glob(f"{package.name}-{package.version}.tar.gz")]
    if not found:
        requirement = f"{package.name}=={package.version}"
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:")
        subprocess.run([*pip, "-d", str(sdists), requirement], check=True)
        found = [*sdists.glob(f"{package.name}-{package.version}.tar.gz")]
    with tarfile.open(found[0]) as archive:
        archive.extractall(work, filter="data")
    return work / found[0].name.removesuffix(".tar.gz")


def pytest_of(package: Package, directory: Path) -> list[str]:
    """Give the words that have a Python run the package's suite in one process."""
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
    words += ["-o", "addopts=", "-o", "filterwarnings=ignore", f"--rootdir={directory}"]
    if package.without:
        words += ["-k", " and ".join(f"not {word}" for word in package.without)]
    return [*words, *package.tests]


def measured(package: Package, directory: Path, by: str) -> Run:
    """Run the suite under one measurer."""
    world = World(directory)
    data_file = directory.parent / f"data-{directory.name}-{by}"
    no_settings = directory.parent / "no-settings"  # the package's own would leave files out
    no_settings.touch()
    environment = {"PYTHONPATH": str(directory / package.root), "PYTHONDONTWRITEBYTECODE": "1"}
    pytest = [*pytest_of(package, directory), "-p", "no:covsup", "-x", "--maxfail=10000"]
    if by.startswith("oracle"):
        return world.run(
            *(world.python, "-m", "coverage", "run", "--branch", f"--data-file={data_file}"),
            f"--rcfile={no_settings}",
            *pytest,
            data_file=data_file,
            environment={**environment, "COVERAGE_CORE": "ctrace"},
            timeout=900,
        )
    return world.covsup_run(
        *pytest,
        options=(f"--rcfile={no_settings}",),
        core=by,
        data_file=data_file,
        environment=environment,
        timeout=900,
    )


def verdict(package: Package, directory: Path) -> Iterator[str]:
    """Give a line for each thing worth knowing; those that begin with ! are differences."""
    first, second = (measured(package, directory, f"oracle-{n}") for n in (1, 2))
    summary = (first.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    yield f"{package.name} {package.version}: {len(first.report)} files; {summary}"
    if not first.report:
        yield f"! no data by the oracle\n{first}"
    unstable = all_differences(first.report, second.report).keys()
    for path in sorted(unstable):
        yield f"  left out, the oracle's two runs differ: {Path(path).relative_to(directory)}"
    for core in CORES:
        ours = measured(package, directory, core)
        if ours.ended != first.ended:
            yield f"! {core}: ended {ours.ended!r}, with the oracle {first.ended!r}\n{ours}"
        for path, found in all_differences(first.report, ours.report).items():
            if path not in unstable:
                for difference in found:
                    yield f"! {core}: {Path(path).relative_to(directory)}: {difference}"


def main() -> int:
    """Print the verdicts on all packages, or on those named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these packages")
    parser.add_argument("--sdists", type=Path, help="where the source distributions are or go")
    parser.add_argument("--work", type=Path, help="where they are unpacked and run")
    options = parser.parse_args()
    become_subreaper()
    worst = 0
    with tempfile.TemporaryDirectory(prefix="covsup-packages-") as temporary:
        sdists = (options.sdists or Path(temporary) / "sdists").resolve()
        work = (options.work or Path(temporary) / "work").resolve()
        for package in PACKAGES:
            if options.names and package.name not in options.names:
                continue
            for line in verdict(package, unpacked(package, sdists, work)):
                print(line, flush=True)
                worst = max(worst, line.startswith("!"))
    return worst


if __name__ == "__main__":
    sys.exit(main())
