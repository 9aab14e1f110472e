"""Errors about data: one class per thing the caller can do next."""

from __future__ import annotations


class CovsupError(Exception):
    """Base of every error that a user of covsup may catch. Its text is one line."""


class JournalError(CovsupError):
    """A journal gives no facts at all. A journal that is only partly damaged raises nothing."""


class JournalUnreadable(JournalError):
    """The file cannot be opened or read, or is not a regular file. Repair that and read again."""


class JournalNotBegun(JournalError):
    """The file has no header yet: its process is starting, or died before its first fact."""


class JournalDamaged(JournalError):
    """The file is not a journal, or its header is damaged, so the process that its facts belong to is unknown."""


class JournalVersionUnsupported(JournalError):
    """The journal has a format version that this covsup does not read. Use the one that wrote it."""

    def __init__(self, message: str, *, version: int) -> None:
        """`version` is the format version in the journal's header."""
        super().__init__(message)
        self.version = version


class SessionUnreadable(CovsupError):
    """A session directory or its settings cannot be read. Nothing in it was changed."""


class SessionUntrusted(SessionUnreadable):
    """A session directory belongs to another user, or others may write to it. Leave it alone."""


class SessionUnwritable(CovsupError):
    """A session directory cannot be made or changed."""


class DataFileUnusable(CovsupError):
    """A file is not a data file of coverage.py, or is a damaged one. It was not changed."""


class DataFileUnwritable(CovsupError):
    """A data file could not be written. The file that was there before is still there."""
