"""An image that may still run: its journals, and what they add to the known facts.

A journal names files and contexts once, by ids. The tables of these ids are made when the image first
writes something, and may be forgotten: then the image's journals are read from their beginning again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile._fold import arc_lines, decode_words
from covsup.datafile.errors import JournalDamaged
from covsup.datafile.fold.gather import Events, image_of, storable_label
from covsup.datafile.fold.result import Kind, Version
from covsup.datafile.fold.sets import LARGEST_LINE
from covsup.datafile.journal.events import decode_text
from covsup.datafile.journal.reader import MEMORY_LIMIT, Journal, split_module
from covsup.hints import NamedTuple
from covsup.views.model.liveness import Birthplace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from covsup.datafile.fold.result import Image, ImageKey
    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.session.directory import Session
    from covsup.datafile.session.settings import Settings
    from covsup.views.model.followed_journal import FollowedJournal, NewWords
    from covsup.views.model.known_facts import KnownFacts

_NO_FACTS: Final = decode_words(b"", False, 2, LARGEST_LINE, MEMORY_LIMIT)


class _Tables:
    """What the ids of an image mean, and which lines it executed."""

    def __init__(self, static_label: str) -> None:
        self.paths: dict[int, str] = {}
        self.labels: dict[int, str] = {0: static_label}
        self.lines: dict[str, LineSet] = {}
        self.with_facts: set[str] = set()

    def __len__(self) -> int:
        """About how much memory they take: the number of entries."""
        return len(self.paths) + len(self.labels) + len(self.lines)


class Described(NamedTuple):
    """What an image's new words say of its process."""

    image: Image
    events: Events


