"""Programs whose instructions another tool has marked with line numbers that no source has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

MODULE = """\
def choose(a):
    if a:
        b = 1
    else:
        b = 2
    for i in range(b):
        if i:
            break
    while b:
        b -= 1
        if a == 7:
            return None
    match a:
        case 1:
            c = 3
        case _:
            c = 4
    if c:
        return c

async def later(a):
    async for each in made(a):
        if each:
            pass
    if a: return 1

async def made(count):
    for each in range(count):
        yield each

for number in 0, 1, 7:
    choose(number)
coroutine = later(2)
try:
    coroutine.send(None)
except StopIteration:
    ends = True
"""
# As SlipCover does from 3.12 on: a statement that compiles to a NOP says by its line which branch
# begins there.
MARKER = """\
import ast, sys
path = sys.argv[1]
def mark(one, other):
    statement = ast.Expr(ast.Constant(None))
    for node in ast.walk(statement):
        node.lineno = node.end_lineno = 1 << 30 | one << 15 | other
        node.col_offset = node.end_col_offset = -1
    return [statement]
class Marker(ast.NodeTransformer):
    def visit(self, node):
        self.generic_visit(node)
        if isinstance(node, (ast.If, ast.For, ast.AsyncFor, ast.While)):
            node.body = mark(node.lineno, node.body[0].lineno) + node.body
            after = node.orelse[0].lineno if node.orelse else 0
            node.orelse = mark(node.lineno, after) + node.orelse
        return node
tree = ast.parse(open(path).read())
if len(sys.argv) > 2:
    tree = ast.fix_missing_locations(Marker().visit(tree))
exec(compile(tree, path, "exec"), {"__name__": "module"})
"""


@pytest.mark.parametrize("branch", [True, False], ids=["branches", "lines"])
def test_marked_code_gives_the_lines_and_branches_of_its_source(
    world: World, core: str, *, branch: bool
) -> None:
    path = world.write("module.py", MODULE)
    world.write("marker.py", MARKER)
    plain = world.covsup_run("marker.py", path, core=core, branch=branch)
    marked = world.covsup_run("marker.py", path, "marked", core=core, branch=branch)
    assert (plain.ended, plain.stderr) == (marked.ended, marked.stderr) == (0, "")
    plain_report, marked_report = plain.file("module.py"), marked.file("module.py")
    assert len(plain_report.executed_lines) > 20
    assert marked_report == plain_report


def test_a_line_that_no_source_has_hides_none_that_it_has(world: World, core: str) -> None:
    world.write(
        "target.py",
        "import ast\n"
        "tree = ast.parse('a = 1\\nb = 2\\nc = 3\\n')\n"
        "for node in ast.walk(tree.body[1]):\n"
        "    node.lineno = node.end_lineno = 2**31 - 2\n"
        "exec(compile(tree, __file__, 'exec'))\n",
    )
    run = world.covsup_run("target.py", core=core)
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py") == {1, 2, 3, 4, 5}
