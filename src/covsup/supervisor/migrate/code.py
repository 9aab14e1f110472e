"""What `covsup debug migrate` finds in Python code: start-up snippets, runners, the API."""

from __future__ import annotations

import ast
import re
import shlex

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.migrate.commands import in_words
from covsup.supervisor.migrate.finding import ACTIONS, Action, Finding, text_or_empty
from covsup.supervisor.migrate.settings import requirement
from covsup.supervisor.settings.compatibility import VARIABLES, Support

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Final

    from covsup.supervisor.migrate.commands import CombinedData

_WORTH_PARSING: Final = re.compile(r"coverage|pytest_cov|pytest-cov|COV_CORE", re.IGNORECASE)
_STARTUP: Final = re.compile(r"process_startup\s*\(")
_NO_STARTUP: Final = (
    "covsup installs its own startup file; for programs that covsup does not start: covsup env"
)
_RUNNERS: Final = frozenset({"run", "run_always", "call", "check_call", "check_output", "Popen"})
_INSTALLERS: Final = frozenset({"install", "conda_install"})
_API: Final = frozenset({"coverage.Coverage", "coverage.coverage", "Coverage"})


def in_code(directory: Path, files: Iterable[Path], data: CombinedData) -> Iterator[Finding]:
    """What a project's Python files do with coverage.py or pytest-cov."""
    for path in files:
        name = path.relative_to(directory).as_posix()
        if path.suffix == ".pth":
            for number, line in enumerate(text_or_empty(path).splitlines(), 1):
                if _STARTUP.search(line) and "coverage" in line:
                    yield _startup(name, number)
        elif path.suffix == ".py" and _WORTH_PARSING.search(text := text_or_empty(path)):
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                continue  # Python reports it when the file is run
            for node in ast.walk(tree):
                yield from _in_node(name, node)
                if isinstance(node, ast.Call) and "/" not in name:
                    yield from _in_runner(name, node, data)


def _in_node(name: str, node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "pytest_cov":
            names = [alias.name for alias in node.names]
            yield from _embed(name, node.lineno, module, names)
        case ast.Import():
            for alias in node.names:
                if alias.name.split(".")[0] == "pytest_cov":
                    yield from _embed(name, node.lineno, alias.name, [])
        case ast.Call():
            yield from _in_call(name, node)
        case ast.Constant(value="pytest_cov" | "pytest_cov.plugin" as plugin):
            yield Finding(path=name, line=node.lineno, found=repr(plugin), action=Action.CHANGE,
                          why="leave it out: pytest finds covsup's plugin, which understands the"
                          " same options")  # fmt: skip
        case ast.Constant(value=str(text)) if name == "setup.py":
            yield from requirement(name, node.lineno, text)
        case ast.Constant(value=str(text)) if text in VARIABLES:
            meaning = VARIABLES[text]
            if meaning.support is not Support.HONOURED:
                yield Finding(path=name, line=node.lineno, found=text,
                              action=ACTIONS[meaning.support], why=meaning.note)  # fmt: skip
        case _:
            return


def _in_call(name: str, node: ast.Call) -> Iterator[Finding]:
    called = ast.unparse(node.func)
    if called in {"coverage.process_startup", "process_startup"}:
        yield _startup(name, node.lineno)
    elif called in _API:
        yield Finding(
            path=name, line=node.lineno, found=f"{called}(...)", action=Action.UNSUPPORTED,
            why="covsup measures a program from outside: start it with `covsup run`, or let it"
            " join a session of `covsup env`; covsup.embed has pause(), context() and snapshot()",
        )  # fmt: skip


def _in_runner(name: str, node: ast.Call, data: CombinedData) -> Iterator[Finding]:
    """A command line or a requirement in a call of nox, invoke or subprocess."""
    last = ast.unparse(node.func).rpartition(".")[2]
    if last in _RUNNERS:
        yield from in_words(name, node.lineno, " ".join(_words(node.args)), data)
    elif last in _INSTALLERS:
        for word in _words(node.args):
            yield from requirement(name, node.lineno, word)


def _words(arguments: Iterable[ast.expr]) -> Iterator[str]:
    """The words of a command line in a call's arguments; an expression becomes `${...}`."""
    for argument in arguments:
        match argument:
            case ast.Constant(value=str(text)):
                # One string may be a whole command line.
                yield text if "coverage " in text else shlex.quote(text)
            case ast.List() | ast.Tuple():
                yield from _words(argument.elts)
            case _:
                yield f"${{{ast.unparse(argument).lstrip('*')}}}".replace(" ", "")


def _embed(name: str, line: int, module: str, names: list[str]) -> Iterator[Finding]:
    found = f"from {module} import {', '.join(names)}" if names else f"import {module}"
    supported = {"init", "cleanup", "cleanup_on_sigterm", "cleanup_on_signal", "active"}
    instead = (
        f"from covsup.embed import {', '.join(names)}"
        if names and supported.issuperset(names)
        else ""
    )
    why = "or leave it out: nothing has to be saved, however a process ends"
    if not instead:
        why = "leave it out: without pytest-cov it cannot be imported, and nothing has to be saved"
    yield Finding(path=name, line=line, found=found, action=Action.CHANGE, instead=instead, why=why)


def _startup(name: str, line: int) -> Finding:
    return Finding(path=name, line=line, found="coverage.process_startup()", action=Action.DROP,
                   why=_NO_STARTUP)  # fmt: skip
