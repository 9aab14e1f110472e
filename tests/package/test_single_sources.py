"""Facts that are written once: where each is, and that it is not written again.

A fact that two places know is wrong in one of them sooner or later. Each row names the text by which
a fact is recognized, and the only files in which it may stand. Where a fact cannot have one place,
the row says why, and a test compares the places by what they do.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from covsup import bootstrap
from covsup.datafile import _fold
from covsup.datafile.errors import SessionUntrusted
from covsup.datafile.journal.header import Header
from covsup.datafile.session.directory import open_session
from tests.journal.harness import TRACER_C, compiler

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COVSUP = ROOT / "src" / "covsup"
FORMAT = "tracer_c/journal/format.h"
FORMAT_NAMES = re.findall(
    r"\b(?:JOURNAL|RECORD|BLOB|EVENT|ENDED)_[A-Z_]+\b", (COVSUP / FORMAT).read_text()
)


@dataclass(frozen=True)
class Fact:
    """A fact, how its text is recognized, and the files in which it may stand."""

    pattern: str
    homes: frozenset[str]
    copy: str  # a copy that somebody might write, which must be found


def homes(*names: str) -> frozenset[str]:
    return frozenset(names)


FACTS = {
    "the journal's magic": Fact("COVSUPJ", homes(FORMAT), 'MAGIC = b"COVSUPJ\\n"'),
    "the mark of the byte order": Fact(
        "0x0102030405060708", homes(FORMAT), "order == 0x0102030405060708"
    ),
    "the offsets of the header": Fact(
        r"[\"'][=<>!]?\w*\d+x[0-9IQs]", homes(), 'Struct("=8s64xQ224xQ")'
    ),
    "the names of the format": Fact(
        rf"(?:#define\s+(?:{'|'.join(FORMAT_NAMES)})\b|\b(?:{'|'.join(FORMAT_NAMES)})\s*=[^=])",
        homes(FORMAT),
        "enum { EVENT_NOTE = 8 };",
    ),
    "the numbers of events and blobs, as names": Fact(
        r"\b_?(?:\w*_EVENT|NOTE|LIBRARY|SPAWNED|REAPED|TAG_[A-Z_]+|TEXT_[A-Z]+)\s*(?:,[ \w]+)?=\s*\d",
        homes(FORMAT),
        "LIBRARY_EVENT, NOTE_EVENT = 6, 8",
    ),
    "the numbers of events and blobs, as cases": Fact(
        r"(?m)^\s*case \d+:\s*$",
        homes("tracer_c/analysis/dominators.c"),  # numbers of something else
        "            case 3:\n",
    ),
    "the stages of a loss": Fact(r"\bstage\s*(?:==|in)\s*[{(]?\d", homes(), "lost.stage in {8, 9}"),
    "percent-encoding": Fact(
        "%0A|%25",
        homes(
            "pairs.py",
            "../../covsup.pth",  # runs where covsup cannot be imported, and encodes one repr()
        ),
        'value.replace("%", "%25")',
    ),
    "what a Python executable is called": Fact(
        r"graalpy|pypy",
        homes(
            "datafile/provenance/command_lines.py",
            "supervisor/migrate/platforms.py",  # names of versions in the files of CI
            "supervisor/watching/process_table.py",  # names of loaded libraries
        ),
        'name.startswith(("python", "pypy"))',
    ),
    "the options of an interpreter that take a value": Fact(
        r"check-hash-based-pycs|[\"']WX[\"']|\{[\"']W[\"'], ?[\"']X",
        homes("interpreter_command.py"),
        'if letter in "WX":',
    ),
    "who may write to a directory": Fact(
        r"\b0o?0?22\b|S_IWOTH",
        homes(
            "tracer_c/journal/trust.h",
            "carrier/passed_variables.c",  # of another user's directory, where the rule does not hold
            "bootstrap.py",  # a measured process imports nothing of the supervisor's,
            "datafile/session/directory.py",  # which says which part of the rule does not hold
        ),
        "return not found.st_mode & 0o022",
    ),
    "the kinds of contexts": Fact(
        r"[\"']greenlet[\"'],\s*[\"']task[\"']|KIND\(SEGMENT_TASK",
        homes("tracer_c/contexts/kinds.h"),
        'KNOWN = ("test_function", "greenlet", "task", "request")',
    ),
}


def sources() -> Iterator[tuple[str, str]]:
    """The name and the text of each source file, and of the startup files."""
    for path in sorted(COVSUP.rglob("*")):
        if path.suffix in {".py", ".pyi", ".c", ".h"}:
            yield path.relative_to(COVSUP).as_posix(), path.read_text(encoding="utf-8")
    for name in ("covsup.pth", "covsup.start"):
        yield f"../../{name}", (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_stands_in_its_place_and_in_no_other(name: str) -> None:
    fact = FACTS[name]
    found = {file for file, text in sources() if re.search(fact.pattern, text)}
    assert found == fact.homes


@pytest.mark.parametrize("name", FACTS)
def test_a_copy_of_a_fact_would_be_found(name: str) -> None:
    assert re.search(FACTS[name].pattern, FACTS[name].copy)


def test_the_header_in_python_has_the_fields_of_the_header_in_c() -> None:
    in_c = [name for name, _, _ in _fold.HEADER_LAYOUT]
    for own in ("magic", "header_size", "byte_order", "identity_check"):
        in_c.remove(own)
    in_c[in_c.index("flags")] = "branch"
    assert Header._fields == tuple(in_c)


ROOT_USER, USER, OTHER = 0, 1000, 1001
TRUST_C = r"""
#include <stdio.h>
#include <stdlib.h>
#include "journal/trust.h"
int main(int argc, char **argv)
{
    for (int at = 1; at + 3 < argc; at += 4) {
        struct stat found = {0};
        found.st_uid = (uid_t)atoi(argv[at]);
        found.st_mode = S_IFDIR | (mode_t)atoi(argv[at + 1]);
        putchar(is_trusted_directory(&found, (uid_t)atoi(argv[at + 2]), (uid_t)atoi(argv[at + 3]))
                    ? '1' : '0');
    }
    return 0;
}
"""


def test_all_places_that_know_the_rule_of_trust_decide_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trust.c").write_text(TRUST_C)
    program = tmp_path / "trust"
    command = [*compiler(), f"-I{TRACER_C}", str(tmp_path / "trust.c"), "-o", str(program)]
    subprocess.run(command, check=True, timeout=60)
    cases = [
        (owner, mode, real, effective)
        for owner in (ROOT_USER, USER, OTHER)
        for mode in (0o700, 0o755, 0o711, 0o770, 0o757, 0o720, 0o702)
        for real, effective in ((0, 0), (USER, USER), (0, USER), (USER, 0))
    ]
    arguments = [str(number) for case in cases for number in case]
    done = subprocess.run(
        [program, *arguments], check=True, timeout=60, capture_output=True, text=True
    )
    settings = tmp_path / "session"
    settings.mkdir()
    (settings / "settings").write_text("format=1\nsession=x\n")
    trusted = set()
    for case, in_c in zip(cases, done.stdout, strict=True):
        owner, mode, real, effective = case
        found = cast("os.stat_result", SimpleNamespace(st_uid=owner, st_mode=stat.S_IFDIR | mode))
        with monkeypatch.context() as patched:
            patched.setattr(os, "getuid", lambda real=real: real)
            patched.setattr(os, "geteuid", lambda effective=effective: effective)
            assert bootstrap.is_trusted(found) == (in_c == "1"), case
            patched.setattr(Path, "stat", lambda _, found=found: found)
            try:
                open_session(settings)
                by_supervisor = True
            except SessionUntrusted:
                by_supervisor = False
        if real == 0 and effective != 0:
            # A supervisor in this state opens what its own user owns; its processes then do not.
            by_supervisor = by_supervisor and owner == ROOT_USER
        assert by_supervisor == (in_c == "1"), case
        trusted |= {case} if in_c == "1" else set()
    assert 0 < len(trusted) < len(cases)
