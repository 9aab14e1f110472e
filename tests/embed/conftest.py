"""What the tests of covsup.embed share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.concurrency.by_hand import Session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session directory without a supervisor, default core, line mode."""
    return Session(tmp_path)


@pytest.fixture
def core_session(session: Session, core: str) -> Session:
    """The same under each core that this Python has."""
    session.configure(core=core)
    return session
