"""The message with which the reading thread reaches the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from covsup.views.terminal.pictures import Board, LineStory, SourcePicture


class Delivered(Message):
    """A picture is ready."""

    def __init__(self, picture: Board | SourcePicture | LineStory | Exception) -> None:
        """`picture` is the value. An exception ended the thread."""
        super().__init__()
        self.picture = picture
