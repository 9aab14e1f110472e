"""What `covsup why` was asked: a line or a branch of a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from typing import Final

EXIT: Final = -1
"""The target of a branch that leaves its function or file."""

_FORM: Final = re.compile(r"(?P<file>.+):(?P<line>\d+)(?:->(?P<to>exit|-?\d+))?", re.DOTALL)


class WrongQuestion(CovsupError):
    """A word is not FILE:LINE or FILE:LINE->LINE, or there is no such line."""


class Question(NamedTuple):
    """A line, or, with `to`, a branch from it."""

    file: str
    line: int
    to: int | None = None


def read_question(word: str) -> Question:
    """The question of a command line. Raises WrongQuestion."""
    found = _FORM.fullmatch(word)
    if found is None:
        quote = (
            f'; a shell takes ">" as a redirection, so quote it: "{word}>LINE"'
            if word.endswith("-")
            else ""
        )
        raise WrongQuestion(f"{word} is not FILE:LINE or FILE:LINE->LINE{quote}")
    line, to = int(found["line"]), found["to"]
    if to is None:
        return Question(found["file"], line)
    return Question(found["file"], line, EXIT if to == "exit" or int(to) < 0 else int(to))
