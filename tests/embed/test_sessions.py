"""embed.init() where the process is measured already, or cannot be: which session, and why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.concurrency.by_hand import Session
    from tests.world import World

TWO = """\
import os, sys
from covsup import embed
def first(): return 1
def second(): return 2
def init(session):
    os.environ["COVSUP_SESSION"] = session
    print(embed.init(), embed.why_not(), sep="|")
one, other = sys.argv[1:]
init(one)
first()
init(other), init(other)
second()
os.symlink(one, "link")
for spelling in one, one + "/", one + "/.", "link", os.path.relpath(one):
    init(spelling)
del os.environ["COVSUP_SESSION"]
print(embed.init(), embed.why_not(), sep="|")
"""


def opened(world: World) -> str:
    run = world.run(world.python, "-m", "covsup", "env", "--shell=json")
    assert run.ended == 0, run
    session: str = json.loads(run.stdout)["COVSUP_SESSION"]
    return session


def test_a_process_stays_in_its_session_and_says_so_in_the_other(world: World) -> None:
    world.write("target.py", TWO)
    one, other = opened(world), opened(world)
    run = world.run(world.python, "target.py", one, other)
    why = f"it is measured into the session {one} already, and cannot change to another one"
    refused = f"False|this process did not join the session {other}: {why}"
    assert run.stdout.splitlines() == ["True|", refused, refused, *["True|"] * 6], run
    assert (run.ended, run.stderr) == (0, "")
    combined = world.run(world.python, "-m", "covsup", "combine", one, "--data-file=one")
    assert (combined.ended, combined.stderr) == (0, ""), combined
    data = coverage.CoverageData(basename=str(world.directory / "one"))
    data.read()
    path = str((world.directory / "target.py").resolve())
    assert {3, 4, 9, 11, 14} <= set(data.lines(path) or ())
    combined = world.run(world.python, "-m", "covsup", "combine", other, "--data-file=other")
    assert combined.stderr.count(why) == 1, combined
    assert "target.py" in combined.stderr, combined


def test_why_nothing_is_measured_is_said(session: Session) -> None:
    program = "from covsup import embed\nprint(embed.init(), embed.why_not(), sep='|')\n"
    outcome = session.run(program, measured=False)
    assert outcome.stdout.startswith("False|COVSUP_SESSION is not set"), outcome
    (session.path / "settings").write_text("format=99\n", encoding="utf-8")
    outcome = session.run(program)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"False|this process did not join the session {session.path}")
    assert "the settings are of format ['99'], not 1" in outcome.stdout, outcome
    outcome = session.run(program, environment={"COVSUP_SESSION": "/nowhere"})
    assert "/nowhere: FileNotFoundError: " in outcome.stdout, outcome


def test_a_session_that_others_may_write_to_gets_no_note(session: Session, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "settings").write_text("format=1\n", encoding="utf-8")
    other.chmod(0o777)
    outcome = session.run(
        """
        import os
        from covsup import embed
        os.environ["COVSUP_SESSION"] = os.path.abspath("other")
        print(embed.init())
        """
    )
    assert (outcome.stdout, outcome.stderr) == ("False\n", "")
    assert [path.name for path in other.iterdir()] == ["settings"]


def test_a_sub_interpreter_belongs_to_the_session_of_its_process(
    session: Session, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    (other / "settings").write_text("format=1\nsource_dir=/nowhere\n", encoding="utf-8")
    session.write("inner.py", "ran = 1\n")
    outcome = session.run(
        """
        import os
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        os.environ["COVSUP_SESSION"] = os.path.abspath("other")
        interpreter = interpreters.create()
        interpreters.run_string(interpreter, "import sys; sys.path[:0] = ['']; import inner")
        interpreters.destroy(interpreter)
        """
    )
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.lines("inner.py") == {1}
    assert [path.name for path in other.iterdir()] == ["settings"]


def test_a_process_that_has_imported_all_of_covsup_may_join_late(world: World) -> None:
    world.write(
        "target.py",
        "import os, sys\n"
        "import covsup.concurrency.registry, covsup.bootstrap\n"
        "from covsup import embed\n"
        "os.environ['COVSUP_SESSION'] = sys.argv[1]\n"
        "print(embed.init(), embed.why_not(), embed.active())\n"
        "late = 1\n",
    )
    session = opened(world)
    run = world.run(world.python, "target.py", session)
    assert (run.stdout, run.stderr, run.ended) == ("True  True\n", "", 0)
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert (combined.ended, combined.stderr) == (0, ""), combined
    assert {5, 6} <= combined.lines("target.py")


def test_a_start_that_fails_late_raises_nothing_in_the_program(world: World) -> None:
    world.write(
        "target.py",
        "import os, sys\n"
        "import covsup.concurrency.registry as registry\n"
        "from covsup import embed\n"
        "def install(_):\n"
        "    raise ValueError('as a test')\n"
        "registry.install = install\n"
        "os.environ['COVSUP_SESSION'] = sys.argv[1]\n"
        "embed.init()\n",
    )
    run = world.run(world.python, "target.py", opened(world))
    assert (run.stdout, run.stderr, run.ended) == ("", "", 0)
    combined = world.run(world.python, "-m", "covsup", "combine")
    assert "was not measured" in combined.stderr
    assert "as a test" in combined.stderr
