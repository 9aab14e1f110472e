"""An analysis counts what `coverage report` counts."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest
from coverage.python import PythonFileReporter
from coverage.results import analysis_from_file_reporter

import covsup
from covsup.datafile.fold.sets import arc_set_of, line_set_of
from covsup.views.sources.reporters import SourceUnavailable
from covsup.views.sources.source_library import SourceLibrary

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
OWN = Path(covsup.__file__).parent


class Executed:
    """What ran, as coverage.py asks its data for it."""

    def __init__(self, lines: set[int], arcs: set[tuple[int, int]] | None) -> None:
        self._lines, self._arcs = lines, arcs

    def has_arcs(self) -> bool:
        return self._arcs is not None

    def lines(self, _: str) -> list[int]:
        return sorted(self._lines)

    def arcs(self, _: str) -> list[tuple[int, int]]:
        # A line is an arc to itself in covsup's data.
        return sorted({*(self._arcs or ()), *((line, line) for line in self._lines)})


def some_of(numbers: Sequence[object], share: int) -> list[object]:
    """A part of a list, the same in each run."""
    return [each for index, each in enumerate(numbers) if index * 2654435761 % 100 < share]


def check(path: Path, library: SourceLibrary, oracle: coverage.Coverage) -> None:
    """Compare the numbers of a file for several parts of it that ran, with and without branches."""
    reporter = PythonFileReporter(str(path), oracle)
    analysis = library.analysis_now(str(path))
    parser = reporter.parser
    raw_lines = sorted(parser.raw_statements)
    possible = sorted(
        {*parser.arcs(), *getattr(parser, "_with_jump_fixers", {}), *((-n, n) for n in raw_lines)}
    )
    for share in (0, 30, 70, 100):
        lines = set(some_of(raw_lines, share))
        for arcs in (None, set(some_of(possible, share))):
            expected = analysis_from_file_reporter(
                Executed(lines, arcs), 0, reporter, reporter.filename
            )
            found = analysis.coverage(
                line_set_of(lines), None if arcs is None else arc_set_of(arcs)
            )
            assert found.statements == line_set_of(expected.statements), path
            assert found.missing == line_set_of(expected.missing), path
            numbers = expected.numbers
            assert found.branches == numbers.n_branches, path
            assert found.branches - found.taken == numbers.n_missing_branches, path
            assert found.missing_branches == {
                line: tuple(ends) for line, ends in expected.missing_branch_arcs().items()
            }, path
            assert found.percent == pytest.approx(numbers.pc_covered), path


@pytest.fixture(scope="module")
def library() -> SourceLibrary:
    return SourceLibrary(False)


@pytest.fixture(scope="module")
def oracle() -> coverage.Coverage:
    made = coverage.Coverage(data_file=None, config_file=False)
    made._init()
    return made


@pytest.mark.parametrize(
    "package",
    [
        STANDARD_LIBRARY / "json",
        STANDARD_LIBRARY / "asyncio",
        STANDARD_LIBRARY / "importlib",
        STANDARD_LIBRARY / "logging",
        OWN / "supervisor" / "combining",
        OWN / "datafile",
        Path(coverage.__file__).parent,
    ],
    ids=lambda path: path.name,
)
def test_every_file_of_a_package_has_coverage_pys_numbers(
    package: Path, library: SourceLibrary, oracle: coverage.Coverage
) -> None:
    paths = sorted(package.rglob("*.py"))
    assert paths
    for path in paths:
        check(path, library, oracle)


ODD = '''
"""A docstring.

It is no statement.
"""
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pragma: no cover
    import sys

def several_lines(
    one,
    two=(
        3
    ),
):
    """Another one."""
    value = one(
        two,
        3,
    )
    with open(one) as first, open(
        two
    ) as second:
        if value:
            return first
    for each in value:  # pragma: no branch
        print(each)
    while True:
        if each: break
    try:
        os.stat(".")
    except OSError:  # pragma: no cover
        return 1
    else:
        value += 1
    finally:
        value = 2
    return [
        each
        for each in value
        if each
    ]

@property
@staticmethod
def decorated(): ...

class Class(
    object,
):
    attribute = 1; other = 2

    def method(self):
        match self:
            case 1:
                return 1
            case [2, _] if self:
                return 2
            case _:  # pragma: no cover
                raise ValueError

    async def waits(self):
        async with self as one, self as two:
            async for each in one:
                yield each
        try:
            with one:
                with two:
                    return
        except* ValueError:
            pass

text = """
one
""" if os else """
two
"""
'''


def test_odd_statements_have_coverage_pys_numbers(
    tmp_path: Path, library: SourceLibrary, oracle: coverage.Coverage
) -> None:
    path = tmp_path / "odd.py"
    path.write_text(ODD)
    check(path, library, oracle)


def test_a_setting_for_exclusions_counts(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("[report]\nexclude_also = def never\npartial_also = maybe\n")
    path = tmp_path / "program.py"
    path.write_text("def never():\n    return 1\nif print():  # maybe\n    print()\n")
    rcfile = str(tmp_path / "settings")
    oracle = coverage.Coverage(data_file=None, config_file=rcfile)
    oracle._init()
    library = SourceLibrary(rcfile)
    check(path, library, oracle)
    assert library.analysis_now(str(path)).excluded == line_set_of([1, 2])


@pytest.mark.parametrize(
    ("contents", "says"),
    [(b"def broken(:\n", "parse"), (b"\0", "parse"), (b"x = '" + b"(" * 5000, "parse")],
    ids=["syntax", "null", "unfinished"],
)
def test_a_source_that_cannot_be_parsed_is_unavailable(
    tmp_path: Path, library: SourceLibrary, contents: bytes, says: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_bytes(contents)
    with pytest.raises(SourceUnavailable, match=says) as caught:
        library.analysis_now(str(path))
    assert "\n" not in str(caught.value)
    assert library.problem(str(path)) == str(caught.value)


def test_a_missing_source_is_unavailable(tmp_path: Path, library: SourceLibrary) -> None:
    with pytest.raises(SourceUnavailable, match="no such file"):
        library.analysis_now(str(tmp_path / "missing.py"))
