"""The session directory: settings, journals, notes and observations of one session.

A session is `<directory of the data file>/.covsup/<session id>/`, or lies in another place that the
user chose. The supervisor makes it before anything runs; every process of the session reads its settings from there and puts its journal
there; the fold reads it. This module knows the names and the text formats in the directory and
nothing of what a journal holds. Every function may be called by several processes at a time.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from binascii import crc32
from operator import attrgetter
from pathlib import Path

from covsup.datafile.errors import CovsupError, JournalUnreadable
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Final, Literal, Self, TypeAlias

SESSIONS: Final = ".covsup"
"""Name of the directory that holds all sessions of a data file, and how its name ends elsewhere."""

SESSIONS_VARIABLE: Final = "COVSUP_SESSIONS"
"""The variable that names another place for directories of sessions; "" = beside the data file."""

_sessions_parent = ""

SETTINGS: Final = "settings"
OBSERVATIONS: Final = "observed.jsonl~"
"""Like the names of journals it ends in ~: watchers of files leave such names out by default
(watchfiles.DefaultFilter), and would else restart the program for each line in it."""

PARTIAL_FOLD: Final = "folded"
"""A partial fold: what `combine` took out of the journals that it has deleted already."""

FORMAT: Final = "1"

SUPERVISOR_ENDED: Final = "ended"
"""A mark: the session's supervisor has ended, and left the journals to `combine`."""

RUN_FINISHED: Final = "concluded"
"""A mark: the run has ended and made its result; what comes later is a leftover of that run."""

_NESTED_RESULT: Final = "inner-"
"""How the names of results begin which runs inside of this one have made."""

_NESTED_RUN: Final = "deeper-"
"""How the names of marks begin for runs inside of those runs, which hand their results to them."""

REPORTED: Final = "reported"
"""A mark: a pytest that measured itself has made its report."""

_BEING_DELETED: Final = ".gone-"
"""How the name of a session directory begins while it is being deleted."""

_IGNORE: Final = ".gitignore"
_IGNORE_ALL: Final = "*\n"
_ATTEMPTS: Final = 100

_SESSION_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_JOURNAL_NAME = re.compile(
    r"(?P<pid>\d+)-(?P<image>[0-9a-f]{32})\.(?P<segment>\d+)\.journal~?", re.ASCII
)
_NOTE_NAME = re.compile(r"note-(?P<pid>\d+)-(?P<time>[0-9a-f]+)\.note", re.ASCII)
NOTE_SUFFIX: Final = ".note"
_OWNER_DIRECTORY = re.compile(r"uid-(?P<uid>\d+)", re.ASCII)


class SessionUnreadable(CovsupError):
    """A session directory, or its settings, cannot be read; nothing in it was touched."""


class SessionUntrusted(SessionUnreadable):
    """A session directory is somebody else's, or others may write to it: hands off."""


class SessionUnwritable(CovsupError):
    """A session directory cannot be made or written where the data file is."""


