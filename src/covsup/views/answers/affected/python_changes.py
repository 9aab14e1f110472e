"""What differs between two versions of a Python file, as statements.

Comments, blank lines and layout make no difference. A change inside a function touches the tests that
ran the changed statements; where statements were inserted, or the change has another meaning for the
whole function (a name became local, it became a generator), it touches those that ran the function.
Everything else runs when the module is imported.
"""

from __future__ import annotations

import ast
import warnings
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import LARGEST_LINE
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from covsup.datafile.fold.sets import LineSet

    Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.Lambda, ast.ClassDef)


class Definition(NamedTuple):
    """A function or method whose definition differs: it runs when the module is imported."""

    name: str  # qualified: "Class.method"
    kind: str  # "here" = only in the version compared, "there" = only in the other one, "both"
    is_plain: bool  # a function of the module, without decorators
    lines: LineSet  # of its body in the version compared; 0 = it is not there


class Difference(NamedTuple):
    """What of one version of a file differs from another one."""

    lines: LineSet = 0  # statements in functions that differ
    functions: frozenset[str] = frozenset()  # the outermost functions with them, qualified
    definitions: tuple[Definition, ...] = ()
    at_import: bool = False  # whether something else differs that runs at import
    is_whole: bool = False  # the versions could not be compared

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.lines or self.definitions or self.at_import or self.is_whole)


WHOLE = Difference(at_import=True, is_whole=True)


