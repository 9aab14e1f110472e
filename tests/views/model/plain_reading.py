"""What a session directory holds, read as a whole and as plainly as can be: it judges the views."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from covsup.datafile.errors import JournalError
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import ImageFold, session_result
from covsup.datafile.fold.sets import arcs_in, line_set_of
from covsup.datafile.journal.reader import read_journal, read_slots

if TYPE_CHECKING:
    from covsup.datafile.fold.result import Image, Result
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import Session


def read_plainly(session: Session) -> Result:
    """Everything in the journals of a session, and its records."""
    union = ImageFold()
    for _, files in groupby(session.journals(), key=lambda each: each.image_id):
        images: dict[str, list[Journal]] = {}
        for file in files:
            try:
                journal = read_journal(file.path)
                slots = read_slots(file.path, journal.header).journals
            except JournalError:
                continue
            for each in (journal, *slots):
                images.setdefault(each.header.image_id, []).append(each)
        for journals in images.values():
            union.add(journals, session=session.id, static_context=session.settings.context)
    return fold(
        [
            union.result(),
            session_result(session.settings, session.notes(), session.observations()),
        ]
    )


def as_viewed(result: Result) -> Result:
    """A result as views have it: lines with the ends of arcs, no needless empty sets, no liveness."""
    lines = {key: bits for key, bits in result.lines.items() if bits}
    for key, arcs in result.arcs.items():
        lines[key] = lines.get(key, 0) | line_set_of(
            {end for arc in arcs_in(arcs) for end in arc if end > 0}
        )
    with_lines = {path for (path, _), bits in lines.items() if bits}
    empty = {path: label for (path, label), bits in result.lines.items() if not bits}
    lines = {key: bits for key, bits in lines.items() if bits}
    lines |= {(path, label): 0 for path, label in empty.items() if path not in with_lines}
    return result._replace(
        lines=lines,
        arcs=dict(result.arcs),
        modules=dict(result.modules),
        plugins=dict(result.plugins),
        versions=dict(result.versions),
        first={path: dict(by_image) for path, by_image in result.first.items() if by_image},
        shared={path: bits for path, bits in result.shared.items() if bits},
        images={key: without_liveness(image) for key, image in result.images.items()},
        sessions=dict(result.sessions),
    )


def without_liveness(image: Image) -> Image:
    """An image without the times at which it was seen, or found gone."""
    return image._replace(running_ns=0, gone_ns=0)
