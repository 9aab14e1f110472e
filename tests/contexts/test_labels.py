"""Any text may be a label, and a program without contexts sees nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup import embed

if TYPE_CHECKING:
    from tests.world import World

ODD = """
from covsup import embed
def leaf():
    pass
LABELS = ["a\\0b", "two\\nlines", "x" * 65536, "\\udc80", "zażółć|\\t%s", "é" * 65536]
for label in LABELS:
    with embed.context(label):
        leaf()
    embed.switch_context(label)
    leaf()
embed.switch_context("")
for wrong in (None, b"bytes", 7):
    try:
        embed.context(wrong)
    except TypeError as error:
        assert "label is a str" in str(error)
    else:
        raise AssertionError
with embed.context("deep"):
    def deeper(depth):
        with embed.context(str(depth)):
            return deeper(depth - 1) if depth else leaf()
    deeper(300)
leaf()
"""


def test_any_text_may_be_a_label_and_long_ones_are_cut(world: World, core: str) -> None:
    world.write("odd.py", ODD)
    run = world.covsup_run("odd.py", core=core)
    assert run.ended == 0, run
    labels = run.data.measured_contexts()
    expected = {"a\\x00b", "two\nlines", "x" * 4096, "\\udc80", "zażółć|\t%s", "é" * 2048}
    assert expected <= labels, labels - expected
    assert max(len(label.encode()) for label in labels) == 4096
    shown = world.run(world.python, "-m", "covsup", "json", "--show-contexts", "-o", "out.json")
    assert shown.ended == 0, shown


TRANSPARENT = """
import contextvars, os, sys, threading
from covsup import embed
def seen():
    return list(contextvars.copy_context().items())
assert seen() == [] and embed.active()
thread = threading.Thread(target=lambda: found.append(seen()))
found = []
thread.start()
thread.join()
assert found == [[]]
with embed.context("one"):
    with embed.context("two"):
        pass
assert seen() == []
assert "COVSUP_CONTEXT" not in os.environ
"""


def test_without_a_current_context_the_program_sees_no_variable_of_ours(
    world: World, core: str
) -> None:
    world.write("transparent.py", TRANSPARENT)
    assert world.covsup_run("transparent.py", core=core).ended == 0


PLAIN = """
import sys
before = set(sys.modules)
from covsup import embed
with embed.context("one"):
    embed.switch_context("two")
@embed.context("three")
def function():
    return 5
assert function() == 5 and function.__name__ == "function"
assert not embed.active()
assert set(sys.modules) - before == {"covsup", "covsup.embed"} - before, set(sys.modules) - before
"""


def test_where_nothing_is_measured_nothing_is_done_or_loaded(world: World) -> None:
    world.write("plain.py", PLAIN)
    run = world.run(world.python, "plain.py")
    assert run.ended == 0, run
    assert not embed.active()
