"""The journals of one process image."""

from __future__ import annotations

import os

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile


class ImageJournals(NamedTuple):
    """The segments of one image, as read, with the files that they are in."""

    journals: list[Journal]
    files: Sequence[JournalFile]  # its own, or those of the image whose slot it borrows
    deletable: list[str]  # paths of `files` to delete when every image in them has ended

    @property
    def image_id(self) -> str:
        """The image, as its journals name it."""
        return self.journals[0].header.image_id

    @property
    def pid(self) -> int:
        """Its pid, in its own pid namespace."""
        return self.journals[0].header.pid

    @property
    def host(self) -> str:
        """The name of the machine that it ran on; "" = not recorded."""
        return self.text_property("host")

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line; () = not recorded."""
        argv = self.text_property("argv")
        return tuple(argv.split("\0")) if argv else ()

    def text_property(self, key: str) -> str:
        """A property that the image recorded of itself; "" = not recorded."""
        found = [value for each in self.journals if (value := each.properties.get(key))]
        # Damaged journals may disagree. Any answer will do, but always the same one.
        return os.fsdecode(min(found, default=b""))


def files_by_image(
    files: Iterable[JournalFile], starts: Mapping[str, int]
) -> list[list[JournalFile]]:
    """The files of each image, oldest image first: in that order they unite the fastest."""
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for file in files:
        images.setdefault((file.image_id, file.pid), []).append(file)
    return sorted(images.values(), key=lambda of_image: starts.get(of_image[0].path, 0))
