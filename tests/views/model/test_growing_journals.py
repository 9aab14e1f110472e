"""At any moment, a view that reads what is new equals a reading of everything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from covsup.datafile.provenance.derive import provenance_of
from covsup.views.model.session_view import SessionView
from tests.datafile.handmade import HandMade, handmade_session
from tests.views.model.plain_reading import as_viewed, read_plainly

if TYPE_CHECKING:
    from covsup.datafile.session.directory import Session

PATHS = ("/src/a.py", "/src/b.py", "/src/empty.py", "<dynamic-code>\n1\n2\nab\nf\n")
ODD_PATH = "/src/\udcff.py"
LABELS = ("", "one", "two\udcfe")

lines = st.sets(st.integers(1, 70), max_size=6)
arcs = st.sets(
    st.tuples(st.integers(-70, 70), st.integers(-70, 70)).filter(
        lambda arc: 0 not in arc and max(arc) > 0
    ),
    max_size=6,
)
odd_words = st.sampled_from(
    (
        (1 << 60 | 77 << 42 | 5 << 22,),  # of a file that is not defined
        (1 << 60 | 5 << 22 | 99,),  # in a context that is not
        (0x22 << 56, 0x30 << 56 | 1 << 40, 0x30 << 56 | 3),  # beyond the largest line
        (0x30 << 56,),  # without a head
    )
)


@st.composite
def images(draw: st.DrawFn, number: int, branch: bool) -> list[HandMade]:
    """The segments of one image."""
    made = HandMade(
        pid=5_000_000 + number,
        image_id=f"{number:032x}",
        started_ns=10**18 + draw(st.integers(0, 2)),
        branch=branch,
    )
    made.knows("boot", b"another machine").knows("argv", b"python\0x.py")
    segments = [made]
    for _ in range(draw(st.integers(0, 5))):
        path = draw(st.sampled_from((*PATHS, *PATHS, *PATHS, ODD_PATH)))
        label = draw(st.sampled_from(LABELS))
        module = draw(st.sampled_from(("", "m", "m\n1-2")))
        made.ran(path, *draw(lines), context=label, module=module)
        if branch:
            made.went(path, *draw(arcs), context=label)
        made.words += draw(st.sampled_from(((), (), (), ())) | odd_words)
        match draw(st.integers(0, 6)):
            case 0:
                made = made.next_segment()
                segments.append(made)
            case 1:
                made.spawned(draw(st.integers(7, 9)), "python", "y.py", at_ns=10**18 + 5)
            case 2:
                made.reaped(draw(st.integers(7, 9)), 9, at_ns=10**18 + 6)
            case 3:
                made.knows("cwd", draw(st.sampled_from((b"/one", b"/two"))))
            case 4:
                made.ended(0, at_ns=10**18 + 7)
            case _:
                pass
    return segments


def heads(words: list[int]) -> list[int]:
    """Where records begin: the indexes of words that are not part of an earlier one, and the end."""
    return [at for at, word in enumerate(words) if word >> 56 not in {0x30, 0x31}] + [len(words)]


class Growing:
    """A segment of which more and more is written."""

    def __init__(self, made: HandMade) -> None:
        self.made = made
        self.ends = heads(made.words)
        self.written = 0
        self.holes: set[int] = set()

    def write(self, directory: Path, end: int, hole: int | None) -> None:
        """Write the words before `end`, but for a record that begins at `hole`."""
        self.written = max(self.written, end)
        words = self.made.words[: self.written]
        if hole is not None and hole < self.written:
            words[hole] = 0
        whole, self.made.words = self.made.words, words
        path = directory / f"{self.made.pid}-{self.made.image_id}.{self.made.segment}.journal~"
        contents = self.made.to_bytes()
        self.made.words = whole
        if path.exists():
            with path.open("r+b") as file:
                file.write(contents)
        else:
            path.write_bytes(contents)


def check(view: SessionView, session: Session, seen: dict[str, int]) -> None:
    change = view.refresh()
    expected = as_viewed(read_plainly(session))
    viewed = as_viewed(view.result)
    for name in expected._fields:
        assert getattr(viewed, name) == getattr(expected, name), name
    for path, bits in change.lines.items():
        assert bits
        assert not bits & seen.get(path, 0), "a line was reported as new again"
        seen[path] = seen.get(path, 0) | bits
    united: dict[str, int] = {}
    arcs: dict[str, set[bytes]] = {}
    contexts: dict[str, dict[str, int]] = {}
    for (path, label), bits in expected.lines.items():
        if not path.startswith("<dynamic-code>"):
            united[path] = united.get(path, 0) | bits
            contexts.setdefault(path, {})[label] = bits
    for (path, _), found in expected.arcs.items():
        if not path.startswith("<dynamic-code>"):
            pairs = {found[at : at + 8] for at in range(0, len(found), 8)}
            arcs[path] = arcs.get(path, set()) | pairs
    assert {path: view.lines(path) for path in view.paths()} == united
    assert seen == {p: b for p, b in united.items() if b}
    assert {path: view.contexts_of(path) for path in view.paths()} == contexts
    for path, pairs in arcs.items():
        viewed_arcs = view.arcs(path)
        assert viewed_arcs is not None
        assert {viewed_arcs[at : at + 8] for at in range(0, len(viewed_arcs), 8)} == pairs
    counts: dict[str, int] = {}
    for by_image in expected.first.values():
        for (_, image_id), bits in by_image.items():
            counts[image_id] = counts.get(image_id, 0) + bits.bit_count()
    assert {key: count for key, count in view.first_counts.items() if count} == counts
    derived = provenance_of(view.result)
    assert view.provenance.files == derived.files
    assert view.provenance.processes == derived.processes
    assert sum(change.by_image.values()) == sum(
        (bits & _owned(expected.first, path)).bit_count() for path, bits in change.lines.items()
    )


def _owned(first: dict[str, dict[tuple[int, str], int]], path: str) -> int:
    owned = 0
    for bits in first.get(path, {}).values():
        owned |= bits
    return owned


@settings(max_examples=150)
@given(
    data=st.data(),
    branch=st.booleans(),
    label=st.sampled_from(("", "static")),
    forgets=st.booleans(),
)
def test_a_view_of_growing_journals_equals_a_reading_of_all_of_them(
    data: st.DataObject, branch: bool, label: str, forgets: bool
) -> None:
    made = [data.draw(images(number, branch)) for number in range(1, data.draw(st.integers(2, 4)))]
    with tempfile.TemporaryDirectory() as place:
        session = handmade_session(Path(place) / ".coverage", context=label, boot="ours")
        view = SessionView(session.path)
        if forgets:
            view.forget_tables_beyond(0)
        seen: dict[str, int] = {}
        pending = [[Growing(each) for each in segments] for segments in made]
        holes: list[tuple[Growing, int]] = []
        for _ in range(data.draw(st.integers(1, 8))):
            for _ in range(data.draw(st.integers(0, 3))):
                image = data.draw(st.sampled_from(pending))
                if not image:
                    continue
                segment = image[0]
                # The place of a process is in its first words.
                ends = [end for end in segment.ends if end > max(segment.written, 6)]
                end = data.draw(st.sampled_from(ends)) if ends else len(segment.made.words)
                # No process stores a fact before the definitions that it needs.
                inside = [
                    at
                    for at in segment.ends
                    if max(segment.written, 6) <= at < end
                    and segment.made.words[at] >> 48 not in {0x4001, 0x4002}
                ]
                hole = (
                    data.draw(st.sampled_from(inside))
                    if inside and data.draw(st.booleans())
                    else None
                )
                segment.write(session.path, end, hole)
                if hole is not None:
                    holes.append((segment, hole))
                if end == len(segment.made.words):
                    image.pop(0)
            check(view, session, seen)
            while holes and data.draw(st.booleans()):
                segment, _ = holes.pop()
                segment.write(session.path, segment.written, None)
        check(view, session, seen)