def parse(text: bytes) -> ast.Module | None:
    """The tree of a source file; None if this Python cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def difference(here: bytes | None, there: bytes | None) -> Difference:
    """What of the version `here` differs from the version `there`; None = there is no file."""
    if here is None or there is None:
        return Difference() if here is there else WHOLE
    if unified(here) == unified(there):
        return Difference()
    mine, other = parse(here), parse(there)
    if mine is None or other is None:
        return WHOLE
    comparison = _Comparison()
    try:
        comparison.blocks(mine.body, other.body, _Place())
    except RecursionError:
        return WHOLE
    return Difference(
        comparison.lines,
        frozenset(comparison.functions),
        tuple(comparison.definitions),
        comparison.at_import,
    )


class _Place(NamedTuple):
    """Where a block is."""

    prefix: str = ""  # of qualified names
    function: Function | None = None  # the innermost function around it
    outermost: str = ""  # the qualified name of the outermost one
    is_in_class: bool = False


class _Comparison:
    def __init__(self) -> None:
        self.lines: LineSet = 0
        self.functions: set[str] = set()
        self.definitions: list[Definition] = []
        self.at_import = False

    def blocks(self, here: Sequence[ast.stmt], there: Sequence[ast.stmt], place: _Place) -> None:
        keys = [_head(each) for each in here], [_head(each) for each in there]
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
            if tag == "equal":
                for mine, other in zip(here[i1:i2], there[j1:j2], strict=True):
                    self._statement(mine, other, place)
                continue
            if place.function is None:
                self._definitions(here[i1:i2], "here", place)
                self._definitions(there[j1:j2], "there", place)
            elif i1 == i2:
                self._touch_function(place)
            else:
                for mine in here[i1:i2]:
                    self._touch(mine, place)

    def _statement(self, mine: ast.stmt, other: ast.stmt, place: _Place) -> None:
        """Compare two statements that begin alike."""
        if ast.dump(mine) == ast.dump(other):
            return
        if isinstance(mine, _FUNCTIONS) and isinstance(other, _FUNCTIONS):
            self._function(mine, other, place)
        elif isinstance(mine, ast.ClassDef) and isinstance(other, ast.ClassDef):
            if _class_head(mine) != _class_head(other):
                self._changed(mine, place)
            inner = place._replace(prefix=f"{place.prefix}{mine.name}.", is_in_class=True)
            self.blocks(mine.body, other.body, inner)
        else:
            for mine_block, other_block in zip(_blocks(mine), _blocks(other), strict=True):
                self.blocks(mine_block, other_block, place)

    def _function(self, mine: Function, other: Function, place: _Place) -> None:
        name = place.prefix + mine.name
        if _function_head(mine) != _function_head(other):
            if place.function is None:
                self.definitions.append(Definition(name, "both", False, _span(mine.body)))
            else:
                self._touch(mine, place)
        inner = _Place(f"{name}.<locals>.", mine, place.outermost or name)
        if _meaning(mine) != _meaning(other):
            self._touch_function(inner)
        if mine.decorator_list and place.function is None and _docstring(mine) != _docstring(other):
            # Its decorators may read it: they make help texts and routes of it.
            self.definitions.append(Definition(name, "both", False, _span(mine.body)))
        self.blocks(mine.body, other.body, inner)

    def _changed(self, mine: ast.stmt, place: _Place) -> None:
        if place.function is None:
            self.at_import = True
        else:
            self._touch(mine, place)

    def _definitions(self, block: Sequence[ast.stmt], kind: str, place: _Place) -> None:
        for each in block:
            if isinstance(each, _FUNCTIONS):
                is_plain = not place.is_in_class and not each.decorator_list
                lines = _span(each.body) if kind == "here" else 0
                self.definitions.append(Definition(place.prefix + each.name, kind, is_plain, lines))
            else:
                self.at_import = True

    def _touch(self, mine: ast.stmt, place: _Place) -> None:
        if not _runs(mine):
            self._touch_function(place)
        else:
            self._add(_span([mine]), place)

    def _touch_function(self, place: _Place) -> None:
        assert place.function is not None
        self._add(_span(place.function.body), place)

    def _add(self, lines: LineSet, place: _Place) -> None:
        self.lines |= lines
        self.functions.add(place.outermost)


def _head(statement: ast.stmt) -> str:
    """A text that two statements share if their parts can be compared."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return f"{type(statement).__name__} {statement.name}"
        case ast.If() | ast.While():
            parts: list[ast.AST | None] = [statement.test]
        case ast.For() | ast.AsyncFor():
            parts = [statement.target, statement.iter]
        case ast.With() | ast.AsyncWith():
            parts = [*statement.items]
        case ast.Try() | ast.TryStar():
            handlers = [
                f"{each.name} {'' if each.type is None else ast.dump(each.type)}"
                for each in statement.handlers
            ]
            return " ".join((type(statement).__name__, *handlers))
        case ast.Match():
            parts = [statement.subject]
            parts += [part for case in statement.cases for part in (case.pattern, case.guard)]
        case _:
            return ast.dump(statement)
    dumped = ["" if part is None else ast.dump(part) for part in parts]
    return " ".join((type(statement).__name__, *dumped))


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a statement that is neither a function nor a class."""
    for name in ("body", "orelse", "finalbody"):
        if isinstance(block := getattr(statement, name, None), list):
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _function_head(function: Function) -> str:
    parts = [function.args, *function.decorator_list, *getattr(function, "type_params", ())]
    if function.returns is not None:
        parts.append(function.returns)
    return " ".join(map(ast.dump, parts))


def _docstring(function: Function) -> str | None:
    return ast.get_docstring(function, clean=False)


def _class_head(node: ast.ClassDef) -> str:
    parts = [
        *node.bases,
        *node.keywords,
        *node.decorator_list,
        *getattr(node, "type_params", ()),
    ]
    return " ".join(map(ast.dump, parts))


def _meaning(function: Function) -> frozenset[str]:
    """What statements decide for the whole function: its local names, and whether it is a generator."""
    found = set()
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                found.update(f"{type(node).__name__} {name}" for name in names)
            case ast.alias(name=name, asname=asname):
                found.add(asname or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Yield() | ast.YieldFrom():
                found.add("yield")
            case _:
                pass
        if isinstance(node, _SCOPES):
            if not isinstance(node, ast.Lambda):
                found.add(node.name)
            continue
        waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def _runs(statement: ast.stmt) -> bool:
    """Whether the interpreter surely reports a line of a statement when it is reached."""
    match statement:
        case ast.Global() | ast.Nonlocal() | ast.AnnAssign(value=None):
            return False
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Assert():
            return False  # -O leaves it out
        case ast.If(test=test) | ast.While(test=test):
            return not _may_be_folded(test)
        case _:
            return True


def _may_be_folded(test: ast.expr) -> bool:
    """Whether the compiler may decide a condition, so that no line of it remains."""
    match test:
        case ast.Constant() | ast.Name(id="__debug__"):
            return True
        case ast.BoolOp(values=[first, *_]) | ast.UnaryOp(operand=first):
            return _may_be_folded(first)
        case ast.Compare(left=first):
            return _may_be_folded(first)
        case _:
            return False


def _span(statements: Sequence[ast.stmt]) -> LineSet:
    """The lines from the first statement to the end of the last one."""
    first = min(
        statements[0].lineno, *(each.lineno for each in getattr(statements[0], "decorator_list", ())),
        LARGEST_LINE,
    )  # fmt: skip
    last = min(statements[-1].end_lineno or first, LARGEST_LINE)
    return (1 << last + 1) - (1 << first) if last >= first else 0


def unified(text: bytes) -> bytes:
    """The text with one kind of line end."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
