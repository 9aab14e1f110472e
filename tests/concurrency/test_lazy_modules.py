"""Looking at the modules of a program neither loads them nor runs code of theirs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import LibraryUsed, Note

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

KINDS = "process,thread,greenlet,task,request,test_function"

LAZY = """
import importlib.util, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("multiprocessing", "asyncio", "greenlet", "gevent", "ctypes"):
            sys.meta_path.remove(self)
            try:
                spec = importlib.util.find_spec(name)
            finally:
                sys.meta_path.insert(0, self)
            spec.loader = importlib.util.LazyLoader(spec.loader)
            return spec

def kind(module):
    return object.__getattribute__(module, "__class__").__name__

sys.meta_path.insert(0, Finder())
import asyncio, ctypes, gevent, greenlet, json, multiprocessing
modules = (asyncio, ctypes, gevent, greenlet, multiprocessing)
def test_it():
    for module in modules:
        print(kind(module))
test_it()
print(sorted(name for name in sys.modules if name.partition(".")[0] in
    ("_asyncio", "_ctypes", "_greenlet", "asyncio", "ctypes", "gevent", "greenlet", "multiprocessing")))
"""

USED = """
print(greenlet.getcurrent() is not None, asyncio.Queue.__name__)
print(kind(asyncio), kind(greenlet), kind(gevent))
import wave
"""


@pytest.mark.parametrize("kinds", ["", KINDS])
def test_a_lazy_module_stays_lazy_until_the_program_uses_it(
    core_session: Session, core: str, kinds: str
) -> None:
    core_session.configure(core=core, dynamic_context=kinds)
    plain = core_session.run(LAZY, measured=False)
    outcome = core_session.run(LAZY)
    assert plain.stdout.startswith("_LazyModule\n" * 5), plain
    assert (outcome.status, outcome.stdout) == (plain.status, plain.stdout), outcome.stderr
    assert outcome.first.events(Note) == []
    assert outcome.first.events(LibraryUsed) == []


def test_a_lazy_module_is_told_of_once_it_is_loaded(core_session: Session) -> None:
    plain = core_session.run(LAZY + USED, measured=False)
    outcome = core_session.run(LAZY + USED)
    assert (outcome.status, outcome.stdout) == (0, plain.stdout), outcome.stderr
    assert outcome.first.events(Note) == []
    names = {event.name for event in outcome.first.events(LibraryUsed)}
    assert names == {"asyncio", "greenlet"}


UNUSUAL = {
    "a proxy": """
        import sys
        class Proxy:
            def __getattribute__(self, name):
                print("asked for", name)
                raise AttributeError(name)
        sys.modules[__name__] = Proxy()
        """,
    "a class whose attributes are code": """
        import sys, types
        class Module(types.ModuleType):
            def __getattribute__(self, name):
                if name != "__spec__":  # importlib asks for that one at each import
                    print("asked for", name)
                return super().__getattribute__(name)
            @property
            def __dict__(self):
                print("all of it is loaded")
                return {}
        sys.modules[__name__].__class__ = Module
        """,
    "a module with a __getattr__": """
        del __name__
        def __getattr__(name):
            print("asked for", name)
            raise AttributeError(name)
        """,
    "a version that is an object": """
        class Version:
            @property
            def __class__(self):
                print("asked for its class")
                return str
        __version__ = Version()
        """,
    "a module that takes itself away": """
        import sys
        del sys.modules[__name__]
        """,
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_module_that_is_no_usual_one_is_asked_for_nothing(
    core_session: Session, kind: str
) -> None:
    core_session.write("gevent.py", UNUSUAL[kind])
    program = """
        try:
            __import__("gevent")
        except KeyError as error:
            print(repr(error))
        import json, wave
        print("done")
        """
    plain = core_session.run(program, measured=False)
    outcome = core_session.run(program)
    assert (outcome.status, outcome.stdout) == (plain.status, plain.stdout), outcome.stderr
    assert outcome.first.events(Note) == []


@pytest.mark.skipif(sys.version_info < (3, 15), reason="imports are not lazy (PEP 810)")
@pytest.mark.parametrize("flags", [(), ("-X", "lazy_imports=all")])
def test_a_lazy_import_stays_lazy_until_its_name_is_used(
    core_session: Session, flags: tuple[str, ...]
) -> None:
    program = """
        import sys
        lazy import asyncio
        lazy import multiprocessing
        lazy from gevent import spawn
        def code():
            return 1
        code()
        print([name in sys.modules for name in ("asyncio", "multiprocessing", "gevent")])
        print(asyncio.Queue.__name__)
        print([name in sys.modules for name in ("asyncio", "multiprocessing", "gevent")])
        """
    plain = core_session.run(program, measured=False, flags=flags)
    outcome = core_session.run(program, flags=flags)
    assert plain.status == 0, plain.stderr
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, plain.stdout, plain.stderr)
    assert [event.name for event in outcome.first.events(LibraryUsed)] == ["asyncio"]
    assert outcome.lines() >= {7, 8}