class Settings(NamedTuple):
    """What holds for a whole session. The measured side reads the first group only.

    Patterns are prepared (absolute, or starting with a wildcard), directories are canonical:
    nothing here depends on the directory in which it is read.
    """

    session: str
    core: str = "auto"
    branch: bool = False
    concurrency: tuple[str, ...] = ("auto",)
    context: str = ""
    dynamic_context: tuple[str, ...] = ()
    source_dirs: tuple[str, ...] = ()
    source_pkgs: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    cover_pylib: bool = False
    plugins: tuple[str, ...] = ()  # modules of coverage.py's plugins that a process loads
    plugin_config: str = ""  # coverage.py's configuration, for them
    plugin_path: tuple[str, ...] = ()  # where to look for them besides sys.path
    # For the supervisor's side alone.
    data_file: str = ""
    rcfile: str = ""  # "" = coverage.py's own search; "false" = no file
    append: bool = False
    within: str = ""  # the id of the session of the same data file that it was begun in
    open: bool = False
    """Opened by `covsup env`: more processes may join it until it is closed."""
    cwd: str = ""
    command: tuple[str, ...] = ()
    started_ns: int = 0  # wall clock, nanoseconds since 1970
    started_boottime_ns: int = 0  # likewise since boot, whatever the clock is set to; 0 = unknown
    supervisor_pid: int = 0  # 0 = the session has no supervisor (it was only opened)
    host: str = ""
    boot: str = ""  # the boot id of the opener's kernel; "" = unknown
    machine: str = ""  # its machine id; "" = unknown
    namespace: str = ""  # the opener's pid namespace; "" = unknown
    held: bool = False  # the supervisor holds a lock on this file as long as it runs
    more: tuple[tuple[str, str], ...] = ()
    """Keys that this version does not know, in the order of the file."""

    def to_text(self) -> str:
        """The settings file's text."""
        pairs = [
            ("format", FORMAT),
            ("session", self.session),
            ("core", self.core),
            ("branch", _bit(self.branch)),
            ("concurrency", ",".join(self.concurrency)),
            ("context", self.context),
            ("dynamic_context", ",".join(self.dynamic_context)),
            *(("source_dir", each) for each in self.source_dirs),
            *(("source_pkg", each) for each in self.source_pkgs),
            *(("include", each) for each in self.include),
            *(("omit", each) for each in self.omit),
            ("cover_pylib", _bit(self.cover_pylib)),
            *(("plugin", each) for each in self.plugins),
            *([("plugin_config", self.plugin_config)] if self.plugins else []),
            *(("plugin_path", each) for each in self.plugin_path),
            ("data_file", self.data_file),
            ("rcfile", self.rcfile),
            ("append", _bit(self.append)),
            *([("within", self.within)] if self.within else []),
            ("open", _bit(self.open)),
            ("cwd", self.cwd),
            *(("command", each) for each in self.command),
            ("started_ns", str(self.started_ns)),
            ("started_boottime_ns", str(self.started_boottime_ns)),
            ("supervisor_pid", str(self.supervisor_pid)),
            ("host", self.host),
            ("boot", self.boot),
            ("machine", self.machine),
            ("namespace", self.namespace),
            ("held", _bit(self.held)),
            *self.more,
        ]
        return encode_pairs(pairs)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a settings file's text; ValueError says what is wrong with it."""
        many: dict[str, list[str]] = {}
        for key, value in decode_pairs(text):
            many.setdefault(key, []).append(value)
        found = many.pop("format", ["missing"])[0]
        if found != FORMAT:
            raise ValueError(f"settings of format {found!r}, where this covsup reads {FORMAT!r}")

        def one(key: str, default: str = "") -> str:
            return many.pop(key, [default])[-1]

        def every(key: str) -> tuple[str, ...]:
            return tuple(many.pop(key, ()))

        session = one("session")
        if not session:
            raise ValueError("settings without a session id")
        return cls(
            session=session,
            core=one("core", "auto"),
            branch=one("branch") == "1",
            concurrency=tuple(name for name in one("concurrency", "auto").split(",") if name),
            context=one("context"),
            dynamic_context=tuple(name for name in one("dynamic_context").split(",") if name),
            source_dirs=every("source_dir"),
            source_pkgs=every("source_pkg"),
            include=every("include"),
            omit=every("omit"),
            cover_pylib=one("cover_pylib") == "1",
            plugins=every("plugin"),
            plugin_config=one("plugin_config"),
            plugin_path=every("plugin_path"),
            data_file=one("data_file"),
            rcfile=one("rcfile"),
            append=one("append") == "1",
            within=one("within"),
            open=one("open") == "1",
            cwd=one("cwd"),
            command=every("command"),
            started_ns=int(one("started_ns", "0")),
            started_boottime_ns=int(one("started_boottime_ns", "0")),
            supervisor_pid=int(one("supervisor_pid", "0")),
            host=one("host"),
            boot=one("boot"),
            machine=one("machine"),
            namespace=one("namespace"),
            held=one("held") == "1",
            more=tuple((key, value) for key, values in many.items() for value in values),
        )


NoteKind: TypeAlias = 'Literal["start-failed", "lost", "refused", "note"]'


class SessionNote(NamedTuple):
    """What a measured process could not do, left in the session directory by itself."""

    pid: int
    time_ns: int  # wall clock
    kind: str  # one of NoteKind, or what a newer version says
    why: str
    argv: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The note file's text."""
        return encode_pairs(
            [
                ("pid", str(self.pid)),
                ("time_ns", str(self.time_ns)),
                ("kind", self.kind),
                ("why", self.why),
                *(("argv", each) for each in self.argv),
            ]
        )

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read a note file. Its name is all there is where nothing could be written into it."""
        text = _read_text(path)
        name = _NOTE_NAME.fullmatch(path.name)
        if text or name is None:
            return cls.from_text(text)
        return cls(
            pid=int(name["pid"]),
            time_ns=int(name["time"], 16),
            kind="start-failed",
            why="it could write neither a journal nor a note: the disk is full, or a file size"
            " limit (ulimit -f) forbids it",
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a note file's text. A note is there to be shown: what is missing stays empty."""
        pairs = list(decode_pairs(text))
        last = dict(pairs)
        return cls(
            pid=_number(last.get("pid", "")),
            time_ns=_number(last.get("time_ns", "")),
            kind=last.get("kind", "note"),
            why=last.get("why", ""),
            argv=tuple(value for key, value in pairs if key == "argv"),
        )


