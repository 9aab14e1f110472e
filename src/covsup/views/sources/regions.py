"""The functions and classes of a source file, as coverage.py divides it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from coverage.regions import RegionFinder

from covsup.datafile.fold.sets import line_set_of
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from coverage.plugin import CodeRegion, FileReporter

    from covsup.datafile.fold.sets import LineSet

_NOT_RUN: Final = frozenset({"abstractmethod", "abstractproperty", "overload"})
"""Decorators of functions whose bodies are not meant to run."""


class Region(NamedTuple):
    """A function or a class of a source file."""

    kind: str  # "function" or "class"
    name: str  # qualified: "Class.method"
    start: int  # the line of its `def` or `class`
    end: int  # its last line; 0 = unknown
    lines: LineSet
    """The statements of its body; those of functions inside it are not among them. Of a class: the
    statements of its methods."""
    is_declaration: bool
    """Whether the body is not meant to run: an abstract method, an overload, a method of a Protocol
    without code."""


def regions_of(reporter: FileReporter, statements: set[int]) -> tuple[Region, ...]:
    """The regions of a file, in the order of their first lines."""
    tree = getattr(getattr(reporter, "parser", None), "_ast_root", None)
    found: Iterable[CodeRegion]
    ends: dict[int, tuple[int, bool]] = {}
    if tree is None:
        found = reporter.code_regions()
    else:
        finder = RegionFinder()  # that of code_regions(), without parsing the source again
        finder.handle_node(tree)
        found = finder.regions
        ends = {
            node.lineno: (node.end_lineno or 0, is_declaration)
            for node, is_declaration in _definitions(tree, in_protocol=False)
        }
    return tuple(
        Region(each.kind, each.name, each.start, end, line_set_of(each.lines & statements), unmeant)
        for each in sorted(found, key=lambda each: each.start)
        for end, unmeant in [ends.get(each.start, (0, False))]
    )


def _definitions(
    node: ast.AST, *, in_protocol: bool
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, bool]]:
    """Every function and class, and whether it only declares something."""
    for child in _statements(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                decorators = {_last_name(each) for each in child.decorator_list}
                without_code = in_protocol and all(map(_is_empty, child.body))
                yield child, bool(decorators & _NOT_RUN) or without_code
                yield from _definitions(child, in_protocol=False)
            case ast.ClassDef():
                yield child, False
                is_protocol = any(_last_name(base) == "Protocol" for base in child.bases)
                yield from _definitions(child, in_protocol=is_protocol)
            case _:
                yield from _definitions(child, in_protocol=in_protocol)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements in a statement."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        found = getattr(node, field, None)
        if isinstance(found, list):
            yield from found


def _last_name(node: ast.AST) -> str:
    """ "abstractmethod" for `abc.abstractmethod`, "Protocol" for `Protocol[T]`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value) | ast.Call(func=value):
            return _last_name(value)
        case _:
            return ""


def _is_empty(statement: ast.stmt) -> bool:
    """A docstring, `...`, `pass` or `raise NotImplementedError`."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.Raise(exc=exception) if exception is not None:
            return _last_name(exception) == "NotImplementedError"
        case _:
            return False
