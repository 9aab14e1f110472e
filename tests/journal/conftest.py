"""The writer as programs: plain, with a seam that fails or kills, under sanitizers."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.journal.harness import LIMIT_S, Harness, build, compiler

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory for programs, of this test process alone."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="session")
def plain_program(built: Path) -> Path:
    return build(built / "plain")


@pytest.fixture(scope="session")
def seam_program(built: Path) -> Path:
    return build(built / "seam", "-DJOURNAL_SEAM")


@pytest.fixture(scope="session")
def thread_sanitized_program(built: Path) -> Path:
    """Give the writer under ThreadSanitizer, where the compiler has it and it runs here."""
    return sanitized(built, "thread")


@pytest.fixture(scope="session")
def address_sanitized_program(built: Path) -> Path:
    """Give the writer under AddressSanitizer and UndefinedBehaviorSanitizer."""
    return sanitized(built, "address,undefined")


def sanitized(built: Path, kind: str) -> Path:
    name = kind.replace(",", "-")
    trial = built / f"trial-{name}.c"
    trial.write_text("int main(void) { return 0; }\n")
    flags = [f"-fsanitize={kind}", "-fno-sanitize-recover=all"]
    command = [*compiler(), *flags, str(trial), "-o", str(trial.with_suffix(""))]
    tried = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this compiler has no -fsanitize={kind}: install its sanitizer libraries")
    started = subprocess.run(
        [trial.with_suffix("")], capture_output=True, timeout=LIMIT_S, check=False
    )
    if started.returncode != 0:
        pytest.skip(f"a program with -fsanitize={kind} does not start on this kernel")
    return build(built / name, *flags)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """Give a session directory."""
    directory = tmp_path / "session"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def harness(plain_program: Path, session: Path) -> Harness:
    return Harness(plain_program, session)


@pytest.fixture
def as_root() -> None:
    """Only where the test may become another user, or see another root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it becomes another user or changes the root directory")
