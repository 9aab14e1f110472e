"""No function of the extensions leaves something behind each time that it is called."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.instrumented import SANITIZED
from tests.leaks.counted import leaks

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

CALLS = Path(__file__).with_name("calls.py")


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
def test_no_function_leaks_and_every_function_has_an_entry(
    session: Session, core: str, *, branch: bool
) -> None:
    session.configure(
        core=core, branch=branch, dynamic_context="thread,test_function", omit=f"{CALLS.parent}/*"
    )
    outcome = session.run(f"import runpy; runpy.run_path({str(CALLS)!r}, run_name='__main__')")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("\n", "", 0)


KEPT: list[object] = []
DESCRIPTORS: list[int] = []
OBJECT = object()
DIRECTORY = os.fsencode(Path(__file__).parent)


def keep_a_reference() -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(OBJECT))


def keep_an_object() -> None:
    KEPT.append(object())


def keep_memory() -> None:
    ctypes.CDLL(None).malloc(1000)  # much, because what pytest frees meanwhile is counted, too


def keep_a_descriptor() -> None:
    DESCRIPTORS.append(os.dup(2))


PLANTED = {
    "references": keep_a_reference,
    "blocks of Python's allocator": keep_an_object,
    "bytes of malloc()": keep_memory,
    "descriptors": keep_a_descriptor,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_leak_of_each_kind_is_found(kind: str) -> None:
    if SANITIZED and kind in {"blocks of Python's allocator", "bytes of malloc()"}:
        pytest.skip("AddressSanitizer's allocator counts neither")
    found = leaks(PLANTED[kind], 100, (OBJECT,), attempts=5)
    while DESCRIPTORS:
        os.close(DESCRIPTORS.pop())
    assert kind in found, found
