"""The text of the version of a file that was measured.

The data has a digest of it. The text is looked for in the working tree, in the commit that the change
is relative to, and in the history of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.source_files import digest_of
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.datafile.fold.result import Version
    from covsup.datafile.source_files import SourceText


class Found(NamedTuple):
    """The versions that were measured."""

    texts: tuple[bytes, ...]
    is_complete: bool  # whether these are all of them


def measured_texts(
    versions: Iterable[Version],
    now: SourceText | None,
    earlier: Iterable[bytes],
) -> Found:
    """The texts of these versions.

    `now` is the file of the working tree. `earlier` are texts that may be versions of it, the
    likeliest first. They are read only as long as one is missing.
    """
    missing = set(versions)
    texts: list[bytes] = []
    if now is not None:
        stamp, digest = now.version
        same = {each for each in missing if each.digest == digest or each.stamp == stamp}
        missing -= same
        texts += [now.text] * bool(same)
    missing_digests = {each.digest for each in missing if each.digest}
    is_complete = len(missing_digests) == len({each for each in missing if each.digest}) and all(
        each.digest for each in missing
    )
    sizes = {int(each.stamp.rpartition("-")[2] or 0) for each in missing}
    for text in earlier if missing_digests else ():
        for form in _forms(text):
            if len(form) in sizes and (digest := digest_of(form)) in missing_digests:
                missing_digests.remove(digest)
                texts.append(form)
        if not missing_digests:
            break
    return Found(tuple(texts), is_complete and not missing_digests)


def _forms(text: bytes) -> tuple[bytes, ...]:
    """A text as it is in a repository, and as git may have written it into a working tree."""
    if b"\r" in text or b"\n" not in text:
        return (text,)
    return text, text.replace(b"\n", b"\r\n")
