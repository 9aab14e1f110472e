"""constraints.txt names one release for everything that pyproject.toml asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED_FOR = sorted(
    {*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)}
)


def releases_named(name: str, python: str) -> list[str]:
    """The releases that constraints.txt names for a library on one Python."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return [
        specifier.version
        for pin in pins
        if canonicalize_name(pin.name) == name
        and (pin.marker is None or pin.marker.evaluate(environment))
        for specifier in pin.specifier
        if specifier.operator == "=="
    ]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14", "3.15"])
@pytest.mark.parametrize("text", ASKED_FOR)
def test_each_requirement_is_held_to_one_release_that_it_allows(text: str, python: str) -> None:
    requirement = Requirement(text)
    releases = releases_named(canonicalize_name(requirement.name), python)
    assert len(releases) == 1
    assert requirement.specifier.contains(releases[0])
