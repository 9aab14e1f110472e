"""The import hook: tells once, adds nothing that can be seen, and hinders nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import LibraryUsed, Note

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session


def used(session: Session, source: str) -> list[str]:
    outcome = session.run(source)
    assert outcome.status == 0, outcome.stderr
    assert outcome.first.events(Note) == []
    return [event.name for event in outcome.first.events(LibraryUsed)]


@pytest.mark.parametrize(
    "statement",
    [
        "import asyncio",
        "import asyncio.events",
        "from asyncio import Queue",
        "import importlib; importlib.import_module('asyncio')",
        "__import__('asyncio.locks')",
        (
            "import asyncio, sys; import asyncio\n"
            "for name in [name for name in sys.modules if name.startswith('asyncio')]:\n"
            "    del sys.modules[name]\n"
            "import asyncio"
        ),
        "exec('import asyncio')",
        (
            "import threading\n"
            "many = [threading.Thread(target=__import__, args=('asyncio',)) for _ in 'abc']\n"
            "for each in many: each.start()\n"
            "for each in many: each.join()"
        ),
    ],
)
def test_a_library_is_told_of_once(session: Session, statement: str) -> None:
    assert used(session, f"{statement}\n") == ["asyncio"]


def test_no_library_is_told_of_that_was_not_imported(session: Session) -> None:
    assert used(session, "import json, subprocess, threading, concurrent.futures\n") == []


def test_a_library_that_cannot_be_imported_is_not_told_of(session: Session) -> None:
    session.write("gevent.py", "raise ImportError('not today')\n")
    session.write(
        "eventlet.py",
        "import eventlet\nimport importlib\nimportlib.import_module('eventlet')\n1 / 0\n",
    )
    names = used(
        session,
        """
        for name in "gevent", "eventlet":
            try:
                __import__(name)
            except Exception as error:
                print(error)
        """,
    )
    assert names == []


def test_a_library_in_an_import_cycle_is_told_of_when_it_is_whole(session: Session) -> None:
    session.write("gevent.py", "import other\n__version__ = '7'\n")
    session.write("other.py", "import importlib, gevent\nimportlib.import_module('gevent')\n")
    outcome = session.run("import gevent\n")
    assert [(event.name, event.version) for event in outcome.first.events(LibraryUsed)] == [
        ("gevent", "7")
    ]


def test_what_a_failing_import_shows_is_what_it_shows_plainly(core_session: Session) -> None:
    core_session.write("broken.py", "def inner():\n    1 / 0\ninner()\n")
    core_session.write("syntax.py", "def :\n")
    source = """
        import importlib, traceback
        for call in (
            lambda: __import__("broken"),
            lambda: importlib.import_module("broken"),
            lambda: importlib.import_module("syntax"),
            lambda: importlib.import_module("missing.below"),
            lambda: importlib.import_module(".below", "missing"),
            lambda: importlib.import_module(""),
            lambda: importlib.import_module(3),
            lambda: importlib._bootstrap._find_and_load(),
            lambda: importlib._bootstrap._find_and_load("os.missing", importlib._bootstrap._gcd_import),
            lambda: importlib._bootstrap._find_and_load(name="os", import_=None),
        ):
            try:
                print(call())
            except Exception:
                traceback.print_exc()
        """
    plain = core_session.run(source, measured=False)
    measured = core_session.run(source)
    assert (measured.stdout, measured.stderr) == (plain.stdout, plain.stderr)
    assert plain.status == 0


def test_adapters_load_whatever_the_target_did_to_the_search_path(session: Session) -> None:
    names = used(
        session,
        """
        import sys, types
        class Finder:
            def find_spec(name, path, target=None):
                if name == "gevent":
                    return types.SimpleNamespace(
                        name=name, loader=Finder, submodule_search_locations=None, origin=None,
                        has_location=False, cached=None, parent="", loader_state=None,
                    )
            def create_module(spec): return None
            def exec_module(module): pass
        sys.meta_path[:] = [Finder]
        sys.path[:] = []
        sys.path_hooks[:] = []
        import gevent
        """,
    )
    assert names == ["gevent"]


def test_the_targets_finders_never_hear_of_covsup(session: Session) -> None:
    outcome = session.run(
        """
        import sys
        class Finder:
            def find_spec(name, path, target=None):
                print(name)
        sys.meta_path.insert(0, Finder)
        import builtins
        original = builtins.__import__
        def imports(name, *rest):
            print(name)
            return original(name, *rest)
        builtins.__import__ = imports
        import asyncio, greenlet
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert "covsup" not in outcome.stdout
    assert "asyncio" in outcome.stdout


def test_a_fresh_copy_of_a_patched_module_is_patched_too(session: Session) -> None:
    outcome = session.run(
        """
        import subprocess, sys, _posixsubprocess
        del sys.modules["_posixsubprocess"], sys.modules["subprocess"]
        import subprocess, _posixsubprocess as fresh
        assert fresh.fork_exec is not _posixsubprocess.fork_exec
        subprocess.run([sys.executable, "-c", "pass"], env={})
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.images) == 2


def test_a_signal_handler_runs_unhindered_while_an_adapter_is_armed(session: Session) -> None:
    outcome = session.run(
        """
        import os, signal
        def handler(number, frame):
            handled.append(number)
        handled = []
        signal.signal(signal.SIGUSR1, handler)
        os.kill(os.getpid(), signal.SIGUSR1)
        import asyncio
        os.kill(os.getpid(), signal.SIGUSR1)
        assert handled == [signal.SIGUSR1] * 2
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
        """
    )
    assert outcome.status == 0, outcome.stderr
