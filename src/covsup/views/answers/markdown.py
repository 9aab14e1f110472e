"""Names as Markdown: a file, a test or a command can contain anything, and none of it is markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_MARKUP: Final = frozenset("\\`*_{}[]<>()#+!|~&@:")


def as_plain(text: str) -> str:
    """A text without anything that is markup."""
    return "".join(
        f"&#{ord(each)};" if each in _MARKUP or not each.isprintable() else each for each in text
    )


def escaped(text: str) -> str:
    """A text in which letters that are often markup are escaped, so that it stays readable."""
    for character in "\\`*_<>|[]":
        text = text.replace(character, "\\" + character)
    return text


def as_code(text: str) -> str:
    """A name in the font of code. It also fits into the cell of a table."""
    return f"<code>{as_plain(text)}</code>"
