"""Which code of one file never ran."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.fold.sets import arc_set_of, line_set_of, lines_in
from covsup.views.sources.source_library import SourceLibrary
from covsup.views.sources.unused import State, Unused, load_time_lines, unused_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@pytest.fixture
def library() -> SourceLibrary:
    return SourceLibrary(False)


def unused(
    library: SourceLibrary,
    tmp_path: Path,
    source: str,
    lines: Iterable[int],
    arcs: Iterable[tuple[int, int]] | None = None,
) -> list[tuple[State, str, str, list[int]]]:
    found = entries(library, tmp_path, source, lines, arcs)
    return [(each.state, each.kind, each.name, lines_in(each.missing)) for each in found]


def entries(
    library: SourceLibrary,
    tmp_path: Path,
    source: str,
    lines: Iterable[int],
    arcs: Iterable[tuple[int, int]] | None = None,
) -> list[Unused]:
    path = tmp_path / "source.py"
    path.write_text(dedent(source).lstrip())
    analysis = library.analysis_now(str(path))
    return unused_in(analysis, line_set_of(list(lines)), None if arcs is None else arc_set_of(arcs))


TWO = """
    def one():
        x = 1
        return x

    def two():
        return 2
"""


@pytest.mark.parametrize(
    ("source", "lines", "expected"),
    [
        (TWO, [], [(State.NEVER_IMPORTED, "module", "", [1, 2, 3, 5, 6])]),
        (TWO, [1, 5], [(State.NEVER_CALLED, "module", "", [2, 3, 6])]),
        (TWO, [1, 5, 6], [(State.NEVER_CALLED, "function", "one", [2, 3])]),
        (TWO, [1, 2, 5, 6], [(State.PARTLY_RUN, "function", "one", [3])]),
        (TWO, [1, 2, 3, 5, 6], []),
        ("", [], []),
        ('"""Only a docstring."""', [], []),
    ],
    ids=["never-imported", "nothing-called", "not-called", "partly", "all", "empty", "docstring"],
)
def test_each_state_of_a_function(
    library: SourceLibrary,
    tmp_path: Path,
    source: str,
    lines: list[int],
    expected: list[tuple[State, str, str, list[int]]],
) -> None:
    assert unused(library, tmp_path, source, lines) == expected


def test_a_class_of_which_no_method_ran_is_one_entry(
    library: SourceLibrary, tmp_path: Path
) -> None:
    source = """
        class Class:
            def one(self):
                return 1
            def two(self):
                return 2
        def called():
            return 3
    """
    (entry,) = entries(library, tmp_path, source, [1, 2, 4, 6, 7])
    assert (entry.state, entry.kind, entry.name) == (State.NEVER_CALLED, "class", "Class")
    assert entry.members == ("Class.one", "Class.two")
    assert lines_in(entry.missing) == [3, 5]
    assert unused(library, tmp_path, source, [1, 2, 3, 4, 6, 7]) == [
        (State.NEVER_CALLED, "method", "Class.two", [5])
    ]


def test_a_function_counts_with_the_functions_in_it(library: SourceLibrary, tmp_path: Path) -> None:
    source = """
        def outer():
            def inner():
                return 1
            return inner
        def called():
            def inner():
                return 1
            return inner
    """
    assert unused(library, tmp_path, source, [1, 5, 6, 8]) == [
        (State.NEVER_CALLED, "function", "outer", [2, 3, 4]),
        (State.NEVER_CALLED, "function", "called.inner", [7]),
    ]


def test_load_time_is_apart(library: SourceLibrary, tmp_path: Path) -> None:
    source = """
        import os
        if os.environ.get("X"):
            value = 1
            def conditional():
                return 1
        class Class:
            if value is None:
                other = 1
            def method(self):
                return 1
    """
    assert unused(library, tmp_path, source, [1, 2, 6, 7, 9, 10], [(2, 6), (7, 9)]) == [
        (State.NEVER_DEFINED, "function", "conditional", [5]),
        (State.LOAD_TIME, "module", "", [3, 4, 8]),
    ]
    analysis = library.analysis_now(str(tmp_path / "source.py"))
    assert lines_in(load_time_lines(analysis)) == [1, 2, 3, 4, 6, 7, 8, 9]


def test_a_line_that_never_went_somewhere_is_named(library: SourceLibrary, tmp_path: Path) -> None:
    source = """
        def function(x):
            if x:
                x = 1
            return x
    """
    lines = [1, 2, 3, 4]
    (entry,) = entries(library, tmp_path, source, lines, [(-1, 2), (2, 3), (3, 4), (4, -1)])
    assert (entry.state, entry.statements, entry.branches) == (State.PARTLY_RUN, 0, {2: (4,)})
    assert entries(library, tmp_path, source, lines) == []


@pytest.mark.parametrize(
    "source",
    [
        """
        from abc import abstractmethod
        class Class:
            @abstractmethod
            def method(self):
                return 1
        """,
        """
        from typing import Protocol
        class Class(Protocol[int]):
            def method(self):
                '''Do it.'''
                raise NotImplementedError
            def other(self): ...
        """,
        """
        import typing
        @typing.overload
        def function(x):
            return 1
        """,
        """
        def function():  # pragma: no cover
            return 1
        """,
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            def function():
                return 1
        """,
        """
        def stub(): ...
        def other():
            ...
        """,
        """
        function = lambda: (
            1
        )
        """,
    ],
    ids=["abstract", "protocol", "overload", "pragma", "type-checking", "stub", "lambda"],
)
def test_what_is_not_meant_to_run_is_not_listed(
    library: SourceLibrary, tmp_path: Path, source: str
) -> None:
    path = tmp_path / "source.py"
    path.write_text(dedent(source).lstrip())
    loaded = load_time_lines(library.analysis_now(str(path)))
    assert unused_in(library.analysis_now(str(path)), loaded | 2, None) == []


def test_decorated_and_async_functions_are_functions(
    library: SourceLibrary, tmp_path: Path
) -> None:
    source = """
        @staticmethod
        def decorated(
            a,
        ):
            return a
        async def waits():
            return 1
        def called(): return 1
        def also():
            return 1
    """
    assert unused(library, tmp_path, source, [1, 2, 6, 8, 9, 10]) == [
        (State.NEVER_CALLED, "function", "decorated", [5]),
        (State.NEVER_CALLED, "function", "waits", [7]),
    ]
