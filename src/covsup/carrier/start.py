"""Measures an interpreter that no startup file of covsup's has reached.

The carrier (python.c) runs this in a Python that is complete and about to run its first line. It
serves versions that covsup does not measure, too, as far as to say so. It adds nothing to sys.path,
and to sys.modules nothing but covsup's own.
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
"""The first version that covsup measures."""


def start(session: str) -> None:
    """Measure this interpreter in the session directory `session`. Never raises."""
    before = set(sys.modules)
    try:  # noqa: SIM105 - contextlib is not imported
        measure(session)
    except Exception:  # noqa: BLE001 - the host program must live
        pass  # the supervisor says that there is a Python without a journal
    if "os" not in before:
        # After -S not even that was there: whoever imports it does so as for the first time.
        for name in sys.modules.keys() - before:
            if name.partition(".")[0] != "covsup":
                del sys.modules[name]


def measure(session: str) -> None:
    """Hand over to the bootstrap, or say why not."""
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
        bootstrap.write_note(session, why)


def version() -> str:
    """As in "3.13"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{free_threaded()}"


def free_threaded() -> str:
    """A letter in the names of what belongs to a Python without the GIL."""
    return "t" if "t" in getattr(sys, "abiflags", "") else ""


def installed_covsup() -> str:
    """The covsup that is installed for this interpreter, which -S hides; "" where there is none."""
    for base in dict.fromkeys((sys.prefix, sys.exec_prefix)):
        for lib in dict.fromkeys((sys.platlibdir, "lib")):
            directory = f"{base}/{lib}/python{version()}/site-packages/covsup"
            if exists(f"{directory}/bootstrap.py") and has_core(directory):
                return directory
    return ""


def has_core(directory: str) -> bool:
    """Whether a covsup can measure this version."""
    return any(
        exists(f"{directory}/tracer_c/_tracer{suffix}") for suffix in _imp.extension_suffixes()
    )


def exists(path: str) -> bool:
    """Whether there is such a file; os.path is not imported."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def load_bootstrap(directory: str) -> "ModuleType":
    """The module covsup.bootstrap, from that directory whatever sys.path says."""
    if "covsup" not in sys.modules:
        spec = _frozen_importlib_external.spec_from_file_location(
            "covsup", f"{directory}/__init__.py", submodule_search_locations=[directory]
        )
        vars(_frozen_importlib)["_load"](spec)
    from covsup import bootstrap  # noqa: PLC0415 - there was no covsup until now

    return bootstrap
