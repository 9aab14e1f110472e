"""exec: the next generation goes on in the session, and a failure changes nothing."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.journal.events import AboutToExec, Ended, ExecFailed
from tests.concurrency.by_hand import StartKind

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

WAYS = {
    "execv": "os.execv(sys.executable, [sys.executable, *rest])",
    "execl": "os.execl(sys.executable, sys.executable, *rest)",
    "execve": "os.execve(sys.executable, [sys.executable, *rest], dict(os.environ))",
    "execve, os.environ itself": "os.execve(sys.executable, [sys.executable, *rest], os.environ)",
    "execve, env by keyword": "os.execve(sys.executable, argv=[sys.executable, *rest], env={})",
    "execve, all by keyword": "os.execve(path=sys.executable, env={}, argv=(sys.executable, *rest))",
    "execve, bytes": (
        "os.execve(os.fsencode(sys.executable), [os.fsencode(sys.executable), *rest], {b'A': b'B'})"
    ),
    "execve, a path object": (
        "os.execve(pathlib.Path(sys.executable), [pathlib.Path(sys.executable), *rest], {})"
    ),
    "execve, a mapping of the target's own": (
        "os.execve(sys.executable, [sys.executable, *rest], collections.ChainMap({}, {'A': 'B'}))"
    ),
    "execve, a descriptor": (
        "os.execve(os.open(sys.executable, os.O_RDONLY), [sys.executable, *rest], {})"
    ),
    "execle": "os.execle(sys.executable, sys.executable, *rest, {})",
    "execvp": "os.environ.update(PATH=os.path.dirname(sys.executable)); os.execvp('python', ['python', *rest])",
    "execvpe": "os.execvpe('python', ['python', *rest], {'PATH': '/none:' + os.path.dirname(sys.executable)})",
    "execv, os.environ cleared": "os.environ.clear(); os.execv(sys.executable, [sys.executable, *rest])",
    "in a thread": (
        "threading.Thread(target=os.execve, args=(sys.executable, [sys.executable, *rest], {})).start();"
        " time.sleep(60)"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_next_generation_goes_on_in_the_session(session: Session, way: str) -> None:
    session.write("next.py", "print('next')\nraise SystemExit(9)\n")
    outcome = session.run(
        "import collections, os, pathlib, sys, threading, time\n"
        "rest = ['next.py', 'one', 'two']\n"
        f"{WAYS[way]}\n"
    )
    assert (outcome.status, outcome.stdout) == (9, "next\n"), outcome.stderr
    first, second = outcome.images
    assert first.pid == second.pid
    assert (second.kind, second.generation) == (StartKind.EXECED, 1)
    assert second.parent == first.id
    assert first.lines("target.py") == {1, 2, 3}
    assert second.lines("next.py") == {1, 2}
    assert [event.argv[-3:] for event in first.events(AboutToExec)] == [("next.py", "one", "two")]
    assert first.events(Ended) == []
    assert second.events(Ended)[0].status == 9


def test_a_chain_of_generations_is_counted(session: Session) -> None:
    outcome = session.run(
        """
        import os, sys
        left = int(sys.argv[1])
        if left == 0:
            raise SystemExit(4)
        environment = [{}, os.environ, {"A": "B"}][left % 3]
        os.execve(sys.executable, [sys.executable, sys.argv[0], str(left - 1)], environment)
        """,
        arguments=["20"],
    )
    assert outcome.status == 4, outcome.stderr
    assert [image.generation for image in outcome.images] == list(range(21))
    assert [image.parent for image in outcome.images[1:]] == [
        image.id for image in outcome.images[:-1]
    ]


def test_an_exec_that_fails_is_told_and_changes_nothing(core_session: Session) -> None:
    source = """
        import ctypes, os, subprocess, sys
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_char_p
        given = {"PATH": "/none"}
        open("broken", "w").close()
        for call in (
            lambda: os.execve("broken", ["broken"], given),
            lambda: os.execve("missing", ["missing"], given),
            lambda: os.execvpe("missing", ["missing"], given),
        ):
            try:
                call()
            except OSError as error:
                print(error)
        assert given == {"PATH": "/none"}
        os.environ.clear()
        before = getenv(b"COVSUP_SESSION"), getenv(b"COVSUP_PARENT")
        assert before[0] is None
        try:
            os.execv("broken", ["broken"])
        except OSError as error:
            print(error)
        assert before == (getenv(b"COVSUP_SESSION"), getenv(b"COVSUP_PARENT"))
        raise SystemExit(6)
        """
    plain = core_session.run(source, environment={"COVSUP_SESSION": ""}, measured=False)
    outcome = core_session.run(source)
    assert outcome.status == 6, outcome.stderr
    assert (outcome.stdout, outcome.stderr) == (plain.stdout, plain.stderr)
    image = outcome.first
    assert [event.path for event in image.events(AboutToExec)] == ["broken", "broken"]
    assert [event.errno for event in image.events(ExecFailed)] == [errno.EACCES, errno.EACCES]
    assert image.events(Ended)[0].status == 6


def test_an_empty_session_in_the_given_environment_means_off(session: Session) -> None:
    outcome = session.run(
        """
        import os, sys
        os.execve(sys.executable, [sys.executable, "-c", "print('off')"], {"COVSUP_SESSION": ""})
        """
    )
    assert outcome.stdout == "off\n"
    assert len(outcome.images) == 1


def test_another_session_in_the_given_environment_is_left_alone(session: Session) -> None:
    outcome = session.run(
        """
        import os, sys
        program = "import os; print(sorted((k, v) for k, v in os.environ.items() if 'COVSUP' in k))"
        other = {"COVSUP_SESSION": "/nowhere", "COVSUP_PARENT": "x"}
        os.execve(sys.executable, [sys.executable, "-c", program], other)
        """
    )
    assert outcome.stdout == "[('COVSUP_PARENT', 'x'), ('COVSUP_SESSION', '/nowhere')]\n"
    assert len(outcome.images) == 1


def test_a_mapping_in_python_is_asked_as_often_as_plainly(session: Session) -> None:
    source = """
        import collections.abc, os, sys
        class Environment(collections.abc.Mapping):
            def __init__(self, held): self.held = held
            def __getitem__(self, key): print("get", key, flush=True); return self.held[key]
            def __iter__(self): print("iter", flush=True); return iter(self.held)
            def __len__(self): print("len", flush=True); return len(self.held)
        os.execve(sys.executable, [sys.executable, "-c", "pass"], Environment({"A": "B"}))
        """
    assert session.run(source).stdout == session.run(source, measured=False).stdout
    assert len(session.outcome().images) == 2
