"""The fold is a union: whatever the order, the grouping and the repetitions, the result is one."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covsup.datafile.fold.fold import MixedMeasurement, ResultFold, fold, remapped
from covsup.datafile.fold.gather import image_result, session_result
from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import arc_set_of, line_set_of, lines_in
from covsup.datafile.journal.reader import read_journal
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.marks import Mark, MarkedFacts
from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.settings import Settings
from tests.datafile.handmade import EXECED, FORKED, SPAWNED, HandMade, with_liveness

if TYPE_CHECKING:
    import random

PATHS = ("/src/a.py", "/src/b.py", "/src/c d.py")
IMAGES = tuple(f"{number:032x}" for number in range(1, 5))

lines = st.sets(st.integers(1, 40), max_size=8)
arcs = st.sets(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=8)


def read(journal: HandMade, session: str = "") -> Result:
    with tempfile.TemporaryDirectory() as directory:
        return image_result([read_journal(journal.write(Path(directory)))], session=session)


@st.composite
def results(draw: st.DrawFn, *, branch: bool) -> Result:
    """What one look at one image gives; images come again, as snapshots do, and need not agree."""
    number = draw(st.integers(0, len(IMAGES) - 1))
    made = HandMade(
        image_id=IMAGES[number],
        parent_id=draw(st.sampled_from(("0" * 32, *IMAGES[:number]))),
        pid=100 + draw(st.integers(0, 2)),
        ppid=100 + draw(st.integers(0, 2)),
        started_ns=10**18 + draw(st.integers(0, 3)) * 10**9,
        start_kind=draw(st.sampled_from((SPAWNED, FORKED, EXECED))),
        branch=branch,
        lost=draw(st.sampled_from(((0, 0, 0, 0), (1, 0, 28, 9), (5, 1, 27, 3)))),
        threads=draw(st.integers(0, 3)),
    )
    for path in PATHS:
        context = draw(st.sampled_from(("", "test|run")))
        module = f"pkg.{Path(path).stem}\n{draw(st.integers(1, 2))}-3"
        made.ran(path, *draw(lines), context=context, module=module)
        if branch:
            made.went(path, *draw(arcs), context=context)
    if draw(st.booleans()):
        made.ended(draw(st.integers(0, 3)), at_ns=10**18 + draw(st.integers(0, 5)))
    if draw(st.booleans()):
        made.reaped(100 + draw(st.integers(0, 2)), draw(st.sampled_from((0, 9, 256))))
    if draw(st.booleans()):
        made.about_to_exec("/bin/x", "x", at_ns=10**18 + draw(st.integers(0, 5)))
    if draw(st.booleans()):
        made.knows("argv", draw(st.sampled_from((b"a.py\0-x", b"b.py"))))
    result = read(made, session="s")
    if draw(st.booleans()):
        at_ns = 10**18 + draw(st.integers(0, 9))
        result = with_liveness(result, running=[made.image_id], gone=(), at_ns=at_ns)
    return result


@st.composite
def session_parts(draw: st.DrawFn) -> Result:
    """What one look at one session directory gives."""
    looks = draw(st.integers(0, 3))
    marks = {
        Mark("s", name, 10**18): MarkedFacts(
            {path: line_set_of(draw(lines)) for path in draw(st.sets(st.sampled_from(PATHS)))},
            {path: arc_set_of(draw(arcs)) for path in draw(st.sets(st.sampled_from(PATHS)))},
        )
        for name in draw(st.sets(st.sampled_from("ab")))
    }
    return session_result(
        Settings(session="s", context=draw(st.sampled_from(("", "ci")))),
        notes=[SessionNote(pid=100, time_ns=1, kind="start-failed", why="no room")][:looks],
        observations=[
            Observation(pid=100, create_time=1e9, at_ns=number, python=True)
            for number in range(looks)
        ],
        marks=marks,
    )


def many(*, branch: bool) -> st.SearchStrategy[list[Result]]:
    return st.lists(results(branch=branch) | session_parts(), max_size=7)


either = st.booleans().flatmap(lambda branch: many(branch=branch))


@given(either, st.randoms(use_true_random=False))
def test_the_order_of_a_fold_does_not_matter(parts: list[Result], chance: random.Random) -> None:
    shuffled = list(parts)
    chance.shuffle(shuffled)
    assert fold(shuffled) == fold(parts)


@given(either, st.data())
def test_a_partial_fold_is_a_valid_input_of_another(
    parts: list[Result], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(parts)))) | {0, len(parts)})
    partial = [fold(parts[begin:end]) for begin, end in pairwise(cuts)]
    assert fold(partial) == fold(parts)


@given(either, st.data())
def test_folding_something_again_changes_nothing(parts: list[Result], data: st.DataObject) -> None:
    whole = fold(parts)
    again = data.draw(st.lists(st.sampled_from(parts), max_size=4)) if parts else []
    assert fold([whole, *again, whole]) == whole


@given(either)
def test_an_empty_result_is_neutral(parts: list[Result]) -> None:
    assert fold([Result(), *parts, Result()]) == fold(parts)


@given(either)
def test_renaming_paths_and_folding_may_change_places(parts: list[Result]) -> None:
    def to_one(path: str) -> str:
        return "/there/" + path.rpartition("/")[2].replace("b", "a")

    assert fold(remapped(part, to_one) for part in parts) == remapped(fold(parts), to_one)


@given(either)
def test_what_is_said_of_processes_depends_on_the_union_alone(parts: list[Result]) -> None:
    assert provenance_of(fold(parts)) == provenance_of(fold(reversed(parts)))


@given(either)
def test_a_result_that_was_folded_is_not_changed_by_what_comes_after(parts: list[Result]) -> None:
    folding = ResultFold()
    for part in parts:
        before = folding.result()
        same = fold([before])
        folding.add(part)
        assert before == same


@given(many(branch=False))
def test_first_and_unique_lines_are_those_of_the_sets_they_stand_for(parts: list[Result]) -> None:
    owners: dict[tuple[str, int], set[tuple[int, str]]] = {}
    for part in parts:
        for path, by_owner in part.first.items():
            for owner, bits in by_owner.items():
                for line in lines_in(bits):
                    owners.setdefault((path, line), set()).add(owner)
    whole = fold(parts)
    found = {
        (path, line): (owner, bool(whole.shared.get(path, 0) >> line & 1))
        for path, by_owner in whole.first.items()
        for owner, bits in by_owner.items()
        for line in lines_in(bits)
    }
    assert found == {key: (min(who), len(who) > 1) for key, who in owners.items()}


@given(st.sets(st.integers(0, 5000)))
def test_a_set_of_lines_is_its_bits(numbers: set[int]) -> None:
    assert lines_in(line_set_of(numbers)) == sorted(numbers)


@settings(max_examples=20)
@given(many(branch=True), many(branch=False))
def test_line_data_and_branch_data_are_refused_together_and_nothing_is_changed(
    branches: list[Result], plain: list[Result]
) -> None:
    folding = ResultFold()
    for part in branches:
        folding.add(part)
    before = folding.result()
    for part in plain:
        if part.kind is Kind.LINES and before.kind is Kind.ARCS:
            with pytest.raises(MixedMeasurement):
                folding.add(part)
            assert folding.result() == before
