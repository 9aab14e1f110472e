"""Recognize Pythons that execute nothing a session could measure, by their command line alone.

tox, virtualenv, uv, poetry and many scripts start interpreters to ask them about themselves, or to
make environments, and often clear their environment for that. Reporting each as unmeasured would
hide real losses. The rules are strict: a command line counts only where it shows everything that is
run, and nothing of it can be code of the target.
"""

from __future__ import annotations

import re

from covsup.hints import TYPE_CHECKING
from covsup.interpreter_command import parse_command_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from covsup.datafile.session.settings import Settings

_TOOLS: Final = frozenset(
    {"ensurepip", "venv", "compileall", "py_compile", "site", "sysconfig", "platform"}
)
"""Modules of the standard library that run nothing but themselves."""

_INTROSPECTION_MODULES: Final = frozenset(
    {"sys", "os", "platform", "site", "sysconfig", "json", "struct"}
)
"""The only imports of code that asks an interpreter about itself."""

_NAMES_THAT_RUN_CODE: Final = frozenset(
    {"exec", "eval", "compile", "__import__", "breakpoint", "globals", "locals", "vars", "getattr",
     "builtins", "__builtins__", "modules", "meta_path", "path_hooks", "addsitedir", "addpackage",
     "main", "execsitecustomize", "execusercustomize"}
)  # fmt: skip
"""Names by which such code could still run something else."""

_QUERY_SCRIPTS: Final = frozenset({"_py_info_collect.py", "_py_info.py", "py_info.py"})
"""Scripts of virtualenv and python-discovery, which may be in a temporary directory."""

_COOKIE: Final = re.compile(r"[A-Za-z0-9]{32}")
"""Each of the two arguments of these scripts."""

_UV: Final = "from python.get_interpreter_info import main"
"""A line of the code by which uv asks an interpreter about itself."""


def runs_nothing_measured(argv: Sequence[str], settings: Settings | None) -> bool:
    """Whether an interpreter with this command line runs no code that `settings` would measure."""
    command = parse_command_line(argv)
    program = command.program
    if command.start >= len(argv):
        return False
    match command.kind:
        case "-c":
            return _asks_about_itself(program) or (_UV in program and "I" in command.letters)
        case "-m" if program == "pip":
            # Without -I, the working directory might hold a pip of its own.
            return "I" in command.letters and not _is_source("pip", settings)
        case "-m":
            return program in _TOOLS and not (settings is not None and settings.cover_pylib)
        case _:
            arguments = argv[command.start + 1 :]
            return (
                program.rpartition("/")[2] in _QUERY_SCRIPTS
                and len(arguments) == 2
                and all(_COOKIE.fullmatch(each) for each in arguments)
                and not _is_source("virtualenv", settings)
                and not _is_source("python_discovery", settings)
                and not _is_in_source(program, settings)
            )


def _is_source(package: str, settings: Settings | None) -> bool:
    """Whether the settings name this package as one to be measured."""
    return settings is not None and any(
        each.partition(".")[0] == package for each in settings.source_pkgs
    )


def _is_in_source(path: str, settings: Settings | None) -> bool:
    """Whether a script belongs to the project, and not to an environment inside its directory."""
    if not path.startswith("/"):
        return True
    if settings is None or "-packages/" in path:
        return False
    directories = (*settings.source_dirs, settings.cwd)
    return any(each and path.startswith(f"{each}/") for each in directories)


def _asks_about_itself(code: str) -> bool:
    """Whether code imports only modules that describe the interpreter, and can run nothing else."""
    import ast  # it loads slowly, and few sessions have an unmeasured `python -c`

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    imported: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imported.update(name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=module, level=level, names=names):
                imported.add((module or "").partition(".")[0] if not level else "")
                used.update(name.name for name in names)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                used.add(name)
            case _:
                pass
    return bool(imported) and imported <= _INTROSPECTION_MODULES and not used & _NAMES_THAT_RUN_CODE
