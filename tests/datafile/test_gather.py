"""Images taken in one by one are the union of what their journals say, told as plainly as can be."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covsup.datafile.fold.fold import MixedMeasurement, fold
from covsup.datafile.fold.gather import ImageFold, image_result
from covsup.datafile.fold.result import Kind, Result, Version
from covsup.datafile.fold.sets import LARGEST_LINE, arc_set_of, line_set_of
from covsup.datafile.journal import reader
from covsup.datafile.journal.reader import Journal, read_journal
from tests.datafile.handmade import HandMade
from tests.journal import reference

if TYPE_CHECKING:
    import random

PATHS = ("/src/a.py", "/src/b.py", "/src/\udcff.py", "/src/empty.py")
LABELS = ("", "one", "two\udcfe")

lines = st.sets(st.integers(0, 70) | st.just(LARGEST_LINE + 1), max_size=8)
arcs = st.sets(st.tuples(st.integers(-70, 70), st.integers(-70, 70)), max_size=8)
odd_words = st.sampled_from(
    (
        (1 << 60 | 77 << 42 | 5 << 22,),  # of a file that is not defined
        (1 << 60 | 5 << 22 | 99,),  # in a context that is not
        (0x22 << 56, 0x30 << 56 | 1 << 40, 0x30 << 56 | 3),  # beyond the largest line
        (0x20 << 56,),
        (0,),
    )
)


@st.composite
def images(draw: st.DrawFn, branch: st.SearchStrategy[bool]) -> list[HandMade]:
    """One look at an image: the segments of its journal. Images come again, and at one time."""
    made = HandMade(
        image_id=f"{draw(st.integers(1, 4)):032x}",
        started_ns=10**18 + draw(st.integers(0, 2)),
        branch=draw(branch),
    )
    segments = [made]
    for _ in range(draw(st.integers(0, 4))):
        path, label = draw(st.sampled_from(PATHS)), draw(st.sampled_from(LABELS))
        module = draw(st.sampled_from(("", "m", "n", "m\n1-2", "\n1-2", "\n3-4")))
        made.ran(path, *draw(lines), context=label, module=module)
        made.went(path, *draw(arcs), context=label)
        made.words += draw(st.sampled_from(((), ())) | odd_words)
        if draw(st.integers(0, 3)) == 0:
            made = made.next_segment()
            segments.append(made)
    return segments


some = st.booleans().flatmap(lambda branch: st.lists(images(st.just(branch)), max_size=6))


def read(segments: list[HandMade]) -> list[Journal]:
    with tempfile.TemporaryDirectory() as directory:
        return [read_journal(each.write(Path(directory))) for each in segments]


class Told:
    """The union, as sets of single facts."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], set[int]] = {}
        self.arcs: dict[tuple[str, str], set[tuple[int, int]]] = {}
        self.modules: defaultdict[str, set[str]] = defaultdict(set)
        self.versions: defaultdict[str, set[Version]] = defaultdict(set)
        self.owners: defaultdict[tuple[str, int], set[tuple[int, str]]] = defaultdict(set)

    def _names(self, said: list[reference.Said]) -> tuple[dict[int, str], dict[int, str]]:
        """The paths and the labels that an image defines."""
        paths: dict[int, str] = {}
        labels = {0: "static"}
        for each in said:
            for number, (path, module) in each.files.items():
                try:
                    paths[number] = path.decode()
                except UnicodeDecodeError:
                    continue
                name, _, stamp = module.decode().partition("\n")
                if name:
                    self.modules[paths[number]].add(name)
                if stamp:
                    self.versions[paths[number]].add(Version(stamp))
            for number, label in each.contexts.items():
                text = label.decode("utf-8", "surrogateescape")
                text = text.encode("utf-8", "backslashreplace").decode()
                labels[number] = f"static|{text}" if text else "static"
        return paths, labels

    def add(self, segments: list[HandMade]) -> None:
        image = segments[0]
        said = [reference.read(each.words, "little") for each in segments]
        paths, labels = self._names(said)
        told = set()
        for each in said:
            for (file, context), numbers in each.lines.items():
                good = {number for number in numbers if 0 < number <= LARGEST_LINE}
                if file in paths and numbers - {LARGEST_LINE + 1}:
                    key = (paths[file], labels.get(context, "static"))
                    told.add(paths[file])
                    self.lines.setdefault(key, set()).update(good)
                    self._own(image, paths[file], good)
            for (file, context), pairs in each.arcs.items():
                good_pairs = {pair for pair in pairs if max(map(abs, pair)) <= LARGEST_LINE}
                if file in paths and good_pairs:
                    key = (paths[file], labels.get(context, "static"))
                    told.add(paths[file])
                    ends = {end for pair in good_pairs for end in pair if end > 0}
                    self._own(image, paths[file], ends)
                    if image.branch:
                        self.arcs.setdefault(key, set()).update(good_pairs)
                    else:
                        self.lines.setdefault(key, set()).update(ends)
        for path in set(paths.values()) - told:
            self.lines.setdefault((path, "static"), set())

    def _own(self, image: HandMade, path: str, numbers: set[int]) -> None:
        for number in numbers:
            self.owners[path, number].add((image.started_ns, image.image_id))

    def check(self, result: Result) -> None:
        assert result.lines == {key: line_set_of(numbers) for key, numbers in self.lines.items()}
        assert result.arcs == {key: arc_set_of(pairs) for key, pairs in self.arcs.items()}
        assert result.modules == self.modules
        assert result.versions == self.versions
        first: dict[str, dict[tuple[int, str], set[int]]] = {}
        shared: dict[str, set[int]] = {}
        for (path, number), owners in self.owners.items():
            first.setdefault(path, {}).setdefault(min(owners), set()).add(number)
            if len(owners) > 1:
                shared.setdefault(path, set()).add(number)
        assert result.shared == {path: line_set_of(numbers) for path, numbers in shared.items()}
        assert result.first == {
            path: {owner: line_set_of(numbers) for owner, numbers in of_path.items()}
            for path, of_path in first.items()
        }


