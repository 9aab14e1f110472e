"""The session made by hand in which the functions are called."""

from __future__ import annotations

from tests.concurrency.conftest import session

__all__ = ["session"]
