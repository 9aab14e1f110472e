"""The adapters' sessions, made by hand, for tests that run one program each."""

from __future__ import annotations

from tests.concurrency.conftest import session

__all__ = ["session"]
