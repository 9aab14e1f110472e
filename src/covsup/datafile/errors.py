"""Errors about data: one class per thing the caller can do next."""

from __future__ import annotations


class CovsupError(Exception):
    """Base of every error that a user of covsup may catch. Its text is one line."""


class JournalError(CovsupError):
    """A journal gives no facts at all. What is sound in a damaged one is read without an error."""


class JournalUnreadable(JournalError):
    """The file cannot be opened or read, or is no regular file: mend that and read again."""


class JournalNotBegun(JournalError):
    """The file is empty as yet: its process is just starting, or died before its first fact."""


class JournalDamaged(JournalError):
    """The file is no journal, or its header is damaged: whose facts these are is not known."""


class JournalVersionUnsupported(JournalError):
    """The journal has a format version that this covsup does not read: read it with its own."""

    def __init__(self, message: str, *, version: int) -> None:
        """`version` is the format version that the journal claims."""
        super().__init__(message)
        self.version = version


class DataFileUnusable(CovsupError):
    """A file is no data file of coverage.py's, or a damaged one. It was left as it is."""


class DataFileUnwritable(CovsupError):
    """A data file could not be written. What was there before is still there."""
