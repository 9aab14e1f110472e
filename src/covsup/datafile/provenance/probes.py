"""Pythons that execute nothing which a session could measure, told by their command line alone.

tox, virtualenv, uv, poetry and many scripts start interpreters to ask them about themselves, or to
make environments, and often clear their environment for that. Such a one is no loss. Whatever might
run code of the program is one: the rules take a command line only where it says all that is run.
"""

from __future__ import annotations

import os
import re

from covsup.datafile.provenance.command_lines import parse_command_line
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence
    from typing import Final

    from covsup.datafile.session.directory import Settings

_TOOLS: Final = frozenset(
    {"ensurepip", "venv", "compileall", "py_compile", "site", "sysconfig", "platform"}
)
"""Modules of the standard library that run nothing but themselves."""

_INTROSPECTION_MODULES: Final = frozenset(
    {"sys", "os", "platform", "site", "sysconfig", "json", "struct"}
)
"""What code that asks an interpreter about itself imports, and nothing else."""

_NAMES_THAT_RUN_CODE: Final = frozenset(
    {"exec", "eval", "compile", "__import__", "breakpoint", "globals", "locals", "vars", "getattr",
     "builtins", "__builtins__", "modules", "meta_path", "path_hooks", "addsitedir", "addpackage",
     "main", "execsitecustomize", "execusercustomize"}
)  # fmt: skip
"""Names by which such code could still run something else."""

_QUERY_SCRIPTS: Final = frozenset({"_py_info_collect.py", "_py_info.py", "py_info.py"})
"""Scripts of virtualenv and python-discovery, which may lie in a temporary directory."""

_COOKIE: Final = re.compile(r"[A-Za-z0-9]{32}")
_UV: Final = "from python.get_interpreter_info import main"


def runs_nothing_measured(argv: Sequence[str], settings: Settings | None) -> bool:
    """Whether an interpreter with this command line runs no code that `settings` would measure."""
    called = parse_command_line(argv)
    if called.start >= len(argv):
        return False
    what, words = argv[called.start], argv[called.start + 1 :]
    match called.kind:
        case "-c":
            code = what.partition("c")[2] if what.startswith("-") else what
            return _asks_about_itself(code) or (_UV in code and "I" in called.letters)
        case "-m":
            module = what.partition("m")[2] if what.startswith("-") else what
            if module == "pip":
                # Not isolated, another pip might come from the working directory.
                return "I" in called.letters and not _is_source("pip", settings)
            return module in _TOOLS and not (settings is not None and settings.cover_pylib)
        case _:
            return (
                os.path.basename(what) in _QUERY_SCRIPTS  # noqa: PTH119 - any text
                and len(words) == 2
                and all(_COOKIE.fullmatch(word) for word in words)
                and not _is_source("virtualenv", settings)
                and not _is_source("python_discovery", settings)
                and not _is_in_source(what, settings)
            )


def _is_source(package: str, settings: Settings | None) -> bool:
    return settings is not None and any(
        each.partition(".")[0] == package for each in settings.source_pkgs
    )


def _is_in_source(path: str, settings: Settings | None) -> bool:
    """Whether a script belongs to the project: not to what is installed in an environment there."""
    if not path.startswith("/"):
        return True
    if settings is None or "-packages/" in path:
        return False
    places = (*settings.source_dirs, settings.cwd)
    return any(place and path.startswith(f"{place}/") for place in places)


def _asks_about_itself(code: str) -> bool:
    """Whether code imports only what tells of an interpreter, and runs nothing by name."""
    import ast  # noqa: PLC0415 - only where a Python with -c was not measured

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    imported = {name for node in ast.walk(tree) for name in _imported(node)}
    named = {name for node in ast.walk(tree) for name in _named(node)}
    return (
        bool(imported) and imported <= _INTROSPECTION_MODULES and not named & _NAMES_THAT_RUN_CODE
    )


def _imported(node: ast.AST) -> list[str]:
    import ast  # noqa: PLC0415

    match node:
        case ast.Import(names=names):
            return [name.name.partition(".")[0] for name in names]
        case ast.ImportFrom(module=module, level=level):
            return [(module or "").partition(".")[0] if not level else ""]
        case _:
            return []


def _named(node: ast.AST) -> list[str]:
    import ast  # noqa: PLC0415

    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.ImportFrom(names=names):
            return [name.name for name in names]
        case _:
            return []
