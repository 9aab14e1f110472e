"""The error of a process that cannot be attached or detached."""

from __future__ import annotations

from covsup.datafile.errors import CovsupError


class AttachRefused(CovsupError):
    """Nothing was changed in the process. The message gives the reason and what to do."""
