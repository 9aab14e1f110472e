"""The figures of a page in sums: what a monitoring system keeps over time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from covsup.datafile.provenance.model import Provenance
    from covsup.views.web.data.files import FileRows
    from covsup.views.web.data.rows import File, Process, Totals

_MOST_PACKAGES: Final = 50
"""The largest packages have figures of their own. So the number of time series is limited."""

OTHER_PACKAGES: Final = "other"

_NO_PACKAGES: Final = {"src", "lib"}
"""Directories that hold packages and are none."""

UNMEASURED: Final = "unmeasured"

PROCESS_STATES: Final = ("running", "exited", "killed", "exec", "unknown", UNMEASURED)


class Sums(NamedTuple):
    """Sums over files."""

    statements: int = 0
    executed: int = 0
    branches: int = 0
    taken: int = 0

    def plus(self, row: File) -> Sums:
        """With one more file, if that is analysed."""
        return Sums(
            self.statements + (row["statements"] or 0),
            self.executed + row["executed"],
            self.branches + row["branches"],
            self.taken + row["taken"],
        )


class Figures(NamedTuple):
    """Everything that `/metrics` gives."""

    totals: Totals
    packages: Mapping[str, Sums]
    processes: Mapping[str, int]  # by state
    new_lines: int  # found to have run for the first time, since the first refresh
    lost_facts: int
    lost_events: int


def figures_of(
    files: FileRows,
    processes: Iterable[Process],
    modules: Mapping[str, frozenset[str]],
    provenance: Provenance,
    new_lines: int,
) -> Figures:
    """The figures as of now. `modules` are the names of the modules of each path."""
    states = Counter(dict.fromkeys(PROCESS_STATES, 0))
    for row in processes:
        if row["measured"]:
            states[row["end"]["how"]] += 1
        elif row["reason"] is not None:
            states[UNMEASURED] += 1
    losses = [lost for each in provenance.losses for lost in (each.lost, each.forks_lost)]
    return Figures(
        totals=files.totals(),
        packages=_packages(files, modules),
        processes=states,
        new_lines=new_lines,
        lost_facts=sum(each.facts for each in losses),
        lost_events=sum(each.events for each in losses),
    )


def _packages(files: FileRows, modules: Mapping[str, frozenset[str]]) -> dict[str, Sums]:
    """The sums of each top-level package, largest first."""
    sums: dict[str, Sums] = {}
    for path, row in zip(files.paths(), files.rows(), strict=True):
        names = modules.get(path)
        package = min(names).partition(".")[0] if names else _directory(row["path"])
        sums[package] = sums.get(package, Sums()).plus(row)
    named = sorted(
        (each for each in sums.items() if each[0] != OTHER_PACKAGES),
        key=lambda each: (-each[1].statements, each[0]),
    )
    largest = dict(named[:_MOST_PACKAGES])
    others = [sums[name] for name in sums if name not in largest]
    if others:
        largest[OTHER_PACKAGES] = Sums(*(sum(column) for column in zip(*others, strict=True)))
    return largest


def _directory(path: str) -> str:
    """The top-level directory of a path, in place of a package that is not recorded."""
    _, installed, below = path.rpartition("-packages/")
    parts = (below if installed else path).split("/")
    if parts[0] in _NO_PACKAGES:
        parts = parts[1:]
    return parts[0] if len(parts) > 1 and parts[0] else OTHER_PACKAGES