EndSource: TypeAlias = 'Literal["", "wait", "pidfd", "gone"]'
_END_SOURCES: Final[dict[str, EndSource]] = {
    "": "",
    "wait": "wait",
    "pidfd": "pidfd",
    "gone": "gone",
}


class Observation(NamedTuple):
    """What the supervisor saw of one process of the tree, measured or not.

    A process may be observed any number of times (when it appears, when its command line changes
    by an exec, when it ends); what the fold says of it is the union of its observations. `pid` and
    `create_time` name the process.
    """

    pid: int
    create_time: float  # seconds since 1970, as psutil gives it
    at_ns: int = 0  # when it was seen, wall clock
    ppid: int = 0
    argv: tuple[str, ...] = ()
    executable: str = ""
    python: bool | None = None  # None: it could not be told
    ended: EndSource = ""  # "" = not seen to end; "gone" = it ended and nobody could say how
    status: int | None = None  # raw wait status, as os.waitpid gives it; None = unknown
    reason: str = ""  # why a Python process is not measured, where the supervisor knows
    boottime_ns: int = 0  # its creation since boot, which no setting of a clock moves; 0 = unknown
    namespace: str = ""  # the pid namespace that it is in, if that is not the supervisor's
    inner_pid: int = 0  # its pid there

    def to_json(self) -> str:
        """One line for observed.jsonl, without the newline."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; unknown keys are left alone, ValueError on a wrong type."""
        try:
            python, status = record.get("python"), record.get("status")
            return cls(
                pid=int(record["pid"]),
                create_time=float(record["create_time"]),
                at_ns=int(record.get("at_ns", 0)),
                ppid=int(record.get("ppid", 0)),
                argv=tuple(str(each) for each in record.get("argv", ())),
                executable=str(record.get("executable", "")),
                python=None if python is None else bool(python),
                ended=_end_source(record.get("ended", "")),
                status=None if status is None else int(status),
                reason=str(record.get("reason", "")),
                boottime_ns=int(record.get("boottime_ns", 0)),
                namespace=str(record.get("namespace", "")),
                inner_pid=int(record.get("inner_pid", 0)),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"no observation: {error!r}") from error