class FollowedImage:
    """The journals of one image."""

    __slots__ = (
        "_tables",
        "_version_texts",
        "file_of",
        "is_odd",
        "journals",
        "last_moved",
        "place",
    )

    def __init__(self, place: Birthplace, file_of: str) -> None:
        """`file_of` is the image in whose files the journals are."""
        self.place = place
        self.file_of = file_of
        self.journals: list[FollowedJournal] = []
        self.is_odd = False
        """Whether it has to be read as a whole, because something in it is damaged."""
        self.last_moved = 0
        self._tables: _Tables | None = None

    @property
    def table_size(self) -> int:
        """How many entries its tables have."""
        return 0 if self._tables is None else len(self._tables)

    def forget_tables(self) -> None:
        """Free the memory of its tables."""
        self._tables = None

    def has_moved(self) -> bool:
        """Whether anything was written since the last look. Raises OSError, JournalError."""
        return any(each.has_moved() for each in self.journals)

    def learn_place(self, settings: Settings) -> None:
        """Set where its process runs, from what it has recorded so far."""
        properties: dict[str, bytes] = {}
        for each in self.journals:
            properties |= each.properties
        self.place = Birthplace.of(self.journals[0].header, self.file_of, properties, settings)

    @property
    def waits_for_word(self) -> bool:
        """Whether a word is missing that its process may still write."""
        return any(each.has_hole for each in self.journals)

    def add_new(self, facts: KnownFacts, session: Session, *, is_final: bool) -> Described:
        """Add what was written since the last look to `facts`, and say what it says of the process.

        Raises OSError and JournalError, also for anything that only a reading of all journals as a
        whole can describe. A part may be in `facts` then.
        """
        tables = self._tables
        if tables is None:
            self._tables = tables = _Tables(storable_label(session.settings.context))
            for each in self.journals:
                each.restart()
        # The last segment first: what its facts need was written before them, in earlier ones.
        found = [each.read_new(is_final=is_final) for each in reversed(self.journals)]
        found.reverse()
        header = self.journals[0].header
        if any(_is_unclear(new) for new in found):
            raise JournalDamaged(f"{self.journals[0].path}: it has to be read as a whole")
        if any(part.facts.files() for new in found for part in new.parts):
            facts.agree_on(Kind.ARCS if header.branch else Kind.LINES)
        for new in found:
            for part in new.parts:
                self._define(tables, part, facts)
        key = (header.start_realtime_ns, header.image_id)
        touched: dict[str, LineSet] = {}
        for new in found:
            for part in new.parts:
                self._add_facts(tables, part, facts, touched)
        self._count(tables, touched, facts, key)
        for each in self.journals:
            for path, plugin in each.claims:
                facts.plugins[path] = facts.plugins.get(path, frozenset()) | {plugin}
        return self._described(tables, session.id)

    def _define(self, tables: _Tables, part: Journal, facts: KnownFacts) -> None:
        static = tables.labels[0]
        for context_id, raw in part.facts.contexts():
            label = storable_label(decode_text(raw))
            if static:
                label = f"{static}|{label}" if label else static
            tables.labels[context_id] = label
        for file_id, raw_path, raw_module in part.facts.files():
            try:
                path = raw_path.decode()
            except UnicodeDecodeError as error:
                raise JournalDamaged("a file's name is not UTF-8") from error
            tables.paths[file_id] = path
            module, stamp = split_module(decode_text(raw_module))
            if module:
                facts.modules[path] = facts.modules.get(path, frozenset()) | {module}
            if stamp:
                facts.versions[path] = facts.versions.get(path, frozenset()) | {Version(stamp)}

    def _add_facts(
        self,
        tables: _Tables,
        part: Journal,
        facts: KnownFacts,
        touched: dict[str, LineSet],
    ) -> None:
        branch = part.header.branch
        for key, bits in part.facts.lines().items():
            path, label = self._named(tables, key)
            tables.with_facts.add(path)
            if lines := bits & ~1:  # no file has a line 0
                facts.add_lines(path, label, lines)
                touched[path] = touched.get(path, 0) | lines
        for key, arcs in part.facts.arcs().items():
            path, label = self._named(tables, key)
            tables.with_facts.add(path)
            ends = arc_lines(arcs)
            if branch:
                facts.add_arcs(path, label, arcs)
            elif ends:
                facts.add_lines(path, label, ends)
            touched[path] = touched.get(path, 0) | ends

    def _named(self, tables: _Tables, key: tuple[int, int]) -> tuple[str, str]:
        """The path and the label of a pair of ids. Raises JournalDamaged if one is not defined.

        A definition is stored before the facts that need it. If it is missing, reading all journals
        as a whole describes that, or finds it: they are read one after another while they grow.
        """
        try:
            return tables.paths[key[0]], tables.labels[key[1]]
        except KeyError as error:
            raise JournalDamaged("a file or a context is not defined") from error

    def _count(
        self, tables: _Tables, touched: dict[str, LineSet], facts: KnownFacts, key: ImageKey
    ) -> None:
        """Add lines to those that the image executed itself, and files without lines."""
        for path, bits in touched.items():
            known = tables.lines.get(path, 0)
            if bits & ~known:
                tables.lines[path] = known | bits
                facts.add_first(path, key, bits & ~known)
        if len(tables.with_facts) < len(tables.paths):
            for path in tables.paths.values():
                if path not in tables.with_facts:
                    facts.add_file(path, tables.labels[0])

    def _described(self, tables: _Tables, session: str) -> Described:
        segments = [
            Journal(
                header=each.header,
                facts=_NO_FACTS,
                events=each.events,
                properties=each.properties,
                claims=set(),
                torn=0,
                problems=[],
            )
            for each in self.journals
        ]
        events = Events(self.place.image_id, segments)
        lines = sum(bits.bit_count() for bits in tables.lines.values())
        return Described(image_of(segments, events, session, lines=lines), events)


def _is_unclear(new: NewWords) -> bool:
    """Whether new words have something that cannot be described part by part."""
    return any(part.problems or part.facts.out_of_range() for part in new.parts)


def properties_of(journals: Iterable[Journal]) -> dict[str, bytes]:
    """The properties in the journals of an image."""
    found: dict[str, bytes] = {}
    for journal in journals:
        found |= journal.properties
    return found
