"""What the tests of covsup.embed share: the adapters' sessions, made by hand."""

from __future__ import annotations

from tests.concurrency.conftest import core_session, session

__all__ = ["core_session", "session"]