class JournalFile(NamedTuple):
    """A journal by its file name; nothing has been read yet."""

    path: str  # of a session's thousands a Path each would be felt
    pid: int
    image_id: str
    segment: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The journal that `path` names, or None where the name is not a journal's."""
        return cls.named(path.name, str(path))

    @classmethod
    def named(cls, name: str, path: str) -> Self | None:
        """The journal at `path`, whose last part is `name`; None where that is not a journal's."""
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
        """Of a directory that is there; nothing is read."""
        self.path: Final = path
        self.settings: Final = settings
        self.owner: Final = owner
        """User id of whom the directory belongs to."""
        self._known: dict[str, JournalFile] = {}
        """Journals that were listed before, by path: there may be many, and they are listed often."""

    @property
    def id(self) -> str:
        """The session's id, which is also the name of its directory."""
        return self.settings.session

    @property
    def folded(self) -> Path:
        """Where the partial fold of this session is, if there is one."""
        return self.path / PARTIAL_FOLD

    def nested_result(self, session_id: str) -> Path:
        """Where a run inside of this one leaves its result, a data file; empty until it has one."""
        return self.path / f"{_NESTED_RESULT}{session_id}"

    def contains_run(self, session_id: str) -> bool:
        """Whether a session is one of a run inside of this one, at any depth."""
        return any(
            (self.path / f"{kind}{session_id}").exists() for kind in (_NESTED_RESULT, _NESTED_RUN)
        )

    def mark_nested_run(self, session_id: str) -> None:
        """Note the session of a run inside of a run inside of this one."""
        (self.path / f"{_NESTED_RUN}{session_id}").touch()

    def nested_results(self) -> list[Path]:
        """What runs inside of this one have left, in the order in which they began."""
        return sorted(path for path in self.path.glob(f"{_NESTED_RESULT}*") if _is_plain_file(path))

    @property
    def has_result(self) -> bool:
        """Whether the run of this session has ended and made its result."""
        return (self.path / RUN_FINISHED).exists() or (self.path / REPORTED).exists()

    @property
    def supervisor_has_ended(self) -> bool:
        """Whether the supervisor has left word that it ended."""
        return (self.path / RUN_FINISHED).exists() or (self.path / SUPERVISOR_ENDED).exists()

    @property
    def is_left_to_combine(self) -> bool:
        """Whether the supervisor has ended and no result was made, as --parallel-mode has it."""
        return (self.path / SUPERVISOR_ENDED).exists()

    def mark(self, name: str) -> None:
        """Leave the mark SUPERVISOR_ENDED, RUN_FINISHED or REPORTED."""
        (self.path / name).touch()

    def journals(self) -> list[JournalFile]:
        """Every journal that is there now, by image and segment.

        Only regular files count, and in the subdirectory of another user only files of that user.
        """
        found: list[JournalFile] = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if (journal := self._journal_at(entry)) is not None:
                    found.append(journal)
                elif (owner := _OWNER_DIRECTORY.fullmatch(entry.name)) is not None:
                    found += self._journals_of_user(entry, int(owner["uid"]))
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
            return [
                journal
                for entry in entries
                if (journal := self._journal_at(entry)) is not None
                and entry.stat(follow_symlinks=False).st_uid == uid
            ]

    def check_owner(self, journal: JournalFile, uid: int) -> None:
        """Raise JournalUnreadable for a file whose owner `uid` has no part in the session."""
        if uid in {0, self.owner}:
            return
        place = _OWNER_DIRECTORY.fullmatch(Path(journal.path).parent.name)
        if place is None or uid != int(place["uid"]):
            raise JournalUnreadable(
                f"{journal.path}: it belongs to user {uid}, who has no part in the session"
            )

    def notes(self) -> list[SessionNote]:
        """Every note that a measured process left."""
        return sorted(SessionNote.of_file(path) for path in self._note_files())

    def _note_files(self) -> Iterator[Path]:
        for path in (*self.path.glob("*.note"), *self.path.glob("uid-*/*.note")):
            owner = _OWNER_DIRECTORY.fullmatch(path.parent.name)
            if _is_plain_file(path) and (owner is None or path.lstat().st_uid == int(owner["uid"])):
                yield path

    def leave_note(self, note: SessionNote) -> None:
        """Add a note; it is there whole or not at all."""
        name = f"note-{note.pid}-{os.urandom(6).hex()}.note"
        _write_whole(self.path / name, note.to_text())

    def observations(self) -> list[Observation]:
        """Every observation, in the order in which they were made.

        A line that a killed supervisor left unfinished is passed over: the fold then knows less
        of how that process ended, and says so ("unknown").
        """
        path = self.path / OBSERVATIONS
        if not path.exists():
            return []
        found = []
        for line in _read_text(path).splitlines():
            try:
                record = json.loads(line)
                found.append(Observation.from_mapping(record))
            except ValueError:
                continue
        return found

    def is_there(self) -> bool:
        """Whether processes find the directory and its settings."""
        return (self.path / SETTINGS).exists()

    def recreate(self) -> None:
        """Make the directory again, with its settings, after something has deleted it.

        The supervisor that does so holds the new settings file, too.
        """
        if not self.path.exists():
            _make_private(self.path)
        _owner(self.path)
        _ignore_everything(self.path.parent)
        _write_whole(self.path / SETTINGS, self.settings.to_text(), hold=self.settings.held)

    def delete(self) -> None:
        """Delete the directory, in one step as far as any other process can see."""
        gone = self.path.with_name(_BEING_DELETED + self.path.name)
        self.path.rename(gone)
        _remove_tree(gone)

    def empty(self) -> None:
        """Delete all that processes have left in it, and keep it open for others."""
        for journal in self.journals():
            Path(journal.path).unlink(missing_ok=True)
        for path in (
            *self._note_files(), *self.nested_results(), self.folded, self.path / OBSERVATIONS,
        ):  # fmt: skip
            path.unlink(missing_ok=True)

    def observe(self, observations: Iterable[Observation]) -> None:
        """Append observations, one write for all of them."""
        text = "".join(each.to_json() + "\n" for each in observations)
        if not text:
            return
        with (self.path / OBSERVATIONS).open("ab", buffering=0) as file:
            file.write(text.encode("ascii"))


