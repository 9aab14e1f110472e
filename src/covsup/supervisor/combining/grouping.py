"""What goes into one data file: sessions that belong together, and data of one kind.

A session is one result. Sessions that no result was made of yet are combined with each other; what
comes late of a run whose result was made belongs to that result and to no other. Lines and branches
cannot be in one file. A session that cannot go into the data file gets a file of its own.
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

    from covsup.supervisor.combining.reader import Part


class Reason(NamedTuple):
    """Why a session does not go into the data file."""

    text: str
    is_mixed: bool = False  # lines and branches


class Grouping(NamedTuple):
    """Where everything goes."""

    parts: Sequence[Part]
    data_files: Sequence[Path]
    extends: bool  # what the data file holds stays in it
    aside: Mapping[Part, Reason]  # sessions for data files of their own
    left: Mapping[Path, str]  # data files and directories that cannot be used, with the reason


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
    parts: Sequence[Part],
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
    aside: dict[Part, Reason] = {}
    if by_default and not append:
        parts, extends, aside = _by_result(parts, data_files, known, target)
    else:
        extends = known is not None and (append or any(is_in(part, known) for part in parts))
    kind = _kind_to_store(parts, data_files, target if extends else None)
    left: dict[Path, str] = {}
    for part in parts:
        if part.kind in {None, kind}:
            continue
        if part.session is None:
            left[part.directory] = f"{part.directory}: {_mixed(part.kind, target)}"
        else:
            aside[part] = Reason(f"{part.name} {_mixed(part.kind, target)}", is_mixed=True)
    for path in data_files:
        if (found := kind_with_sent_code(path)) not in {None, kind}:
            left[path] = f"{path} {_mixed(found, target)}"
    return Grouping(
        parts=[part for part in parts if part not in aside and part.directory not in left],
        data_files=[path for path in data_files if path not in left],
        extends=extends,
        aside=aside,
        left=left,
    )


def is_in(part: Part, known: Iterable[str]) -> bool:
    """Whether a data file with these sessions has something of this one, or is the result of the run
    around it, which has ended before it. Until then each has a result of its own."""
    if part.session is None:
        return False
    within = part.session.settings.within
    return part.session.id in known or (within in known and _is_over(part.directory, within))


def _is_over(directory: Path, within: str) -> bool:
    outer = directory.with_name(within)
    return not outer.exists() or (outer / RUN_FINISHED).exists()


def _by_result(
    parts: Sequence[Part], data_files: Iterable[Path], known: Mapping[str, int] | None, target: Path
) -> tuple[list[Part], bool, dict[Part, Reason]]:
    """The sessions that go into the data file, whether it keeps what it holds, and the others."""
    late: list[Part] = []  # what comes after a result was made
    new: list[Part] = []
    aside: dict[Part, Reason] = {}
    for part in parts:
        assert part.session is not None
        if is_data_file(separate_file(target, part.session.id)):
            aside[part] = Reason(f"{part.name} was set aside before")
        elif not (part.supervised or part.out_of_sight) and (
            part.session.has_result or _was_replaced(part, known) or _was_overtaken(part, known)
        ):
            late.append(part)
        else:
            new.append(part)
    begins = any(_has_result_to_give(part) for part in new) or any(
        kind_with_sent_code(path) is not None for path in data_files
    )
    if known is None:
        extends = False
        late.sort(key=_age)
        joining = [] if begins else late[-1:]
    else:
        extends = not begins or any(is_in(part, known) for part in new)
        joining = [part for part in late if extends and is_in(part, known)]
    for part in late:
        if part not in joining:
            aside[part] = Reason(
                f"{part.name} is older than the result in {target}, and no part of it"
            )
    return [*new, *joining], extends, aside


def _was_overtaken(part: Part, known: Mapping[str, int] | None) -> bool:
    """Whether the covsup of a run was killed, and a later run has made its result since."""
    assert part.session is not None
    settings = part.session.settings
    if not known or settings.supervisor_pid == 0 or is_in(part, known):
        return False
    return not part.session.is_left_to_combine and settings.started_ns < max(known.values())


def _was_replaced(part: Part, known: Mapping[str, int] | None) -> bool:
    """Whether a session was combined before, and another result has taken its place since."""
    return part.folded and known is not None and not is_in(part, known)


def _has_result_to_give(part: Part) -> bool:
    """Whether there is something in a session that replaces an older result."""
    assert part.session is not None
    settings = part.session.settings
    return part.kind is not None or bool(
        part.images and (settings.source_dirs or settings.source_pkgs)
    )


def _kind_to_store(
    parts: Iterable[Part], data_files: Iterable[Path], extended: Path | None
) -> Kind | None:
    """Lines or branches: as the data file has it, the newest session, or the first of the others."""
    if extended is not None and (kind := kind_with_sent_code(extended)) is not None:
        return kind
    sessions = [part for part in parts if part.session is not None and part.kind is not None]
    if sessions:
        return max(sessions, key=_age).kind
    kinds = [*(part.kind for part in parts), *(kind_with_sent_code(path) for path in data_files)]
    return next((kind for kind in kinds if kind is not None), None)


def _age(part: Part) -> tuple[int, str]:
    assert part.session is not None
    return (part.session.settings.started_ns, part.session.id)


def _mixed(kind: Kind | None, target: Path) -> str:
    measured, other = ("branches", "lines") if kind is Kind.ARCS else ("lines only", "branches")
    return (
        f"measured {measured}, and {target} holds {other}: one data file cannot hold both, so run"
        " all with --branch or all without"
    )
