"""Send requests until every worker has answered, and check the answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Collection

TIMEOUT = 20.0
"""The maximum of seconds for one request."""


def ask(port: int, path: str) -> object:
    # Each request has its own connection, so that any worker may accept it.
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=TIMEOUT) as response:
        return json.load(response)


def drive(port: int, workers: Collection[int], *, most: int = 2000) -> int:
    """Send requests until each worker has answered one; return the number of requests.

    Raises RuntimeError if an answer is wrong, or if a worker does not answer within ``most`` requests.
    """
    silent = set(workers)
    asked = 0
    while silent:
        if asked == most:
            raise RuntimeError(f"workers {sorted(silent)} never answered")
        asked += 1
        if ask(port, "squares/6") != [0, 1, 4, 9, 16, 25]:
            raise RuntimeError("the server cannot square")
        silent.discard(int(str(ask(port, "who"))))
    try:
        ask(port, "nowhere")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        error.close()
    else:
        raise RuntimeError("the server found something at /nowhere")
    return asked
