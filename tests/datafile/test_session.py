"""The session directory: made whole or not at all, and read by anyone who finds it."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covsup.datafile.errors import SessionUnreadable, SessionUnwritable
from covsup.datafile.session.directory import (
    JournalFile,
    Session,
    create_session,
    new_session_id,
    open_session,
)
from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.places import find_sessions, tidy_sessions_directory
from covsup.datafile.session.settings import Settings, read_settings, write_settings
from covsup.datafile.session.text_files import replace_text
from covsup.pairs import decode_pairs, encode_pairs
from tests.datafile.handmade import HandMade, handmade_session

if TYPE_CHECKING:
    from pathlib import Path

# What os.fsdecode() may give: any text, and bytes that are no UTF-8 as surrogates.
words = st.text(st.characters(exclude_categories=("Cs",)) | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=9)  # fmt: skip
plain = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=9)
several = st.lists(words, max_size=3).map(tuple)


def some_settings(**given: Any) -> Settings:
    """Of a NamedTuple itself hypothesis would draw what is not given, too."""
    return Settings(**given)


@given(
    st.builds(
        some_settings,
        session=plain, core=plain, branch=st.booleans(), context=words,
        source_dirs=several, source_pkgs=several, include=several, omit=several,
        cover_pylib=st.booleans(), data_file=words, rcfile=words, append=st.booleans(),
        cwd=words, command=several, started_ns=st.integers(0, 2**63),
        started_boottime_ns=st.integers(0, 2**63),
        supervisor_pid=st.integers(0, 2**22), host=words,
        concurrency=st.sampled_from((("auto",), ("thread", "gevent"))),
        dynamic_context=st.sampled_from(((), ("thread", "greenlet"))),
    )
)  # fmt: skip
def test_settings_come_back_as_they_were(settings: Settings) -> None:
    raw = settings.to_text().encode("utf-8", "surrogateescape")
    assert Settings.from_text(raw.decode("utf-8", "surrogateescape")) == settings


@given(st.lists(st.tuples(st.sampled_from(("a", "b")), words)))
def test_pairs_come_back_one_a_line(pairs: list[tuple[str, str]]) -> None:
    text = encode_pairs(pairs)
    assert list(decode_pairs(text)) == pairs
    assert text.count("\n") == len(pairs)
    assert "\r" not in text


@given(st.builds(SessionNote, pid=st.integers(0, 2**22), time_ns=st.integers(0, 2**63),
                 kind=plain, why=words, argv=several))  # fmt: skip
def test_notes_come_back_as_they_were(note: SessionNote) -> None:
    assert SessionNote.from_text(note.to_text()) == note


def test_keys_of_a_newer_version_are_kept_and_ignored(tmp_path: Path) -> None:
    settings = Settings(session="x", more=(("colour", "blue"), ("colour", "red")))
    write_settings(tmp_path / "settings", settings)
    assert read_settings(tmp_path / "settings") == settings


def test_a_session_directory_is_private_and_not_for_git(tmp_path: Path) -> None:
    session = create_session(tmp_path / ".coverage", lambda name: Settings(session=name))
    assert session.path.parent == tmp_path / ".covsup"
    assert stat.S_IMODE(session.path.stat().st_mode) == 0o700
    assert (tmp_path / ".covsup" / ".gitignore").read_text() == "*\n"
    assert open_session(session.path).settings == session.settings
    assert find_sessions(tmp_path / ".coverage") == [session.path]


def test_a_session_directory_is_private_under_any_umask(tmp_path: Path) -> None:
    (tmp_path / ".covsup").mkdir()
    before = os.umask(0o777)
    try:
        session = create_session(tmp_path / ".coverage", lambda name: Settings(session=name))
    finally:
        os.umask(before)
    assert stat.S_IMODE(session.path.stat().st_mode) == 0o700


def test_session_ids_sort_by_time() -> None:
    ids = [new_session_id(second * 10**9) for second in (1, 2, 10**9, 2 * 10**9)]
    assert sorted(ids) == ids


def test_there_are_no_sessions_where_there_is_no_directory(tmp_path: Path) -> None:
    assert find_sessions(tmp_path / "nowhere" / ".coverage") == []


def test_what_is_no_session_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SessionUnreadable, match="it has no settings"):
        open_session(tmp_path)
    for text, why in (
        ("", "format 'missing'"),
        ("format=2\nsession=x\n", "format '2'"),
        ("format=1\n", "without a session id"),
        ("format=1\nsession=x\nstarted_ns=soon\n", "soon"),
    ):
        (tmp_path / "settings").write_text(text)
        with pytest.raises(SessionUnreadable, match=why):
            open_session(tmp_path)


def test_where_a_directory_is_not_kept_to_its_owner_no_session_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)
    with_owner = tmp_path.stat().st_uid
    if with_owner == 0:
        # Root's are everybody's to trust; so the directory is one that others write to.
        monkeypatch.setattr("pathlib.Path.chmod", lambda path, _: os.chmod(path, 0o777))  # noqa: PTH101
    with pytest.raises(SessionUnwritable, match="does not keep it to its owner"):
        create_session(tmp_path / ".coverage", lambda name: Settings(session=name))
    assert not find_sessions(tmp_path / ".coverage")


def test_a_directory_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SessionUnwritable, match="No such file"):
        create_session(tmp_path / "no" / ".coverage", lambda name: Settings(session=name))
    (tmp_path / ".covsup").write_text("a file")
    with pytest.raises(SessionUnwritable, match="File exists"):
        create_session(tmp_path / ".coverage", lambda name: Settings(session=name))


def test_observations_and_notes_are_read_as_they_were_left(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage")
    looks = [
        Observation(pid=1, create_time=1.25, argv=("\udcff", "x"), python=True),
        Observation(pid=1, create_time=1.25, ended="wait", status=9, reason="-S"),
    ]
    session.observe(looks[:1])
    session.observe(looks[1:])
    session.observe([])
    note = SessionNote(pid=3, time_ns=4, kind="start-failed", why="line\nbreak", argv=("a",))
    session.leave_note(note)
    assert session.observations() == looks
    assert session.notes() == [note]


def test_a_line_that_a_killed_supervisor_left_unfinished_is_passed_over(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage")
    session.observe([look := Observation(pid=1, create_time=1.0)])
    with (session.path / "observed.jsonl").open("a") as file:
        file.write('{"pid": 2, "create_t\n[]\n{"pid": "x", "create_time": 1}\n')
    session.observe([look])
    assert session.observations() == [look, look]


def test_an_unknown_word_for_an_end_still_says_that_it_ended() -> None:
    record = {"pid": 1, "create_time": 1.0, "ended": "by a newer way", "more": 1}
    assert Observation.from_mapping(record).ended == "gone"


def test_journals_are_regular_files_with_a_journals_name(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage", [made := HandMade()])
    (session.path / "5-zz.0.journal~").touch()
    (session.path / f"6-{'0' * 32}.0.journal~").symlink_to("/etc/passwd")
    (session.path / f"7-{'0' * 32}.0.journal~").mkdir()
    os.mkfifo(session.path / f"8-{'0' * 32}.0.journal~")
    os.mkfifo(session.path / "trap.note")
    assert [each.image_id for each in session.journals()] == [made.image_id]
    assert session.notes() == []


def test_another_users_subdirectory_gives_only_that_users_journals(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage")
    uid = os.getuid()
    for owner in (uid, uid + 1):
        (session.path / f"uid-{owner}").mkdir()
        HandMade(pid=100 + owner).write(session.path / f"uid-{owner}")
    assert [each.pid for each in session.journals()] == [100 + uid]


def test_the_name_of_a_journal_is_understood(tmp_path: Path) -> None:
    made = HandMade(pid=77, segment=3)
    assert JournalFile.at(path := made.write(tmp_path)) == JournalFile(
        path=str(path), pid=77, image_id=made.image_id, segment=3
    )


def test_an_empty_directory_of_sessions_goes_and_any_other_stays(tmp_path: Path) -> None:
    session = handmade_session(tmp_path / ".coverage", [HandMade()])
    parent = session.path.parent
    tidy_sessions_directory(parent)
    assert session.path.exists()
    session.path.rename(parent / ".gone-half-deleted")
    tidy_sessions_directory(parent)
    assert not parent.exists()
    tidy_sessions_directory(tmp_path)
    assert tmp_path.exists()


def test_sessions_may_be_made_and_tidied_away_at_the_same_time(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def make_and_delete() -> None:
        try:
            for _ in range(30):
                made: Session = handmade_session(tmp_path / ".coverage")
                made.delete()
                tidy_sessions_directory(made.path.parent)
        except BaseException as error:  # noqa: BLE001 - it is the test's result
            errors.append(error)

    threads = [threading.Thread(target=make_and_delete) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_file_has_its_mode_when_it_gets_its_name(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace_text(tmp_path / "script", "text", mode=0o644)
        replace_text(tmp_path / "token", "")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("script", "token")]
    assert modes == [0o644, 0o600]
