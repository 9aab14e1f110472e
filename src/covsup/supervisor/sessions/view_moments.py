"""What a comparison is about: two places, each now or at a mark."""

from __future__ import annotations

from pathlib import Path

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.sessions.view_places import NothingToView, place_to_view
from covsup.views.answers.diff.side import Moment

if TYPE_CHECKING:
    from typing import Final

_MARK: Final = "mark:"
_AT_MARK: Final = f"@{_MARK}"


def moments_to_compare(old: str, new: str | None, data_file: Path) -> tuple[Moment, Moment]:
    """The two moments that a command line names; `new` is None for now. Raises CovsupError."""
    earlier = _moment(old, data_file)
    if new is not None:
        return earlier, _moment(new, data_file)
    if earlier.mark is not None:
        return earlier, Moment(earlier.place, None)
    later = Moment(place_to_view(None, data_file), None)
    if later.place.resolve() == earlier.place.resolve():
        raise UsageError(f"{old} is the newest measurement: there is nothing to compare it with")
    return earlier, later


def _moment(word: str, data_file: Path) -> Moment:
    """The moment that a word means. `./` before a path keeps it from being taken for a mark."""
    if word.startswith(("/", "./", "../")) and Path(word).exists():
        return Moment(place_to_view(word, data_file), None)
    if word.startswith(_MARK):
        return Moment(place_to_view(None, data_file), word.removeprefix(_MARK))
    place, at, name = word.partition(_AT_MARK)
    if at:
        return Moment(place_to_view(place, data_file), name)
    try:
        return Moment(place_to_view(word, data_file), None)
    except NothingToView as error:
        if Path(word).exists():
            raise
        raise NothingToView(f"{error}. A mark of that name is {_MARK}{word}") from None
