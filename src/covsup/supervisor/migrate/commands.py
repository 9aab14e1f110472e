"""What `covsup debug migrate` finds in command lines: of tox, CI services, make, shells, Docker.

Command lines are found in any text by regular expressions. Those in the calls of a Python file are
in code.py.
"""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import fnmatch

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.migrate.finding import ACTIONS, Action, Finding, text_or_empty
from covsup.supervisor.migrate.settings import PYTEST_OPTION, requirement, understood
from covsup.supervisor.settings.compatibility import RUN_OPTIONS, VARIABLES, Support

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Final

_FILES: Final = (
    "tox.ini", "tox.toml", "setup.cfg", "pyproject.toml", "Makefile", "makefile", "GNUmakefile",
    "*.mk", "justfile", "Justfile", "Taskfile.y*ml", ".github/workflows/*.y*ml",
    ".github/actions/*/*.y*ml", ".gitlab-ci.y*ml", ".travis.y*ml", ".circleci/config.y*ml",
    "azure-pipelines*.y*ml", ".cirrus.y*ml", "bitbucket-pipelines.y*ml", ".drone.y*ml",
    ".woodpecker.y*ml", ".appveyor.y*ml", "appveyor.y*ml", ".pre-commit-config.y*ml",
    "Jenkinsfile", "Procfile", "Dockerfile*", "*.Dockerfile", "docker-compose*.y*ml",
    "compose*.y*ml", "*.sh", "*.bash", "*/*.sh", ".ci/*", ".env", "*.env", "*.service",
    "supervisord.conf", "crontab",
)  # fmt: skip

_PARALLEL: Final = frozenset({"-p", "--parallel-mode"})
_COMBINED_ALREADY: Final = (
    "leave it out: `covsup run` has combined already, and coverage.py would find nothing to"
    " combine; where the data files of several jobs or machines come together: covsup combine"
    " FILE..."
)
_ONE_FILE: Final = (
    "a run writes one file, .coverage; where several jobs are to be told apart, give each a name:"
    " covsup run --data-file=.coverage.NAME, or COVERAGE_FILE"
)
_IN_SESSIONS: Final = (
    "`covsup run -p` leaves its data in the directory .covsup: keep that, and run `covsup combine`"
    " where all of them have come together"
)
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
_PYTEST: Final = re.compile(r"py\.?test")
_NOSE: Final = re.compile(r"(?<![\w-])--with-cov(erage)?(?![\w-])")
_ADDOPTS: Final = re.compile(r"\s*addopts\s*=")
_INSTALL: Final = re.compile(
    r"\b(?:pip[\d.]*|pipx|uv|poetry|pdm|conda|mamba|rye|hatch)\b[^;&|]*?\b(?:install|add)\b"
    r"(?P<what>[^;&|]*)"
)
_TOOL: Final = re.compile(
    r"\b(?:uv\s+tool\s+(?:install|run)|uvx|pipx\s+(?:install|run))\s+(?:-\S+\s+)*"
    r"[\"']?(?:coverage|pytest-cov)(?![\w-])"
)
_OTHER_ENVIRONMENT: Final = (
    "covsup has to be in the environment of the program that it measures, and that of a tool is"
    " another: write `uv add --dev covsup`, `uv run --with covsup covsup run ...` or pip install"
)
_VARIABLE: Final = re.compile(r"(?<![\w])(?:COVERAGE|COV_CORE)_[A-Z_]+(?!\w)")
_PARALLEL_FILES: Final = re.compile(r"(?<![\w*])\.coverage\.\*")
_NAMED_APART: Final = re.compile(r"(?:COVERAGE_FILE\S*\s*[=:]|data[-_]file\s*=?).*\.coverage\.")


class CombinedData(Enum):
    """Which data a project combines in a step of its own."""

    OF_ONE_RUN = "one"  # nothing, or the files of one run's processes
    SESSIONS = "sessions"  # the data of several runs
    FILES = "files"  # data files that were given a name each


def in_commands(directory: Path, files: Iterable[Path], data: CombinedData) -> Iterator[Finding]:
    """What to write instead of command lines and variables."""
    for name, text in _texts(directory, files).items():
        has_reported = False  # once for each file
        for number, line in logical_lines(text):
            options = [word for word in _WORD.findall(line) if PYTEST_OPTION.match(word)]
            if options and _PYTEST.search(line) and not has_reported and not _ADDOPTS.match(line):
                has_reported = True
                yield understood(name, number, " ".join(options))
            if not _PROSE.match(line):
                yield from _in_line(name, number, line, data)


def combined_data(directory: Path, files: Iterable[Path], *, parallel: bool) -> CombinedData:
    """Which data a project combines in a step of its own.

    `parallel`: the settings ask for parallel data files. What looks like one command may run in many
    environments.
    """
    texts = _texts(directory, files, (*_FILES, "*.py"))
    if any(_NAMED_APART.search(text) for text in texts.values()):
        return CombinedData.FILES
    by_file = {
        name: [
            found
            for _, line in logical_lines(text)
            if "coverage" in line and not _PROSE.match(line)
            for found in _COMMAND.finditer(_LIST_OF_WORDS.sub(" ", line))
        ]
        for name, text in texts.items()
    }
    commands = [found for each in by_file.values() for found in each]
    runs = [each for each in commands if each["command"] == "run"]
    are_parallel = any(_PARALLEL & {*_options(_WORD.findall(each["rest"]))} for each in runs)
    several = any(
        {each["command"] for each in of_file} == {"run", "combine"} and len(of_file) > 2
        for of_file in by_file.values()
    )
    combines = len(runs) < len(commands)
    return (
        CombinedData.SESSIONS
        if combines and (parallel or are_parallel or several)
        else CombinedData.OF_ONE_RUN
    )