def gathered(looks: list[list[HandMade]]) -> Result:
    image_fold = ImageFold()
    for segments in looks:
        image_fold.add(read(segments), session="s", static_context="static")
    return image_fold.result()


@settings(max_examples=60)
@given(some)
def test_a_gathering_is_the_union_of_single_facts(looks: list[list[HandMade]]) -> None:
    told = Told()
    for segments in looks:
        told.add(segments)
    told.check(gathered(looks))


@settings(max_examples=40)
@given(some, st.randoms(use_true_random=False))
def test_a_gathering_is_the_fold_of_its_images_in_any_order(
    looks: list[list[HandMade]], chance: random.Random
) -> None:
    shuffled = list(looks)
    chance.shuffle(shuffled)
    each = [image_result(read(one), session="s", static_context="static") for one in shuffled]
    assert gathered(looks) == fold(each)
    oldest_first = sorted(looks, key=lambda one: one[0].started_ns)
    assert gathered(oldest_first) == fold(each)


@settings(max_examples=20)
@given(images(st.just(True)), images(st.just(False)))
def test_a_gathering_refuses_lines_beside_branches_and_is_unchanged(
    branches: list[HandMade], plain: list[HandMade]
) -> None:
    image_fold = ImageFold()
    image_fold.add(read(branches))
    before = image_fold.result()
    if before.kind is Kind.ARCS and image_result(read(plain)).kind is Kind.LINES:
        with pytest.raises(MixedMeasurement):
            image_fold.add(read(plain))
        assert image_fold.result() == before


def test_what_a_gathering_has_given_is_not_changed_by_what_comes_after() -> None:
    image_fold = ImageFold()
    image_fold.add(read([HandMade(branch=True).ran("/a.py", 1).went("/a.py", (1, 2))]))
    before = image_fold.result()
    again = fold([before])
    image_fold.add(read([HandMade(branch=True).ran("/a.py", 3).went("/a.py", (-1, 9))]))
    assert before == again
    assert image_fold.images == 2


def test_facts_that_would_cost_too_much_are_told_and_the_journal_is_not_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "MEMORY_LIMIT", 4096)
    made = HandMade().ran("/a.py", *range(1, 1 << 20, 1 << 14))
    (problem,) = ImageFold().add(read([made]))
    assert "facts are left out: they would need more than 4096 bytes" in problem.what
    assert problem.unused
