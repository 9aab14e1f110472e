"""The cells of the terminal view: what fits, what is drawn, and what never reaches a terminal."""

from __future__ import annotations

import pytest

pytest.importorskip("textual", reason="textual is not installed: the view extra")

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from covsup.views.terminal import cells
from covsup.views.terminal.search import Search, with_matches


@given(st.text())
def test_a_printable_text_has_no_control_characters(text: str) -> None:
    shown = cells.printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@given(st.text(), st.integers(0, 40))
def test_a_fitted_text_has_exactly_its_width(text: str, width: int) -> None:
    shown = cells.printable(text)
    assert cell_len(cells.fitted(shown, width)) == width
    assert cell_len(cells.fitted_path(shown, width)) == width


def test_a_long_path_keeps_its_end() -> None:
    assert cells.fitted_path("a/long/way/to/file.py", 12) == "…/to/file.py"


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_is_full_only_where_nothing_is_missing(share: float, width: int) -> None:
    filled, rest = cells.bar(share, width)
    assert len(filled + rest) == width
    assert (filled == "━" * width) == (share == 1.0)
    assert len(cells.ascii_bar(share, width)) == width


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "     -"), (100.0, "  100%"), (99.99, " 99.9%"), (0.0, "  0.0%"), (0.01, "  0.1%")],
)
def test_100_and_0_percent_are_exact(value: float | None, text: str) -> None:
    assert cells.percent(value) == text


@given(st.lists(st.integers(0, 1000), max_size=70), st.integers(1, 40))
def test_groups_keep_the_sum(counts: list[int], width: int) -> None:
    groups = cells.grouped(counts, width)
    assert sum(groups) == sum(counts)
    assert len(groups) <= width


@given(st.lists(st.integers(0, 10**6), max_size=70), st.integers(0, 40))
def test_a_sparkline_has_its_width_and_shows_every_count(counts: list[int], width: int) -> None:
    drawn = cells.sparkline(counts, width)
    assert len(drawn) == width
    shown = counts[-width:] if width else []
    assert [each != " " for each in drawn[width - len(shown) :]] == [each > 0 for each in shown]


def test_durations_are_short() -> None:
    assert [cells.duration(each) for each in (0, 59, 60, 3599, 3600, 90000)] == [
        "0s", "59s", "1m00s", "59m59s", "1h00m", "1d01h",
    ]  # fmt: skip
    assert cells.clock(3661) == "1:01:01"


FOUND = Style(bold=True)


@given(st.lists(st.text("abAB ", max_size=5)), st.text("abAB", min_size=1, max_size=3))
def test_matches_are_marked_across_cells_and_the_text_stays(parts: list[str], wanted: str) -> None:
    row = [(part, Style()) for part in parts]
    search = Search(wanted)
    marked = with_matches(row, search, FOUND)
    whole = "".join(parts)
    assert "".join(text for text, _ in marked) == whole
    flags = "".join("x" * len(text) if style.bold else "." * len(text) for text, style in marked)
    expected = ["."] * len(whole)
    for begin, end in search.places(whole):
        expected[begin:end] = "x" * (end - begin)
    assert flags == "".join(expected)
    assert bool(list(search.places(whole))) == search.matches(whole)
