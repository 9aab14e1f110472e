"""What `covsup debug migrate` finds in settings files and in lists of requirements."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from covsup.supervisor.coverage_settings import unknown_words
from covsup.supervisor.errors import UsageError
from covsup.supervisor.migration import KINDS, Finding, Kind, text_of
from covsup.supervisor.own_settings import check_key, heading
from covsup.supervisor.settings_files import (
    OWN_FILES,
    SHARED_FILES,
    Entry,
    Section,
    coverage_sections,
    read_entries,
)
from covsup.supervisor.vocabulary import SETTINGS, Meaning, To

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OFF: Final = frozenset({"", "0", "false", "no", "off", "none"})
_PYTEST_SECTIONS: Final = (
    "pytest", "tool:pytest", "tool.pytest", "tool.pytest.ini_options",
)  # fmt: skip
_PYTEST_FILES: Final = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
_REQUIREMENTS: Final = ("*requirements*.txt", "*requirements*.in", "requirements/*.txt",
                        "requirements/*.in", "constraints*.txt")  # fmt: skip
_REQUIREMENT: Final = re.compile(
    r"(?P<name>pytest[-_]cov|coverage|coverage[-_]enable[-_]subprocess)"
    r"(?P<extras>\[[\w, -]*\])?(?![\w-])\s*(?P<rest>[^#]*)",
    re.IGNORECASE,
)
_CONCURRENCY: Final = Meaning(
    To.UNNEEDED, "every kind of concurrency is measured; a list restricts that to what it names"
)


PYTEST_OPTION: Final = re.compile(r"--(no-)?cov(?![a-z])")


def understood(name: str, line: int, options: str) -> Finding:
    """What there is to say of pytest-cov's options."""
    return Finding(path=name, line=line, found=options, kind=Kind.STAYS,
                   why="covsup understands pytest-cov's options where that is not installed")  # fmt: skip


def in_settings(directory: Path, rcfile: str | None) -> Iterator[Finding]:
    """What coverage.py's, pytest's and our own settings say."""
    for name in dict.fromkeys((rcfile or "", *OWN_FILES, *SHARED_FILES, *_PYTEST_FILES)):
        path = directory / name
        if not name or not path.is_file():
            continue
        try:
            entries = read_entries(path)
        except UsageError as error:
            said = str(error).removeprefix(f"{path}: ")
            yield Finding(path=name, line=0, found=said, kind=Kind.CHANGE, why="it cannot be read")
            continue
        yield from _of_ours(name, entries)
        yield from _of_pytest(name, entries)
    yield from _of_coverage(directory, rcfile)


