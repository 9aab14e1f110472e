"""Node ids as text: for a shell's word splitting, for pytest's @file, for xargs, for programs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from covsup.views.answers.affected.answer import Answer

FORMATS: Final = ("words", "lines", "null", "json")

_SPLIT: Final = re.compile(r"[\s*?\\]")
"""A shell would split an unquoted word there, or look for files."""


def printed(answer: Answer, form: str) -> str:
    """The answer in one of FORMATS."""
    match form:
        case "json":
            return _json(answer)
        case "null":
            return "".join(f"{each.test.node_id}\0" for each in answer.tests)
        case "lines":
            return "".join(f"{each.test.node_id}\n" for each in answer.tests)
        case _:
            return "".join(f"{word}\n" for word in dict.fromkeys(_words(answer)))


def unsafe_paths(answer: Answer) -> list[str]:
    """The test files whose paths a shell would split."""
    paths = {each.test.path for each in answer.tests}
    return sorted(path for path in paths if _SPLIT.search(path))


def _words(answer: Answer) -> Iterator[str]:
    """Node ids that a shell keeps whole. A test whose parameters it would split runs with all."""
    tests = [each.test for each in answer.tests]
    with_all = {each.of_all_parameters for each in tests if _SPLIT.search(each.parameters)}
    for test in tests:
        whole = test.of_all_parameters
        yield (whole if whole in with_all else test).node_id


def _json(answer: Answer) -> str:
    tests = [
        {
            "id": each.test.node_id,
            "path": each.test.path,
            "name": each.test.name or None,
            "parameters": each.test.parameters[1:-1] if each.test.parameters else None,
            "because": list(each.because),
        }
        for each in answer.tests
    ]
    value = {
        "base": answer.base or None,
        "tests": tests,
        "known_tests": answer.known,
        "notes": list(answer.notes),
    }
    return json.dumps(value, indent=2) + "\n"
