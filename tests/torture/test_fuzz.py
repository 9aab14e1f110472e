"""The reader under mutated journals, with the C side built to stop at the first wrong access; and
under inputs that are chosen by what it did with earlier ones, where the tools for that are."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.concurrency.by_hand import Session
from tests.torture import fuzz

FUZZ = Path(fuzz.__file__)
WORDS = FUZZ.parent / "words.corpus"
"""Inputs of `words_fuzz.c` that libFuzzer found to lead to all that it has seen, a line each."""
LINE_TABLES = FUZZ.parent / "line_tables.py"
SOURCES = fuzz.ROOT / "src" / "covsup" / "datafile"


def sanitized(directory: Path) -> tuple[Path, dict[str, str]]:
    """The extension with address and undefined behaviour sanitizers, and what loads them."""
    runtime = [
        subprocess.run(
            ["gcc", f"-print-file-name=lib{name}.so"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("asan", "ubsan")
    ]
    if not all(Path(path).is_absolute() for path in runtime):
        pytest.skip("gcc has no sanitizers here")
    path = directory / "_fold.so"
    subprocess.run(
        ["gcc", "-std=c11", "-shared", "-fPIC", "-g", "-O1", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=undefined", f"-I{sysconfig.get_path('include')}", f"-I{SOURCES}",
         *map(str, sorted(SOURCES.rglob("*.c"))), "-o", str(path)],
        check=True,
    )  # fmt: skip
    return path, {"LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0"}


@pytest.mark.torture
@pytest.mark.timeout(200)
@pytest.mark.parametrize("part", range(2))
def test_mutated_journals_give_a_result_or_one_error(tmp_path: Path, part: int) -> None:
    facts, environment = sanitized(tmp_path)
    done = subprocess.run(
        [sys.executable, FUZZ, "--seconds=60", f"--facts={facts}"],
        env={**os.environ, **environment}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    print(f"part {part}: {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_journals_that_are_chosen_by_what_the_reader_did_give_a_result_or_one_error(
    tmp_path: Path,
) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed")
    done = subprocess.run(
        [sys.executable, FUZZ, "--guided", "--seconds=60"],
        env={**os.environ, "TMPDIR": str(tmp_path)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stderr[-1000:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert units(done.stderr) > 100, done.stderr


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_any_words_are_sorted_into_something_sound(tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("there is no clang, which libFuzzer comes with")
    target = tmp_path / "words_fuzz"
    built = subprocess.run(
        ["clang", "-std=c11", "-g", "-O1", "-fsanitize=fuzzer,address,undefined",
         "-fno-sanitize-recover=undefined", f"-I{SOURCES}", f"-I{SOURCES.parent}", FUZZ.parent / "words_fuzz.c",
         *(SOURCES / name for name in ("journal/word_decoder.c", "journal/blobs.c", "fold/sets.c")), "-lpthread",
         "-o", target],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode != 0 and "cannot find" in built.stderr:
        pytest.skip("clang has no libFuzzer here")
    assert built.returncode == 0, built.stderr
    grown, seeds = tmp_path / "grown", tmp_path / "seeds"
    for each in (grown, seeds):
        each.mkdir()
    for number, line in enumerate(WORDS.read_text().split()):
        (seeds / str(number)).write_bytes(bytes.fromhex(line))
    for sample in fuzz.SAMPLES.glob("*.journal"):
        (seeds / sample.name).write_bytes(b"\0" + sample.read_bytes()[fuzz.HEADER :])
    done = subprocess.run(
        [target, "-max_total_time=60", "-max_len=2048", "-print_final_stats=1", grown, seeds],
        cwd=tmp_path, check=False, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stderr[-1000:])
    assert done.returncode == 0, done.stderr
    assert units(done.stderr) > 100, done.stderr


def units(said: str) -> int:
    """How many inputs libFuzzer says that it tried."""
    found = re.search(r"number_of_executed_units: (\d+)", said)
    assert found, said
    return int(found[1])


def test_what_once_broke_something_and_some_more_does_not() -> None:
    said: list[str] = []
    count, broken = fuzz.fuzz(1.0, random.randrange(1 << 32), tell=said.append)
    assert not broken, "\n".join(said)
    assert count > 5


def sanitized_tracer(directory: Path) -> tuple[Path, dict[str, str]]:
    """A copy of the package whose tracer has the sanitizers, and what loads it."""
    _, environment = sanitized(directory)
    package = directory / "package" / "covsup"
    shutil.copytree(
        fuzz.ROOT / "src" / "covsup", package, ignore=shutil.ignore_patterns("_tracer*.so")
    )
    sources = fuzz.ROOT / "src" / "covsup" / "tracer_c"
    subprocess.run(
        ["gcc", "-std=c11", "-shared", "-fPIC", "-g", "-O1", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=undefined", f"-I{sysconfig.get_path('include')}", f"-I{sources}",
         *map(str, sorted(sources.rglob("*.c"))), "-o",
         package / "tracer_c" / f"_tracer{sysconfig.get_config_var('EXT_SUFFIX')}"],
        check=True,
    )  # fmt: skip
    # Each object is an allocation of its own, so that what is read beyond its end is seen.
    return package.parent, {**environment, "PYTHONMALLOC": "malloc"}


@pytest.mark.torture
@pytest.mark.timeout(300)
@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
def test_line_tables_made_by_hand_are_read_within_their_bounds(
    tmp_path: Path, core: str, *, branch: bool
) -> None:
    package, environment = sanitized_tracer(tmp_path)
    session = Session(tmp_path)
    session.configure(core=core, branch=branch)
    seed = random.randrange(1 << 32)
    outcome = session.run(
        LINE_TABLES.read_text(),
        arguments=[str(seed), "300"],
        environment={**environment, "PYTHONPATH": str(package)},
    )
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "300\n", ""), seed
    assert outcome.images, "not measured"
