"""Which files are tests to pytest, by its settings, and what a file of tests contains."""

from __future__ import annotations

import ast
import configparser
import fnmatch
import os
import re
import tomllib
from typing import TYPE_CHECKING

from covsup.views.answers.affected.python_changes import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from covsup.views.answers.affected.test_labels import NamedTest

SETTINGS_FILES: Final = frozenset(
    {
        "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini",
        "setup.cfg",
    }
)  # fmt: skip
"""A change in one of these may affect every test."""

CONFTEST: Final = "conftest.py"

_NOT_SEARCHED: Final = frozenset({"build", "dist", "venv", "CVS", "_darcs", "{arch}"})
"""Directories in which pytest looks for no tests, as those that begin with a dot."""

_DEFAULT: Final = ("test_*.py", "*_test.py")

_STAR: Final = "*"
"""Stands for the names of a `from a import *`."""

_SHARED: Final = re.compile(
    r"\b(?P<class>setup_class|setUpClass|setUpTestData|teardown_class|tearDownClass)\b"
    r"|\b(?P<module>setup_module|setUpModule|teardown_module|tearDownModule)\b"
    r"""|\bscope\s*=\s*(?:["'](?P<scope>\w+)["']|(?P<computed>\w))"""
)


def file_patterns(directory: str) -> tuple[str, ...]:
    """The patterns of the names of test files; `directory` has pytest's settings, or has none."""
    for name in ("pytest.toml", ".pytest.toml", "pyproject.toml"):
        for section in (("pytest",), ("tool", "pytest"), ("tool", "pytest", "ini_options")):
            value = _toml(f"{directory}/{name}", section)
            if value:
                return value
    for name in ("pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(f"{directory}/{name}", encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pytest itself says what is wrong
        for header in ("pytest", "tool:pytest"):
            value = tuple(parser.get(header, "python_files", fallback="").split())
            if value:
                return value
    return _DEFAULT


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file is one of tests."""
    name = os.path.basename(path)
    return any(
        fnmatch.fnmatch(path if "/" in each else name, f"*/{each}" if "/" in each else each)
        for each in patterns
    )


def is_searched(path: str) -> bool:
    """Whether pytest looks for tests in the directories of a relative path."""
    return not any(
        each in _NOT_SEARCHED or (each.startswith(".") and each != "..") or each.endswith(".egg")
        for each in path.split("/")[:-1]
    )


def defined_in(text: bytes) -> dict[str, bool] | None:
    """The functions and classes of a file of tests, by "Class::name"; None: it cannot be parsed.

    The value says whether more may be inside it that the text does not show: a class with bases.
    """
    tree = parse(text)
    return None if tree is None else dict(_defined(tree.body, ""))


def existing(test: NamedTest, defined: dict[str, bool] | None) -> NamedTest | None:
    """The test, or what is left of it to name; None: it is not there any more."""
    if defined is None or test.name in defined:
        return test
    owner, _, _ = test.name.rpartition("::")
    if defined.get(owner):
        return test._replace(name=owner, parameters="")  # inherited, or made by a decorator
    if _STAR in defined:
        return test._replace(name="", parameters="")
    return test if _is_doctest(test, defined) else None


def _is_doctest(test: NamedTest, defined: dict[str, bool]) -> bool:
    """Whether it is an example in a docstring that is there: `module.Class.method`."""
    words = test.name.split(".")
    stem = os.path.splitext(os.path.basename(test.path))[0]
    if len(words) < 2:
        return test.name in {stem, os.path.basename(test.path)}
    return words[-1] == stem or any(
        "::".join(words[start:]) in defined for start in range(1, len(words))
    )


def sharing(text: str) -> str:
    """The widest scope of what a file of tests or a conftest prepares: "", "file" or "all"."""
    widest = ""
    for found in _SHARED.finditer(text):
        scope = found["scope"]
        if found["computed"] or scope in {"session", "package"}:
            return "all"
        if scope != "function":
            widest = "file"
    return widest


def are_private_fixtures(text: bytes, names: Iterable[str]) -> bool:
    """Whether these functions of a file are fixtures that each test has for itself."""
    tree = parse(text)
    functions = {
        each.name: each
        for each in (tree.body if tree is not None else ())
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return all(name in functions and _is_private_fixture(functions[name]) for name in names)


def conftests_above(path: str, top: str) -> Iterator[str]:
    """The places of the conftest files that a test sees, the nearest first."""
    directory = os.path.dirname(path)
    while True:
        yield f"{directory}/{CONFTEST}"
        if directory == top or len(directory) <= len(top):
            return
        directory = os.path.dirname(directory)


def _is_private_fixture(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name == "fixture":
            words = decorator.keywords if isinstance(decorator, ast.Call) else []
            scopes = [each.value for each in words if each.arg in {"scope", None}]
            return all(
                isinstance(each, ast.Constant) and each.value == "function" for each in scopes
            )
    return False


def _defined(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, bool]]:
    for each in body:
        match each:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + each.name, False
            case ast.ClassDef():
                yield prefix + each.name, bool(each.bases or each.keywords or each.decorator_list)
                yield from _defined(each.body, f"{prefix}{each.name}::")
            case ast.Assign(targets=targets):
                # A test may be the result of a call: `test_all = make_test()`.
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                yield from ((prefix + name, True) for name in names)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                for alias in names:
                    yield (
                        (
                            alias.name
                            if alias.name == _STAR
                            else prefix + (alias.asname or alias.name)
                        ),
                        True,
                    )
            case _:
                for name in ("body", "orelse", "finalbody"):
                    yield from _defined(getattr(each, name, ()), prefix)
                for handler in getattr(each, "handlers", ()):
                    yield from _defined(handler.body, prefix)


def _toml(path: str, section: Sequence[str]) -> tuple[str, ...]:
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ()
    table: object = found
    for word in (*section, "python_files"):
        table = table.get(word) if isinstance(table, dict) else None
    value = table if isinstance(table, str | list) else ()
    return tuple(value.split()) if isinstance(value, str) else tuple(map(str, value))
