"""Concurrency libraries: their processes, threads and greenlets are measured without a patch."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import LibraryUsed, Reaped, Spawned
from tests.concurrency.by_hand import Outcome, StartKind

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session


def libraries(outcome: Outcome) -> set[str]:
    return {event.name for image in outcome.images for event in image.events(LibraryUsed)}


MULTIPROCESSING = """
import os, signal, sys, time
from {library} import {names}
def work(value):
    if value % 2:
        return value + 1
    return value
def in_the_child(queue):
    queue.put(work(3))
    queue.put(work(4))
def hangs(connection):
    while True:
        connection.send(work(5))
        time.sleep(0.01)
def main():
    context = {context}
    queue = context.SimpleQueue()
    process = context.Process(target=in_the_child, args=(queue,))
    process.start()
    assert [queue.get(), queue.get()] == [4, 4]
    process.join()
    with context.Pool(2) as pool:
        assert pool.map(work, range(6)) == [0, 2, 2, 4, 4, 6]
    for number in signal.SIGTERM, signal.SIGKILL:
        here, there = context.Pipe()
        process = context.Process(target=hangs, args=(there,))
        process.start()
        assert [here.recv(), here.recv()] == [6, 6]
        os.kill(process.pid, number)
        process.join()
if __name__ == "__main__":
    main()
"""


def multiprocessing_program(library: str, method: str) -> str:
    return MULTIPROCESSING.format(
        library=library, names="get_context", context=f"get_context({method!r})"
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_is_measured_in_every_process(core_session: Session, method: str) -> None:
    outcome = core_session.run(multiprocessing_program("multiprocessing", method))
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.notes == []
    assert outcome.lines() >= {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
    workers = [image for image in outcome.images[1:] if image.lines("target.py") & {4, 11}]
    # One Process, one or two of the Pool's two workers, one ended by each signal.
    assert len(workers) >= 4
    assert len([image for image in workers if 13 in image.lines("target.py")]) == 2
    assert "multiprocessing" in libraries(outcome)


def test_billiard_is_measured_in_every_process(session: Session) -> None:
    pytest.importorskip("billiard")
    session.configure()
    outcome = session.run(multiprocessing_program("billiard", "fork"))
    assert outcome.status == 0, outcome.stderr
    assert outcome.lines() >= set(range(3, 14))
    assert "billiard" in libraries(outcome)


def test_billiard_spawns_into_the_session(session: Session) -> None:
    pytest.importorskip("billiard")
    outcome = session.run(multiprocessing_program("billiard", "spawn"))
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.of_kind(StartKind.SPAWNED)) >= 5
    assert outcome.lines() >= set(range(3, 14))


def test_loky_workers_are_measured(session: Session) -> None:
    pytest.importorskip("loky")
    outcome = session.run(
        """
        from loky import get_reusable_executor
        def work(value):
            import os
            return value + 1, os.getpid()
        if __name__ == "__main__":
            executor = get_reusable_executor(max_workers=2, env={"LOKY": "1"})
            done = list(executor.map(work, range(8)))
            assert [value for value, _ in done] == list(range(1, 9))
            executor.shutdown()
            print(sorted({pid for _, pid in done}))
        """
    )
    assert outcome.status == 0, outcome.stderr
    pids = {int(text) for text in outcome.stdout.strip(" []\n").split(",")}
    workers = [image for image in outcome.images if image.pid in pids]
    assert {image.pid for image in workers} == pids
    assert all(image.parent is not None for image in workers)
    assert "loky" in libraries(outcome)


def test_a_process_pool_executor_is_measured(core_session: Session) -> None:
    outcome = core_session.run(
        """
        from concurrent.futures import ProcessPoolExecutor
        import multiprocessing
        def work(value):
            return value + 1
        if __name__ == "__main__":
            for method in multiprocessing.get_all_start_methods():
                context = multiprocessing.get_context(method)
                with ProcessPoolExecutor(2, mp_context=context) as pool:
                    assert list(pool.map(work, [1, 2])) == [2, 3]
        """
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.lines() >= {1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert sum(4 in image.lines("target.py") for image in outcome.images) >= 3


GREEN_PROCESSES = """
import sys
{patch}
import os
{subprocess}
def child(status):
    for _ in range(2):
        {sleep}
    os._exit(status)
def fork_it():
    pid = os.fork()
    if pid == 0:
        child(5)
    print(os.waitpid(pid, 0)[1])
def spawn_it():
    done = subprocess.run([sys.executable, "child.py"], env={{}})
    print(done.returncode)
def main():
    for function in fork_it, spawn_it:
        {spawn}
