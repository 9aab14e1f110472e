"""Who may import or include whom: the rooms of docs/architecture.md, read from the sources."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE = Path(__file__).resolve().parents[2] / "src"
PACKAGE = SOURCE / "covsup"

# A room may import itself and these.
ALLOWED = {
    "__init__": set(),
    "__main__": {"supervisor"},
    "hints": set(),  # the part of typing that runs
    "interpreter_command": set(),
    "pairs": set(),
    "notes": {"pairs"},
    "mark_files": {"pairs"},
    "supervisor": {
        "carrier",
        "datafile",
        "hints",
        "interpreter_command",
        "mark_files",
        "pytest_start",
        "views",
    },
    "views": {"datafile", "hints", "interpreter_command"},
    "carrier": {"bootstrap", "hints", "notes"},  # start.py alone, in a measured process
    "bootstrap": {
        "concurrency",
        "interpreter_command",
        "notes",
        "pairs",
        "plugins",
        "pytest_start",
        "tracer_c",
    },
    "plugins": set(),
    "concurrency": {"tracer_c"},
    "embed": {"bootstrap", "mark_files", "notes", "tracer_c"},
    "attached": {"bootstrap", "pairs"},
    "pytest_start": {"interpreter_command"},
    "pytest_plugin": {
        "bootstrap",
        "embed",
        "pytest_reports",
        "pytest_start",
    },  # in pytest, which has argparse
    "pytest_reports": {"embed"},
    "datafile": {"hints", "interpreter_command", "mark_files", "pairs"},
    "tracer_c": set(),
}
# A measured process never imports these because of covsup: they cost time, and a target could notice.
SUPERVISORS_OWN = {"coverage", "psutil", "rich", "argparse", "sqlite3"}


def room_of(module: str) -> str:
    """Give the room of a module, or of a name in covsup itself, which is no module."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"