def is_session_id(name: str) -> bool:
    """Whether a name is that of a session."""
    return _SESSION_ID.fullmatch(name) is not None


def is_user_directory(name: str) -> bool:
    """Whether a name is that of a directory for the journals of another user."""
    return _OWNER_DIRECTORY.fullmatch(name) is not None


def set_sessions_parent(directory: str) -> None:
    """Have sessions made and found in `directory`, as the settings say; the variable wins."""
    global _sessions_parent  # noqa: PLW0603 - once for each command
    _sessions_parent = directory


def sessions_directory(data_file: Path) -> Path:
    """The directory in which the sessions of `data_file` are made (neither need exist)."""
    beside = _beside(data_file)
    place = os.environ.get(SESSIONS_VARIABLE, _sessions_parent)
    if not place:
        return beside
    # One for each directory with data files, as if it were there.
    directory = os.fsencode(beside.parent)
    name = f"{beside.parent.name}-{crc32(directory):08x}{len(directory):x}{SESSIONS}"
    return Path(os.path.abspath(beside.parent / Path(place).expanduser())) / name  # noqa: PTH100 - likewise


def _beside(data_file: Path) -> Path:
    return Path(os.path.abspath(data_file)).parent / SESSIONS  # noqa: PTH100 - links stay


def is_sessions_directory(path: Path) -> bool:
    """Whether a directory has the name of one that holds sessions."""
    return path.name.endswith(SESSIONS)


def new_session_id(now_ns: int | None = None) -> str:
    """A fresh id; ids sort by time (to the second)."""
    seconds = (time.time_ns() if now_ns is None else now_ns) // 10**9
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seconds))}-{os.urandom(4).hex()}"


def create_session(data_file: Path, make_settings: Callable[[str], Settings]) -> Session:
    """Make a new session directory beside `data_file` and write its settings.

    `make_settings` gets the new session's id and gives its settings. Raises SessionUnwritable; a
    directory that could not be completed is removed again.
    """
    parent = sessions_directory(data_file)
    session_id = new_session_id()
    path = parent / session_id
    settings = make_settings(session_id)
    try:
        if parent != _beside(data_file):
            # In /tmp others could have made it, and would own what it is called.
            parent.mkdir(parents=True, exist_ok=True)
            _owner(parent)
        _make_private(path)
        try:
            owner = _owner(path)
            _ignore_everything(parent)
            _write_whole(path / SETTINGS, settings.to_text(), hold=settings.held)
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
            f" it to its owner: name a --data-file elsewhere, or another place by {SESSIONS_VARIABLE}"
        ) from error
    return Session(path, settings, owner)


def close_session(session: Session) -> Session:
    """Have an open session end when its processes have; the next combination deletes it."""
    settings = session.settings._replace(open=False)
    mode = (session.path / SETTINGS).stat().st_mode
    write_settings(session.path / SETTINGS, settings)
    (session.path / SETTINGS).chmod(stat.S_IMODE(mode))
    return Session(session.path, settings, session.owner)


def grant_users(session: Session, uids: Iterable[int]) -> None:
    """Let processes of other users take part in a session: they can read its settings, and write
    journals of their own into a directory each.

    Without root's rights nobody can give a directory away: then it is one that anybody may write
    to, and in which only the files of that user count. Raises SessionUnwritable.
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
            f"cannot let others into {session.path}: {error.strerror or error}"
        ) from error


def _make_private(path: Path) -> None:
    """Make a session directory, and the directory of sessions where there is none yet."""
    parent = path.parent
    for attempt in range(_ATTEMPTS):
        try:
            # At once: with a session in it, nobody removes the directory of sessions any more.
            parent.mkdir(exist_ok=True)
            path.mkdir(mode=0o700)
            break
        except (FileNotFoundError, FileExistsError):
            # Another covsup removed the directory of sessions, which was empty, under our hands.
            if attempt == _ATTEMPTS - 1 or _is_no_directory(parent) or not parent.parent.exists():
                raise
    # A umask of 0777 would leave a directory that its own owner cannot enter.
    path.chmod(0o700)


def _is_no_directory(path: Path) -> bool:
    """Whether something else is there; looked at once, for it may come and go."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def tidy_sessions_directory(parent: Path) -> None:
    """Finish what killed processes left in a directory of sessions; remove it if it is empty."""
    if not is_sessions_directory(parent):
        return
    try:
        for gone in parent.glob(f"{_BEING_DELETED}*"):
            _remove_tree(gone)
        if any(each.name != _IGNORE for each in parent.iterdir()):
            return
        (parent / _IGNORE).unlink(missing_ok=True)
        parent.rmdir()
    except FileNotFoundError:
        return  # somebody else did it
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        # A session was made there in this moment, and may have found the file still there.
        _ignore_everything(parent)


