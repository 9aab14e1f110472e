"""A session directory, or a directory of loose journals, with what was read from it."""

from __future__ import annotations

from contextlib import suppress

from covsup.datafile.database.database import kind_with_sent_code
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import ImageFold
from covsup.datafile.journal.shortening import shorten
from covsup.datafile.session.directory import JournalFile
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from covsup.datafile.fold.result import Kind, Problem, Result
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import Session


class UnseenPlace(NamedTuple):
    """Where an image ran whose process cannot be seen from here."""

    host: str  # for messages
    has_ended: bool  # no process of this kernel maps its journal, or the user says that it ended


class InputDirectory:
    """One directory of a combination. Its session is None where it only holds loose journals."""

    # Not a dataclass: that module takes longer to import than most of combining.
    __slots__ = (
        "ended", "ended_journals", "fold_is_unreadable", "has_partial_fold", "is_kept",
        "journal_starts", "live", "may_be_supervised", "members", "name", "nested_results",
        "only_images", "path", "pinned", "session", "session_records", "slot_borrowers",
        "supervised", "undecided", "undecided_records", "unfinished_runs",
    )  # fmt: skip

    def __init__(
        self, name: str, path: Path, session: Session | None, only: frozenset[str] | None
    ) -> None:
        """Nothing is read yet. `name` is for messages; `only` restricts it to these image ids."""
        self.name = name
        self.path = path
        self.session = session
        self.only_images = only
        self.session_records: Result | None = None  # the session's notes and observations
        self.has_partial_fold = False  # an earlier combination left one
        self.fold_is_unreadable = False  # it did, and the file is damaged

        self.ended = ImageFold()
        self.live = ImageFold()
        self.undecided: list[tuple[list[JournalFile], dict[str, UnseenPlace]]] = []
        """Images that may have ended, by id, with the files that hold their journals."""
        self.undecided_records = ImageFold()  # the same images

        self.nested_results: list[Path] = []  # data files of runs inside this session
        self.unfinished_runs: list[str] = []  # ids of such runs that have no result yet
        self.members: list[int] = []  # pids of processes that have the session in their environment
        self.supervised = False  # another covsup runs that will combine it
        self.may_be_supervised = False  # or may run where we cannot see it

        self.journal_starts: Mapping[str, int] = {}
        """When the image of each journal began (ns), for those begun before the snapshot."""
        self.slot_borrowers: frozenset[tuple[int, str]] = frozenset()
        """Pids and image ids with a journal in a slot of another's file, likewise."""
        self.ended_journals: list[str] = []  # paths
        self.pinned: set[str] = set()  # paths of journals that something else still needs
        self.is_kept = False  # a later combination has to read the directory again

    @property
    def images(self) -> int:
        """How many images have journals here."""
        return self.ended.images + self.live.images

    @property
    def kind(self) -> Kind | None:
        """Lines or branches; None where nothing was executed."""
        kind = self.ended.kind or self.live.kind
        if kind is None and self.has_partial_fold and self.session is not None:
            kind = kind_with_sent_code(self.session.folded)
        return kind or next(filter(None, map(kind_with_sent_code, self.nested_results)), None)

    def journals(self) -> list[JournalFile]:
        """The journals to be combined that are there now."""
        if self.session is not None:
            found = self.session.journals()
        else:
            found = sorted(
                journal
                for path in self.path.iterdir()
                if path.is_file() and (journal := JournalFile.at(path)) is not None
            )
        return [
            each for each in found if self.only_images is None or each.image_id in self.only_images
        ]

    def add(
        self,
        fold_of_images: ImageFold,
        journals: Sequence[Journal],
        *,
        running_ns: int = 0,
        gone_ns: int = 0,
    ) -> list[Problem]:
        """Add an image to one of this directory's folds; gives what is wrong with its journals.

        `running_ns` is when it was seen running, `gone_ns` when it was found to have ended.
        """
        return fold_of_images.add(
            journals,
            session="" if self.session is None else self.session.id,
            static_context="" if self.session is None else self.session.settings.context,
            running_ns=running_ns,
            gone_ns=gone_ns,
        )

    def read_marks(self, session: Session) -> list[str]:
        """Add the marks of the session; gives what is wrong with their files."""
        from covsup.datafile.fold.marked import read_marks  # few sessions have a mark

        assert self.session_records is not None
        found = read_marks(session, self.session_records.marks)
        self.session_records = self.session_records._replace(marks=found.marks)
        return found.problems

    def add_later_marks(self, session: Session) -> bool:
        """Add the marks that were set since; gives whether there are any.

        The partial fold was just written. It may hold a bit more than ran before these marks: the
        last lines of processes that ended while such a mark was being set.
        """
        if not session.mark_files() or self.session_records is None:
            return False
        before = self.session_records.marks.keys()
        self.read_marks(session)
        return self.session_records.marks.keys() != before

    def deletable(self) -> list[str]:
        """Paths of the journals that may be deleted once their contents are stored."""
        return [path for path in self.ended_journals if path not in self.pinned]

    def shorten(self) -> None:
        """Cut the unused space from the journals of ended images; the session stays for now."""
        for path in self.deletable():
            # Failing (another user's file, a full disk) does no harm: the long journal stays.
            with suppress(OSError):
                shorten(path)

    def ended_result(self) -> Result:
        """The fold of everything that need not be read again."""
        ended = self.ended.result()
        return fold([ended] if self.session_records is None else [self.session_records, ended])

    def is_finished(self) -> bool:
        """Whether the whole directory may be deleted once its contents are stored."""
        if self.is_kept or self.fold_is_unreadable or self.only_images is not None:
            return False
        if self.session is not None and self.session.settings.open:
            return False  # other processes may join it at any time
        done = set(self.deletable())
        return all(journal.path in done for journal in self.journals())
