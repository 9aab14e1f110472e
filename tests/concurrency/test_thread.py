"""Threads: each is measured from its first line, and reports what it raises as plainly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session


def test_every_thread_is_measured_from_its_first_line(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import _thread, threading, time
        done = threading.Semaphore(0)
        def first(): done.release()
        def second():
            done.release()
        class Third(threading.Thread):
            def run(self):
                done.release()
        class Fourth:
            def __call__(self, value, *, key):
                assert (value, key) == (1, 2)
                done.release()
        def fifth():
            inner = threading.Thread(target=sixth, daemon=True)
            inner.start()
            inner.join()
        def sixth():
            done.release()
        def seventh():
            done.release()
        _thread.start_new_thread(first, ())
        threading.Thread(target=second).start()
        Third().start()
        _thread.start_new_thread(Fourth(), (1,), {"key": 2})
        threading.Thread(target=fifth).start()
        _thread.start_new(seventh, ())
        for _ in range(6):
            done.acquire()
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert outcome.lines() >= {3, 5, 8, 11, 12, 14, 15, 16, 18, 20}
    assert outcome.first.journal.header.threads_started == 7


RAISING = """
import _thread, os, sys, threading, time
def nothing_special(): 1 / 0
def leaves(): sys.exit(3)
class Callable:
    def __repr__(self): return "<a callable>"
    def __call__(self): raise KeyError("x")
class BadRepr:
    def __repr__(self): raise ValueError
    def __call__(self): raise KeyError("x")
def wait_for_others():
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.01)
def hook(unraisable):
    print(unraisable.exc_type, unraisable.exc_value, unraisable.err_msg, unraisable.object)
for function in nothing_special, leaves, Callable(), BadRepr(), len:
    _thread.start_new_thread(function, ())
    wait_for_others()
sys.unraisablehook = hook
for function in nothing_special, leaves, Callable(), len:
    _thread.start_new_thread(function, ())
    wait_for_others()
thread = threading.Thread(target=nothing_special, name="named")
thread.start()
thread.join()
thread = threading.Thread(target=leaves)
thread.start()
thread.join()
"""


def test_what_a_thread_raises_is_reported_as_plainly(core_session: Session) -> None:
    plain = core_session.run(RAISING, measured=False)
    measured = core_session.run(RAISING)
    hide = re.compile(r"0x[0-9a-f]+")
    assert hide.sub("", measured.stderr) == hide.sub("", plain.stderr)
    assert hide.sub("", measured.stdout) == hide.sub("", plain.stdout)
    assert "nothing_special" in plain.stderr


def test_a_users_tracer_and_profiler_see_the_same_calls(core_session: Session) -> None:
    source = """
        import _posixsubprocess, _thread, importlib, os, sys
        def log(frame, event, argument):
            name = frame.f_code.co_name
            told = argument.__qualname__ if event.startswith("c_") else ""
            seen.setdefault(_thread.get_native_id(), []).append((event, name, told, frame.f_lineno))
            return log
        def body():
            install(log)
            traced()
            install(None)
            lock.release()
        def traced():
            len("")
        seen = {}
        for install in sys.setprofile, sys.settrace:
            lock = _thread.allocate_lock()
            lock.acquire()
            install(log)
            import colorsys
            importlib.import_module("colorsys")
            importlib.import_module("asyncio")
            sys.modules.pop("colorsys")
            importlib.import_module("colorsys")
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
            try:
                os.execv("/none", ["x"])
            except OSError:
                pass
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            _thread.start_new_thread(body, ())
            lock.acquire()
            install(None)
        for thread in seen.values():
            for each in thread:
                print(each)
        """
    core_session.run(source, measured=False)  # leaves the byte code of what it imports
    plain = core_session.run(source, measured=False)
    measured = core_session.run(source)
    assert measured.stdout.splitlines() == plain.stdout.splitlines()
    assert measured.stderr == plain.stderr
    assert plain.status == 0


def test_daemon_threads_do_not_hinder_the_end(core_session: Session) -> None:
    outcome = core_session.run(
        """
        import threading, time
        started = threading.Event()
        def forever():
            started.set()
            while True:
                time.sleep(0.001)
        threading.Thread(target=forever, daemon=True).start()
        started.wait()
        raise SystemExit(8)
        """
    )
    assert (outcome.status, outcome.stderr) == (8, "")
    assert outcome.lines() >= {1, 2, 3, 4, 5, 6, 7, 8, 9}