def _ignore_everything(parent: Path) -> None:
    """Have git ignore a directory of sessions, as long as it is there."""
    while parent.exists() and not (parent / _IGNORE).exists():
        try:
            _write_whole(parent / _IGNORE, _IGNORE_ALL)
        except FileNotFoundError:
            continue  # it went in this moment, and may be back


def _remove_tree(path: Path) -> None:
    """Delete a directory that somebody else may be deleting, too."""
    import shutil  # noqa: PLC0415 - it takes its time, which the start of a target would wait for

    while path.exists():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue


def find_sessions(data_file: Path) -> list[Path]:
    """The session directories of `data_file`, oldest first; they are not opened.

    Beside it, and in the place that was chosen, be it that some were made before.
    """
    parents = {_beside(data_file), sessions_directory(data_file)}
    return sorted(
        (path for each in parents for path in sessions_in(each)), key=lambda path: path.name
    )


def sessions_in(parent: Path) -> list[Path]:
    """The session directories in a directory of sessions, oldest first."""
    try:
        with os.scandir(parent) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if _SESSION_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SessionUnreadable(f"cannot read {parent}: {error.strerror or error}") from error


def open_session(path: Path) -> Session:
    """Open an existing session directory. Raises SessionUnreadable with the reason, SessionUntrusted
    where it must not be touched.

    One that somebody else owns, or may write to, is not opened: what is in it decides what is
    written and deleted here.
    """
    try:
        owner = _owner(path)
        return Session(path, read_settings(path / SETTINGS), owner)
    except FileNotFoundError as error:
        raise SessionUnreadable(f"{path} is no session directory: it has no settings") from error
    except OSError as error:
        raise SessionUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SessionUnreadable(f"{path / SETTINGS}: {error}") from error


def _owner(path: Path) -> int:
    """Whom a session directory belongs to. Raises SessionUntrusted, and OSError."""
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()}:
        raise SessionUntrusted(
            f"{path} belongs to user {found.st_uid}, not to you: have that user combine it"
        )
    if found.st_mode & 0o022:
        raise SessionUntrusted(
            f"others may write to {path}: it is used only if they may not (chmod go-w)"
        )
    return found.st_uid


def is_held_by_supervisor(session: Path) -> bool:
    """Whether a supervisor holds the settings of a session directory, in whatever container."""
    import fcntl  # noqa: PLC0415 - only where sessions of other containers are

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


def read_settings(path: Path) -> Settings:
    """Read a settings file. OSError where it cannot be read, ValueError where it makes no sense."""
    return Settings.from_text(_read_text(path))


def write_settings(path: Path, settings: Settings) -> None:
    """Replace a settings file; a reader sees the old one or the new one, never half of it."""
    _write_whole(path, settings.to_text())


def encode_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """One `key=value` a line; what would end a line is percent-encoded in the value."""
    return "".join(f"{key}={_encode(value)}\n" for key, value in pairs)


def decode_pairs(text: str) -> Iterator[tuple[str, str]]:
    """What `encode_pairs` was given. Lines without `=` are passed over."""
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            yield key, _decode(value)


def _encode(value: str) -> str:
    return value.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def _decode(value: str) -> str:
    return value.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _end_source(said: object) -> EndSource:
    """One of the words that we know; any other one says at least that it ended."""
    return _END_SOURCES.get(str(said), "gone")


def _bit(value: bool) -> str:
    return "1" if value else "0"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _write_whole(path: Path, text: str, *, hold: bool = False) -> None:
    """Write a file so that it is there whole or not at all; `hold`: locked until we end."""
    temporary = path.with_name(f".new-{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=not hold) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        if hold:
            import fcntl  # noqa: PLC0415 - only a supervisor holds one

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_plain_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
