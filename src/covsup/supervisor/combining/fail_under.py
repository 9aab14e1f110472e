"""Compare a total with --fail-under. Imports coverage.py."""

from __future__ import annotations

import io

from coverage import Coverage
from coverage.exceptions import CoverageException
from coverage.results import display_covered, should_fail_under

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import BELOW_MINIMUM
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from pathlib import Path


def status_of_total(minimum: float, data_file: Path | None, config_file: str | bool) -> int:
    """The exit status: 0, or BELOW_MINIMUM if the total in percent is below `minimum`, as in
    coverage.py's reports, or if there is no total. Prints the reason.
    """
    try:
        measured = Coverage(data_file=data_file and str(data_file), config_file=config_file)
        measured.load()
        total = measured.report(file=io.StringIO())
    except CoverageException as error:
        print_message(f"--fail-under: {error}")
        return BELOW_MINIMUM
    precision = measured.get_option("report:precision")
    digits = precision if isinstance(precision, int) else 0
    if not should_fail_under(total, minimum, digits):
        return 0
    shown, _ = total_and_minimum(total, minimum, digits)
    print_message(f"the total of {shown}% is below --fail-under={minimum:g}")
    return BELOW_MINIMUM


def total_and_minimum(total: float, minimum: float, precision: int) -> tuple[str, str]:
    """A total and the minimum that it misses, as text with enough digits to tell them apart.

    `precision` is the number of digits in reports. The minimum may have more.
    """
    digits = max(precision, len(f"{minimum:.10f}".rstrip("0").partition(".")[2]))
    shown = display_covered(total, digits) if minimum == 100 else f"{total:.{digits}f}"
    while float(shown) >= minimum and digits < 10:
        # An older coverage.py compares without the digits of the minimum.
        digits += 1
        shown = f"{total:.{digits}f}"
    return shown, f"{minimum:.{digits}f}"
