"""What `covsup debug migrate` finds about Pythons and systems on which covsup does not measure.

It reads the files of CI services, tox and nox, and the Pythons that a project supports. There, keep
coverage.py: its data files and covsup's can be combined.
"""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.launch.interpreter import OLDEST
from covsup.supervisor.migrate.commands import logical_lines
from covsup.supervisor.migrate.finding import Action, Finding, text_or_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Final

_SERVICES: Final = (
    ".github/workflows/*.y*ml", ".github/actions/*/*.y*ml", ".gitlab-ci.y*ml", ".travis.y*ml",
    ".circleci/config.y*ml", "azure-pipelines*.y*ml", ".cirrus.y*ml", "bitbucket-pipelines.y*ml",
    ".drone.y*ml", ".woodpecker.y*ml", ".appveyor.y*ml", "appveyor.y*ml", "Jenkinsfile",
)  # fmt: skip
_TESTS: Final = re.compile(r"\b(coverage|cov|pytest|tox|nox|unittest|tests?)\b", re.IGNORECASE)
_TOX_FILES: Final = ("tox.ini", "tox.toml", "setup.cfg", "pyproject.toml")
_PROJECT_FILES: Final = ("pyproject.toml", "setup.cfg", "setup.py")

_SYSTEM: Final = re.compile(
    r"\b(?:saas-)?(?P<windows>windows|win)(?:[-/](?:latest|default|server|medium|\d)[\w.-]*)"
    r"|\b(?P<studio>Visual Studio \d+)|\b(?P<container>windows_container)\b"
    r"|\b(?:saas-)?(?P<mac>macos|osx)(?:-(?:latest|medium|large|\d)[\w.-]*|_instance)"
    r"|^\s*(?:-\s*)?os\s*:\s*(?P<os>osx|windows|macos)\s*$",
    re.IGNORECASE,
)
_PYTHON_KEY: Final = re.compile(
    r"""^(?P<indent>\s*)(?:-\s*)?["']?[\w.-]*(?:python|pyver|\bpy)[\w.-]*["']?\s*[:=](?P<rest>.*)""",
    re.IGNORECASE,
)
_INLINE_KEY: Final = re.compile(
    r"""(?:python[-_.]?version|TOXENV|\bimage)["']?\s*[:=](?P<rest>.*)""", re.IGNORECASE
)
_ITEM: Final = re.compile(r"^(?P<indent>\s*)-\s*(?P<rest>[^:{]*)$")
_VERSION: Final = re.compile(
    r"(?<![\w.])(?:c?python[:-]?)?(?P<version>2\.7|3\.\d+)(?:\.\d+|\.x)?(?:-[\w.-]*)?(?![\w.])",
    re.IGNORECASE,
)
_OTHER_PYTHON: Final = re.compile(r"\b(?P<name>pypy|graalpy)[\w.-]*", re.IGNORECASE)
_ENV_LIST: Final = re.compile(
    r"""^\s*["']?env_?list["']?\s*=(?P<rest>.*)|^\s*["']?base_?python["']?\s*=(?P<base>.*)"""
)
_FACTORS: Final = re.compile(r"\bpy\{(?P<many>[^}]*)\}")
_FACTOR: Final = re.compile(r"\bpy(?:thon)?-?(?P<major>[23])\.?(?P<minor>\d+)\b")
_REQUIRES: Final = re.compile(
    r"""^\s*(?:requires[-_]python|python_requires|python)\s*=\s*["']?(?P<what>[\^~<>=!\d][^"'#]*)"""
)
_LOWEST: Final = re.compile(r"(?:>=|\^|~=|~|==|>)\s*(?P<major>[23])(?:\.(?P<minor>\d+))?")

_KEEP_COVERAGE: Final = (
    "keep coverage.py there: `covsup combine FILE...` takes its data files with covsup's"
)


