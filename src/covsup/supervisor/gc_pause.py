"""Without the search for cycles, where much is made that has none: modules, and values."""

from __future__ import annotations

import gc
from contextlib import contextmanager

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Have none for a while; by threads at a time, it may begin again before the last is done."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
