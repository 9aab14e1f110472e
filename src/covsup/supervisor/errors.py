"""What the command line refuses, and the exit statuses that it gives of its own."""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

NOT_STORED: Final = 1
"""The command could not store or show its result; of `run`, where the target itself succeeded."""

USAGE: Final = 2
"""Nothing was run: the command line, the settings or the target are wrong."""

BELOW_MINIMUM: Final = 2
"""The target succeeded, but the total is below --fail-under (as coverage.py has it)."""

INCOMPLETE: Final = 3
"""The target succeeded, but under --strict something was unmeasured, unreadable or lost."""


class UsageError(CovsupError):
    """Nothing has been run yet, and nothing will be; the message says what to change."""
