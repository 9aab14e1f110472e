"""Proof of the rows' marks without a tracer: the programs are rewritten to report what runs.

Before every statement there is a call that appends "ran <file> <line>" to a log, and in every body
and on every way past a body one that appends the outcome. Each is one write(2) with O_APPEND, by
path, so nothing is lost through SIGKILL, fork, exec, closed descriptors or switches.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.corpus.row import OUTCOMES, Expected, Mark, first_line

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """\
def _witness(fact, posix=__import__("posix")):
    log = posix.open({log!r}, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT, 0o666)
    posix.write(log, (fact + "\\n").encode())
    posix.close(log)
import builtins as _witness_builtins
_witness_builtins._witness_{tag} = _witness
del _witness, _witness_builtins
"""


class _Rewriter(ast.NodeTransformer):
    def __init__(self, tag: str) -> None:
        self.tag = tag

    def _report(self, kind: str, line: int) -> ast.stmt:
        call = f"_witness_{self.tag}('{kind} {self.tag} {line}')"
        statement: ast.stmt = ast.parse(call).body[0]
        return statement

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        reports: list[ast.stmt] = []
        for statement in body:
            reports += [self._report("ran", first_line(statement)), self.visit(statement)]
        return reports

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self._block(value))
            elif isinstance(value, list) and name in {"handlers", "cases"}:
                setattr(node, name, [self.visit(item) for item in value])
        return node

    def _decision(self, node: ast.If | ast.For | ast.AsyncFor | ast.While) -> ast.AST:
        line = node.lineno
        self.generic_visit(node)
        node.body.insert(0, self._report("true", line))
        node.orelse.insert(0, self._report("false", line))
        return node

    visit_If = visit_For = visit_AsyncFor = visit_While = _decision  # noqa: N815

    def visit_Try(self, node: ast.Try) -> ast.AST:
        passed: list[ast.stmt] = []
        self.generic_visit(node)
        for handler in node.handlers:
            reports = [self._report("ran", handler.lineno), self._report("true", handler.lineno)]
            handler.body[:0] = passed + reports
            passed = [
                *passed,
                self._report("ran", handler.lineno),
                self._report("false", handler.lineno),
            ]
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        passed: list[ast.stmt] = []
        lines = [case.pattern.lineno for case in node.cases]
        self.generic_visit(node)
        for case, line in zip(node.cases, lines, strict=True):
            reports = [self._report("ran", line), self._report("true", line)]
            case.body[:0] = passed + reports
            passed = [*passed, self._report("ran", line), self._report("false", line)]
        last = node.cases[-1]
        if last.guard is not None or not (
            isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        ):
            node.cases.append(ast.match_case(pattern=ast.MatchAs(), body=passed))
        return node


def rewritten(source: str, *, tag: str, log: Path) -> str:
    """Give the program that does the same and reports what runs; `tag` is its name in the log."""
    tree = ast.parse(source)
    _Rewriter(tag).visit(tree)
    at = 0
    for statement in tree.body:  # docstring and __future__ imports stay in front
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            at = tree.body.index(statement) + 1
    tree.body[at:at] = ast.parse(PRELUDE.format(log=str(log), tag=tag)).body
    return ast.unparse(ast.fix_missing_locations(tree))


@dataclass(slots=True)
class Testimony:
    """What a rewritten program reports about one of its files."""

    ran: set[int] = field(default_factory=set)
    outcomes: dict[int, set[bool]] = field(default_factory=lambda: defaultdict(set))

    def contradictions(self, source: str, expected: Expected) -> list[str]:
        """Say where the marks of the file are not what happened."""
        found = []
        undecided = {  # a handler that does not match cannot report, `while True` has no outcomes
            node.lineno
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ExceptHandler)
            or (isinstance(node, ast.While) and isinstance(node.test, ast.Constant))
        }
        for line in sorted(_statements(source)):
            mark = expected.mark(line)
            if mark is Mark.UNKNOWN:
                continue
            if (line in self.ran) != (mark is not Mark.NEVER):
                found.append(f"line {line}: marked {mark}, ran: {line in self.ran}")
            if (
                line in expected.bodies
                and line not in undecided
                and (self.outcomes[line] != OUTCOMES[mark])
            ):
                found.append(f"line {line}: marked {mark}, outcomes {self.outcomes[line]}")
        return found


def read_log(log: Path) -> dict[str, Testimony]:
    """Read the log: the testimony of each tag."""
    found: dict[str, Testimony] = defaultdict(Testimony)
    for fact in log.read_text(encoding="utf-8").splitlines():
        kind, tag, line = fact.split()
        if kind == "ran":
            found[tag].ran.add(int(line))
        else:
            found[tag].outcomes[int(line)].add(kind == "true")
    return found


def _statements(source: str) -> set[int]:
    """Lines of statements that leave code behind."""
    lines = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Global() | ast.Nonlocal():
                continue
            case ast.AnnAssign(value=None):
                continue
            case ast.stmt():
                lines.add(first_line(node))
            case _:
                pass
    return lines
