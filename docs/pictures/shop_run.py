"""The shop, measured while it answers requests: what the pictures show.

Must never know: browsers.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.request import urlopen

if TYPE_CHECKING:
    from typing import Final

SHOP: Final = Path(__file__).resolve().parent / "web_shop"
BROWSING: Final = (
    "/",
    "/search?q=tea",
    "/search?q=lamp+paper",
    "/product?number=1",
    "/product?number=2",
    "/cart?items=1x1,6x4",
    "/reports/daily",
    "/nothing",
)
BUYING: Final = (
    "/cart?items=2x1&voucher=WELCOME",
    "/checkout?items=1x1,3x4&card=4242424242424242",
    "/login?name=ada&password=analytical+engine",
)
CRASH: Final = "/checkout?items=6x1&pay=crash"


class ShopRun:
    """`covsup run` of the shop in a directory. Use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        """The result will be in `directory/.coverage`."""
        self.directory = directory
        self._ready = directory / "ready"
        self._port = 0
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until the shop listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)
        os.mkfifo(self._ready)
        # Relative: the pictures show the command, and have no path of this machine.
        command = [sys.executable, "-m", "covsup", "run", "--branch", "--source=shop"]
        command += ["--dynamic-context=request", f"--data-file={self.directory / '.coverage'}"]
        self._supervisor = subprocess.Popen(
            [*command, "launcher.py"],
            cwd=SHOP,
            env={**os.environ, "READY": str(self._ready), "PYTHONPATH": str(SHOP)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._port = int(self._ready.read_text(encoding="utf-8"))
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and wait for the result."""
        if self._supervisor is not None:
            self._supervisor.send_signal(signal.SIGTERM)
            self._supervisor.wait()
        self._ready.unlink(missing_ok=True)

    def ask(self, *paths: str, pause: float = 0.0) -> None:
        """Make requests, with pauses so that they differ in time. A worker may end without an answer."""
        for path in paths:
            with contextlib.suppress(OSError, http.client.HTTPException):
                urlopen(f"http://127.0.0.1:{self._port}{path}").read()
            time.sleep(pause)

    def serve(self) -> subprocess.Popen[str]:
        """Start `covsup serve`. The first line of its output is the URL."""
        command = [sys.executable, "-m", "covsup", "serve", "--port=0"]
        return subprocess.Popen(
            [*command, f"--data-file={self.directory / '.coverage'}"],
            cwd=SHOP,
            stdout=subprocess.PIPE,
            text=True,
        )

    def mark(self, name: str) -> None:
        """Set a mark."""
        command = [sys.executable, "-m", "covsup", "mark", name, "--quiet"]
        subprocess.run([*command, f"--data-file={self.directory / '.coverage'}"], check=True)