main()
"""

GREEN_WAYS = {
    "gevent, patched": {
        "patch": "from gevent import monkey; monkey.patch_all(); import gevent",
        "subprocess": "import subprocess",
        "sleep": "gevent.sleep(0.01)",
        "spawn": "gevent.spawn(function).get()",
    },
    "gevent, patched late": {
        "patch": "import subprocess, os, threading, gevent.monkey; gevent.monkey.patch_all()",
        "subprocess": "import gevent.subprocess as subprocess; import gevent.os",
        "sleep": "gevent.sleep(0.01)",
        "spawn": "gevent.spawn(function).get()",
    },
    "gevent, by its own names": {
        "patch": "import gevent, gevent.os, os; os = gevent.os; os._exit = __import__('os')._exit",
        "subprocess": "import gevent.subprocess as subprocess; os = gevent.os",
        "sleep": "gevent.sleep(0.01)",
        "spawn": "gevent.spawn(function).get()",
    },
    "gevent, in its thread pool": {
        "patch": "import gevent; pool = gevent.get_hub().threadpool",
        "subprocess": "import subprocess, time",
        "sleep": "time.sleep(0.01)",
        "spawn": "pool.spawn(function).get()",
    },
    "eventlet, patched": {
        "patch": "import eventlet; eventlet.monkey_patch()",
        "subprocess": "import subprocess",
        "sleep": "eventlet.sleep(0.01)",
        "spawn": "eventlet.spawn(function).wait()",
    },
    "eventlet, by its own names": {
        "patch": "import eventlet",
        "subprocess": "from eventlet.green import os, subprocess",
        "sleep": "eventlet.sleep(0.01)",
        "spawn": "eventlet.spawn(function).wait()",
    },
    "eventlet, in its thread pool": {
        "patch": "import eventlet, eventlet.tpool",
        "subprocess": "import subprocess, time",
        "sleep": "time.sleep(0.01)",
        "spawn": "eventlet.tpool.execute(function)",
    },
}


@pytest.mark.parametrize("way", GREEN_WAYS)
def test_green_programs_start_processes_in_the_session(core_session: Session, way: str) -> None:
    library = way.partition(",")[0]
    pytest.importorskip("greenlet")
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    core_session.write("child.py", "import os\nraise SystemExit(7)\n")
    program = GREEN_PROCESSES.format(**GREEN_WAYS[way])
    flags = ["-W", "ignore"]  # eventlet says at import that it is deprecated
    plain = core_session.run(program, flags=flags, measured=False)
    outcome = core_session.run(program, flags=flags)
    assert (outcome.status, outcome.stdout) == (plain.status, plain.stdout), outcome.stderr
    assert outcome.stdout.splitlines() == [str(5 << 8), "7"], outcome.stderr
    hide = re.compile(r"0x[0-9a-f]+|\d{12,}")
    assert hide.sub("", outcome.stderr) == hide.sub("", plain.stderr)
    assert outcome.lines() >= set(range(2, 21)) - {6}
    assert outcome.lines("child.py") == {1, 2}
    assert {library, "greenlet"} <= libraries(outcome)


def test_greenlets_of_several_threads_are_measured(core_session: Session) -> None:
    pytest.importorskip("greenlet")
    outcome = core_session.run(
        """
        import greenlet, threading
        def ping(value):
            if value:
                value = main().switch("ping")
            return value or "nothing"
        def main():
            return greenlet.getcurrent().parent
        class Gone(Exception): pass
        def thrown():
            try:
                main().switch()
            except Gone:
                return "caught"
        def body():
            first = greenlet.greenlet(ping)
            assert first.switch(1) == "ping"
            second = greenlet.greenlet(ping)
            assert second.switch(0) == "nothing"
            assert first.switch("end") == "end"
            third = greenlet.greenlet(thrown)
            third.switch()
            assert third.throw(Gone) == "caught"
        threads = [threading.Thread(target=body) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        body()
        """
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.lines() == set(range(1, 29))


def test_asyncio_children_and_threads_are_measured(core_session: Session) -> None:
    core_session.write("child.py", "import os\nraise SystemExit(7)\n")
    outcome = core_session.run(
        """
        import asyncio, sys
        def blocking():
            return 3
        async def main():
            child = await asyncio.create_subprocess_exec(sys.executable, "child.py", env={})
            assert await asyncio.to_thread(blocking) == 3
            assert await child.wait() == 7
        asyncio.run(main())
        """
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.lines() == set(range(1, 9))
    assert outcome.lines("child.py") == {1, 2}
    assert len(outcome.first.events(Spawned)) == 1
    assert [event.status for event in outcome.first.events(Reaped)] == [7 << 8]