def module_of(path: Path) -> str:
    """Give the dotted name of a source file's module."""
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    return name.removesuffix(".__init__")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every name that a module imports, also those for type checkers and inside functions."""
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
    module = module_of(path)
    room = room_of(module)
    own = [name for name in imports(path) if name.split(".")[0] == "covsup"]
    allowed = ALLOWED[room] | {room, "__init__"}
    wrong = [name for name in own if room_of(name) not in allowed]
    assert not wrong, f"{module} may import {sorted(allowed)}"


def test_a_measured_process_imports_nothing_of_the_supervisors() -> None:
    for path in modules():
        room = room_of(module_of(path))
        if room in {
            "__init__",
            "attached",
            "bootstrap",
            "carrier",
            "concurrency",
            "embed",
            "mark_files",
            "notes",
            "tracer_c",
        }:
            found = {name.split(".")[0] for name in imports(path)}
            assert not found & SUPERVISORS_OWN, path


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Give the nodes of a circle of the graph, in order; empty: there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = {module_of(path) for path in modules()}
    graph = {}
    for path in modules():
        named = {name if name in known else name.rpartition(".")[0] for name in imports(path)}
        graph[module_of(path)] = (named & known) - {module_of(path)}
    assert sum(map(len, graph.values())) > 200
    assert circle(graph) == []


# A folder of `views` may import itself and these. The faces know neither journals nor each other.
VIEWS_ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "sources": set(),
    "answers": {"model", "sources"},
    "terminal": {"model", "sources"},
    "web": {"model", "sources"},
}
READERS_OF_JOURNALS = ("covsup.datafile.journal.reader", "covsup.datafile.fold.gather")


@pytest.mark.parametrize("folder", VIEWS_ALLOWED)
def test_a_folder_of_the_views_imports_only_what_the_design_lets_it(folder: str) -> None:
    seen = 0
    for path in (PACKAGE / "views" / folder).rglob("*.py"):
        for name in imports(path):
            if name.startswith("covsup.views."):
                assert name.split(".")[2] in VIEWS_ALLOWED[folder] | {folder}, path
            assert folder == "model" or not name.startswith(READERS_OF_JOURNALS), path
            seen += 1
    assert seen


INCLUDE = re.compile(r'^ *# *include "(.+)"', re.MULTILINE)

# A folder of C may include its own headers and those of these folders.
C_ALLOWED: dict[str, set[str]] = {
    "carrier": {"tracer_c/journal"},  # the rule of trust, which needs no Python
    "datafile/database": {"datafile/fold"},
    "datafile/fold": {"datafile/journal"},
    "datafile/journal": {"datafile/fold", "tracer_c/contexts", "tracer_c/journal"},
    "tracer_c/journal": set(),
    "tracer_c/cpython": {"tracer_c/journal"},
    "tracer_c/analysis": {"tracer_c/cpython", "tracer_c/recorded"},
    "tracer_c/recorded": {"tracer_c/analysis", "tracer_c/core", "tracer_c/journal"},
    "tracer_c/files": {"tracer_c/core", "tracer_c/cpython", "tracer_c/plugins"},
    "tracer_c/contexts": {
        "tracer_c/core", "tracer_c/cpython", "tracer_c/plugins", "tracer_c/recorded",
    },
    "tracer_c/plugins": {
        "tracer_c/contexts", "tracer_c/core", "tracer_c/files", "tracer_c/settrace",
    },
    "tracer_c/process": {
        "tracer_c/contexts", "tracer_c/core", "tracer_c/cpython", "tracer_c/journal",
        "tracer_c/settrace",
    },
    "tracer_c/core": {
        "tracer_c/analysis", "tracer_c/contexts", "tracer_c/cpython", "tracer_c/files",
        "tracer_c/monitoring", "tracer_c/recorded", "tracer_c/settrace",
    },
    "tracer_c/settrace": {
        "tracer_c/analysis", "tracer_c/contexts", "tracer_c/core", "tracer_c/cpython",
        "tracer_c/files", "tracer_c/monitoring", "tracer_c/plugins",
    },
    "tracer_c/monitoring": {
        "tracer_c/analysis", "tracer_c/contexts", "tracer_c/core", "tracer_c/cpython",
        "tracer_c/files", "tracer_c/journal", "tracer_c/plugins", "tracer_c/recorded",
        "tracer_c/settrace",
    },
    "tracer_c/module": {
        "tracer_c/contexts", "tracer_c/core", "tracer_c/cpython", "tracer_c/journal",
        "tracer_c/monitoring", "tracer_c/plugins", "tracer_c/process", "tracer_c/recorded",
        "tracer_c/settrace",
    },
}  # fmt: skip


def c_files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.[ch]"))


def included(path: Path) -> Iterator[Path]:
    """The files of covsup's own that a C file includes, as the compiler finds them."""
    room = PACKAGE / path.relative_to(PACKAGE).parts[0]
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        places = [place for place in (path.parent, room, PACKAGE) if (place / name).exists()]
        assert places, f"{path} includes {name}, which is not there"
        yield places[0] / name


def unit(path: Path) -> str:
    """A .c file and the .h file of its name are one."""
    return str(path.relative_to(PACKAGE).with_suffix(""))


def test_no_c_files_include_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in c_files():
        graph.setdefault(unit(path), set()).update(map(unit, included(path)))
    for name, others in graph.items():
        others.discard(name)
    assert sum(map(len, graph.values())) > 100
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[:-1] != []
    assert circle({"a": {"b"}, "b": set()}) == []


def test_a_c_folder_includes_only_what_the_design_lets_it() -> None:
    wrong = set()
    for path in c_files():
        folder = str(path.parent.relative_to(PACKAGE))
        for other in included(path):
            there = str(other.parent.relative_to(PACKAGE))
            if there != folder and there not in C_ALLOWED.get(folder, set()):
                wrong.add((folder, there))
    assert sorted(wrong) == []


def test_the_journals_writer_knows_neither_python_nor_another_room() -> None:
    files = sorted((PACKAGE / "tracer_c" / "journal").glob("*.[ch]"))
    assert len(files) > 8
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "Python.h" not in text, path
        assert "Py_" not in text, path
        assert {other.parent.name for other in included(path)} <= {"journal"}, path
