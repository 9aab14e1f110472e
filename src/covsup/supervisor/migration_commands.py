"""What `covsup debug migrate` finds in command lines: of tox, CI services, make, shells, Docker.

Command lines are found in any text by their look, and taken apart as far as the end of one command;
a Python file that gives them to a runner has them in calls, which are in migration_code.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

from covsup.supervisor.migration import KINDS, Finding, Kind, text_of
from covsup.supervisor.migration_settings import PYTEST_OPTION, requirement, understood
from covsup.supervisor.vocabulary import RUN_OPTIONS, VARIABLES, To

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FILES: Final = (
    "tox.ini", "tox.toml", "setup.cfg", "pyproject.toml", "Makefile", "makefile", "GNUmakefile",
    "*.mk", "justfile", "Justfile", "Taskfile.y*ml", ".github/workflows/*.y*ml",
    ".github/actions/*/*.y*ml", ".gitlab-ci.y*ml", ".travis.y*ml", ".circleci/config.y*ml",
    "azure-pipelines*.y*ml", ".cirrus.y*ml", "bitbucket-pipelines.y*ml", ".drone.y*ml",
    ".woodpecker.y*ml", ".appveyor.y*ml", "appveyor.y*ml", ".pre-commit-config.y*ml",
    "Jenkinsfile", "Procfile", "Dockerfile*", "*.Dockerfile", "docker-compose*.y*ml",
    "compose*.y*ml", "*.sh", "*.bash", "*/*.sh", ".ci/*", ".env", "*.env", "*.service",
)  # fmt: skip

_COMMANDS: Final = "run|combine"
_COMMAND: Final = re.compile(
    r"""(?<![\w./$-])
        (?P<place>[\w.{}$()~/-]*/)?
        coverage(?:3|-3\.\d+)?\s+
        (?P<command>run|combine)(?![\w.=-])
        (?P<rest>(?:[^"'`;&|<>\\]|"[^"]*"|'[^']*'|\\.)*)""",
    re.VERBOSE,
)
_PYTHON: Final = re.compile(
    r"""[^\s"'=;&|@]*python[\w.})]*\s+(?:-[A-Z]\w*\s+)*-m\s+$""", re.IGNORECASE
)
_WORD: Final = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
_TAKES_VALUE: Final = frozenset(
    {"--concurrency", "--context", "--data-file", "--debug", "--include", "--omit", "--rcfile",
     "--save-signal", "--source"}
)  # fmt: skip
_LIST_OF_WORDS: Final = re.compile(r"""["'],\s*["']""")
_PROSE: Final = re.compile(r"\s*(?:-\s+)?(?:name|description|title)\s*[:=]")
_ADDOPTS: Final = re.compile(r"\s*addopts\s*=")
_INSTALL: Final = re.compile(
    r"\b(?:pip[\d.]*|pipx|uv|poetry|pdm|conda|mamba|rye|hatch)\b[^;&|]*?\b(?:install|add)\b"
    r"(?P<what>[^;&|]*)"
)
_VARIABLE: Final = re.compile(r"(?<![\w])(?:COVERAGE|COV_CORE)_[A-Z_]+(?!\w)")
_PARALLEL_FILES: Final = re.compile(r"(?<![\w*])\.coverage\.\*")
_NAMED_APART: Final = re.compile(r"(?:COVERAGE_FILE\S*\s*[=:]|data[-_]file\s*=?).*\.coverage\.")


def in_commands(directory: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """What command lines and variables become."""
    texts = {
        name: text_of(path)
        for path in files
        if any(fnmatch(name := path.relative_to(directory).as_posix(), each) for each in _FILES)
        # An asterisk stands for slashes, too.
        and name.count("/") <= 3
    }
    named_apart = any(_NAMED_APART.search(text) for text in texts.values())
    for name, text in texts.items():
        said = False  # once for each file
        for number, line in _logical_lines(text):
            options = [word for word in _WORD.findall(line) if PYTEST_OPTION.match(word)]
            if options and "pytest" in line and not said and not _ADDOPTS.match(line):
                said = True
                yield understood(name, number, " ".join(options))
            for finding in _in_line(name, number, line):
                if finding.found != ".coverage.*" or not named_apart:
                    yield finding


def in_words(name: str, number: int, text: str) -> Iterator[Finding]:
    """What the commands in a line of text become."""
    for found in _COMMAND.finditer(text):
        command, rest = found["command"], _ended(found["rest"])
        before = text[: found.start()]
        python = _PYTHON.search(before)
        start = f"{python[0] if python else found['place'] or ''}"
        words = _WORD.findall(rest)
        said = f"{start}coverage {command} {' '.join(words)}".strip()
        if command == "run":
            options, notes = _without_unneeded(words)
            instead = f"{start}covsup run {' '.join(options)}".strip()
            yield Finding(path=name, line=number, found=said, kind=Kind.CHANGE, instead=instead,
                          why="; ".join(notes))  # fmt: skip
        elif any(not word.startswith(("-", "{posargs", "$")) for word in words):
            words = [word for word in words if not word.startswith("--debug")]
            yield Finding(path=name, line=number, found=said, kind=Kind.CHANGE,
                          instead=f"{start}covsup combine {' '.join(words)}".strip())  # fmt: skip
        else:
            yield Finding(
                path=name, line=number, found=said, kind=Kind.CHANGE,
                why="leave it out: `covsup run` has combined already, and coverage.py would find"
                " nothing to combine; where the data files of several jobs or machines come"
                " together: covsup combine FILE...",
            )  # fmt: skip


def _in_line(name: str, number: int, line: str) -> Iterator[Finding]:
    if _PROSE.match(line):
        return
    yield from in_words(name, number, _LIST_OF_WORDS.sub(" ", line))
    for variable in dict.fromkeys(_VARIABLE.findall(line)):
        meaning = VARIABLES.get(variable)
        if meaning is not None and meaning.to_us is not To.HONOURED:
            yield Finding(path=name, line=number, found=variable, kind=KINDS[meaning.to_us],
                          why=meaning.note)  # fmt: skip
    if installed := _INSTALL.search(line):
        for word in _WORD.findall(installed["what"]):
            yield from requirement(name, number, word.strip("\"',()[]") if "[" not in word else
                                   word.strip("\"',()"))  # fmt: skip
    if _PARALLEL_FILES.search(line):
        yield Finding(
            path=name, line=number, found=".coverage.*", kind=Kind.CHANGE,
            why="a run writes one file, .coverage; where several jobs are to be told apart, give"
            " each a name: covsup run --data-file=.coverage.NAME, or COVERAGE_FILE",
        )  # fmt: skip


def _without_unneeded(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of `coverage run` without what means nothing here, and why each was left out."""
    kept: list[str] = []
    notes: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        if not word.startswith("-") or word.startswith("-m") or word == "--module":
            return [*kept, *words[index:]], notes
        option, equals, _ = word.partition("=")
        length = 2 if option in _TAKES_VALUE and not equals else 1
        meaning = RUN_OPTIONS.get(option)
        if meaning is None:
            kept += words[index : index + length]
        else:
            notes.append(f"{option} is {_WORDS[meaning.to_us]}: {meaning.note}")
        index += length
    return kept, notes


_WORDS: Final = {
    To.UNNEEDED: "no longer needed",
    To.UNSUPPORTED: "not supported",
    To.HONOURED: "honoured",
}


def _ended(rest: str) -> str:
    """The rest of a command without what closes something that began before it."""
    depth = 0
    for index, letter in enumerate(rest):
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return rest[:index]
    return rest.rstrip(" ,\\")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, continued ones in one, each with the number of its first."""
    first, gathered = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        bare = re.sub(r"(^|\s)#.*", "", line)
        if bare.endswith("\\"):
            gathered += f"{bare[:-1].rstrip()} " if gathered == "" else f"{bare[:-1].strip()} "
            continue
        yield first, gathered + (bare.strip() if gathered else bare)
        first, gathered = 0, ""
    if gathered:
        yield first, gathered
