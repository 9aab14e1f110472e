"""A row of the corpus: a program with marks that say what of it runs, and how to judge a run by them.

A mark is a comment at the end of a statement's first line:

    no mark   the line runs, and if it decides anything, every outcome comes
    #-        the line never runs
    #T        the line runs; of its outcomes only "into the body" ever comes
    #F        the line runs; of its outcomes only "past the body" ever comes
    #X        the line runs, and no outcome of it ever comes (it is left by an exception, or never)
    #?        not to be known (a race that the program cannot end, or that differs by Python version)

The body of a loop, `if`, `case` or `except` is the T outcome, all else is F. Whatever follows the
mark in the comment says why.
"""

from __future__ import annotations

import ast
import enum
import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping

    from tests.world import FileReport

PROGRAM = "program.py"


class Mark(enum.Enum):
    """What a statement's line says about itself."""

    BOTH = ""
    NEVER = "-"
    TRUE = "T"
    FALSE = "F"
    NEITHER = "X"
    UNKNOWN = "?"


OUTCOMES = {
    Mark.BOTH: {True, False},
    Mark.NEVER: set(),
    Mark.TRUE: {True},
    Mark.FALSE: {False},
    Mark.NEITHER: set(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One file of a row: its statements' marks, and where the bodies of its decisions are."""

    marks: Mapping[int, Mark]
    bodies: Mapping[int, range]
    """Line of a decision: the lines of its body."""

    @classmethod
    def of(cls, source: str) -> Expected:
        return cls(marks=dict(_marks(source)), bodies=dict(_bodies(source)))

    def mark(self, line: int) -> Mark:
        return self.marks.get(line, Mark.BOTH)

    def differences(self, report: FileReport, *, branch: bool) -> list[str]:
        """Say what ran and should not have, and what did not run and should have."""
        found = []
        statements = report.executed_lines | report.missing_lines
        for line in sorted(statements):
            mark = self.mark(line)
            ran = line in report.executed_lines
            if mark is not Mark.UNKNOWN and ran != (mark is not Mark.NEVER):
                found.append(f"line {line} {'invented' if ran else 'lost'}")
        # What can never run may have been compiled away.
        strange = {line for line, mark in self.marks.items() if mark is not Mark.NEVER} - (
            statements | report.excluded_lines
        )
        found += [f"line {line} has a mark and is no statement" for line in sorted(strange)]
        if not branch:
            return found
        for start, end in sorted(report.executed_branches | report.missing_branches):
            mark, body = self.mark(start), self.bodies.get(start)
            if body is None or mark is Mark.UNKNOWN:
                continue
            ran = (start, end) in report.executed_branches
            if ran != ((end in body) in OUTCOMES[mark]):
                found.append(f"branch {start} -> {end} {'invented' if ran else 'lost'}")
        return found


def _marks(source: str) -> Iterator[tuple[int, Mark]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (
            found := re.match(r"#([-TFX?])(?:\s|$)", token.string)
        ):
            yield token.start[0], Mark(found[1])


def _bodies(source: str) -> Iterator[tuple[int, range]]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler():
                line = node.lineno
            case ast.match_case():
                line = node.pattern.lineno
            case _:
                continue
        yield line, range(first_line(node.body[0]), (node.body[-1].end_lineno or 0) + 1)


def first_line(statement: ast.stmt) -> int:
    """Give the line that coverage.py calls the statement's: that of the first decorator, if any."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A program, what it needs, and how it ends."""

    name: str
    source: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files; those that end in .py are judged by their marks like the program."""
    command: tuple[str, ...] = (PROGRAM,)
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Modules without which the row is skipped."""
    python: tuple[int, int] = (3, 11)
    until: tuple[int, int] = (9, 9)
    """First Python version that cannot run it."""
    linux: bool = False
    root: bool = False
    """It gives up privileges, so it must have them."""
    ends: int | signal.Signals = 0
    stdin: str = ""
    prints: str | None = None
    """The whole of stdout, where the row says it."""
    same_as_plain: bool = False
    """Standard output, error and end are compared with those of a plain run."""
    witness: bool = True
    """False where markers in the program would change what it does."""
    gaps: Mapping[str, str] = field(default_factory=dict)
    """Core (`*`: any): why it cannot yet get the row right. The row then must fail there."""
    timeout: float = 20

    def sources(self) -> dict[str, str]:
        return {
            PROGRAM: self.source.lstrip("\n"),
            **{name: text.lstrip("\n") for name, text in self.files.items()},
        }

    def gap(self, core: str) -> str | None:
        """Say why the core is known not to get the row right."""
        return self.gaps.get(core) or self.gaps.get("*")

    def plain_command(self, python: str) -> tuple[str, ...]:
        """Give the command that covsup would measure: a script or module needs its interpreter."""
        script = self.command[0] == "-m" or self.command[0].endswith(".py")
        return (python, *self.command) if script else self.command

    def judged(self) -> dict[str, Expected]:
        return {
            name: Expected.of(text) for name, text in self.sources().items() if name.endswith(".py")
        }
