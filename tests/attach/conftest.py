"""What the tests of attaching share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World


@pytest.fixture
def lines(world: World) -> Callable[[str], set[int]]:
    """The lines of a file in the world's data file, as it is now."""

    def read(name: str = "target.py") -> set[int]:
        data = coverage.CoverageData(basename=str(world.data_file))
        data.read()
        path = str((world.directory / name).resolve())
        return set(data.lines(path) or ()) if path in data.measured_files() else set()

    return read
