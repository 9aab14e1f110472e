"""The session directory: what is in it, and how it is made, opened and deleted.

The supervisor makes it before the target starts. Every process of the session reads its settings
there and puts its journal there, and the fold reads all of it. Several processes may call these
functions at the same time.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from operator import attrgetter
from pathlib import Path

from covsup.datafile.errors import (
    JournalUnreadable,
    SessionUnreadable,
    SessionUntrusted,
    SessionUnwritable,
)
from covsup.datafile.session.notes import NOTE_SUFFIX, SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.places import (
    SESSIONS_VARIABLE,
    delete_session_directory,
    make_session_directory,
    sessions_beside,
    sessions_directory,
    write_gitignore,
)
from covsup.datafile.session.settings import read_settings, write_settings
from covsup.datafile.session.text_files import read_text, replace_text
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final, Self

    from covsup.datafile.session.settings import Settings

SETTINGS: Final = "settings"
"""Name of the settings file."""

OBSERVATIONS: Final = "observed.jsonl~"
"""Name of the file with the observations, one a line.

It ends in ~, as the names of journals do: programs that restart when a file changes ignore such
names (watchfiles.DefaultFilter does), and would else restart the target at each observation.
"""

PARTIAL_FOLD: Final = "folded"
"""Name of the partial fold: what `combine` took out of journals that it has deleted already."""

SUPERVISOR_ENDED: Final = "ended"
"""Flag: the supervisor has ended and left the journals to `covsup combine`."""

RUN_FINISHED: Final = "concluded"
"""Flag: the run has ended and made its result. Journals that come later are leftovers of it."""

REPORTED: Final = "reported"
"""Flag: a pytest that measured itself has made its report."""

_NESTED_RESULT: Final = "inner-"
"""How the names of results begin that runs inside this one have made. The session's id follows."""

_NESTED_RUN: Final = "deeper-"
"""How the names of flags begin for runs deeper inside. The session's id follows."""

MARK_PREFIX: Final = "mark-"
"""How the names of the files of marks begin. `covsup.mark_files` has it too: a run does not load it."""

_JOURNAL_NAME: Final = re.compile(
    r"(?P<pid>\d+)-(?P<image>[0-9a-f]{32})\.(?P<segment>\d+)\.journal~?", re.ASCII
)
_USER_DIRECTORY: Final = re.compile(r"uid-(?P<uid>\d+)", re.ASCII)


