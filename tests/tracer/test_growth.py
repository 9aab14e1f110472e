"""What code costs when it first runs grows with its size, and not with its line numbers.

The sizes are such that a cost that grows with the square takes several times the processor time
that the program may use. `benchmarks/growth.py` shows the growth of each shape.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "growth.py"
SIZES = {
    "functions on one line": 50_000,
    "loops in loops that unpack": 10_000,
    "a branch over many lines": 150_000,
}
FEW_SECONDS = """\
import os, resource, time
with open("shape.py") as file:
    code = compile(file.read(), os.path.abspath("shape.py"), "exec")
most = int(time.process_time()) + 3
resource.setrlimit(resource.RLIMIT_CPU, (most, most))
exec(code, {"__name__": "shape"})
"""


@pytest.mark.skipif(
    sys.version_info < (3, 14),
    reason="each LINE event far down in a code object takes CPython itself time by its size",
)
@pytest.mark.parametrize("shape", SIZES)
def test_the_first_run_of_large_code_takes_time_by_its_size(session: Session, shape: str) -> None:
    _, source_of = runpy.run_path(str(BENCHMARK))["SHAPES"][shape]
    source = source_of(SIZES[shape])
    session.write("shape.py", source)
    session.configure(branch=True)
    outcome = session.run(FEW_SECONDS)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert {1, source.count("\n")} <= outcome.lines("shape.py")


FAR = """\
import ast, resource, sys
source = "def f(a):\\n    if a:\\n        return 1\\n    for i in range(2):\\n        pass\\n    return 2\\n"
tree = ast.parse(source)
for node in ast.walk(tree.body[0].body[-1]):
    if hasattr(node, "lineno"):
        node.lineno = node.end_lineno = int(sys.argv[1])
names = {}
exec(compile(tree, __file__, "exec"), names)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(names["f"](0), names["f"](1))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 8 * 1024, f"{grown} KiB"
"""


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
@pytest.mark.parametrize("line", [1 << 20, 1 << 24, (1 << 31) - 2])
def test_memory_does_not_grow_with_the_numbers_of_lines(
    session: Session, core: str, line: int, *, branch: bool
) -> None:
    session.configure(core=core, branch=branch)
    outcome = session.run(FAR, arguments=[str(line)])
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "2 1\n", "")
    if line < 1 << 24:  # larger ones are in the journal, but in no data file
        assert line in outcome.lines()
