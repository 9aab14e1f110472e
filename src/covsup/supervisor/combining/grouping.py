"""What goes into one data file: sessions that belong together, and data of one kind.

A session is one result. Sessions that no result was made of yet are combined with each other; what
comes late of a run whose result was made belongs to that result and to no other. Lines and branches
cannot be in one file. A session that cannot go into the data file gets a file of its own.
"""

from __future__ import annotations

import glob

from covsup.datafile.database.database import is_data_file, kind_with_sent_code, session_starts
from covsup.datafile.fold.result import Kind
from covsup.datafile.session.directory import RUN_FINISHED, is_session_id
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from covsup.supervisor.combining.reader import InputDirectory


class SeparateReason(NamedTuple):
    """Why a session does not go into the data file."""

    text: str
    is_mixed: bool = False  # lines and branches


class Grouping(NamedTuple):
    """Where everything goes."""

    directories: Sequence[InputDirectory]
    data_files: Sequence[Path]
    extends: bool  # what the data file holds stays in it
    aside: Mapping[InputDirectory, SeparateReason]  # sessions for data files of their own
    unusable: Mapping[Path, str]  # data files and directories that cannot be used, with the reason


def separate_file(data_file: Path, session: str) -> Path:
    """The data file of a session that is set aside.

    Not `.coverage.*`: coverage.py's reports unite what has such a name with the data file.
    """
    return data_file.with_name(f"{data_file.name}-{session}")


def separate_files(data_file: Path) -> list[Path]:
    """Every data file that was set aside beside this one."""
    found = data_file.parent.glob(f"{glob.escape(data_file.name)}-*")
    return [path for path in found if is_session_id(path.name.removeprefix(f"{data_file.name}-"))]


def group_inputs(
    directories: Sequence[InputDirectory],
    data_files: Sequence[Path],
    target: Path,
    *,
    append: bool,
    by_default: bool,
) -> Grouping:
    """Decide what goes into `target`. Raises DataFileUnusable.

    `by_default`: the sessions were found beside the data file, and not named.
    """
    known = session_starts(target) if is_data_file(target) else None
    aside: dict[InputDirectory, SeparateReason] = {}
    if by_default and not append:
        directories, extends, aside = _group_by_result(directories, data_files, known, target)
    else:
        extends = known is not None and (
            append or any(has_part_in(directory, known) for directory in directories)
        )
    kind = _kind_to_store(directories, data_files, target if extends else None)
    unusable: dict[Path, str] = {}
    for directory in directories:
        if directory.kind in {None, kind}:
            continue
        if directory.session is None:
            unusable[directory.path] = f"{directory.path}: {_mixed_message(directory.kind, target)}"
        else:
            aside[directory] = SeparateReason(
                f"{directory.name} {_mixed_message(directory.kind, target)}", is_mixed=True
            )
    for path in data_files:
        if (found := kind_with_sent_code(path)) not in {None, kind}:
            unusable[path] = f"{path} {_mixed_message(found, target)}"
    return Grouping(
        directories=[
            directory
            for directory in directories
            if directory not in aside and directory.path not in unusable
        ],
        data_files=[path for path in data_files if path not in unusable],
        extends=extends,
        aside=aside,
        unusable=unusable,
    )


def has_part_in(directory: InputDirectory, known: Iterable[str]) -> bool:
    """Whether a data file with these sessions has something of this one, or is the result of the run
    around it, which has ended before it. Until then each has a result of its own."""
    if directory.session is None:
        return False
    within = directory.session.settings.within
    return directory.session.id in known or (
        within in known and _run_has_ended(directory.path, within)
    )


def _run_has_ended(path: Path, within: str) -> bool:
    outer = path.with_name(within)
    return not outer.exists() or (outer / RUN_FINISHED).exists()


def _group_by_result(
    directories: Sequence[InputDirectory],
    data_files: Iterable[Path],
    known: Mapping[str, int] | None,
    target: Path,
) -> tuple[list[InputDirectory], bool, dict[InputDirectory, SeparateReason]]:
    """The sessions that go into the data file, whether it keeps what it holds, and the others."""
    late: list[InputDirectory] = []  # what comes after a result was made
    new: list[InputDirectory] = []
    aside: dict[InputDirectory, SeparateReason] = {}
    for directory in directories:
        assert directory.session is not None
        if is_data_file(separate_file(target, directory.session.id)):
            aside[directory] = SeparateReason(f"{directory.name} was set aside before")
        elif not (directory.supervised or directory.may_be_supervised) and (
            directory.session.has_result
            or _was_replaced(directory, known)
            or _was_overtaken(directory, known)
        ):
            late.append(directory)
        else:
            new.append(directory)
    begins = any(_replaces_result(directory) for directory in new) or any(
        kind_with_sent_code(path) is not None for path in data_files
    )
    if known is None:
        extends = False
        late.sort(key=_age)
        joining = [] if begins else late[-1:]
    else:
        extends = not begins or any(has_part_in(directory, known) for directory in new)
        joining = [directory for directory in late if extends and has_part_in(directory, known)]
    for directory in late:
        if directory not in joining:
            aside[directory] = SeparateReason(
                f"{directory.name} is older than the result in {target}, and no part of it"
            )
    return [*new, *joining], extends, aside


def _was_overtaken(directory: InputDirectory, known: Mapping[str, int] | None) -> bool:
    """Whether the covsup of a run was killed, and a later run has made its result since."""
    assert directory.session is not None
    settings = directory.session.settings
    if not known or settings.supervisor_pid == 0 or has_part_in(directory, known):
        return False
    return not directory.session.is_left_to_combine and settings.started_ns < max(known.values())


def _was_replaced(directory: InputDirectory, known: Mapping[str, int] | None) -> bool:
    """Whether a session was combined before, and another result has taken its place since."""
    return directory.has_partial_fold and known is not None and not has_part_in(directory, known)


def _replaces_result(directory: InputDirectory) -> bool:
    """Whether there is something in a session that replaces an older result."""
    assert directory.session is not None
    settings = directory.session.settings
    return directory.kind is not None or bool(
        directory.images and (settings.source_dirs or settings.source_pkgs)
    )


def _kind_to_store(
    directories: Iterable[InputDirectory], data_files: Iterable[Path], extended: Path | None
) -> Kind | None:
    """Lines or branches: as the data file has it, the newest session, or the first of the others."""
    if extended is not None and (kind := kind_with_sent_code(extended)) is not None:
        return kind
    sessions = [
        directory
        for directory in directories
        if directory.session is not None and directory.kind is not None
    ]
    if sessions:
        return max(sessions, key=_age).kind
    kinds = [
        *(directory.kind for directory in directories),
        *(kind_with_sent_code(path) for path in data_files),
    ]
    return next((kind for kind in kinds if kind is not None), None)


def _age(directory: InputDirectory) -> tuple[int, str]:
    assert directory.session is not None
    return (directory.session.settings.started_ns, directory.session.id)


def _mixed_message(kind: Kind | None, target: Path) -> str:
    measured, other = ("branches", "lines") if kind is Kind.ARCS else ("lines only", "branches")
    return (
        f"measured {measured}, and {target} holds {other}: one data file cannot hold both, so run"
        " all with --branch or all without"
    )
