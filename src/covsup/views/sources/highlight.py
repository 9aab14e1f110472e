"""A source file's lines as tokens: what the terminal and the page show in colours.

Text only, without markup. A line's texts, joined, are the line of the file; control characters and
invisible characters are replaced by visible ones, so that a source cannot control a terminal or
look like other code than it is. Tabs stay.
"""

from __future__ import annotations

import io
import os
import re
import tokenize
from typing import TYPE_CHECKING, TypeAlias

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from typing import Final

    from pygments.lexer import Lexer
    from pygments.token import _TokenType

Piece: TypeAlias = tuple[str, str]
"""A kind and a text. The kind is pygments' short name, which is also its CSS class: "k" for a
keyword, "s2" for a string, "" for other text. `pygments.token.STANDARD_TYPES` has them all."""

LARGEST_HIGHLIGHTED: Final = 2_000_000
"""Characters. A longer text is given without colours."""

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


class HighlightedSource(NamedTuple):
    """The lines of a source file. Line 1 is `lines[0]`."""

    lines: list[list[Piece]]


def decoded(source: bytes) -> str:
    """A source's text, as Python decodes it. Bytes that cannot be decoded are replaced."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except (SyntaxError, UnicodeDecodeError):
        encoding = "utf-8"
    text = source.decode(encoding, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def highlighted_text(path: str, text: str, plugin: str = "") -> HighlightedSource:
    """The lines of a text. `path` and coverage.py's plugin decide the language; Python if unknown."""
    from pygments.token import STANDARD_TYPES

    kinds: dict[_TokenType, str] = {}
    lines: list[list[Piece]] = [[]]
    for token, value in _tokens(path, text, plugin):
        kind = kinds.get(token)
        if kind is None:
            known = next(each for each in reversed(token.split()) if each in STANDARD_TYPES)
            kind = kinds[token] = STANDARD_TYPES[known]
        first, *others = value.split("\n")
        if first:
            _append(lines[-1], kind, first)
        for each in others:
            lines.append([])
            if each:
                _append(lines[-1], kind, each)
    if not lines[-1]:
        lines.pop()  # the text ended with a newline
    return HighlightedSource(lines)


def visible(text: str) -> str:
    """A text in which control characters and invisible characters are visible. Tabs stay."""
    return _CONTROL.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "\u2421"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _append(line: list[Piece], kind: str, text: str) -> None:
    text = visible(text)
    if line and line[-1][0] == kind:
        line[-1] = (kind, line[-1][1] + text)
    else:
        line.append((kind, text))


def _tokens(path: str, text: str, plugin: str) -> list[tuple[_TokenType, str]]:
    from pygments.token import Token

    if len(text) > LARGEST_HIGHLIGHTED:
        return [(Token, text)]
    found = list(_lexer(path, plugin).get_tokens(text))
    # A lexer must not lose text: lines would have wrong numbers.
    return found if "".join(value for _, value in found) == text else [(Token, text)]


def _lexer(path: str, plugin: str) -> Lexer:
    from pygments.lexers import find_lexer_class_for_filename, get_lexer_by_name
    from pygments.lexers.python import PythonLexer
    from pygments.util import ClassNotFound

    options = {"stripnl": False, "ensurenl": False}
    if "django" in plugin:
        return get_lexer_by_name("html+django", **options)
    if "jinja" in plugin:
        return get_lexer_by_name("html+jinja", **options)
    extension = os.path.splitext(path)[1]
    if extension in {"", ".py", ".pyw", ".pyi"}:
        return PythonLexer(**options)
    try:
        lexer = find_lexer_class_for_filename(os.path.basename(path))
    except ClassNotFound:
        lexer = None
    return PythonLexer(**options) if lexer is None else lexer(**options)
