"""Restarts a pytest that is to be measured, before anything of it is imported.

The startup file calls this in a Python whose command line names pytest. Whether measurement is asked
for stands on the command line, in PYTEST_ADDOPTS, or in pytest's settings file. A look for the text
of the option has to do here: `covsup run --for-pytest`, which takes over, reads the options as
pytest does, and gives the process back if it is not to measure.

It imports nothing that Python has not imported at its start, but for the reader of command lines,
and never raises.
"""

import os
import sys

from covsup.interpreter_command import parse_command_line

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESTARTED = "COVSUP_PYTEST_RESTARTED"
"""The variable that keeps a pytest from being restarted once more. The plugin removes it."""

INFORMATION_OPTIONS = ("-h", "--help", "-V", "--version", "--markers")
"""With these options pytest runs no tests."""

_SECTIONS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
"""pytest's settings files, in the order of its search. All but the first belong to others, too, and
are pytest's if they have such a section."""

_INI_OPTIONS = ("-c", "--config-file")


def start() -> None:
    """Restart this process under `covsup run`, if it is a pytest that asks for measurement."""
    try:
        if _asks_for_measurement():
            _restart()
    except Exception:  # noqa: BLE001 - the host program must live; covsup's plugin measures it then
        os.environ.pop(RESTARTED, None)


def _restart() -> None:
    for stream in sys.stdout, sys.stderr:
        if stream is not None:
            stream.flush()
    os.environ[RESTARTED] = "1"
    command = [sys.executable, "-P", "-m", "covsup", "run", "--for-pytest", "--"]
    os.execv(sys.executable, [*command, sys.executable, *sys.orig_argv[1:]])


def _asks_for_measurement() -> bool:
    words = arguments(sys.orig_argv)
    if words is None or os.name != "posix" or not sys.executable:
        return False
    if os.environ.get("COVSUP_SESSION") or RESTARTED in os.environ:
        return False
    if "--no-covsup" in words or any(word in INFORMATION_OPTIONS for word in words):
        return False
    asked = {name for text in _option_texts(words) for name in _measuring_options_in(text)}
    return "--covsup" in asked or ("--cov" in asked and not _has_pytest_cov())


def arguments(argv: "Sequence[str]") -> "list[str] | None":
    """The words of a Python's command line that are pytest's own; None if it runs something else.

    It is `python -m pytest`, or a script of that name.
    """
    command = parse_command_line(argv)
    if command.kind == "-m":
        is_pytest = command.program in ("pytest", "pytest.__main__")
    else:
        is_pytest = not command.kind and command.program.rpartition("/")[2] == "pytest"
    return list(argv[command.start + 1 :]) if is_pytest else None


def _option_texts(words: "list[str]") -> "Iterator[str]":
    """Everything in which an option of pytest's may stand."""
    yield from words
    yield os.environ.get("PYTEST_ADDOPTS", "")
    for word in words:
        if word.startswith("@"):
            yield _text_of(word[1:]) or ""
    found = settings_file(words)
    if found is not None:
        yield found[1]


def _measuring_options_in(text: str) -> "Iterator[str]":
    """Which of our options that ask for measurement stand in a text."""
    for name in "--covsup", "--cov":
        at = text.find(name)
        while at != -1:
            after = text[at + len(name) : at + len(name) + 1]
            if not (after.isalnum() or after in ("-", "_")):
                yield name
                break
            at = text.find(name, at + 1)


def settings_file(words: "Sequence[str]") -> "tuple[str, str] | None":
    """The path and the text of the settings file that pytest would read; None where it has none.

    It is named, or it is the first above the directories that the words name.
    """
    named = _option(words, _INI_OPTIONS)
    if named is not None:
        text = _text_of(named)
        return None if text is None else (named, text)
    directory = _common_directory(words)
    while True:
        for name, section in _SECTIONS.items():
            path = f"{directory.rstrip('/')}/{name}"
            text = _text_of(path)
            if text is not None and section in text:
                return path, text
        above = os.path.dirname(directory)  # noqa: PTH120 - pathlib is not imported here
        if above == directory:
            return None
        directory = above


def _option(words: "Sequence[str]", names: "tuple[str, str]") -> str | None:
    """The value of an option, given its short name and its long one."""
    short, long = names
    value = None
    for index, word in enumerate(words):
        if word in names:
            value = words[index + 1] if index + 1 < len(words) else None
        elif word.startswith(f"{long}="):
            value = word[len(long) + 1 :]
        elif word.startswith(short):
            value = word[len(short) :]
    return value


def _common_directory(words: "Sequence[str]") -> str:
    """The deepest directory that is above all tests which the words name."""
    here = os.getcwd()  # noqa: PTH109 - as above
    directories = []
    for word in words:
        path = word.partition("::")[0]
        if path and not path.startswith("-"):
            path = os.path.normpath(os.path.join(here, path))  # noqa: PTH118 - as above
            if os.path.isdir(path):  # noqa: PTH112 - as above
                directories.append(path)
            elif os.path.exists(path):  # noqa: PTH110 - as above
                directories.append(os.path.dirname(path))  # noqa: PTH120 - as above
    return os.path.commonpath(directories) if directories else here


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return None


def _has_pytest_cov() -> bool:
    """Whether `--cov` is pytest-cov's option here. Not all of sys.path is known yet."""
    return any(os.path.exists(f"{path}/pytest_cov") for path in sys.path)  # noqa: PTH110 - as above
