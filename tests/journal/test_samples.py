"""Journals that earlier writers left: what a reader of today finds in them must never change.

`samples/<version>-...-<n>.journal` are journals of format <version>, of a program that forks,
threads, names a context, execs itself and is killed; `samples/expected.json` is what is in them.
When the format changes, samples of the new one are added and none is taken away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from covsup.datafile._fold import JOURNAL_VERSION
from covsup.datafile.journal.reader import Journal, read_journal

SAMPLES = Path(__file__).parent / "samples"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text())


def what_is_in(journal: Journal) -> dict[str, object]:
    """As JSON has it."""

    def facts(of: dict[tuple[int, int], Any]) -> list[list[object]]:
        return sorted(
            [
                Path(journal.files[file].path).name,
                journal.contexts.get(context, ""),
                [list(each) if isinstance(each, tuple) else each for each in sorted(found)],
            ]
            for (file, context), found in of.items()
        )

    header = journal.header
    return {
        "image": header.image_id,
        "parent": header.parent_image_id,
        "kind": header.start_kind.name,
        "generation": header.generation,
        "branch": header.branch,
        "lines": facts(journal.lines),
        "arcs": facts(journal.arcs),
        "events": [type(event).__name__ for event in journal.events],
        "properties": {key: value.decode() for key, value in sorted(journal.properties.items())},
        "problems": [str(problem) for problem in journal.problems],
    }


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.journal")))
def test_a_journal_of_an_earlier_writer_is_read_as_it_was(name: str) -> None:
    assert what_is_in(read_journal(SAMPLES / name)) == EXPECTED[name]


def test_there_are_samples_of_the_version_that_is_written_now() -> None:
    assert any(name.startswith(f"{JOURNAL_VERSION}-") for name in EXPECTED)
