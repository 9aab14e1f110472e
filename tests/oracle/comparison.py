"""Two `coverage json` reports of the same program, held against each other."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from tests.world import FileReport

if TYPE_CHECKING:
    from collections.abc import Mapping


def differences(oracle: FileReport, ours: FileReport) -> list[str]:
    """Say what only one of the two has, set by set; nothing if they are the same."""
    found = []
    for field in fields(FileReport):
        expected, got = getattr(oracle, field.name), getattr(ours, field.name)
        if expected - got:
            found.append(f"{field.name}: only the oracle has {sorted(expected - got)}")
        if got - expected:
            found.append(f"{field.name}: only covsup has {sorted(got - expected)}")
    return found


def all_differences(
    oracle: Mapping[str, FileReport], ours: Mapping[str, FileReport]
) -> dict[str, list[str]]:
    """Hold two whole reports against each other, file by file."""
    found = {}
    for name in sorted(oracle.keys() | ours.keys()):
        if name not in ours or name not in oracle:
            found[name] = [f"only {'the oracle' if name in oracle else 'covsup'} has the file"]
        elif different := differences(oracle[name], ours[name]):
            found[name] = different
    return found
