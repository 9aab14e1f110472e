"""Where the `covsup` command begins and ends: its own Python, whatever is asked of the target's.

PYTHON* variables and options of the interpreter are the target's, which gets them as they are. covsup's
own process has them, too. What would change its work is undone here, before the rest is imported.
"""

from __future__ import annotations

import os
import signal
import sys

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_initial_sys_path: Final[list[str]] = []
"""sys.path as this process had it first."""


def main() -> int:
    """Run the command of sys.argv."""
    try:
        _undo_settings_meant_for_the_target()
        from covsup.supervisor.cli import main as command  # noqa: PLC0415 - now it is our own

        status = command()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        status = 128 + signal.SIGINT
    if sys.flags.inspect or os.environ.get("PYTHONINSPECT"):
        # Python would ask for a next line here, and look at these once more at its end.
        os._exit(status)
    return status


def initial_sys_path() -> list[str]:
    """sys.path as the target's Python will have it, but for the first entry."""
    return _initial_sys_path or sys.path


def _undo_settings_meant_for_the_target() -> None:
    if sys.warnoptions or sys.flags.dev_mode:
        # -W error: a warning of a library's import would end us.
        import warnings  # noqa: PLC0415 - Python has imported it for these options

        warnings.simplefilter("ignore")
    if os.environ.get("PYTHONTRACEMALLOC") or "tracemalloc" in sys._xoptions:  # noqa: SLF001 - its documented name
        import tracemalloc  # noqa: PLC0415 - it would slow all of covsup

        tracemalloc.stop()
    stdout = sys.stdout
    if stdout is not None and stdout.errors == "strict":
        # PYTHONIOENCODING=ascii: a file name that it lacks is shown, and ends no report.
        stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a text file
    _initial_sys_path[:] = sys.path
    # The working directory and PYTHONPATH may have modules with names of the standard library's.
    own = [path for path in sys.path if _is_standard_library(path)]
    sys.path[:] = own + [path for path in sys.path if path not in own]


def _is_standard_library(path: str) -> bool:
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is not imported yet
    return path in {library, f"{library}/lib-dynload"}
