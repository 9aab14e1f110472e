"""A real terminal: tmux, with a server of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.world import World

PATIENCE = 40.0
_ENDED = "the command has ended with"
_SHELL = f'"$@"; echo "{_ENDED} $?"; exec cat'
"""tmux itself sometimes does not learn the status of a command that has ended."""

needs_tmux = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="tmux is not installed: no real terminal to test in"
)


class Tmux:
    """A terminal of tmux in which one command runs."""

    def __init__(
        self,
        world: World,
        directory: Path,
        *command: str,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # A socket's path may have at most 107 bytes, and the tests may run from a long path.
        self._place = tempfile.TemporaryDirectory(prefix="covsup-tmux-")
        self._socket = str(Path(self._place.name) / "socket")
        (directory / "tmux.conf").write_text("set -g status off\n")
        self._environment = world.environment(environment) | {
            "TERM": "xterm-256color",
            "PYTHONFAULTHANDLER": "1",  # a command that hangs can be asked where
        }
        for name in ("TMUX", "LINES", "COLUMNS"):
            self._environment.pop(name, None)
        self._config = str(directory / "tmux.conf")
        self._tmux(
            "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "-s", "test",
            "-c", str(world.directory), "sh", "-c", _SHELL, "sh", *command,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._tmux("kill-server")
        finally:
            self._place.cleanup()

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", "-t", "test", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-t", "test", "-l", text)

    @property
    def text(self) -> str:
        """The screen, without colours."""
        return self._tmux("capture-pane", "-p", "-t", "test")

    @property
    def coloured(self) -> str:
        """The screen with the terminal's sequences for colours."""
        return self._tmux("capture-pane", "-p", "-e", "-t", "test")

    def until(self, *texts: str) -> str:
        """Wait until all of these are on the screen, and give it."""
        until = time.monotonic() + PATIENCE
        while True:
            screen = self.text
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < until, f"waited in vain for {texts} in\n{screen}"
            time.sleep(0.05)

    def until_true(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something about the screen."""
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, f"waited in vain until {what} in\n{self.text}"
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-t", "test", "-x", str(width), "-y", str(height))

    def status(self) -> int:
        """Wait for the end of the command, and give its exit status."""
        self.until(_ENDED)
        return int(self.text.rpartition(_ENDED)[2].split()[0])

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ("tmux", "-S", self._socket, "-f", self._config, *words),
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
