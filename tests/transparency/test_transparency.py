"""A measured program says of itself what it says plainly, ends as it ends, and prints what it prints."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CORES
from tests.transparency.programs import PROGRAMS, WAYS_TO_START, Program
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
CARRIED = "carried"
"""By the carrier as well, under the core that is the default."""

HOW = (*CORES, *([CARRIED] if sys.platform == "linux" else []))
BATCH = HERE.parent / "corpus" / "batch.py"
PORTRAIT = (HERE / "portrait.py").read_text(encoding="utf-8")
UNSTEADY = re.compile(r"(?<=0x)[0-9a-f]{6,}|(?<=\(pid=)\d+")


@dataclass(frozen=True, slots=True)
class Said:
    """What one run of a program gave."""

    ended: str
    stdout: str
    stderr: str

    def portraits(self) -> dict[str, dict[str, object]]:
        """What each process of it said of itself, by name."""
        found = {}
        for line in self.stdout.splitlines():
            if line.startswith('{"portrait"'):
                portrait = json.loads(line)
                found[portrait.pop("portrait")] = portrait
        return found

    def rest(self) -> list[str]:
        """The other lines."""
        return [line for line in self.stdout.splitlines() if not line.startswith('{"portrait"')]


def lay_out(directory: Path, program: Program) -> list[str]:
    """Write the program's files; its command."""
    files = {"program.py": program.source, "portrait.py": PORTRAIT} | program.files
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PORTRAIT if text == "@portrait" else text, encoding="utf-8")
    with zipfile.ZipFile(directory / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", program.source)
        archive.writestr("portrait.py", PORTRAIT)
    (directory / ".stdin").write_text(program.stdin, encoding="utf-8")
    return [
        word.replace("{python}", sys.executable)
        .replace("{here!r}", repr(str(directory)))
        .replace("{here}", str(directory))
        for word in program.command
    ]


def said(directory: Path) -> Said:
    """Read what the program left."""
    ended, stdout, stderr = (
        UNSTEADY.sub("", (directory / name).read_text(encoding="utf-8", errors="replace"))
        for name in (".ended", ".stdout", ".stderr")
    )
    return Said(ended, stdout, stderr)


class Batch:
    """Every program, plainly and in each way of measuring: the children of one target each time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._found: dict[str, dict[str, Said]] = {}
        manifest = []
        for program in PROGRAMS:
            directory = world.directory / program.name
            directory.mkdir()
            manifest.append(
                {
                    "directory": str(directory),
                    "command": lay_out(directory, program),
                    "timeout": 40,
                }
            )
        self._manifest = world.write("manifest.json", json.dumps(manifest))

    def said(self, how: str, program: Program) -> Said:
        """Give what a program said, having run all of them when that way is first asked for."""
        if how not in self._found:
            self._run(how)
            self._found[how] = {
                each.name: said(self._world.directory / each.name) for each in PROGRAMS
            }
        return self._found[how][program.name]

    def _run(self, how: str) -> None:
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
        words = [str(BATCH), str(self._manifest)]
        if how == "plainly":
            run = self._world.run(self._world.python, *words, environment=environment, timeout=120)
        else:
            options = ["--grace=0", *(["--carrier"] if how == CARRIED else [])]
            run = self._world.covsup_run(
                *words,
                core=how if how in CORES else None,
                environment=environment,
                options=options,
                timeout=120,
            )
        assert run.ended == 0, str(run)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Give the programs, each to be run when it is first asked for."""
    return Batch(World(tmp_path_factory.mktemp("programs")))


def differences(plain: Said, measured: Said) -> dict[str, tuple[object, object]]:
    """What differs, by name."""
    found: dict[str, tuple[object, object]] = {}
    before, after = plain.portraits(), measured.portraits()
    for name in before.keys() | after.keys():
        one, other = before.get(name, {}), after.get(name, {})
        for key in one.keys() | other.keys():
            if one.get(key) != other.get(key):
                found[f"{name}: {key}"] = narrowed(one.get(key), other.get(key))
    for key, get in PARTS.items():
        if get(plain) != get(measured):
            found[key] = narrowed(get(plain), get(measured))
    return found


PARTS: dict[str, Callable[[Said], object]] = {
    "ended": lambda said: said.ended,
    "stdout": Said.rest,
    "stderr": lambda said: said.stderr.splitlines(),
}


def narrowed(one: object, other: object) -> tuple[object, object]:
    """The items that are not in both."""
    if isinstance(one, list) and isinstance(other, list):
        return (
            [each for each in one if each not in other] or one,
            [each for each in other if each not in one] or other,
        )
    if isinstance(one, dict) and isinstance(other, dict):
        names = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
        return {name: one.get(name) for name in names}, {name: other.get(name) for name in names}
    return one, other


@pytest.mark.timeout(240)  # the first one of each way waits for all programs
@pytest.mark.parametrize("core", HOW)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_measured_program_is_what_it_is_plainly(
    program: Program, core: str, batch: Batch
) -> None:
    plain, measured = batch.said("plainly", program), batch.said(core, program)
    assert plain.ended != "hung"
    if core in program.differs and sys.version_info >= (3, 12):
        assert differences(plain, measured) != {}, "it notices no more: docs/transparency.md"
    else:
        assert differences(plain, measured) == {}


@pytest.mark.parametrize(
    "program",
    [
        each
        for each in WAYS_TO_START
        if each.name in {"a_script", "a_package", "standard_input", "a_directory", "an_archive"}
    ],
    ids=lambda program: program.name,
)
def test_the_target_itself_is_what_it_is_plainly(program: Program, world: World) -> None:
    _, *words = lay_out(world.directory, program)
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    # A shell is the parent in either case, so that the target begins neither a group nor a session.
    shell = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
    runs = [
        world.run(*shell, *command, environment=environment, stdin=program.stdin)
        for command in (
            [sys.executable, *words],
            [sys.executable, "-m", "covsup", "run", "--branch", *words],
        )
    ]
    plain, measured = (Said(str(run.ended), run.stdout, run.stderr) for run in runs)
    assert "main" in plain.portraits()
    assert differences(plain, measured) == {}
