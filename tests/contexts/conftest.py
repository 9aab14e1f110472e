"""Programs that prove in which context each of their lines ran, and the comparison with the data.

A line of a program that says `at("label")` proves that it ran where "label" is due; the line's
contexts in the data file have to be exactly those that it was proved in.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import Run, World

PROOF = """
import os, sys

def at(label):
    label = label.lstrip("|")  # nothing, and then something
    line = sys._getframe(1).f_lineno
    file = os.open(os.environ["PROOF"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\\t{label}\\n".encode())
    os.close(file)
    return label
"""


class Contexts:
    """Runs programs and compares."""

    def __init__(self, world: World, core: str, *, branch: bool) -> None:
        self.world = world
        self.core = core
        self.branch = branch
        self.proof = world.directory / "proof"

    def run(self, program: str, *options: str, name: str = "program.py") -> Run:
        self.world.write("proved.py", PROOF)
        self.world.write(name, program)
        return self.world.covsup_run(
            name,
            options=options,
            branch=self.branch,
            core=self.core,
            environment={"PROOF": str(self.proof)},
        )

    def proved(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = defaultdict(set)
        for text in self.proof.read_text(encoding="utf-8").splitlines():
            line, _, label = text.partition("\t")
            found[int(line)].add(label)
        return dict(found)

    def check(self, program: str, *options: str) -> Run:
        """Run the program; each line that proves something has the contexts that it proved."""
        run = self.run(program, *options)
        assert run.ended == 0, run
        proved = self.proved()
        measured = contexts_of_lines(run, "program.py")
        lines = program.splitlines()
        due = {number for number, text in enumerate(lines, 1) if "at(" in text}
        assert set(proved) == due, f"not every line ran: {sorted(due - set(proved))}\n{run}"
        wrong = {
            (number, lines[number - 1]): (measured.get(number, set()), labels)
            for number, labels in proved.items()
            if measured.get(number, set()) != labels
        }
        assert not wrong, f"line: (measured, proved): {wrong}\n{run}"
        return run


def contexts_of_lines(run: Run, name: str) -> dict[int, set[str]]:
    """The contexts in which each line began, as the data file has them."""
    path = str((run.directory / name).resolve())
    found: dict[int, set[str]] = defaultdict(set)
    if not run.data.has_arcs():
        for line, labels in run.data.contexts_by_lineno(path).items():
            found[line] |= set(labels)
        return found
    # A line counts as executed also where an arc leaves it, which may be in the next context.
    for label in run.data.measured_contexts():
        run.data.set_query_context(label)
        for _, to in run.data.arcs(path) or ():
            found[to].add(label)
    run.data.set_query_contexts(None)
    return found


@pytest.fixture
def contexts(core: str, world: World) -> Contexts:
    """Give a runner of programs under each core, with branches."""
    return Contexts(world, core, branch=True)


@pytest.fixture(params=["line", "branch"])
def contexts_in_both_modes(request: pytest.FixtureRequest, core: str, world: World) -> Contexts:
    """The same, without and with branches."""
    return Contexts(world, core, branch=request.param == "branch")
