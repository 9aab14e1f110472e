"""Derive from a result who started whom, how each process ended, and what was not measured.

Derived again from every result, so that a fold that learns more (a parent's wait, the next image of
an exec) gives better answers. Pure, as the fold is.
"""

from __future__ import annotations

from functools import lru_cache

from covsup.datafile.journal.header import Core, StartKind
from covsup.datafile.provenance.exit_statuses import ending_of_status
from covsup.datafile.provenance.index import ResultIndex
from covsup.datafile.provenance.model import (
    End,
    Ending,
    FileShare,
    KnownFrom,
    ObservedRecord,
    ProcessRecord,
    Provenance,
)
from covsup.datafile.provenance.unmeasured import unmeasured_processes
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from covsup.datafile.fold.result import ImageKey, Result
    from covsup.datafile.fold.sets import LineSet


class Shares(NamedTuple):
    """Who executed how many lines."""

    files: tuple[FileShare, ...]  # by path and start of the image
    unique_lines: Mapping[str, int]  # by image id: lines that no other image executed


_CORES: Final = {core: core.name.lower() for core in Core}


def provenance_of(result: Result, shares: Shares | None = None) -> Provenance:
    """What `result` says about processes. `shares` are its shares, if they are known already."""
    index = ResultIndex(result)
    if shares is None:
        shares = Shares(tuple(_file_shares(result)), result.unique_lines())
    return Provenance(
        sessions=tuple(sorted(result.sessions.values(), key=lambda each: each.session)),
        processes=tuple(_process_records(index, shares.unique_lines)),
        observed=tuple(_observed_records(index)),
        unmeasured=tuple(unmeasured_processes(index)),
        notes=tuple(sorted(result.notes)),
        problems=tuple(sorted(result.problems)),
        files=shares.files,
    )


def _process_records(
    index: ResultIndex, unique_lines: Mapping[str, int]
) -> Iterator[ProcessRecord]:
    """Every measured image, by start."""
    for image in index.images:
        identity = image.identity
        properties = image.property_values()
        parent, known_from = index.parent(image)
        before = index.predecessor.get(identity.image_id)
        yield ProcessRecord(
            image_id=identity.image_id,
            session=identity.session,
            pid=identity.pid,
            ppid=identity.ppid,
            parent=parent,
            parent_known_from=known_from,
            started=identity.started if before is None else StartKind.EXECED,
            generation=identity.generation if before is None else before.identity.generation + 1,
            started_ns=identity.started_ns,
            argv=index.argv(image, properties),
            executable=properties.get("executable", ""),
            cwd=properties.get("cwd", ""),
            host=properties.get("host", ""),
            python=_release(identity.python),
            core=_CORES[identity.core],
            branch=identity.branch,
            ending=index.ending(image),
            lines=image.lines,
            unique_lines=unique_lines.get(identity.image_id, 0),
            threads=image.threads,
            libraries=tuple(sorted(image.libraries)) if image.libraries else (),
            tracers=tuple(sorted(image.tracers)) if image.tracers else (),
            notes=tuple([text for _, text in sorted(image.notes)]) if image.notes else (),
            lost=image.lost,
            forks_lost=image.forks_lost,
            ended_ns=index.ended_ns(image),
            attached=identity.started is not StartKind.FORKED and "attached" in properties,
        )


def _observed_records(index: ResultIndex) -> Iterator[ObservedRecord]:
    """Every process that the supervisor observed, by creation."""
    for process in index.processes:
        summary = process.summary()
        images = index.images_of(process)
        child_exit = None if images else index.exit_of_unmeasured(process)
        ended_ns = index.ended_ns(images[-1]) if images else process.ended_ns()
        if images:
            ending = index.ending(images[-1])
        elif (observed := process.ending()) is not None:
            ending = observed
        elif child_exit is not None:
            ending = ending_of_status(child_exit.status, KnownFrom.PARENT)
        else:
            ending = Ending(end=End.UNKNOWN if summary.ended else End.RUNNING)
        yield ObservedRecord(
            session=process.session,
            pid=process.pid,
            ppid=summary.ppid,
            create_time=process.created,
            argv=summary.argv,
            executable=summary.executable,
            python=True if images else summary.python,
            ending=ending,
            images=tuple(each.identity.image_id for each in images),
            reason=summary.reason,
            ended_ns=ended_ns or (0 if child_exit is None else child_exit.at_ns),
        )


def _file_shares(result: Result) -> Iterator[FileShare]:
    """What each image executed first of each file."""
    for path, images in sorted(result.first.items()):
        yield from shares_of_file(path, images, result.shared.get(path, 0))


def shares_of_file(
    path: str, images: Mapping[ImageKey, LineSet], shared: LineSet
) -> Iterator[FileShare]:
    """What each image executed first of one file, by `Result.first` and `Result.shared`."""
    for (_, image_id), lines in sorted(images.items()):
        yield FileShare(
            path=path,
            image_id=image_id,
            first=lines.bit_count(),
            alone=(lines & ~shared).bit_count(),
        )


@lru_cache(maxsize=256)
def _release(version: int) -> str:
    """A hexversion as text: "3.13.0"."""
    return f"{version >> 24}.{version >> 16 & 255}.{version >> 8 & 255}"
