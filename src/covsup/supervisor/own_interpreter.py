"""covsup's own Python: what was meant for the target's is undone in it.

The target gets PYTHON* variables and the interpreter's options as they are. covsup's own process has
them, too, and here undoes those that would change its work, before anything else is imported.
"""

from __future__ import annotations

import os
import sys

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_initial_sys_path: Final[list[str]] = []


def initial_sys_path() -> list[str]:
    """sys.path as Python made it for this process. The target's differs in its first entry."""
    return _initial_sys_path or sys.path


def undo_settings_of_the_target() -> None:
    """Undo what variables and options of the interpreter changed in this process."""
    if sys.warnoptions or sys.flags.dev_mode:
        # -W error: a warning while a library is imported would end covsup.
        import warnings  # Python has imported it for these options

        warnings.simplefilter("ignore")
    if os.environ.get("PYTHONTRACEMALLOC") or "tracemalloc" in sys._xoptions:  # noqa: SLF001 - its documented name
        import tracemalloc  # only where it runs, and slows covsup

        tracemalloc.stop()
    stdout = sys.stdout
    if stdout is not None and stdout.errors == "strict":
        # PYTHONIOENCODING=ascii: show a file name that it cannot encode, instead of failing.
        stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a text file
    _initial_sys_path[:] = sys.path
    # The working directory and PYTHONPATH may have modules with names of the standard library:
    # search that first.
    own = [path for path in sys.path if _is_standard_library(path)]
    sys.path[:] = own + [path for path in sys.path if path not in own]


def _is_standard_library(path: str) -> bool:
    library = os.path.dirname(os.__file__)  # pathlib is not imported yet
    return path in {library, f"{library}/lib-dynload"}
