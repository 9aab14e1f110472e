"""Decide which inputs go into one data file: sessions that belong together, of one kind of data.

A session is one result. Sessions without a result are combined with each other. Data that comes
late from a run that already has a result belongs to that result alone. Lines and branches cannot be
in one file. A session that cannot go into the data file is set aside in a separate one.
"""

from __future__ import annotations

import glob

from covsup.datafile.database.database import is_data_file, kind_with_sent_code, session_starts
from covsup.datafile.fold.result import Kind
from covsup.datafile.session.directory import RUN_FINISHED
from covsup.datafile.session.places import is_session_id
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from covsup.supervisor.combining.input_directory import InputDirectory


class SeparateReason(NamedTuple):
    """Why a session does not go into the data file."""

    text: str
    is_mixed: bool = False  # lines and branches


class Grouping(NamedTuple):
    """Where each input of a combination goes."""

    directories: Sequence[InputDirectory]  # into the data file
    data_files: Sequence[Path]  # likewise
    extends: bool  # the data file keeps what it holds
    aside: Mapping[InputDirectory, SeparateReason]  # sessions that get a separate data file
    unusable: Mapping[Path, str]  # data files and directories, with the reason


def separate_file(data_file: Path, session: str) -> Path:
    """The data file of a session that is set aside.

    Its name does not match `.coverage.*`: coverage.py unites such files with the data file.
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
    """Decide which inputs go into the data file `target`. Raises DataFileUnusable.

    `by_default`: the user named no inputs, and the sessions were found beside the data file. Then
    only sessions that belong to the same result are combined, unless `append`.
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
            unusable[directory.path] = f"{directory.path} {_mixed_message(directory.kind, target)}"
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
    """Whether a data file that holds the sessions `known` has a part of this session.

    It counts, too, if the data file is the result of the run around this one, and that run has
    ended. Until then the inner run has its own result.
    """
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
    """The sessions that go into the data file, whether it keeps what it holds, and the sessions to
    set aside.
    """
    late: list[InputDirectory] = []  # they have a result already, or a newer one replaced it
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
    begins_result = any(_replaces_result(directory) for directory in new) or any(
        kind_with_sent_code(path) is not None for path in data_files
    )
    if known is None:
        extends = False
        late.sort(key=_age)
        joining = [] if begins_result else late[-1:]
    else:
        extends = not begins_result or any(has_part_in(directory, known) for directory in new)
        joining = [directory for directory in late if extends and has_part_in(directory, known)]
    for directory in late:
        if directory not in joining:
            aside[directory] = SeparateReason(
                f"{directory.name} is older than the result in {target} and not part of it"
            )
    return [*new, *joining], extends, aside


def _was_overtaken(directory: InputDirectory, known: Mapping[str, int] | None) -> bool:
    """Whether the supervisor of a run was killed, and a later run has made a result since."""
    assert directory.session is not None
    settings = directory.session.settings
    if not known or settings.supervisor_pid == 0 or has_part_in(directory, known):
        return False
    return not directory.session.is_left_to_combine and settings.started_ns < max(known.values())


def _was_replaced(directory: InputDirectory, known: Mapping[str, int] | None) -> bool:
    """Whether a session was combined before, and another result has since replaced that one."""
    return directory.has_partial_fold and known is not None and not has_part_in(directory, known)


def _replaces_result(directory: InputDirectory) -> bool:
    """Whether a session has data that replaces an older result. Unexecuted sources count."""
    assert directory.session is not None
    settings = directory.session.settings
    return directory.kind is not None or bool(
        directory.images and (settings.source_dirs or settings.source_pkgs)
    )


def _kind_to_store(
    directories: Iterable[InputDirectory], data_files: Iterable[Path], extended: Path | None
) -> Kind | None:
    """Lines or branches: as in the data file, else in the newest session, else in the first input
    that has data.
    """
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
