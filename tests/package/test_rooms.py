"""Who may import whom: the rooms of docs/architecture.md, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[2] / "src"

# A room may import itself and these.
ALLOWED = {
    "__init__": set(),
    "__main__": {"supervisor"},
    "hints": set(),  # what of typing runs
    "supervisor": {"carrier", "datafile", "hints", "pytest_start"},
    "carrier": {"bootstrap", "hints"},  # start.py alone, in a measured process
    "bootstrap": {"concurrency", "plugins", "pytest_start", "tracer_c"},
    "plugins": set(),
    "concurrency": {"tracer_c"},
    "embed": {"bootstrap", "tracer_c"},
    "pytest_start": set(),
    "pytest_plugin": {
        "bootstrap",
        "embed",
        "pytest_reports",
        "pytest_start",
    },  # in pytest, which has argparse
    "pytest_reports": {"embed"},
    "datafile": {"hints"},
    "tracer_c": set(),
}
# What a measured process never imports because of us: its cost, and what the target could notice.
SUPERVISORS_OWN = {"coverage", "psutil", "rich", "argparse", "sqlite3"}


def room_of(module: str) -> str:
    """Give the room of a module, or of a name in covsup itself, which is no module."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"


def modules() -> list[Path]:
    return sorted((SOURCE / "covsup").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                # `from covsup import datafile` names a module, not a value.
                yield from (f"{module}.{name.name}" for name in names)
            case ast.ImportFrom():
                pytest.fail(f"{path}: a relative import")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_what_the_design_lets_it(path: Path) -> None:
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    room = room_of(module)
    own = [name for name in imports(path) if name.split(".")[0] == "covsup"]
    allowed = ALLOWED[room] | {room, "__init__"}
    wrong = [name for name in own if room_of(name) not in allowed]
    assert not wrong, f"{module} may import {sorted(allowed)}"


def test_a_measured_process_imports_nothing_of_the_supervisors() -> None:
    for path in modules():
        room = room_of(".".join(path.relative_to(SOURCE).with_suffix("").parts))
        if room in {"__init__", "bootstrap", "carrier", "concurrency", "embed", "tracer_c"}:
            found = {name.split(".")[0] for name in imports(path)}
            assert not found & SUPERVISORS_OWN, path
