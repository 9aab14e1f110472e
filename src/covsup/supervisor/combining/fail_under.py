"""A total beside the minimum that it misses, with as many digits as tell the two apart."""

from __future__ import annotations

from coverage.results import display_covered


def total_and_minimum(total: float, minimum: float, precision: int) -> tuple[str, str]:
    """Both as text. `precision` is the number of digits in reports; the minimum may have more."""
    digits = max(precision, len(f"{minimum:.10f}".rstrip("0").partition(".")[2]))
    shown = display_covered(total, digits) if minimum == 100 else f"{total:.{digits}f}"
    while float(shown) >= minimum and digits < 10:
        # An older coverage.py compares without the digits of the minimum.
        digits += 1
        shown = f"{total:.{digits}f}"
    return shown, f"{minimum:.{digits}f}"
