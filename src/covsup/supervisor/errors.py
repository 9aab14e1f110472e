"""The error of a command line that cannot be run, and covsup's own exit statuses."""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

NOT_STORED: Final = 1
"""The command could not store or show its result. For `run`: and the target succeeded."""

USAGE: Final = 2
"""Nothing was run: the command line, the settings or the target are wrong."""

BELOW_MINIMUM: Final = 2
"""The target succeeded, but the total is below --fail-under. coverage.py has the same status."""

INCOMPLETE: Final = 3
"""The target succeeded, but under --strict something was unmeasured, unreadable or lost."""


COVERAGE_LOST: Final = 3
"""With `covsup diff --fail-on=lost`: something is no longer covered."""


class UsageError(CovsupError):
    """Nothing was run. The message says what to change."""
