"""Files of other users: whatever they are replaced by, reading them neither waits nor follows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.session import text_files
from covsup.datafile.session.mark_file import MarkFile
from covsup.datafile.session.text_files import read_text_of_others

if TYPE_CHECKING:
    from pathlib import Path


def test_a_text_is_read_with_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\xff")
    assert read_text_of_others(tmp_path / "file") == "a\udcff"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    with pytest.raises(ValueError, match="not a regular file"):
        read_text_of_others(tmp_path / "file")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "file").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        read_text_of_others(tmp_path / "file")


def test_a_directory_and_a_large_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((OSError, ValueError)):
        read_text_of_others(tmp_path)
    monkeypatch.setattr(text_files, "_LARGEST", 3)
    (tmp_path / "file").write_text("four")
    with pytest.raises(ValueError, match="more than"):
        read_text_of_others(tmp_path / "file")


def test_a_mark_with_half_a_tail_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    path.write_text("format=1\nname=n\nat_ns=5\nsees=all\ntail=5 5\n")
    with pytest.raises(ValueError, match="it has an impossible tail: 5 5"):
        MarkFile.of_file(path)
