"""The programs, by what they do that makes them hard to measure."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.corpus.row import Row

TABLES: dict[str, list[Row]] = {
    module.name: importlib.import_module(f"{__name__}.{module.name}").ROWS
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
}
