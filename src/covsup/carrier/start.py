"""Measures an interpreter that covsup's startup files have not reached.

The carrier (python_start.c) runs this in an initialized Python that is about to run its first line.
It also runs in versions that covsup does not measure, and leaves a note that says so. It does not
change sys.path, and adds only covsup's modules to sys.modules.
"""

import _frozen_importlib
import _frozen_importlib_external
import _imp
import posix
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from types import ModuleType

OLDEST = (3, 11)
"""The oldest version that covsup measures."""


def start(session: str) -> None:
    """Measure this interpreter in the session directory `session`. Never raises."""
    before = set(sys.modules)
    try:  # noqa: SIM105 - contextlib is not imported
        measure(session)
    except Exception:  # noqa: BLE001 - the program must run on
        pass  # the supervisor reports a Python without a journal
    if "os" not in before:
        # With -S not even os was imported. The program shall import these modules itself.
        for name in sys.modules.keys() - before:
            if name.partition(".")[0] != "covsup":
                del sys.modules[name]


def measure(session: str) -> None:
    """Call the bootstrap, or leave a note why this Python cannot be measured."""
    directory = installed_covsup() or __file__.rpartition("/carrier/")[0]
    bootstrap = load_bootstrap(directory)
    if free_threaded():
        why = "covsup does not measure free-threaded Pythons (PEP 703): use a Python with the GIL"
    elif sys.version_info < OLDEST:
        why = f"its Python is {version()}, but covsup measures 3.11 and later"
    elif not has_core(directory):
        why = f"covsup's carrier has no core for Python {version()}: install covsup there"
    else:
        bootstrap.start(session)
        return
    if not bootstrap.is_covsup_command(getattr(sys, "orig_argv", [])):
        from covsup import notes  # it was not findable until now

        notes.write_note(session, why)


def version() -> str:
    """As in "3.13"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{free_threaded()}"


def free_threaded() -> str:
    """The letter that the names of a Python without the GIL have."""
    return "t" if "t" in getattr(sys, "abiflags", "") else ""


def installed_covsup() -> str:
    """The covsup installed for this interpreter, which -S hides; empty if there is none."""
    for base in dict.fromkeys((sys.prefix, sys.exec_prefix)):
        for lib in dict.fromkeys((sys.platlibdir, "lib")):
            directory = f"{base}/{lib}/python{version()}/site-packages/covsup"
            if exists(f"{directory}/bootstrap.py") and has_core(directory):
                return directory
    return ""


def has_core(directory: str) -> bool:
    """Whether the covsup in a directory can measure this version."""
    return any(
        exists(f"{directory}/tracer_c/_tracer{suffix}") for suffix in _imp.extension_suffixes()
    )


def exists(path: str) -> bool:
    """Whether there is such a file. os.path is not imported yet."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def load_bootstrap(directory: str) -> "ModuleType":
    """The module covsup.bootstrap from that directory, which need not be on sys.path."""
    if "covsup" not in sys.modules:
        spec = _frozen_importlib_external.spec_from_file_location(
            "covsup", f"{directory}/__init__.py", submodule_search_locations=[directory]
        )
        vars(_frozen_importlib)["_load"](spec)
    from covsup import bootstrap  # there was no covsup until now

    return bootstrap
