"""A source's lines as tokens: every character of the file, and nothing else."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from covsup.views.sources.highlight import HighlightedSource, decoded, highlighted_text, visible
from covsup.views.sources.recent_highlights import RecentHighlights


def texts(source: HighlightedSource) -> list[str]:
    return ["".join(text for _, text in line) for line in source.lines]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "\n\n\n", "x = 1", "x = 1\n", "\n\nx = 1\n\n\n", "def broken(:\n  ???\n", "'''\nopen",
        "x = '''\n\n\n'''\n", "\tif x:\n\t\ty\n", "a\x0cb\n", "a\x85b\u2028c\n",
    ],
)  # fmt: skip
def test_lines_are_those_that_python_counts(text: str) -> None:
    expected = text.split("\n")
    if expected[-1] == "":
        expected.pop()
    assert texts(highlighted_text("x.py", text)) == [visible(line) for line in expected]


def test_every_line_of_the_standard_library_is_complete() -> None:
    for path in sorted(Path(sysconfig.get_paths()["stdlib"], "json").glob("*.py")):
        text = decoded(path.read_bytes())
        assert texts(highlighted_text(str(path), text)) == text.split("\n")[:-1]


def test_tokens_have_kinds() -> None:
    ((first, *_),) = highlighted_text("x.py", "def f(): return 'x'\n").lines
    assert first == ("k", "def")


def test_markup_stays_text() -> None:
    (line,) = highlighted_text("x.py", "x = '<script>&amp;[bold]'\n").lines
    assert "".join(text for _, text in line) == "x = '<script>&amp;[bold]'"


def test_control_characters_are_visible() -> None:
    assert visible("a\x1b[31mb\x00\x7f\x9b\t\u202ex") == "a␛[31mb␀␡\\x9b\t\\u202ex"


def test_templates_have_the_language_of_their_plugin() -> None:
    source = highlighted_text(
        "x.html", "<p>{% if x %}</p>\n", "django_coverage_plugin.DjangoTemplatePlugin"
    )
    assert any(kind == "cp" for kind, _ in source.lines[0])


@pytest.mark.parametrize("path", ["x", "x.py", "x.pyx", "x.unknown", "a.html", ""])
def test_any_name_has_a_language(path: str) -> None:
    assert texts(highlighted_text(path, "x = 1\ny\n")) == ["x = 1", "y"]


def test_undecodable_bytes_are_replaced() -> None:
    assert decoded(b"x = '\xff'\r\n") == "x = '\ufffd'\n"
    assert decoded(b"# coding: unknown-one\nx") == "# coding: unknown-one\nx"
    assert decoded(b"# coding: latin-1\n\xe4") == "# coding: latin-1\n\xe4"


def test_the_sources_that_were_looked_at_last_are_kept() -> None:
    recent = RecentHighlights(most_pieces=5)
    source = HighlightedSource([[("k", "def")]])
    for name in "abc":
        recent.put(name, None, source)
        recent.get("a")
    assert [recent.get(name) is not None for name in "abc"] == [True, False, True]
