"""A process that analyses sources and splits them into tokens, so that the viewer does not wait.

It reads one JSON object per line from its standard input and answers with one each. It ends with its
input: when the viewer closes it, or has died in any way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from covsup.views.sources.analysis_text import to_text
from covsup.views.sources.highlight import decoded, highlighted_text
from covsup.views.sources.reporters import (
    Reporters,
    SourceSettingsUnusable,
    SourceUnavailable,
    read_source_bytes,
)

if TYPE_CHECKING:
    from typing import Any, Final

_NICENESS: Final = 10


def main(config_file: str | bool) -> None:
    """Answer until the input ends. `config_file` is coverage.py's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the viewer, which ends this
    with suppress(OSError):
        os.nice(_NICENESS)
    # A plugin of coverage.py may print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)
    reporters: Reporters | None = None
    for line in sys.stdin.buffer:
        job = json.loads(line)
        try:
            if job["highlight"]:
                answer = _highlighted(job["path"], job["plugin"])
            else:
                if reporters is None:
                    reporters = Reporters(config_file)
                answer = {"analysis": to_text(reporters.analyse(job["path"], job["plugin"]))}
        except (SourceUnavailable, SourceSettingsUnusable) as error:
            answer = {"problem": str(error)}
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:  # the viewer has died
            os._exit(0)


def _highlighted(path: str, plugin: str) -> dict[str, Any]:
    source = read_source_bytes(path)
    text = "" if source is None else decoded(source)
    return {"lines": highlighted_text(path, text, plugin).lines}