class JournalFile(NamedTuple):
    """A journal by its file name. Nothing has been read yet."""

    path: str  # not a Path: a session may have thousands, and a Path each would cost too much
    pid: int
    image_id: str
    segment: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The journal at `path`; None where that is not the name of a journal."""
        return cls.named(path.name, str(path))

    @classmethod
    def named(cls, name: str, path: str) -> Self | None:
        """The journal at `path`, whose last part is `name`; None where that names no journal."""
        parts = _JOURNAL_NAME.fullmatch(name)
        if parts is None:
            return None
        return cls(
            path=path,
            pid=int(parts["pid"]),
            image_id=parts["image"],
            segment=int(parts["segment"]),
        )


class Session:
    """An existing session directory with its settings."""

    def __init__(self, path: Path, settings: Settings, owner: int) -> None:
        """Use the directory at `path`, which the user with the id `owner` owns. Reads nothing."""
        self.path: Final = path
        self.settings: Final = settings
        self.owner: Final = owner
        self._known: dict[str, JournalFile] = {}
        """By path, the journals that were listed before: there may be many, listed often."""
        self.has_marks = False
        """Whether the last journals() met the file of a mark. They list the directory anyway."""

    @property
    def id(self) -> str:
        """The session's id, which is also the name of its directory."""
        return self.settings.session

    @property
    def folded(self) -> Path:
        """The path of this session's partial fold. There need not be one."""
        return self.path / PARTIAL_FOLD

    def nested_result(self, session_id: str) -> Path:
        """The path of the data file that a run inside this one makes. Empty until it has a result."""
        return self.path / f"{_NESTED_RESULT}{session_id}"

    def contains_run(self, session_id: str) -> bool:
        """Whether a session is that of a run inside this one, at any depth."""
        return any(
            (self.path / f"{kind}{session_id}").exists() for kind in (_NESTED_RESULT, _NESTED_RUN)
        )

    def flag_nested_run(self, session_id: str) -> None:
        """Flag the session of a run that is inside a run inside this one."""
        (self.path / f"{_NESTED_RUN}{session_id}").touch()

    def nested_results(self) -> list[Path]:
        """The results of runs inside this one, in the order in which these began."""
        return sorted(path for path in self.path.glob(f"{_NESTED_RESULT}*") if _is_plain_file(path))

    @property
    def has_result(self) -> bool:
        """Whether the run of this session has ended and made its result."""
        return (self.path / RUN_FINISHED).exists() or (self.path / REPORTED).exists()

    @property
    def supervisor_has_ended(self) -> bool:
        """Whether the supervisor left the flag that it ended."""
        return (self.path / RUN_FINISHED).exists() or (self.path / SUPERVISOR_ENDED).exists()

    @property
    def is_left_to_combine(self) -> bool:
        """Whether the supervisor has ended without a result, as with --parallel-mode."""
        return (self.path / SUPERVISOR_ENDED).exists()

    def set_flag(self, name: str) -> None:
        """Set the flag SUPERVISOR_ENDED, RUN_FINISHED or REPORTED."""
        (self.path / name).touch()

    def journals(self) -> list[JournalFile]:
        """Every journal that is there now, by image and segment. Raises OSError.

        Only regular files count, and in another user's directory only files of that user.
        """
        found: list[JournalFile] = []
        self.has_marks = False
        with os.scandir(self.path) as entries:
            for entry in entries:
                if (journal := self._journal_at(entry)) is not None:
                    found.append(journal)
                elif entry.name.startswith(MARK_PREFIX):
                    self.has_marks = True
                elif (user := _USER_DIRECTORY.fullmatch(entry.name)) is not None:
                    found += self._journals_of_user(entry, int(user["uid"]))
        found.sort(key=attrgetter("image_id", "segment", "path"))
        return found

    def _journal_at(self, entry: os.DirEntry[str]) -> JournalFile | None:
        journal = self._known.get(entry.path) or JournalFile.named(entry.name, entry.path)
        if journal is None or not entry.is_file(follow_symlinks=False):
            return None
        self._known[entry.path] = journal
        return journal

    def _journals_of_user(self, directory: os.DirEntry[str], uid: int) -> list[JournalFile]:
        if not directory.is_dir(follow_symlinks=False):
            return []
        with os.scandir(directory.path) as entries:
            found: list[JournalFile] = []
            for entry in entries:
                if (journal := self._journal_at(entry)) is not None:
                    if entry.stat(follow_symlinks=False).st_uid == uid:
                        found.append(journal)
                elif entry.name.startswith(MARK_PREFIX):
                    self.has_marks = True
            return found

    def check_owner(self, journal: JournalFile, uid: int) -> None:
        """Raise JournalUnreadable for a file of a user `uid` who has no part in the session."""
        if uid in {0, self.owner}:
            return
        user = _USER_DIRECTORY.fullmatch(Path(journal.path).parent.name)
        if user is None or uid != int(user["uid"]):
            raise JournalUnreadable(
                f"{journal.path}: it belongs to user {uid}, who has no part in the session"
            )

    def notes(self) -> list[SessionNote]:
        """Every note that a measured process left."""
        return sorted(SessionNote.of_file(path) for path in self._files_like("*.note"))

    def mark_files(self) -> list[Path]:
        """The files of the marks that were set."""
        return sorted(self._files_like(f"{MARK_PREFIX}*~"))

    def _files_like(self, pattern: str) -> Iterator[Path]:
        """Files of the session's owner, and files of other users in their directories."""
        for path in (*self.path.glob(pattern), *self.path.glob(f"uid-*/{pattern}")):
            user = _USER_DIRECTORY.fullmatch(path.parent.name)
            if _is_plain_file(path) and (user is None or path.lstat().st_uid == int(user["uid"])):
                yield path

    def leave_note(self, note: SessionNote) -> None:
        """Add a note, in one step. Raises OSError."""
        name = f"note-{note.pid}-{os.urandom(6).hex()}{NOTE_SUFFIX}"
        replace_text(self.path / name, note.to_text())

    def observations(self) -> list[Observation]:
        """Every observation, in the order in which they were made.

        A line that a killed supervisor left unfinished is passed over. The fold then knows less of
        how that process ended, and says so ("unknown").
        """
        path = self.path / OBSERVATIONS
        if not path.exists():
            return []
        found = []
        for line in read_text(path).splitlines():
            try:
                record = json.loads(line)
                found.append(Observation.from_mapping(record))
            except ValueError:
                continue
        return found

    def observe(self, observations: Iterable[Observation]) -> None:
        """Append observations, in one write. Raises OSError."""
        text = "".join(each.to_json() + "\n" for each in observations)
        if not text:
            return
        with (self.path / OBSERVATIONS).open("ab", buffering=0) as file:
            file.write(text.encode("ascii"))

    def is_there(self) -> bool:
        """Whether processes find the directory and its settings."""
        return (self.path / SETTINGS).exists()

    def recreate(self) -> None:
        """Make the directory again, with its settings, after something deleted it. Raises OSError.

        A supervisor that held the deleted settings file holds the new one as well.
        """
        if not self.path.exists():
            make_session_directory(self.path)
        _trusted_owner(self.path)
        write_gitignore(self.path.parent)
        replace_text(self.path / SETTINGS, self.settings.to_text(), lock=self.settings.held)

    def delete(self) -> None:
        """Delete the directory. Other processes see it whole or not at all. Raises OSError."""
        delete_session_directory(self.path)

    def empty(self) -> None:
        """Delete everything that processes have left in it, but not its settings. Raises OSError."""
        for journal in self.journals():
            Path(journal.path).unlink(missing_ok=True)
        for path in (
            *self._files_like("*.note"), *self.mark_files(), *self.nested_results(), self.folded,
            self.path / OBSERVATIONS,
        ):  # fmt: skip
            path.unlink(missing_ok=True)


