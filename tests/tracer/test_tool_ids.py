"""Whatever a program gives sys.monitoring as a tool id, it sees none of covsup's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")

IDS = """\
import enum, sys, warnings
warnings.simplefilter("always")
monitoring, events, asked = sys.monitoring, sys.monitoring.events, []

class Index:
    def __init__(self, number):
        self.number = number
    def __index__(self):
        asked.append(self.number)
        if isinstance(self.number, Exception):
            raise self.number
        return self.number

class Number(int):
    def __index__(self):
        asked.append("not of an int")
        return 77

Enum = enum.IntEnum("Enum", [f"tool{n}" for n in range(6)], start=0)

class Meddling(Index):
    def __index__(self):
        number = super().__index__()
        for tool in range(6):
            asked.append(monitoring.get_tool(tool))
        return number

def code():
    return 1

def report(function, *arguments):
    asked.clear()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            result = getattr(monitoring, function)(*arguments)
    except BaseException as error:
        result = f"{type(error).__name__}: {error}"
    print(function, result, asked, [str(each.message) for each in warned])

def use(make):
    for number in range(6):
        report("get_tool", make(number))
        report("use_tool_id", make(number), "mine")
        report("get_tool", make(number))
        report("get_events", make(number))
        report("register_callback", make(number), Index(events.LINE), print)
        report("register_callback", make(number), events.LINE, None)
        report("set_events", make(number), Index(events.CALL))
        report("set_events", make(number), Index(LookupError("no events")))
        report("set_local_events", make(number), code.__code__, Index(events.INSTRUCTION))
        report("get_local_events", make(number), code.__code__)
        report("set_local_events", make(number), code.__code__, 0)
        report("set_events", make(number), 0)
        if hasattr(monitoring, "clear_tool_id"):
            report("clear_tool_id", make(number))
        report("free_tool_id", make(number))
        report("get_tool", make(number))
    code()

for make in Index, Number, Enum, Meddling:
    use(make)
for wrong in (
    Index(LookupError("none")), Index(6), Index(-1), Index(1 << 80), Index("4"), Index(Number(4)),
    True, False, 1 << 80, -(1 << 80), 4.0, "4", None, code,
):
    report("get_tool", wrong)
    report("use_tool_id", wrong, "mine")
    report("use_tool_id", wrong, 3)
    report("free_tool_id", wrong)
    report("set_events", wrong, Index(0))
    report("set_local_events", wrong, code.__code__, wrong)
    report("register_callback", wrong, wrong, None)
    report("get_tool")
    report("get_tool", wrong, wrong)
    report("set_events", wrong)
for function in ("get_tool", "use_tool_id", "set_events"):
    try:
        getattr(monitoring, function)(tool_id=Index(4))
    except TypeError as error:
        print(error, asked)
print(monitoring._all_events())
"""


def test_an_id_is_asked_for_its_number_as_often_as_plainly(world: World, core: str) -> None:
    world.write("target.py", IDS)
    plain = world.run(world.python, "target.py")
    run = world.covsup_run("target.py", core=core)
    assert plain.ended == run.ended == 0, run
    pairs = list(zip(plain.stdout.splitlines(), run.stdout.splitlines(), strict=True))
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
