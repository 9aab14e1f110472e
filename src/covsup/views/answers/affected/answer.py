"""The tests that a change can affect, as node ids for pytest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.hints import NamedTuple
from covsup.views.answers.affected.project import Project
from covsup.views.answers.affected.pytest_files import defined_in, existing
from covsup.views.answers.affected.recorded_tests import RecordedTests
from covsup.views.answers.affected.repository import GitFailed, Repository
from covsup.views.answers.affected.selection import select
from covsup.views.answers.affected.test_labels import NamedTest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from covsup.views.answers.affected.selection import Selection
    from covsup.views.model.view import View

_SHOWN: Final = 3


class NoTestContexts(CovsupError):
    """The data does not say which test ran what."""


class PickedTest(NamedTuple):
    """A test, or a file of tests, that the change can affect."""

    test: NamedTest  # its path is relative to the current directory; all of a file: it has no name
    because: tuple[str, ...]


class Answer(NamedTuple):
    """The tests to run."""

    base: str  # the commit that the change is relative to; "" = there is none yet
    tests: tuple[PickedTest, ...]
    known: int  # the number of tests in the data
    notes: tuple[str, ...]  # sentences


def affected_tests(
    view: View,
    *,
    since: str | None,
    directory: str,
) -> Answer:
    """The tests whose recorded lines the change touches.

    The change is everything in the working tree that differs from `since` (from the last commit that
    it shares with HEAD); None = from HEAD. Raises GitFailed, NoTestContexts.
    """
    directory = os.path.realpath(directory)
    with Repository(directory) as repository:
        base, revisions, note = _base(repository, since)
        project = Project(repository, base, revisions, directory)
        recorded = RecordedTests(
            view, top=repository.top, directory=directory, is_there=project.is_there
        )
        if not recorded.tests:
            raise NoTestContexts(_without_tests(recorded))
        selection = select(project, recorded)
        picked, gone = _existing(selection, project)
    notes = [*note, *_notes(selection)]
    if recorded.moved_from:
        notes.append(f"the data was recorded in {recorded.moved_from}; it is read as {project.top}")
    if recorded.unknown_functions:
        functions = _few(recorded.unknown_functions)
        notes.append(f"no file was found for the tests {functions}: record contexts of pytest")
    if gone:
        notes.append(f"gone, so not in the list: {_few(each.node_id for each in gone)}")
    return Answer(base if revisions else "", tuple(picked), len(recorded.tests), tuple(notes))


def _base(repository: Repository, since: str | None) -> tuple[str, list[str], list[str]]:
    """The commit that the change is relative to, the ends of known histories, and notes."""
    head = repository.commit("HEAD")
    if since is None:
        return (head, [head], []) if head else (repository.empty_tree(), [], [])
    revision = repository.commit(since)
    if revision is None:
        raise GitFailed(f"git knows no revision {since}")
    common = repository.common_commit(revision, head) if head else None
    ends = [each for each in (head, revision) if each]
    if common is not None:
        return common, ends, []
    note = f"the history here has no commit that {since} and HEAD share, so {since} itself counts"
    return revision, ends, [f"{note} (a shallow clone? fetch more of it)"]


def _without_tests(recorded: RecordedTests) -> str:
    how = "record it with `pytest --covsup --covsup-context=test`"
    if recorded.unknown_functions:
        functions = _few(recorded.unknown_functions)
        return (
            f"the data names tests by function ({functions}), and their files are not in it: {how}"
        )
    return f"the data does not say which test ran what: {how}"


def _existing(selection: Selection, project: Project) -> tuple[list[PickedTest], list[NamedTest]]:
    """The tests that are still there, sorted, and those that are not."""
    picked: dict[NamedTest, set[str]] = {}
    gone = []
    for path, reasons in selection.files.items():
        if project.now(path) is None:
            gone.append(NamedTest(path, ""))
        else:
            picked[NamedTest(path, "")] = reasons
    for path in {test.path for test in selection.tests} - selection.files.keys():
        text = project.now(path)
        defined = defined_in(text) if text is not None and path.endswith(".py") else None
        for test, reasons in selection.tests.items():
            if test.path == path:
                found = existing(test, defined) if text is not None else None
                if found is None:
                    gone.append(test)
                else:
                    picked.setdefault(found, set()).update(reasons)
    least = [
        PickedTest(_relative(test, project), tuple(sorted(reasons)))
        for test, reasons in picked.items()
        if not any(other in picked for other in _wider(test))
    ]
    return sorted(least), sorted(_relative(each, project) for each in gone)


def _wider(test: NamedTest) -> Iterator[NamedTest]:
    """What contains a test: the test with all parameters, its classes, its file."""
    if test.parameters:
        yield test.of_all_parameters
    words = test.name.split("::")
    for end in range(len(words) - 1, 0, -1):
        yield NamedTest(test.path, "::".join(words[:end]))
    if test.name:
        yield NamedTest(test.path, "")


def _relative(test: NamedTest, project: Project) -> NamedTest:
    return test._replace(path=project.shown(test.path))


def _notes(selection: Selection) -> Iterator[str]:
    for sentence, paths in selection.notes.items():
        yield f"{_few(paths)}: {sentence}"


def _few(names: Iterable[str]) -> str:
    """The first ones, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
