"""The documents name only files that exist, and link only to headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.transparency.expected import KNOWN

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "examples")),
]
TOPS = ("", "src/covsup", "benchmarks", "examples")
"""A path in a document is relative to one of these."""

ELSEWHERE = {
    "/a.py", "pkg/tests/util.py", "sitecustomize.py", "test_options.py", "tests/util.py",
}  # fmt: skip
"""Files of other projects, and of examples."""

CODE_BLOCK = re.compile(r"^(?:```.*?^```$|    .*?$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]*`")
PATH = re.compile(r"`([\w./-]+\.(?:py|c|h))`")
FOLDER = re.compile(r"`((?:tests|src|docs|benchmarks|examples)/[\w./-]*)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(document: Path) -> str:
    return CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(prose(document))
    }


def names(document: Path) -> set[str]:
    text = prose(document)
    return {*PATH.findall(text), *FOLDER.findall(text)} - ELSEWHERE


def exists(name: str) -> bool:
    if any((ROOT / top / name).exists() for top in TOPS):
        return True
    return "/" not in name and any(
        any((ROOT / top).rglob(name)) for top in ("src", "tests", "benchmarks", "examples")
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    assert [name for name in sorted(names(document)) if not exists(name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", prose(document))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        page = document.parent / path if path else document
        if not page.exists() or (anchor and anchor not in anchors(page)):
            broken.append(link)
    assert broken == []


def test_every_known_difference_of_others_tests_has_a_heading() -> None:
    headings = set(HEADING.findall(prose(ROOT / "docs" / "transparency.md")))
    assert {difference.why for difference in KNOWN} - headings == set()
