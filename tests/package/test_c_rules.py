"""Rules for C in CONTRIBUTING.md that can be read from the sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).resolve().parents[2] / "src" / "covsup"

# With such a type, the declaration says itself what protects the variable, or that it protects.
PROTECTING_TYPES = re.compile(
    r"\b(_Thread_local|_Atomic|atomic_\w+|pthread_mutex_t|pthread_once_t)\b"
)
# CPython's API takes these tables without const, and writes to none that we give it.
TABLES_FOR_PYTHON = re.compile(
    r"\b(PyMethodDef|PyMemberDef|PyGetSetDef|PyType_Slot|PyType_Spec|PyModuleDef_Slot|PyModuleDef)\b"
    r"|\bstatic char \*names\[\]"
)
# Otherwise a comment says it, on the variable's line or right above.
PROTECTING_WORDS = re.compile(
    r"\b(the GIL|\w*lock|opener|atomics?|thread-local|set once before|never written)\b",
    re.IGNORECASE,
)

# Comments, strings, characters and preprocessor lines.
NO_CODE = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|[^\n])*",
    re.DOTALL | re.MULTILINE,
)
PROTOTYPE = re.compile(r"(?!.*\b_Atomic\s*\()[\w\s*]*\w\s*\((?!\*)")
CONSTANT = re.compile(r"\bconst\s+\w+(\[|$)|^\s*(static\s+)?const\b[^*]*$|\*\s*const\b")


class Variable(NamedTuple):
    """A variable that lives as long as the process, and may change."""

    path: Path
    line: int
    declaration: str
    comment: str

    def __str__(self) -> str:
        return f"src/covsup/{self.path.relative_to(SOURCE)}:{self.line}: {self.declaration}"


def c_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.c"))


def statements(code: str) -> Iterator[tuple[int, str]]:
    """Give each declaration outside of functions, and each static one within, with its position.

    `code` has no comments, and no strings.
    """
    depth, begin, in_function, inner_begin = 0, 0, False, 0
    for found in re.finditer(r"[{};]", code):
        at, sign = found.start(), found[0]
        if sign == "{":
            if depth == 0:
                before = code[begin:at].strip()
                in_function = before.endswith(")") and not before.startswith("_Static_assert")
                inner_begin = at + 1
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0 and in_function:
                begin, in_function = at + 1, False
        elif depth == 0:
            yield begin, code[begin:at]
            begin = at + 1
        if in_function:
            text = code[inner_begin:at]
            if not re.match(r"\s*static\b", text):
                inner_begin = at + 1
            elif sign == ";" and text.count("{") == text.count("}"):
                yield inner_begin, text
                inner_begin = at + 1


def variables(path: Path) -> Iterator[Variable]:
    """Give the variables of a file that last and that may change."""
    text = path.read_text(encoding="utf-8")
    code = NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    for position, statement in statements(code):
        # Without initializer and without the body of a struct.
        head = re.sub(r"\{.*\}", "", statement, flags=re.DOTALL).partition("=")[0]
        head = " ".join(re.sub(r"__attribute__\s*\(\(.*?\)\)|_Alignas\s*\(.*?\)", "", head).split())
        if (
            not head
            or re.match(r"(typedef|extern|_Static_assert)\b", head)
            or re.fullmatch(r"(enum|struct|union)( \w+)?", head)
            or PROTOTYPE.match(head)
            or CONSTANT.search(re.sub(r"\[.*?\]", "[", head))
        ):
            continue
        first = text.count("\n", 0, position + len(statement) - len(statement.lstrip())) + 1
        last = text.count("\n", 0, position + len(statement)) + 1
        lines = text.splitlines()
        yield Variable(path, first, head, comment_at(lines, first, last))


def comment_at(lines: list[str], first: int, last: int) -> str:
    """Give in one line what is from the comment above a variable to its end.

    Variables in a row, without an empty line between them, share the comment above the first.
    """
    above = first - 1
    while above > 0 and re.search(r"\S", lines[above - 1]) and lines[above - 1][0] not in "{}#":
        above -= 1
    return re.sub(r"\s*\n\s*\*?\s*", " ", "\n".join(lines[above:last]))


@pytest.mark.parametrize("path", c_files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_variable_of_the_process_names_what_protects_it(path: Path) -> None:
    unnamed = [
        str(each)
        for each in variables(path)
        if not PROTECTING_TYPES.search(each.declaration)
        and not TABLES_FOR_PYTHON.search(each.declaration)
        and not PROTECTING_WORDS.search(each.comment)
    ]
    assert not unnamed, "\n".join(unnamed)


def test_the_compiler_bounds_what_the_tracer_puts_on_the_stack() -> None:
    setup = SOURCE.parents[1].joinpath("setup.py").read_text(encoding="utf-8")
    makefile = SOURCE.parents[1].joinpath("Makefile").read_text(encoding="utf-8")
    assert '"-Wframe-larger-than=512"' in setup
    assert '"src/covsup/tracer_c", NO_VARIABLE_ARRAYS' in setup
    assert "-Werror" in makefile
