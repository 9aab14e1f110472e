"""Builds of covsup's C with sanitizers or with counters of coverage, and what runs with them."""

import ctypes

SANITIZED = hasattr(ctypes.CDLL(None), "__asan_init")
"""Whether these tests run under `make sanitize`."""

NO_LIMIT = "AddressSanitizer needs terabytes of address space, and larger stack frames"
"""Why a test that allows little of one is skipped there."""
