"""What the tests of the page share: one browser for all tests of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.views.web.browser import Browser


class _Browsers:
    """The Chromium of one worker. One that does not answer any more is replaced."""

    def __init__(self) -> None:
        self._running: Browser | None = None

    def one(self) -> Browser:
        from tests.views.web.browser import Browser

        if self._running is not None and not self._running.answers():
            self._running.kill()
            self._running = None
        if self._running is None:
            self._running = Browser()
        return self._running

    def close(self) -> None:
        if self._running is not None:
            self._running.close()


@pytest.fixture(scope="session")
def _browsers() -> Iterator[_Browsers]:
    browsers = _Browsers()
    yield browsers
    browsers.close()


@pytest.fixture
def browser(_browsers: _Browsers) -> Browser:
    """A Chromium. Tests that need it are skipped where there is none."""
    from tests.views.web.browser import CHROMEDRIVER, CHROMIUM, WHY_SKIPPED

    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip(WHY_SKIPPED)
    return _browsers.one()
