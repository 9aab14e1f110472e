"""The rows of processes, kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from covsup.datafile.provenance.model import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.view import View
    from covsup.views.web.data.rows import Process

    ListProcesses: TypeAlias = Callable[[Provenance], Sequence[Process]]
    """Makes the row of each process, with `first` = 0."""


class ProcessRows:
    """The row of each process, by its id."""

    def __init__(self, list_processes: ListProcesses) -> None:
        """Without processes."""
        self._list_processes = list_processes
        self._listed: Sequence[Process] = ()
        self._rows: dict[str, Process] = {}

    def update(self, view: View, *, is_changed: bool) -> list[Process]:
        """Count the lines of each process, and list all again if the provenance `is_changed`. Gives
        the rows that changed.
        """
        if is_changed:
            self._listed = self._list_processes(view.provenance)
        first, images, changed = view.first_counts, view.result.images, []
        for listed in self._listed:
            row = listed.copy()
            image = images.get(row["id"])
            if image is not None:
                row["lines"], row["threads"] = image.lines, image.threads
            row["first"] = first.get(row["id"], 0)
            if self._rows.get(row["id"]) != row:
                self._rows[row["id"]] = row
                changed.append(row)
        return changed

    def rows(self) -> list[Process]:
        """All rows, in the order in which they were found."""
        return list(self._rows.values())

    @property
    def any_runs(self) -> bool:
        """Whether a process runs."""
        return any(row["end"]["how"] == End.RUNNING.value for row in self._rows.values())
