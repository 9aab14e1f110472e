"""Whose session a process takes part in, whose files are read, and what hostile ones can do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage.config import CoverageConfig

from covsup.datafile.session.notes import SessionNote
from tests.concurrency.by_hand import Session, clean_environment
from tests.datafile.handmade import HandMade, handmade_session
from tests.supervisor.watching.test_other_users import AS_USER, USER, let_all_through, needs_reader

if TYPE_CHECKING:
    from tests.world import World

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")

PLUGIN = "import os\nprint('loaded as', os.geteuid())\n"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session(tmp_path)
    made.configure(
        plugin="evil", plugin_path=str(tmp_path), plugin_config=CoverageConfig().serialize()
    )
    made.write("evil.py", PLUGIN)
    return made


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*")} - {"settings"}


@as_root
def test_root_is_not_steered_by_a_session_of_another_users(session: Session) -> None:
    os.chown(session.path, USER, -1)
    outcome = session.run("print(__import__('covsup.embed').embed.active())")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("False\n", "", 0)
    assert left_in(session.path) == set()


def test_a_program_that_opens_its_session_to_all_has_no_snapshot_and_goes_on(
    session: Session,
) -> None:
    session.configure()
    outcome = session.run(
        "import os\n"
        "from covsup import embed\n"
        "os.chmod(os.environ['COVSUP_SESSION'], 0o777)\n"
        "print(embed.snapshot('taken'), os.path.exists('taken'))\n"
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("False False\n", "", 0)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_session_that_others_may_write_to_is_not_joined(session: Session, mode: int) -> None:
    session.path.chmod(mode)
    outcome = session.run("print(__import__('covsup.embed').embed.active())")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("False\n", "", 0)
    assert left_in(session.path) == set()


@as_root
@needs_reader
@pytest.mark.parametrize("owner", ["root", "a third user"])
def test_a_guest_is_measured_and_loads_no_code_but_roots(
    session: Session, tmp_path: Path, owner: str
) -> None:
    let_all_through(tmp_path)
    place = session.path / f"uid-{USER}"
    place.mkdir()
    os.chown(place, USER, -1)
    os.chown(session.path, 0 if owner == "root" else USER + 1, -1)
    session.path.chmod(0o711)
    (session.path / "settings").chmod(0o644)
    session.write("program.py", "print('ran')\n")
    run = subprocess.run(
        [*AS_USER, sys.executable, "program.py"],
        cwd=tmp_path, env={**clean_environment(), "COVSUP_SESSION": str(session.path)},
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    loaded = f"loaded as {USER}\n" if owner == "root" else ""
    assert run.stdout == f"{loaded}ran\n"
    assert any(name.endswith(".journal~") for name in left_in(place))
    said = "".join(note.read_text() for note in place.glob("*.note"))
    assert ("another user's session loads no plugins" in said) == (owner != "root")


@as_root
@needs_reader
@pytest.mark.parametrize("mode", [0o4755, 0o755])
def test_a_program_with_more_rights_than_its_starter_is_not_measured(
    tmp_path: Path, mode: int
) -> None:
    """The same interpreter with root's rights, and without."""
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / Path(sys.executable).name
    shutil.copy(Path(sys.executable).resolve(), python)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment / "pyvenv.cfg")
    (environment / "lib").symlink_to(Path(sys.prefix) / "lib")
    python.chmod(mode)
    if os.statvfs(python).f_flag & os.ST_NOSUID:
        pytest.skip("programs keep their starter's rights on this file system")
    session = Session(tmp_path)
    os.chown(session.path, 0 if mode & stat.S_ISUID else USER, -1)
    let_all_through(tmp_path)
    run = subprocess.run(
        [*AS_USER, python, "-c", "import os, sys; print(os.geteuid(), 'covsup' in sys.modules)"],
        env={**clean_environment(), "COVSUP_SESSION": str(session.path)}, cwd="/",
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    if run.returncode != 0:
        pytest.skip(f"a copy of this interpreter does not run: {run.stderr[-200:]}")
    assert (run.stdout, run.stderr) == (f"{0 if mode & stat.S_ISUID else USER} True\n", "")
    measured = any(name.endswith(".journal~") for name in left_in(session.path))
    assert measured == (mode == 0o755)


def planted(directory: Path, kind: str) -> Path:
    """What somebody put where a journal might be."""
    path = directory / f"77-{'a' * 32}.0.journal~"
    if kind == "link":
        real = HandMade(pid=77, image_id="a" * 32).ran("/planted.py", 1).write(directory.parent)
        path.symlink_to(real)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("no devices can be made here")
    else:
        HandMade(pid=77, image_id="a" * 32).ran("/planted.py", 1).write(directory)
        os.chown(path, USER, -1)
    return path


@pytest.mark.parametrize(
    "kind",
    ["link", "fifo", "directory", pytest.param("device", marks=as_root),
     pytest.param("of another user", marks=as_root)],
)  # fmt: skip
def test_what_was_planted_is_not_folded_and_the_rest_is(world: World, kind: str) -> None:
    session = handmade_session(world.data_file, [HandMade().ran("/mine.py", 1)])
    path = planted(session.path, kind)
    run = world.run(world.python, "-m", "covsup", "combine")
    assert run.lines("/mine.py") == {1}
    assert len(run.data.measured_files()) == 1
    if kind == "of another user":
        assert run.ended == 1
        assert f"{path}: it belongs to user {USER}, who has no part in the session" in run.stderr
        assert path.exists()


@pytest.mark.parametrize(
    "wrong", [pytest.param("owner", marks=as_root), "mode"], ids=["another user's", "others write"]
)
def test_a_session_that_is_not_ones_own_is_neither_combined_nor_shown(
    world: World, wrong: str
) -> None:
    session = handmade_session(world.data_file, [HandMade().ran("/theirs.py", 1)])
    if wrong == "owner":
        os.chown(session.path, USER, -1)
        why = f"belongs to user {USER}, not to you: have that user combine it"
    else:
        session.path.chmod(0o777)
        why = "is writable by other users"
    for command in "combine", "tree", "erase":
        run = world.run(world.python, "-m", "covsup", command)
        assert run.ended == 1, run
        assert why in run.stderr
        assert str(session.path) in run.stderr
    assert not world.data_file.exists()
    assert len(session.journals()) == 1


HOSTILE = "\x1b]0;title\x07\x1b[31m[red]<script>alert(1)</script>\r\n\u202e"


def test_hostile_text_steers_neither_a_terminal_nor_a_page(world: World) -> None:
    measured = world.write(f"{HOSTILE.strip().replace('/', '')}.py", "a = 1\nb = 2\n")
    session = handmade_session(
        world.data_file,
        [
            HandMade()
            .ran(str(measured), 1, context=HOSTILE)
            .ran(f"/none/{HOSTILE}.py", 1)
            .knows("argv", f"python\0{HOSTILE}".encode())
            .knows("host", HOSTILE.encode())
            .knows("cwd", HOSTILE.encode())
            .event(8, HOSTILE.encode())
            .event(250, HOSTILE.encode())
        ],
        command=("covsup", HOSTILE),
    )
    session.leave_note(SessionNote(pid=5, time_ns=1, kind="lost", why=HOSTILE, argv=(HOSTILE,)))
    commands = (
        ("tree", "--all", session.path), ("debug", "journal", session.journals()[0].path),
        ("combine",), ("tree", "--all"), ("report", "-i"),
        ("html", "-i", "--show-contexts", "-d", "pages"),
    )  # fmt: skip
    for words in commands:
        run = world.run(world.python, "-m", "covsup", *map(str, words))
        text = (run.stdout + run.stderr).replace("\n", "")
        assert "title" in text or words[0] in {"report", "html"}, run
        assert not {each for each in text if not each.isprintable()}, (words, run)
    pages = list((world.directory / "pages").glob("*.html"))
    assert len(pages) > 1
    for page in pages:
        assert "<script>alert" not in page.read_text(encoding="utf-8"), page