def in_platforms(directory: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """Where a project runs on or supports what covsup does not measure."""
    for path in files:
        name = path.relative_to(directory).as_posix()
        if any(fnmatch(name, each) for each in _SERVICES) and name.count("/") <= 3:
            text = text_or_empty(path)
            if _TESTS.search(text):
                yield from _in_service(name, text)
        elif name in _TOX_FILES or name in _PROJECT_FILES:
            text = text_or_empty(path)
            if name in _TOX_FILES:
                yield from _in_tox(name, text)
            if name in _PROJECT_FILES:
                yield from _in_project(name, text)
        elif name == "noxfile.py":
            yield from _in_nox(name, text_or_empty(path))


def _in_service(name: str, text: str) -> Iterator[Finding]:
    depth: int | None = None  # indent of a key for Pythons, whose list items follow
    for number, line in logical_lines(text):
        yield from _systems(name, number, line)
        item = _ITEM.match(line)
        if item is not None and depth is not None and len(item["indent"]) >= depth:
            yield from _pythons(name, number, item["rest"])
            continue
        key = _PYTHON_KEY.match(line)
        depth = len(key["indent"]) if key is not None and not key["rest"].strip() else None
        inline = _INLINE_KEY.search(line)
        if key is not None or inline is not None:
            value = key["rest"] if key is not None else inline["rest"] if inline else ""
            yield from _pythons(name, number, f"{value} {_factors_in(value)}")


def _systems(name: str, number: int, line: str) -> Iterator[Finding]:
    for found in _SYSTEM.finditer(line):
        system = found[0].strip(" -")
        if found["mac"] or (found["os"] or "").lower() in {"osx", "macos"}:
            why = f"covsup has not been tried on macOS; where it fails, {_KEEP_COVERAGE}"
        else:
            why = f"covsup does not run on Windows; {_KEEP_COVERAGE}"
        yield Finding(path=name, line=number, found=system, action=Action.UNSUPPORTED, why=why)


def _pythons(name: str, number: int, text: str) -> Iterator[Finding]:
    """The Pythons in a line that covsup does not measure, one finding for each kind."""
    others = [found[0].rstrip(".-") for found in _OTHER_PYTHON.finditer(text)]
    if others:
        why = f"covsup measures CPython only; {_KEEP_COVERAGE}"
        yield Finding(path=name, line=number, found=", ".join(dict.fromkeys(others)),
                      action=Action.UNSUPPORTED, why=why)  # fmt: skip
    bare = _OTHER_PYTHON.sub("", text)
    yield from _old(name, number, (found["version"] for found in _VERSION.finditer(bare)))


def _old(name: str, number: int, versions: Iterable[str]) -> Iterator[Finding]:
    old = [version for version in dict.fromkeys(versions) if _is_old(version)]
    if old:
        why = f"covsup measures Python {_dotted(OLDEST)} and later; {_KEEP_COVERAGE}"
        yield Finding(path=name, line=number, found=f"Python {', '.join(old)}",
                      action=Action.UNSUPPORTED, why=why)  # fmt: skip


def _in_tox(name: str, text: str) -> Iterator[Finding]:
    inside = False
    for number, line in logical_lines(text):
        found = _ENV_LIST.match(line)
        if found is not None:
            inside = True
        elif inside and not line[:1].isspace() and line.strip(" ]}\"',"):
            inside = False
        if inside:
            yield from _pythons(name, number, f"{line} {_factors_in(line)}")


def _factors_in(text: str) -> str:
    """The versions of tox's factors: "3.8 3.10" for "py{38,310}-x"."""
    spread = _FACTORS.sub(
        lambda found: " ".join(f"py{each.strip()}" for each in found["many"].split(",")), text
    )
    return " ".join(f"{found['major']}.{found['minor']}" for found in _FACTOR.finditer(spread))


def _in_nox(name: str, text: str) -> Iterator[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        value: ast.expr | None = None
        match node:
            case ast.keyword(arg="python", value=value):
                pass
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if re.search(
                r"python|version", target, re.IGNORECASE
            ):
                pass
            case _:
                continue
        by_line: dict[int, list[str]] = {}
        for each in ast.walk(value):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                by_line.setdefault(each.lineno, []).append(each.value)
        for line, words in by_line.items():
            yield from _pythons(name, line, " ".join(words))


def _in_project(name: str, text: str) -> Iterator[Finding]:
    for number, line in logical_lines(text):
        required = _REQUIRES.match(line)
        lowest = _LOWEST.search(required["what"]) if required is not None else None
        if required is None or lowest is None:
            continue
        version = f"{lowest['major']}.{lowest['minor'] or 0}"
        if _is_old(version):
            yield Finding(
                path=name, line=number, found=" ".join(line.split()).rstrip(","),
                action=Action.CHANGE, instead=f'covsup; python_version >= "{_dotted(OLDEST)}"',
                why=f"covsup needs Python {_dotted(OLDEST)}: where it is a requirement, limit it,"
                " and keep coverage.py for older ones",
            )  # fmt: skip


def _is_old(version: str) -> bool:
    return tuple(map(int, version.split("."))) < OLDEST


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
