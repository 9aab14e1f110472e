"""File patterns mean in the measured process what they mean in coverage.py."""

from __future__ import annotations

import pytest
from coverage.exceptions import ConfigError
from coverage.files import globs_to_regex
from hypothesis import example, given
from hypothesis import strategies as st

from covsup.tracer_c import _tracer

PATTERN_PIECES = ["*", "**", "/", "?", "a", "b", ".py", "[ab]", "[a-c]", "[^a]", "-", "x1", "\\"]
PATH_PIECES = ["/", "a", "b", "c", ".py", "x1", "-", "d"]


def coverage_matches(pattern: str, path: str) -> bool:
    return globs_to_regex([pattern]).match(path) is not None


@given(
    st.lists(st.sampled_from(PATTERN_PIECES), min_size=1, max_size=8).map("".join),
    st.lists(st.sampled_from(PATH_PIECES), max_size=10).map(lambda pieces: "/" + "".join(pieces)),
)
@example("*/a*.py", "/x/ab.py")
@example("a/**/b.py", "a/b.py")
@example("/a/*", "/a/b/c.py")
@example("*.py", "/a/b/c.py")
@example("**/b/*", "/b/a")
@example("*b", "/a/cb")
def test_a_pattern_matches_what_coverage_py_matches_with_it(pattern: str, path: str) -> None:
    try:
        expected = coverage_matches(pattern, path)
    except ConfigError:
        return  # the supervisor has refused such a pattern before anything runs
    assert _tracer.glob_matches(pattern, path) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("test_*.py", "/src/pkg/test_one.py", True),
        ("test_*.py", "/src/test_pkg/one.py", False),
        ("/src/*", "/src/pkg/deep/one.py", True),
        ("/src/*/one.py", "/src/pkg/deep/one.py", False),
        ("/src/**/one.py", "/src/pkg/deep/one.py", True),
        ("*/migrations/*", "/app/migrations/0001.py", True),
        ("/src/one.py", "/src/one.pyc", False),
    ],
)
def test_patterns_of_the_documentation(pattern: str, path: str, matches: bool) -> None:
    assert _tracer.glob_matches(pattern, path) is matches