def is_user_directory(name: str) -> bool:
    """Whether a name is that of the directory for the journals of another user."""
    return _USER_DIRECTORY.fullmatch(name) is not None


def new_session_id(now_ns: int | None = None) -> str:
    """A new id. Ids sort by time, to the second."""
    seconds = (time.time_ns() if now_ns is None else now_ns) // 10**9
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seconds))}-{os.urandom(4).hex()}"


def create_session(data_file: Path, make_settings: Callable[[str], Settings]) -> Session:
    """Make a new session directory for `data_file` and write its settings.

    `make_settings` gets the new session's id and gives its settings. Raises SessionUnwritable; a
    directory that could not be completed is removed again.
    """
    parent = sessions_directory(data_file)
    session_id = new_session_id()
    path = parent / session_id
    settings = make_settings(session_id)
    try:
        if parent != sessions_beside(data_file):
            # In a directory such as /tmp another user may have made it, to own the sessions in it.
            parent.mkdir(parents=True, exist_ok=True)
            _trusted_owner(parent)
        make_session_directory(path)
        try:
            owner = _trusted_owner(path)
            write_gitignore(parent)
            replace_text(path / SETTINGS, settings.to_text(), lock=settings.held)
        except (OSError, SessionUntrusted):
            path.rmdir()
            raise
    except OSError as error:
        raise SessionUnwritable(
            f"cannot make a session directory in {parent}: {error.strerror or error}"
        ) from error
    except SessionUntrusted as error:
        # Some network and foreign file systems give every file one owner and one mode.
        raise SessionUnwritable(
            f"cannot make a session directory in {parent}: {error}; or the file system does not keep"
            f" it to its owner: name a --data-file elsewhere, or another directory by"
            f" {SESSIONS_VARIABLE}"
        ) from error
    return Session(path, settings, owner)


def open_session(path: Path) -> Session:
    """Open an existing session directory.

    Raises SessionUnreadable, or SessionUntrusted for a directory that another user owns or may write
    to: what is in it decides which files are written and deleted here.
    """
    try:
        owner = _trusted_owner(path)
        return Session(path, read_settings(path / SETTINGS), owner)
    except FileNotFoundError as error:
        raise SessionUnreadable(f"{path} is not a session directory: it has no settings") from error
    except OSError as error:
        raise SessionUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SessionUnreadable(f"{path / SETTINGS}: {error}") from error


def close_session(session: Session) -> Session:
    """Let no more processes join an open session. The next combination then deletes it."""
    settings = session.settings._replace(open=False)
    mode = (session.path / SETTINGS).stat().st_mode
    write_settings(session.path / SETTINGS, settings)
    (session.path / SETTINGS).chmod(stat.S_IMODE(mode))
    return Session(session.path, settings, session.owner)


def grant_users(session: Session, uids: Iterable[int]) -> None:
    """Let processes of other users take part in a session.

    They may read its settings and write journals into a directory each. Only root can give a
    directory away. Without root's rights anybody may write to it, and only files of that user count.
    Raises SessionUnwritable.
    """
    try:
        for uid in uids:
            directory = session.path / f"uid-{uid}"
            directory.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                os.chown(directory, uid, -1)
                directory.chmod(0o700)
            else:
                directory.chmod(0o1733)
            (session.path / SETTINGS).chmod(0o644)
            session.path.chmod(0o711)
    except OSError as error:
        raise SessionUnwritable(
            f"cannot open {session.path} to other users: {error.strerror or error}"
        ) from error


def is_held_by_supervisor(session: Path) -> bool:
    """Whether a supervisor, in this or any other container, holds the lock on a session's settings."""
    import fcntl  # needed only for sessions of other containers

    try:
        descriptor = os.open(session / SETTINGS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _trusted_owner(path: Path) -> int:
    """The user id of a session directory's owner. Raises OSError, and SessionUntrusted.

    The rule is that of docs/security.md: root or this user owns it, and no other user may write to it.
    """
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()}:
        raise SessionUntrusted(
            f"{path} belongs to user {found.st_uid}, not to you: have that user combine it"
        )
    if is_writable_by_others(found):
        raise SessionUntrusted(
            f"{path} is writable by other users, so covsup does not use it (chmod go-w)"
        )
    return found.st_uid


def is_writable_by_others(found: os.stat_result) -> bool:
    """Whether users other than its owner may write to a file or directory."""
    return bool(found.st_mode & 0o022)


def _is_plain_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
