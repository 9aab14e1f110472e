"""Find the data file that holds a session whose directory is gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covsup.datafile.database.database import is_data_file, session_ids_in
from covsup.datafile.errors import DataFileUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covsup.datafile.session.settings import Settings


def data_file_with(settings: Settings) -> Path | None:
    """The data file with the session of these settings; None if there is none any more."""
    for path in _candidates(Path(settings.data_file)):
        try:
            if is_data_file(path) and settings.session in session_ids_in(path):
                return path
        except DataFileUnusable:
            continue  # it is not one of ours
    return None


def _candidates(data_file: Path) -> Iterator[Path]:
    """The data file, then those beside it with a longer name, as a session set aside has."""
    yield data_file
    try:
        yield from sorted(data_file.parent.glob(f"{data_file.name}.*"))
    except OSError:
        return
