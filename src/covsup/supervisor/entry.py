"""Where the `covsup` command begins and ends."""

from __future__ import annotations

import os
import signal
import sys

from covsup.supervisor.own_interpreter import undo_settings_of_the_target


def main() -> int:
    """Run the command in sys.argv, and give its exit status."""
    try:
        undo_settings_of_the_target()
        from covsup.supervisor.cli import main as command  # after that

        status = command()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        status = 128 + signal.SIGINT
    if sys.flags.inspect or os.environ.get("PYTHONINSPECT"):
        # Python would become interactive here. It reads both once more when it ends.
        os._exit(status)
    return status
