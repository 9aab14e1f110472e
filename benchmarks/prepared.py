"""The list of workloads, and the ones that are generated."""

from __future__ import annotations

import ast
import compileall
import shutil
import token
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WIDE_FUNCTIONS = 1_800
WIDE_LINES = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A module with a function ``work``; ``title`` is its name in the table."""

    name: str
    title: str
    concurrency: str = "thread"
    """coverage.py's setting; covsup needs none."""
    patch: str = ""
    """The patches that coverage.py needs to do the same work."""


WORKLOADS = (
    Workload(name="lines", title="straight lines, hot"),
    Workload(name="calls", title="calls"),
    Workload(name="branches", title="branches, both ways"),
    Workload(name="one_way", title="branches, one way only"),
    Workload(name="generators", title="generators"),
    Workload(name="objects", title="objects (Richards-like)"),
    Workload(name="library", title="library (tokenize + ast)"),
    Workload(name="wide", title="60,000 lines once"),
    Workload(name="greenlets", title="greenlet switches", concurrency="greenlet"),
    Workload(name="threads", title="threads"),
    Workload(name="forks", title="forks", patch="fork, _exit"),
)


def prepare(directory: Path) -> None:
    """Write the module ``wide`` and the package ``copied`` into the directory, and compile them."""
    (directory / "wide.py").write_text(wide_source(), encoding="utf-8")
    copied = directory / "copied"
    copied.mkdir()
    (copied / "__init__.py").write_text("", encoding="utf-8")
    for module in (ast, token, tokenize):
        shutil.copy(module.__file__, copied)
    if not compileall.compile_dir(directory, quiet=2):
        raise RuntimeError(f"{directory}: the workloads do not compile")


def wide_source(functions: int = WIDE_FUNCTIONS) -> str:
    """Return a program of many functions that runs each line once, except branches not taken."""
    body = WIDE_LINES // WIDE_FUNCTIONS - 3  # minus def, return and the blank line
    parts = []
    for function in range(functions):
        parts.append(f"def function_{function}(value):")
        for line in range(body):
            if line % 8 == 6:
                parts.append(f"    if value == {line}:")
            elif line % 8 == 7:
                parts.append(f"        value = {line}")
            else:
                parts.append(f"    name_{line} = value + {line}")
        parts += ["    return name_0", ""]
    parts.append("def work():")
    parts += [f"    function_{function}(-1)" for function in range(functions)]
    return "\n".join(parts) + "\n"
