"""Who executed how many lines of which file, kept up to date file by file."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from covsup.datafile.provenance.derive import Shares, shares_of_file

if TYPE_CHECKING:
    from covsup.datafile.provenance.model import FileShare
    from covsup.views.model.known_facts import KnownFacts


class KnownShares:
    """The shares of all images. There may be hundreds of thousands, of which few change."""

    def __init__(self) -> None:
        """Begin without any."""
        self._by_path: dict[str, tuple[FileShare, ...]] = {}
        self._unique: defaultdict[str, int] = defaultdict(int)

    def of(self, facts: KnownFacts) -> Shares:
        """The shares in `facts`, as they are now."""
        for path in facts.paths_with_new_shares:
            for share in self._by_path.get(path, ()):
                self._unique[share.image_id] -= share.alone
            new = tuple(shares_of_file(path, facts.first.get(path, {}), facts.shared.get(path, 0)))
            for share in new:
                self._unique[share.image_id] += share.alone
            self._by_path[path] = new
        facts.paths_with_new_shares = set()
        return Shares(
            tuple(chain.from_iterable(of_path for _, of_path in sorted(self._by_path.items()))),
            self._unique,
        )
