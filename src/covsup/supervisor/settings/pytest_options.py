"""covsup's options on a pytest command line, read as pytest reads them.

They come from `addopts` of the settings file, PYTEST_ADDOPTS and the command line, in this order.
covsup's pytest plugin reads them again when pytest has started, and warns if the session differs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex

from covsup import pytest_start
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final, NoReturn

FAMILIES: Final = ("covsup", "cov")
"""`--cov…` is covsup's only if pytest-cov is not installed."""

FLAGS: Final = ("branch", "append")
VALUES: Final = ("report", "config", "fail-under", "precision", "context")


class _BadCommandLine(Exception):
    """pytest will refuse the command line, and print why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # type: ignore[explicit-override] # 3.12 has it
        raise _BadCommandLine(message)


def options_for_run(target: Sequence[str]) -> list[str] | None:
    """The options of `covsup run` for a target that is a pytest; None if it is not to be measured."""
    words = pytest_start.arguments(target)
    if words is None:
        return None
    try:
        asked = _parse(_all_words(words))
    except (_BadCommandLine, OSError, ValueError):
        return None
    if asked.prints_only or asked.off or not asked.source:
        return None
    return pytest_start.run_options(
        asked.source, branch=asked.branch, append=asked.append, rcfile=asked.config
    )


def _parse(words: Sequence[str]) -> argparse.Namespace:
    plugins = _parser(FAMILIES[:1]).parse_known_args(words)[0].plugins
    has_pytest_cov = "no:pytest_cov" not in plugins and _is_installed("pytest_cov")
    return _parser(FAMILIES[:1] if has_pytest_cov else FAMILIES).parse_known_args(words)[0]


def _parser(families: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False, fromfile_prefix_chars="@")
    add = parser.add_argument
    for word in families:
        add(f"--{word}", action="append", default=[], nargs="?", const=True, dest="source")
        add(f"--{word}-reset", action="store_const", const=[], dest="source")
        for name in FLAGS:
            add(f"--{word}-{name}", action="store_true", dest=name)
        for name in VALUES:
            add(f"--{word}-{name}", dest=name.replace("-", "_"))
        add(f"--no-{word}", action="store_true", dest="off")
        add(f"--no-{word}-on-fail", action="store_true", dest="not_on_fail")
    add(*pytest_start.INFORMATION_OPTIONS, action="store_true", dest="prints_only")
    add("-o", "--override-ini", action="append", default=[], dest="override")
    add("-c", "--config-file", dest="ini")
    add("-p", action="append", default=[], dest="plugins")
    add("files", nargs="*")
    return parser


def _all_words(words: list[str]) -> list[str]:
    """The command line with the options that the environment and the settings file add."""
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *words]
    overriding = _parse(words).override
    for setting in reversed(overriding):
        key, _, value = setting.partition("=")
        if key.strip() == "addopts":
            return [*shlex.split(value), *words]
    found = pytest_start.settings_file(words)
    return words if found is None else [*_addopts(*found), *words]


def _addopts(path: str, text: str) -> list[str]:
    """`addopts` of a settings file. Raises ValueError."""
    value = _addopts_of_toml(path, text) if path.endswith(".toml") else _addopts_of_ini(path, text)
    return list(map(str, value)) if isinstance(value, list) else shlex.split(str(value or ""))


def _addopts_of_toml(path: str, text: str) -> Any:
    import tomllib

    table = tomllib.loads(text)
    if not path.endswith("pyproject.toml"):
        return table.get("pytest", {}).get("addopts")
    table = table.get("tool", {}).get("pytest", {})
    return table.get("ini_options", table).get("addopts")


def _addopts_of_ini(path: str, text: str) -> Any:
    import configparser

    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text, path)
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    section = "tool:pytest" if path.endswith(".cfg") else "pytest"
    return parser.get(section, "addopts", fallback=None)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
