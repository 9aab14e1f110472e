"""Functions that were sent by value: their lines are those of the file that they come from.

`sent` in these programs does what cloudpickle does to code; the corpus has the real one, with loky.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from coverage import CoverageData

from covsup.supervisor.combining.combine import combine
from covsup.supervisor.settings.combine_settings import CombineSettings
from tests.conftest import CORES
from tests.datafile.handmade import HandMade, handmade_session
from tests.supervisor.live import beside

if TYPE_CHECKING:
    from covsup.supervisor.combining.combine_result import CombineResult
    from tests.world import Run, World

SENDING = """
import os
import types

def renamed(code):
    constants = [renamed(each) if isinstance(each, types.CodeType) else each
                 for each in code.co_consts]
    return code.replace(co_filename="<dynamic-code>", co_consts=tuple(constants))

def sent(function):
    if "PLAINLY" in os.environ:
        return function
    copy = types.FunctionType(renamed(function.__code__), dict(function.__globals__),
                              function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
"""

# At its end it does not look like the file that was measured: only identical code is taken.
EVERY_KIND = '''
import asyncio
import functools
import os
from sending import sent

def plain(number):
    """With a text."""
    if number > 1:
        return "more"
    return "less"

def outer(limit):
    def inner(number):
        if number > limit:
            return lambda: (
                number
            )
        return [each for each in range(number) if each]
    return inner

class Scale:
    def __init__(self, factor):
        self.factor = factor

    def times(self, number, *, more=0):
        if more:
            number += more
        return number * self.factor

    @classmethod
    def make(cls):
        return cls(2)

    @staticmethod
    def twice(number):
        return number * 2

def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        result = function(*arguments)
        return result
    return wrapper

@logged
def decorated(number):
    while number:
        number -= 1
    return number

def constants(value):
    if value in {"one", "two", "three", b"four", 5, -0.0, 1j, (6, None)}:
        return value[1:-1:2], value[:1], ..., 1e300, -1, 0.5, True, "\\ud800"
    return 1 << 70, 123456789012345678901234567890, (1, (2.5, "three"), b"four", False), "ü"

def generates(number):
    for each in range(number):
        try:
            yield each
        finally:
            each += 1
    return (each for each in "ab")

async def waits():
    async with asyncio.Lock():
        async for each in counts():
            await asyncio.sleep(0)
    return [each async for each in counts()]

async def counts():
    yield 1

def makes_class():
    class Local:
        attribute = 1
        def method(self):
            match self.attribute:
                case 1:
                    return "one"
                case _:
                    return "other"
    return Local().method()

sent(plain)(1)
for number in 0, 2:
    found = sent(sent(outer(1)))(number)
    if number:
        sent(found)()
sent(Scale.times)(sent(Scale.make.__func__)(Scale), 3)
sent(Scale.times)(Scale(1), 3, more=1)
sent(Scale.twice)(3)
sent(decorated)(2)
sent(decorated.__wrapped__)(0)
sent(constants)("one")
sent(constants)(9)
list(sent(generates)(2))
asyncio.run(sent(waits)())
sent(makes_class)()
square = sent(lambda number: (
    number
    * number
))
square(2)
os.utime(__file__, (1, 1))
'''


def lines_of(text: str, *beginnings: str) -> set[int]:
    """Give the numbers of the lines that begin so, apart from spaces."""
    return {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip().startswith(beginnings)
    }


def sender(world: World, text: str) -> str:
    """Write what sends functions by value, and a program that uses it."""
    world.write("sending.py", SENDING)
    world.write("program.py", text)
    return "program.py"


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
@pytest.mark.parametrize("core", CORES)
def test_sent_code_gives_what_it_gives_where_it_is_not_sent(
    world: World, core: str, branch: bool
) -> None:
    program = sender(world, EVERY_KIND)
    sent = world.covsup_run(program, branch=branch, core=core)
    assert (sent.ended, sent.stderr) == (0, "")
    lines, arcs = sent.lines(program), sent.arcs(program)
    plainly = world.covsup_run(program, branch=branch, core=core, environment={"PLAINLY": "1"})
    assert lines == plainly.lines(program)
    assert arcs == plainly.arcs(program)
    assert sent.data.measured_files() == plainly.data.measured_files()


def test_sent_code_has_the_context_that_it_runs_in(world: World) -> None:
    text = """
from sending import sent

def work(number):
    return number

def test_one():
    sent(work)(1)

test_one()
"""
    program = sender(world, text)
    world.write(".coveragerc", "[run]\ndynamic_context = test_function\n")
    run = world.covsup_run(program, "x", options=["--context=all"])
    path = str(world.directory / program)
    assert run.data.contexts_by_lineno(path)[5] == ["all|__main__.test_one"]


EDITS_ITSELF = """
from sending import sent

def work(number):
    return number + 1

def other(number):
    return 2

sent(work)(1)
with open(__file__) as file:
    text = file.read()
with open(__file__, "w") as file:
    file.write(text.replace("+ 1", "+ 7"))
sent(other)(1)
"""


def unplaced(run: Run) -> int:
    with closing(sqlite3.connect(run.data_file)) as db:
        return int(db.execute("SELECT count(*) FROM covsup_sent_code").fetchone()[0])


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
def test_code_that_no_file_has_any_more_is_said_and_kept_until_one_has(
    world: World, branch: bool
) -> None:
    program = sender(world, EDITS_ITSELF)
    run = world.covsup_run(program, branch=branch)
    path = world.directory / program
    assert run.ended == 0
    assert run.stderr == (
        "covsup: 1 line of a function sent by value is not in the result (work):"
        f" {path} has no such code any more\n"
    )
    assert 8 in run.lines(program)
    assert 5 not in run.lines(program)
    assert unplaced(run)
    assert beside(world, "report").returncode == 0
    again = beside(world, "combine", "--append", ".coverage")
    assert again.stderr == run.stderr
    world.write(program, EDITS_ITSELF)
    again = beside(world, "combine", ".coverage")
    assert again.stderr == ""
    run.__dict__.pop("data")
    assert {5, 8} <= run.lines(program)
    assert not unplaced(run)


def test_a_copy_of_an_edited_file_gets_none_of_its_lines(world: World) -> None:
    program = sender(world, "import copied\n" + EDITS_ITSELF)
    work = EDITS_ITSELF[: EDITS_ITSELF.index("sent(work)")]
    world.write("copied.py", "\n" + work.replace("from sending import sent", "one = 1"))
    run = world.covsup_run(program)
    assert "is not in the result (work)" in run.stderr
    assert run.lines("copied.py") == {3, 5, 8}


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
def test_what_a_session_that_goes_on_has_of_sent_code_is_placed_each_time(
    world: World, branch: bool
) -> None:
    text = "from sending import sent\n\ndef work(number):\n    return number\n\nsent(work)(1)\n"
    program = sender(world, text)
    words = ["env", "--shell=json", *(["--branch"] if branch else [])]
    session = json.loads(beside(world, *words).stdout)
    for _ in range(2):
        run = world.run(world.python, program, environment=session)
        assert run.ended == 0
        world.data_file.unlink(missing_ok=True)
        combined = beside(world, "combine")
        assert (combined.returncode, combined.stderr) == (0, "")
        assert executed(world, program) == {1, 3, 4, 6}
    world.data_file.unlink()
    assert beside(world, "combine").returncode == 0
    assert executed(world, program) == {1, 3, 4, 6}


def test_code_of_files_that_are_not_measured_is_not_measured_either(world: World) -> None:
    program = sender(world, EVERY_KIND)
    run = world.covsup_run(program, options=["--omit=program.py"])
    assert (run.ended, run.stderr) == (0, "")
    assert run.data.measured_files() == {str(world.directory / "sending.py")}
    run = world.covsup_run(program, options=["--include=sending.py"])
    assert (run.ended, run.stderr) == (0, "")
    assert run.data.measured_files() == {str(world.directory / "sending.py")}


def test_a_name_that_no_compiler_gives_does_not_disturb_the_program(world: World) -> None:
    text = """
from sending import sent

def work():
    return 1

for name in "\\udc80", "one\\ntwo", "other":
    function = sent(work)
    function.__code__ = function.__code__.replace(co_qualname=name)
    print(function())
"""
    run = world.covsup_run(sender(world, text))
    assert (run.ended, run.stdout, run.stderr) == (0, "1\n1\n1\n", "")


@pytest.mark.parametrize("core", CORES)
def test_sent_code_runs_as_deep_in_calls_as_other_code(world: World, core: str) -> None:
    text = """
import sys
from sending import sent

def work():
    return (1, (2.5, "three")), {4, 5}

def called(levels, function):
    return called(levels - 1, function) if levels else function()

def deepest(prepared):
    for levels in range(100, 300):
        try:
            called(levels, prepared(work))
        except RecursionError:
            return levels

sys.setrecursionlimit(250)
print(deepest(sent) - deepest(lambda function: function))
"""
    run = world.covsup_run(sender(world, text), options=[f"--core={core}"])
    assert (run.ended, run.stdout, run.stderr) == (0, "0\n", "")


def test_code_that_contains_code_of_many_levels_is_found(world: World) -> None:
    text = f"""
from sending import sent

def work():
    return {"lambda: " * 40} 1

sent(work)()
"""
    run = world.covsup_run(sender(world, text))
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("program.py") == {2, 4, 5, 7}


def test_code_that_was_generated_is_no_loss(world: World) -> None:
    text = """
import collections
import dataclasses
from sending import sent

@dataclasses.dataclass
class Point:
    x: int = 0

Pair = collections.namedtuple("Pair", "a b")
sent(Point.__init__)(Point(), 3)
sent(Pair.__new__)(Pair, 1, 2)
"""
    program = sender(world, text)
    run = world.covsup_run(program)
    assert (run.ended, run.stderr) == (0, "")
    assert not unplaced(run)


def test_code_whose_assertions_pytest_rewrote_is_of_the_file_that_did_not_change(
    world: World,
) -> None:
    text = """
from sending import sent

def test_it():
    def task(number):
        assert number, "no number"
        return number
    assert sent(task)(1) == 1
"""
    sender(world, "")
    world.write("test_it.py", text)
    run = world.covsup_run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert (run.ended, run.stderr) == (0, "")
    assert {6, 7} <= run.lines("test_it.py")


@pytest.mark.parametrize("optimized", ["-O", "-OO"])
def test_optimized_code_is_found(world: World, optimized: str) -> None:
    text = """
import os
from sending import sent

def work(number):
    "With a text."
    assert number
    return number

sent(work)(1)
os.utime(__file__, (1, 1))
"""
    run = world.covsup_run(world.python, optimized, sender(world, text))
    assert (run.ended, run.stderr) == (0, "")
    assert 8 in run.lines("program.py")


def combine_what_another_python_ran(
    world: World, *executed: int, knows_version: bool
) -> CombineResult:
    """Combine a session in which a function of the program was sent, compiled by another Python."""
    path = world.write("program.py", "def work(number):\n    return number\n")
    found = path.stat()
    version = f"\n{found.st_mtime_ns}-{found.st_size}" if knows_version else ""
    sent = f"<dynamic-code>\n1\n1\n{0:016x}\nwork\n{path}"
    session = handmade_session(world.directory / "session")
    HandMade().ran(str(path), 1, module=version).write(session.path)
    HandMade().ran(sent, *executed).write(session.path)
    return combine([session.path], combine_settings=CombineSettings(data_file=world.data_file))


def test_code_of_another_python_is_of_the_file_that_did_not_change(world: World) -> None:
    outcome = combine_what_another_python_ran(world, 2, knows_version=True)
    assert outcome.warnings == ()
    assert executed(world, "program.py") == {1, 2}


@pytest.mark.parametrize(("line", "knows_version"), [(2, False), (3, True)])
def test_code_of_another_python_is_not_guessed(
    world: World, line: int, knows_version: bool
) -> None:
    outcome = combine_what_another_python_ran(world, line, knows_version=knows_version)
    why = "another Python compiled that code: combine with the one that ran it"
    assert outcome.warnings == (
        f"1 line of a function sent by value is not in the result (work): {why}",
    )
    assert executed(world, "program.py") == {1}


@pytest.mark.parametrize("lines", [(), (3, 4)])
def test_a_name_of_sent_code_that_makes_no_sense_is_said(
    world: World, lines: tuple[int, ...]
) -> None:
    session = handmade_session(world.directory / "session")
    HandMade().ran("<dynamic-code>\nno number", *lines).write(session.path)
    outcome = combine([session.path], combine_settings=CombineSettings(data_file=world.data_file))
    assert outcome.warnings[0].endswith("not in the result (): the journal is damaged there")


def executed(world: World, name: str) -> set[int]:
    data = CoverageData(str(world.data_file))
    data.read()
    lines = set(data.lines(str(world.directory / name)) or ())
    data.close(force=True)
    return lines


def test_code_of_no_known_file_goes_to_the_one_measured_file_that_has_it(world: World) -> None:
    world.write("one.py", "def work(number):\n    return number\n")
    text = """
import one
from sending import sent

def renamed(number):
    return number

for function in one.work, renamed:
    copy = sent(function)
    del copy.__globals__["__file__"]
    copy.__globals__["__name__"] = "__main__"
    copy(1)
"""
    program = sender(world, text)
    run = world.covsup_run(program)
    assert (run.ended, run.stderr) == (0, "")
    assert 2 in run.lines("one.py")
    assert 6 in run.lines(program)
    world.write("two.py", "def work(number):\n    return number\n")
    world.write(program, "import two\n" + text.lstrip("\n"))
    run = world.covsup_run(program)
    places = " and ".join(str(world.directory / name) for name in ("one.py", "two.py"))
    assert run.stderr == (
        "covsup: 1 line of a function sent by value is not in the result (work):"
        f" {places} have the same code\n"
    )
    assert 2 not in run.lines("one.py")


def test_code_of_another_file_that_runs_in_a_module_is_of_that_file(world: World) -> None:
    text = """
from sending import sent
with open("other.py") as file:
    exec(compile(file.read(), "other.py", "exec"))
sent(work)(1)
"""
    world.write("other.py", "def work(number):\n    return number\n")
    run = world.covsup_run(sender(world, text))
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("other.py") == {1, 2}


def test_code_of_a_prompt_is_said_to_be_of_no_file(world: World) -> None:
    sender(world, "")
    text = "from sending import sent\ndef work():\n    return 1\nsent(work)()\nsent(lambda: 2)()\n"
    run = world.covsup_run(world.python, "-c", text)
    assert run.stderr == (
        "covsup: 2 lines of functions sent by value are not in the result (<lambda>, work):"
        " its module has no file (a notebook, a prompt, or -c)\n"
    )


def test_paths_of_sent_code_are_mapped_as_all_are(world: World) -> None:
    program = sender(world, EDITS_ITSELF.replace("+ 7", "+ 1"))
    world.write(".coveragerc", "[run]\nrelative_files = true\n")
    run = world.covsup_run(program)
    assert (run.ended, run.stderr) == (0, "")
    assert run.data.measured_files() == {"program.py", "sending.py"}
    assert {5, 8} <= set(run.data.lines("program.py") or ())
