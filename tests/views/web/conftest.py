"""What the tests of the page share: one browser for all tests of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.views.web.browser import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium. Tests that need it are skipped where there is none."""
    from tests.views.web.browser import CHROMEDRIVER, CHROMIUM, WHY_SKIPPED, Browser

    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip(WHY_SKIPPED)
    started = Browser()
    yield started
    started.close()
