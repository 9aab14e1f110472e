"""The load, and a copy of the packages that has to be compiled at each start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

import covsup

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_FOR_EACH_CORE = 4
LONGEST_SECONDS = 600


@pytest.fixture(scope="session", autouse=True)
def busy_machine() -> Iterator[None]:
    """Have four busy processes for each core that we may use."""
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("busy.py"))]
    busy = [
        subprocess.Popen([*program, str(os.getpid()), str(LONGEST_SECONDS)])
        for _ in range(BUSY_FOR_EACH_CORE * len(os.sched_getaffinity(0)))
    ]
    yield
    for each in busy:
        each.kill()
    for each in busy:
        each.wait()


@pytest.fixture(scope="session")
def uncompiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment in which covsup and coverage.py have no .pyc files, as in a fresh image."""
    where = tmp_path_factory.mktemp("uncompiled")
    for package in covsup, coverage:
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, where / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return {"PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