def in_words(name: str, number: int, text: str, data: CombinedData) -> Iterator[Finding]:
    """What to write instead of the commands in a line of text."""
    for found in _COMMAND.finditer(text):
        before = text[: found.start()]
        words = _WORD.findall(_end_of_command(before, found["rest"]))
        python = _PYTHON.search(before)
        start = f"{python[0] if python else found['place'] or ''}"
        command = f"{start}coverage {found['command']} {' '.join(words)}".strip()
        if found["command"] == "run":
            options, notes = _without_unneeded(words, data)
            instead = f"{start}covsup run {' '.join(options)}".strip()
            yield Finding(path=name, line=number, found=command, action=Action.CHANGE, instead=instead,
                          why="; ".join(notes))  # fmt: skip
        elif data is not CombinedData.OF_ONE_RUN or _names_files(words):
            if data is CombinedData.FILES and not _names_files(words):
                words.append(".coverage.*")
            yield Finding(path=name, line=number, found=command, action=Action.CHANGE,
                          instead=f"{start}covsup combine {' '.join(words)}".strip())  # fmt: skip
        else:
            yield Finding(path=name, line=number, found=command, action=Action.CHANGE,
                          why=_COMBINED_ALREADY)  # fmt: skip


def _texts(
    directory: Path, files: Iterable[Path], patterns: Sequence[str] = _FILES
) -> dict[str, str]:
    return {
        name: text_or_empty(path)
        for path in files
        if any(fnmatch(name := path.relative_to(directory).as_posix(), each) for each in patterns)
        # For fnmatch, an asterisk matches slashes, too.
        and name.count("/") <= 3
    }


def _in_line(name: str, number: int, line: str, data: CombinedData) -> Iterator[Finding]:
    yield from in_words(name, number, _LIST_OF_WORDS.sub(" ", line), data)
    if _PARALLEL_FILES.search(line) and data is not CombinedData.FILES:
        why = _IN_SESSIONS if data is CombinedData.SESSIONS else _ONE_FILE
        yield Finding(path=name, line=number, found=".coverage.*", action=Action.CHANGE, why=why)
    for variable in dict.fromkeys(_VARIABLE.findall(line)):
        meaning = VARIABLES.get(variable)
        if meaning is not None and meaning.support is not Support.HONOURED:
            yield Finding(path=name, line=number, found=variable, action=ACTIONS[meaning.support],
                          why=meaning.note)  # fmt: skip
    if with_nose := _NOSE.search(line):
        yield Finding(path=name, line=number, found=with_nose[0], action=Action.UNSUPPORTED,
                      why="leave it out, and have `covsup run` start the same command")  # fmt: skip
    if tool := _TOOL.search(line):
        yield Finding(path=name, line=number, found=tool[0], action=Action.CHANGE,
                      why=_OTHER_ENVIRONMENT)  # fmt: skip
    elif installed := _INSTALL.search(line):
        for word in _WORD.findall(installed["what"]):
            yield from requirement(name, number, word.strip("\"',()[]") if "[" not in word else
                                   word.strip("\"',()"))  # fmt: skip


def _options(words: Sequence[str]) -> list[str]:
    """The options before the target, without their values."""
    found = []
    index = 0
    while index < len(words):
        word = words[index]
        if not word.startswith("-") or word.startswith("-m") or word == "--module":
            break
        option, equals, _ = word.partition("=")
        found.append(option)
        index += 2 if option in _TAKES_VALUE and not equals else 1
    return found


def _names_files(words: Sequence[str]) -> bool:
    """Whether a `coverage combine` names what to combine."""
    given = [word for word in words if not word.startswith(("{posargs", "$"))]
    options = _options(given)
    values = sum(option in _TAKES_VALUE and option in given for option in options)
    return len(given) > len(options) + values


def _without_unneeded(words: Sequence[str], data: CombinedData) -> tuple[list[str], list[str]]:
    """The words of `coverage run` without those that covsup does not need, and notes about these."""
    kept: list[str] = []
    notes: list[str] = []
    index = 0
    for option in _options(words):
        length = 2 if option in _TAKES_VALUE and words[index] == option else 1
        meaning = RUN_OPTIONS.get(option)
        if meaning is None or (data is CombinedData.SESSIONS and option in _PARALLEL):
            kept += words[index : index + length]
        else:
            notes.append(f"{option} is {ACTIONS[meaning.support].value}: {meaning.note}")
        index += length
    if (
        data is CombinedData.SESSIONS
        and _PARALLEL.isdisjoint(kept)
        and not {"-a", "--append"} & {*kept}
    ):
        kept.append("-p")
        notes.append("-p leaves it to `covsup combine`: no run replaces what another measured")
    return [*kept, *words[index:]], notes


def _end_of_command(before: str, rest: str) -> str:
    """`rest` up to the quote or bracket that was opened before the command."""
    for quote in ("'", '"'):
        if before.count(quote) % 2:
            rest = rest.partition(quote)[0]
    depth = 0
    for index, letter in enumerate(rest):
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0:
            return rest[:index]
    return rest.rstrip(" ,\\")


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, and the number of each. Continued lines are joined."""
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
