"""The reader under mutated journals, with the C side built to stop at the first wrong access."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.torture import fuzz

FUZZ = Path(fuzz.__file__)
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
    path = directory / "_facts.so"
    subprocess.run(
        ["gcc", "-std=c11", "-shared", "-fPIC", "-g", "-O1", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=undefined", f"-I{sysconfig.get_path('include')}",
         *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(path)],
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


def test_what_once_broke_something_and_some_more_does_not() -> None:
    said: list[str] = []
    count, broken = fuzz.fuzz(1.0, random.randrange(1 << 32), tell=said.append)
    assert not broken, "\n".join(said)
    assert count > 5
