"""Where sessions are: the directories that hold session directories.

The sessions of a data file are in `.covsup` beside it, or in another directory that the user chose.
Several processes may make, list and remove such directories at the same time.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from binascii import crc32
from pathlib import Path

from covsup.datafile.errors import SessionUnreadable
from covsup.datafile.session.text_files import replace_text
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

SESSIONS: Final = ".covsup"
"""Name of the directory that holds the sessions of a data file. Elsewhere, the end of its name."""

SESSIONS_VARIABLE: Final = "COVSUP_SESSIONS"
"""The environment variable that names another directory for sessions; "" = beside the data file."""

_sessions_parent = ""

_BEING_DELETED: Final = ".gone-"
"""How the name of a session directory begins while it is being deleted."""

_IGNORE: Final = ".gitignore"
_IGNORE_ALL: Final = "*\n"
_ATTEMPTS: Final = 100
_SESSION_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


def set_sessions_parent(directory: str) -> None:
    """Set the directory in which sessions are made and found. The environment variable wins."""
    global _sessions_parent  # noqa: PLW0603 - a command sets it once, from its settings
    _sessions_parent = directory


def is_session_id(name: str) -> bool:
    """Whether a name is that of a session."""
    return _SESSION_ID.fullmatch(name) is not None


def is_sessions_directory(path: Path) -> bool:
    """Whether a directory has the name of one that holds sessions."""
    return path.name.endswith(SESSIONS)


def sessions_beside(data_file: Path) -> Path:
    """The directory for the sessions of `data_file` that is beside it. It need not exist."""
    return Path(os.path.abspath(data_file)).parent / SESSIONS  # resolve() follows links


def sessions_directory(data_file: Path) -> Path:
    """The directory in which new sessions of `data_file` are made. Neither need exist."""
    beside = sessions_beside(data_file)
    chosen = os.environ.get(SESSIONS_VARIABLE, _sessions_parent)
    if not chosen:
        return beside
    # One for each directory with data files. The checksum tells equal names apart.
    directory = os.fsencode(beside.parent)
    name = f"{beside.parent.name}-{crc32(directory):08x}{len(directory):x}{SESSIONS}"
    return Path(os.path.abspath(beside.parent / Path(chosen).expanduser())) / name  # as above


def find_sessions(data_file: Path) -> list[Path]:
    """The session directories of `data_file`, oldest first. They are not opened.

    Those beside the data file are found even where another directory was chosen later. Raises
    SessionUnreadable.
    """
    parents = {sessions_beside(data_file), sessions_directory(data_file)}
    return sorted(
        (path for each in parents for path in sessions_in(each)), key=lambda path: path.name
    )


def sessions_in(parent: Path) -> list[Path]:
    """The session directories in `parent`, oldest first. Raises SessionUnreadable."""
    try:
        with os.scandir(parent) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if is_session_id(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SessionUnreadable(f"cannot read {parent}: {error.strerror or error}") from error


def make_session_directory(path: Path) -> None:
    """Make a session directory that only its owner can enter, and its parent if that is missing.

    Raises OSError.
    """
    parent = path.parent
    for attempt in range(_ATTEMPTS):
        try:
            # The session right after its parent: a parent with a session in it is not removed.
            parent.mkdir(exist_ok=True)
            path.mkdir(mode=0o700)
            break
        except (FileNotFoundError, FileExistsError):
            # Another covsup removed the parent between the two calls, because it was empty.
            if attempt == _ATTEMPTS - 1 or _is_no_directory(parent) or not parent.parent.exists():
                raise
    # A umask of 0777 would leave a directory that its own owner cannot enter.
    path.chmod(0o700)


def _is_no_directory(path: Path) -> bool:
    """Whether something other than a directory is there. One system call: it may come and go."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def write_gitignore(parent: Path) -> None:
    """Have git ignore a directory of sessions. Does nothing once the directory is gone."""
    while parent.exists() and not (parent / _IGNORE).exists():
        try:
            replace_text(parent / _IGNORE, _IGNORE_ALL)
        except FileNotFoundError:
            continue  # another process removed the directory, and may have made it again


def delete_session_directory(path: Path) -> None:
    """Delete a session directory. Other processes see it whole or not at all."""
    being_deleted = path.with_name(_BEING_DELETED + path.name)
    path.rename(being_deleted)
    _remove_tree(being_deleted)


def tidy_sessions_directory(parent: Path) -> None:
    """Finish deletions that killed processes began in `parent`, and remove it if it is empty.

    Raises OSError.
    """
    if not is_sessions_directory(parent):
        return
    try:
        for path in parent.glob(f"{_BEING_DELETED}*"):
            _remove_tree(path)
        if any(each.name != _IGNORE for each in parent.iterdir()):
            return
        (parent / _IGNORE).unlink(missing_ok=True)
        parent.rmdir()
    except FileNotFoundError:
        return  # another process removed it
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        # A session was made there just now, and its process may have relied on the .gitignore.
        write_gitignore(parent)


def _remove_tree(path: Path) -> None:
    """Delete a directory that another process may be deleting as well."""
    import shutil  # it loads slowly, and nothing is deleted before a target starts

    while path.exists():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
