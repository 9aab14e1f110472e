"""The tests in context labels.

A label is several segments joined by `|`. covsup's pytest plugin and pytest-cov record a test as its
node id and a phase: `tests/test_a.py::test_b[x|y]|run`. The parameters of a node id may contain `|`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from typing import Final

_PHASE: Final = re.compile(r"\|(setup|run|teardown)(?=\||$)")
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_GROUP: Final = re.compile(r"@[^\[\]|]*$")
_LONGEST_LABEL: Final = 4096
"""covsup cuts a label there, in bytes. The phase of the test may be cut off then."""


class NamedTest(NamedTuple):
    """A test as pytest names it."""

    path: str  # of its file, as in the node id: relative to pytest's root directory
    name: str  # "TestClass::test_name"; "" = the whole file
    parameters: str = ""  # "[a b]", or "" = none, or all of them

    @property
    def node_id(self) -> str:
        """Its node id."""
        if not self.name:
            return self.path
        return f"{self.path}::{self.name}{self.parameters}"

    @property
    def of_all_parameters(self) -> NamedTest:
        """The test with whatever parameters it has."""
        return self._replace(parameters="")


class RecordedPhase(NamedTuple):
    """A test, and the part of it that ran."""

    test: NamedTest
    phase: str  # "setup", "run", "teardown"; "" = unknown


def parse_node_id(node_id: str) -> NamedTest:
    """The test that a node id names."""
    path, _, rest = node_id.partition("::")
    # pytest-xdist appends the group of a test: "test_a[x]@group".
    rest = _GROUP.sub("", rest)
    name, bracket, parameters = rest.partition("[")
    return NamedTest(path, name, bracket + parameters)


def find_test(label: str) -> RecordedPhase | None:
    """The outermost pytest test in a label; None: there is none.

    Where the parameters allow two readings, it is the test with all parameters.
    """
    start = 0
    while start <= len(label):
        end = label.find("|", start)
        end = len(label) if end < 0 else end
        if "::" in label[start:end] and (found := _test_at(label, start)) is not None:
            return found
        start = end + 1
    return None


def find_function(label: str) -> str | None:
    """The dotted name of the test function in a label, as coverage.py's `test_function` has it."""
    for segment in label.split("|"):
        last = segment.rpartition(".")[2]
        is_test = last.startswith("test") or last == "runTest"
        if is_test and "." in segment and _FUNCTION.fullmatch(segment):
            return segment
    return None


def _test_at(label: str, start: int) -> RecordedPhase | None:
    readings = []
    for phase in _PHASE.finditer(label, start):
        test = parse_node_id(label[start : phase.start()])
        if not test.parameters or test.parameters.endswith("]"):
            readings.append(RecordedPhase(test, phase[1]))
        if not test.parameters:
            break  # what follows is another segment
    if not readings:
        if len(label.encode(errors="surrogatepass")) < _LONGEST_LABEL - len("\\udc80"):
            return None
        return RecordedPhase(parse_node_id(label[start:]).of_all_parameters, "")
    first = readings[0]
    if len(readings) > 1:
        return RecordedPhase(first.test.of_all_parameters, "")
    return first
