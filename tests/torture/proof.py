"""Programs that prove by themselves which of their lines ran, and whether a result has them all.

A program tells a line by a call on that line; the proof is a file opened with O_APPEND, one number
a line, written before anything else happens. Whatever then becomes of the process, a line in the
proof did run. Each takes eight bytes, so that none lies across two pages: a write that does is cut
between them where the process is killed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Run, World

PROVING = """\
import os, sys
proof = os.open(os.environ["PROOF"], os.O_WRONLY | os.O_APPEND)
def told():
    os.write(proof, b"%7d\\n" % sys._getframe(1).f_lineno)
    return True
"""


class Proof:
    """The file of one run."""

    def __init__(self, world: World) -> None:
        """Made empty, for anybody to add to."""
        self.path: Path = world.write("proof", "")
        self.path.chmod(0o666)
        self.environment = {"PROOF": str(self.path)}

    def lines(self) -> Counter[int]:
        """How often each line says that it ran."""
        return Counter(map(int, self.path.read_text().split()))

    def missing(self, run: Run, name: str = "target.py") -> set[int]:
        """Lines that ran and are not in the result."""
        proven = self.lines()
        assert proven, run
        return set(proven) - run.lines(name)