def in_requirements(directory: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """Where pytest-cov or coverage.py is installed from a list."""
    for path in files:
        name = path.relative_to(directory).as_posix()
        if any(fnmatch(name, pattern) for pattern in _REQUIREMENTS):
            for number, line in enumerate(text_of(path).splitlines(), 1):
                yield from requirement(name, number, line)
    for name in ("pyproject.toml", "setup.cfg", "tox.ini"):
        path = directory / name
        if path.is_file():
            yield from _in_lists(name, path)


def requirement(name: str, line: int, text: str) -> Iterator[Finding]:
    """What a requirement becomes, if it is one of those."""
    bare = text.strip()
    if bare[:1] in {'"', "'"}:
        bare = bare[1:].partition(bare[0])[0]
    found = _REQUIREMENT.match(bare.partition(";")[0])
    if found is None or (found["rest"] and found["rest"][0] not in "<>=!~;@^ "):
        return
    word = found[0].strip()
    if found["name"].lower().startswith("coverage-") or found["name"].lower().startswith(
        "coverage_"
    ):
        why = "covsup brings its own startup file"
        yield Finding(path=name, line=line, found=word, kind=Kind.DROP, why=why)
    elif found["name"].lower() == "coverage":
        why = "it brings coverage.py along"
        yield Finding(path=name, line=line, found=word, kind=Kind.CHANGE, instead="covsup", why=why)
    else:
        why = "without pytest-cov its options are understood by covsup"
        yield Finding(path=name, line=line, found=word, kind=Kind.CHANGE, instead="covsup", why=why)


def _in_lists(name: str, path: Path) -> Iterator[Finding]:
    """Requirements in a settings file: where such lists stand, and nowhere else."""
    try:
        entries = read_entries(path)
    except UsageError:
        return
    lines = text_of(path).splitlines()
    for entry in entries:
        place = f"{entry.section}.{entry.key}"
        if not re.search(r"dependenc|deps$|requires?($|\.)|^dependency-groups|extras", place):
            continue
        # Poetry has them as keys, and as tables below such.
        for word in {entry.key, entry.section.rpartition(".")[2]}:
            if path.suffix == ".toml" and _REQUIREMENT.fullmatch(word):
                yield from requirement(name, entry.line, word)
        values = entry.value if isinstance(entry.value, list) else str(entry.value).splitlines()
        for value in values:
            if isinstance(value, str):
                words = value.strip().rpartition(": ")[2] if name == "tox.ini" else value.strip()
                yield from requirement(name, _line_of(value.strip(), lines, entry.line), words)


def _line_of(text: str, lines: list[str], first: int) -> int:
    """The line, from `first` on, in which something stands."""
    for number, line in enumerate(lines[max(0, first - 1) :], max(1, first)):
        if text and text in line:
            return number
    return first


def _of_coverage(directory: Path, rcfile: str | None) -> Iterator[Finding]:
    names = [rcfile] if rcfile else [*OWN_FILES, *SHARED_FILES]
    reads = ""
    for name in names:
        path = directory / name
        if not path.is_file():
            continue
        try:
            sections = coverage_sections(path, own=Path(name).name not in SHARED_FILES)
        except UsageError:
            continue  # told already
        if reads and sections:
            yield Finding(
                path=name, line=sections[0].line, found=f"[{sections[0].written}]",
                kind=Kind.STAYS, why=f"coverage.py and covsup read only {reads}, which comes first",
            )  # fmt: skip
            continue
        if name not in SHARED_FILES or any(section.name in SETTINGS for section in sections):
            reads = name
        yield from _of_sections(name, path, sections)


def _of_sections(name: str, path: Path, sections: list[Section]) -> Iterator[Finding]:
    plugins = [
        plugin
        for section in sections
        for entry in section.entries
        if (section.name, entry.key) == ("run", "plugins")
        for plugin in _words(entry)
    ]
    for line, sentence in unknown_words(path, sections, plugins):
        yield Finding(path=name, line=line, found=sentence, kind=Kind.CHANGE,
                      why="coverage.py passes over it, and so does covsup")  # fmt: skip
    for section in sections:
        for entry in section.entries:
            meaning = SETTINGS.get(section.name, {}).get(entry.key)
            if (section.name, entry.key) == ("run", "concurrency"):
                meaning = _CONCURRENCY
            if meaning is None or meaning.to_us is To.HONOURED or not _is_on(entry):
                continue
            yield Finding(
                path=name, line=entry.line, found=_shown(section.written, entry),
                kind=KINDS[meaning.to_us], why=meaning.note,
            )  # fmt: skip


def _of_ours(name: str, entries: Iterable[Entry]) -> Iterator[Finding]:
    path = Path(name)
    for entry in entries:
        if f"[{entry.section}]" == heading(path):
            try:
                check_key(path, entry.key, entry.value, is_text=path.suffix != ".toml")
            except UsageError as error:
                said = str(error).removeprefix(f"{name}: ")
                yield Finding(path=name, line=entry.line, found=said, kind=Kind.CHANGE,
                              why="`covsup run` refuses it")  # fmt: skip


def _of_pytest(name: str, entries: Iterable[Entry]) -> Iterator[Finding]:
    for entry in entries:
        if entry.section not in _PYTEST_SECTIONS:
            continue
        words = _words(entry)
        if entry.key == "required_plugins":
            for word in words:
                yield from requirement(name, entry.line, word)
        if entry.key == "addopts":
            options = [word for word in words if PYTEST_OPTION.match(word)]
            if options:
                yield understood(name, entry.line, " ".join(options))
            for before, word in zip(["", *words], words, strict=False):
                plugin = word if before == "-p" else word.removeprefix("-p")
                if plugin.startswith("pytest_cov") and (before == "-p" or word.startswith("-p")):
                    yield Finding(path=name, line=entry.line, found=f"-p {plugin}",
                                  kind=Kind.CHANGE, why="leave it out: pytest finds covsup's"
                                  " plugin, which understands the same options")  # fmt: skip


def _words(entry: Entry) -> list[str]:
    values = entry.value if isinstance(entry.value, list) else [entry.value]
    return [word for value in values for word in re.split(r"[\s,]+", str(value)) if word]


def _is_on(entry: Entry) -> bool:
    return bool(entry.value) and str(entry.value).strip().lower() not in _OFF


def _shown(section: str, entry: Entry) -> str:
    value = entry.value if isinstance(entry.value, str) else str(entry.value).replace("'", '"')
    shown = value.lower() if isinstance(entry.value, bool) else ", ".join(value.split("\n"))
    return f"[{section}] {entry.key} = {shown.strip(', ')}"
