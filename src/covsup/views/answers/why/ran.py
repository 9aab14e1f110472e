"""Who ran a line first, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.views.answers.why.answer import Bound, Runner

if TYPE_CHECKING:
    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.provenance.model import ProcessRecord
    from covsup.views.answers.measured import Measured


def first_process(measured: Measured, path: str, lines: LineSet) -> ProcessRecord | None:
    """The first image that executed one of these lines; None where the data does not say so."""
    found = min(
        (key for key, bits in measured.result.first.get(path, {}).items() if bits & lines),
        default=None,
    )
    if found is None:
        return None
    images = {each.image_id: each for each in measured.provenance.processes}
    return images.get(found[1])


def runner_of(measured: Measured, path: str, lines: LineSet) -> Runner | None:
    """Who ran one of these lines first, with everything above it."""
    process = first_process(measured, path, lines)
    if process is None:
        return None
    after, before = _bounds(measured, path, lines, process)
    return Runner(
        chain=_chain(measured, process),
        after=after,
        before=before,
        is_shared=bool(measured.result.shared.get(path, 0) & lines),
    )


def _chain(measured: Measured, process: ProcessRecord) -> tuple[ProcessRecord, ...]:
    """From the first process of the session to this one."""
    images = {each.image_id: each for each in measured.provenance.processes}
    chain = [process]
    seen = {process.image_id}
    while (above := images.get(chain[-1].parent or "")) is not None and above.image_id not in seen:
        seen.add(above.image_id)
        chain.append(above)
    return tuple(reversed(chain))


def _bounds(
    measured: Measured, path: str, lines: LineSet, process: ProcessRecord
) -> tuple[Bound, Bound | None]:
    """The life of the image, narrowed by the marks of its session."""
    after = Bound(process.started_ns, "the start of the process")
    before = Bound(process.ended_ns, "its end") if process.ended_ns else None
    for mark, facts in measured.result.marks.items():
        if mark.session != process.session:
            continue
        bound = Bound(mark.at_ns, f"the mark {mark.name}")
        if facts.lines.get(path, 0) & lines:
            if before is None or bound.at_ns < before.at_ns:
                before = bound
        elif bound.at_ns > after.at_ns:
            after = bound
    return after, before
