"""A mark names a moment of a session, and what ran since then is new."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup import mark_files
from covsup.datafile.database.read_result import read_result
from covsup.datafile.session.directory import MARK_PREFIX, open_session
from covsup.supervisor.sessions.marking import set_mark
from tests.supervisor.live import PATIENCE, Live, beside, covsup
from tests.views.marked import LOOP, SERVER, new_arcs, new_lines, session_in

if TYPE_CHECKING:
    from tests.world import World


def mark(world: World, *words: str) -> str:
    """Set a mark, and give what the command printed."""
    outcome = beside(world, "mark", *words)
    assert outcome.returncode == 0, outcome
    return outcome.stdout


def refused(world: World, *words: str) -> str:
    """Give the message of a command that sets no mark."""
    outcome = beside(world, "mark", *words)
    assert (outcome.returncode, outcome.stdout) == (1, ""), outcome
    assert outcome.stderr.count("\n") == 1
    return outcome.stderr


def test_a_session_and_a_mark_have_names_that_both_sides_know() -> None:
    assert mark_files.MARK_PREFIX == MARK_PREFIX


def test_exactly_the_lines_of_one_request_are_new_since_a_mark(world: World) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py", options=("--branch",))) as live:
        live.wait_for("ready")
        said = mark(world, "before a")
        assert re.fullmatch(r"Set mark before a in session \S+\n", said)
        session = session_in(world)
        assert new_lines(session, "before a") == {}
        live.send("a\n")
        live.wait_for("ready")
        assert new_lines(session, "before a") == {"server.py": [3, 4, *LOOP]}
        assert (3, 4) in new_arcs(session, "before a")["server.py"]
        mark(world, "before b")
        assert new_lines(session, "before b") == {}
        live.send("b\n")
        live.wait_for("ready")
        assert new_lines(session, "before b") == {"server.py": [5, 6]}
        assert {(3, 5), (5, 6)} <= set(new_arcs(session, "before b")["server.py"])
        assert (3, 4) not in new_arcs(session, "before b")["server.py"]
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert new_lines(world.data_file, "before a") == {"server.py": [3, 4, 5, 6, *LOOP, 14]}
    assert new_lines(world.data_file, "before b") == {"server.py": [5, 6, 14]}
    assert not (world.directory / ".covsup").exists()


WORKERS = """\
import os, sys
def first():
    return 1
def second():
    return 2
def read():
    return (print("ready", flush=True), sys.stdin.readline())[1]
def work():
    line = read()
    while line:
        print("did", first() if line == "1\\n" else second(), flush=True)
        line = read()
status = 1
while status:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    status = (print("worker", pid, flush=True), os.waitpid(pid, 0)[1])[1]
"""


def next_worker(live: Live) -> int:
    """Wait until a worker waits for work, and its parent for its end."""
    found = live.wait_for(r"(?s)worker (\d+)\n.*ready\n|ready\n.*worker (\d+)\n")
    return int(found[1] or found[2])


def works(live: Live, line: str) -> None:
    """Have the worker do something."""
    live.send(f"{line}\n")
    live.wait_for(r"did \d\nready\n")


def test_a_killed_worker_and_a_combination_in_between_change_nothing(world: World) -> None:
    world.write("workers.py", WORKERS)
    with Live(world, *covsup(world, "workers.py")) as live:
        pid = next_worker(live)
        works(live, "1")
        mark(world, "early")
        works(live, "2")
        mark(world, "late")
        os.kill(pid, signal.SIGKILL)
        next_worker(live)
        session = session_in(world)
        early, late = new_lines(session, "early"), new_lines(session, "late")
        assert early == {"workers.py": [5]}
        assert late == {}
        combined = beside(world, "combine")  # it deletes the journal of the killed worker
        assert combined.returncode == 0, combined
        assert not list(session.glob(f"{pid}-*"))
        assert (new_lines(world.data_file, "early"), new_lines(world.data_file, "late")) == (
            early, late,
        )  # fmt: skip
        mark(world, "after")
        assert new_lines(session, "after") == {}
        works(live, "2")
        assert new_lines(session, "after") == {}
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert new_lines(world.data_file, "early") == {"workers.py": [5, 18]}
    assert new_lines(world.data_file, "late") == {"workers.py": [18]}
    assert new_lines(world.data_file, "after") == {"workers.py": [18]}


def test_marks_survive_any_number_of_combinations(world: World) -> None:
    world.write("workers.py", WORKERS)
    with Live(world, *covsup(world, "workers.py", options=("--branch",))) as live:
        for turn in range(3):
            pid = next_worker(live)
            mark(world, f"turn {turn}")
            works(live, "2" if turn else "1")
            os.kill(pid, signal.SIGKILL)
            assert beside(world, "combine").returncode == 0
        next_worker(live)
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert new_lines(world.data_file, "turn 0") == {"workers.py": [3, 5, 10, 11, 12, 18]}
    assert new_lines(world.data_file, "turn 1") == {"workers.py": [5, 18]}
    assert new_lines(world.data_file, "turn 2") == {"workers.py": [18]}


CHILDREN = """\
import os, sys
def child(number):
    exec(compile("\\n" * (20 + number) + "x = 1", __file__, "exec"))
    os._exit(0)
for number in range(200):
    if os.fork() == 0:
        child(number)
for _ in range(200):
    os.wait()
(print("ready", flush=True), sys.stdin.readline())
later = 1
"""


def test_a_mark_covers_two_hundred_children(world: World) -> None:
    world.write("children.py", CHILDREN + "\n" * 220)
    with Live(world, *covsup(world, "children.py")) as live:
        live.wait_for("ready")
        mark(world, "all")
        assert new_lines(session_in(world), "all") == {}
        live.send("\n")
        assert live.ended() == 0
    assert new_lines(world.data_file, "all") == {"children.py": [11]}


def test_marks_at_the_same_time_are_all_kept(world: World) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py")) as live:
        live.wait_for("ready")
        session = session_in(world)
        names = [f"mark {number % 20}" for number in range(40)]
        threads = [threading.Thread(target=set_mark, args=(session, name)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(open_session(session).mark_files()) == 40
        live.send("a\n")
        live.wait_for("ready")
        listed = json.loads(beside(world, "mark", "--json").stdout)
        assert sorted(each["name"] for each in listed) == sorted(names)
        times = [each["at_ns"] for each in listed]
        assert times == sorted(set(times))
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert len(read_result(world.data_file).marks) == 40
    assert new_lines(world.data_file, "mark 7") == {"server.py": [3, 4, *LOOP, 14]}


def test_the_newest_of_two_marks_of_one_name_counts(world: World) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py")) as live:
        live.wait_for("ready")
        mark(world, "again")
        live.send("a\n")
        live.wait_for("ready")
        mark(world, "again")
        assert new_lines(session_in(world), "again") == {}
        assert beside(world, "mark", "--list").stdout.count("again") == 2


@pytest.mark.parametrize("name", ["../../etc/x", "a\nb=c%0A", "ä\u202e", "-", "mark:x", "x" * 5000])
def test_any_text_is_a_name(world: World, name: str) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py")) as live:
        live.wait_for("ready")
        assert mark(world, "--", name).count("\n") == 1
        assert new_lines(session_in(world), name) == {}
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert [each.name for each in read_result(world.data_file).marks] == [name]


def test_a_name_that_is_not_utf8_is_kept_with_escapes(world: World) -> None:
    world.write("server.py", SERVER)
    with Live(world, *covsup(world, "server.py")) as live:
        live.wait_for("ready")
        assert (
            mark(world, os.fsdecode(b"a\xff"))
            == f"Set mark a\\udcff in session {session_in(world).name}\n"
        )
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    assert [each.name for each in read_result(world.data_file).marks] == ["a\\udcff"]


def test_without_one_running_session_a_line_says_so(world: World) -> None:
    assert "no session runs beside" in refused(world, "x")
    world.write("server.py", SERVER)
    assert world.covsup_run("server.py").ended == 0
    assert "no session runs beside" in refused(world, "x")
    with (
        Live(world, *covsup(world, "server.py")) as one,
        Live(world, *covsup(world, "server.py")) as other,
    ):
        one.wait_for("ready")
        other.wait_for("ready")
        said = refused(world, "x")
        ids = sorted(each.name for each in (world.directory / ".covsup").glob("2*"))
        assert all(each in said for each in ids)
        assert ids[0] in mark(world, "x", ids[0])
        assert ids[1] in mark(world, "x", f".covsup/{ids[1]}")
    assert "there is no nowhere" in refused(world, "x", "nowhere")
    assert "is not a session directory" in refused(world, "x", ".coverage")
    assert "needs the name" in beside(world, "mark").stderr


def test_a_session_without_a_supervisor_takes_marks(world: World) -> None:
    world.write("target.py", "import sys\nif sys.argv[1:]:\n    late = 1\n")
    opened = json.loads(beside(world, "env", "--shell=json").stdout)
    world.run(world.python, "target.py", environment=opened)
    mark(world, "x")  # the only open one
    outcome = world.run(world.python, "-m", "covsup", "mark", "named", environment=opened)
    assert outcome.ended == 0, outcome
    world.run(world.python, "target.py", "more", environment=opened)
    session = Path(opened["COVSUP_SESSION"])
    assert new_lines(session, "x") == new_lines(session, "named") == {"target.py": [3]}
    assert beside(world, "combine").returncode == 0
    assert new_lines(world.data_file, "x") == {"target.py": [3]}
    # The session is open, and goes on.
    world.run(world.python, "-m", "covsup", "mark", "second", environment=opened)
    world.run(world.python, "target.py", "more", environment=opened)
    assert new_lines(session, "second") == {}
    assert beside(world, "combine", "--append").returncode == 0
    assert new_lines(world.data_file, "x") == {"target.py": [3]}
    assert new_lines(world.data_file, "second") == {}


NO_MARKS = (
    "garbage",
    "format=2\nname=x\nat_ns=1\n",
    "format=1\nat_ns=1\n",
    "format=1\nname=x\n",
    "format=1\nname=x\nat_ns=-1\n",
    "format=1\nname=x\nat_ns={huge}\n",
    "format=1\nname=x\nat_ns=1\ntail=x\n",
    "format=1\nname=x\nat_ns=1\ntail=1 {huge} file\n",
    "format=1\nname=x\nat_ns=1\ntail={huge} 0 file\n",
)


def test_a_file_that_is_no_mark_is_reported_and_the_rest_is_combined(world: World) -> None:
    world.write("server.py", SERVER)
    opened = json.loads(beside(world, "env", "--shell=json").stdout)
    world.run(world.python, "server.py", environment=opened)
    session = Path(opened["COVSUP_SESSION"])
    mark(world, "good")
    huge = str(1 << 80)
    for number, text in enumerate(NO_MARKS):
        (session / f"mark-1-{number}~").write_text(text.format(huge=huge), encoding="utf-8")
    (session / "mark-2-1~").symlink_to("/etc/passwd")
    listed = beside(world, "mark", "--list")
    assert listed.stdout.count("good") == 1
    assert listed.stderr.count("cannot be used as a mark") == len(NO_MARKS)
    combined = beside(world, "combine")
    assert combined.stderr.count("cannot be used as a mark") == len(NO_MARKS), combined
    assert [each.name for each in read_result(world.data_file).marks] == ["good"]


def test_impossible_tails_in_a_mark_do_no_harm(world: World) -> None:
    world.write("server.py", SERVER)
    opened = json.loads(beside(world, "env", "--shell=json").stdout)
    world.run(world.python, "server.py", environment=opened)
    session = Path(opened["COVSUP_SESSION"])
    (journal,) = (each.name for each in session.glob("*.journal~"))
    most = (1 << 63) - 1
    for number, tail in enumerate((f"{most} 0", "517 0", f"600 {most}", "600 7", "3 0")):
        (session / f"mark-1-{number}~").write_text(
            f"format=1\nname={number}\nat_ns=1\nsees=all\ntail={tail} {journal}\n", encoding="utf-8"
        )
    assert beside(world, "combine").returncode == 0
    before = {mark.name: facts.lines for mark, facts in read_result(world.data_file).marks.items()}
    assert [len(before[str(number)]) for number in range(5)] == [1, 0, 0, 0, 0]


def test_a_snapshot_that_shortens_journals_keeps_the_marks(world: World) -> None:
    world.write("workers.py", WORKERS)
    with Live(world, *covsup(world, "workers.py")) as live:
        pid = next_worker(live)
        works(live, "1")
        mark(world, "x")
        works(live, "2")
        os.kill(pid, signal.SIGKILL)
        next_worker(live)
        session = session_in(world)
        (journal,) = session.glob(f"{pid}-*")
        before = journal.stat().st_size
        assert beside(world, "combine", "--keep", "-q").returncode == 0
        assert journal.stat().st_size < before
        assert new_lines(session, "x") == {"workers.py": [5]}
        assert new_lines(world.data_file, "x") == {"workers.py": [5]}


def test_paths_of_marks_are_remapped_as_others_are(world: World) -> None:
    (world.directory / "old").mkdir()
    (world.directory / "new").mkdir()
    world.write("old/server.py", SERVER)
    world.write("new/server.py", SERVER)
    world.write(".coveragerc", "[paths]\nall =\n    new\n    */old\n")
    with Live(world, *covsup(world, "old/server.py")) as live:
        live.wait_for("ready")
        mark(world, "x")
        live.send("a\n")
        live.wait_for("ready")
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.ended() == 0
    result = read_result(world.data_file)
    (facts,) = result.marks.values()
    assert set(facts.lines) == {path for path, _ in result.lines}
    assert new_lines(world.data_file, "x") == {"server.py": [3, 4, *LOOP, 14]}


HTTP = """\
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/buy":
            body = b"bought"
        else:
            body = b"seen"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
workers = [pid for _ in range(2) if (pid := os.fork()) or server.serve_forever()]
print("port", server.server_port, flush=True)
sys.stdin.readline()
for pid in workers:
    os.kill(pid, 9)
    os.wait()
"""


def test_one_request_to_a_forked_web_server_newly_covers_the_lines_of_its_handler(
    world: World,
) -> None:
    world.write("web.py", HTTP)
    with Live(world, *covsup(world, "web.py", options=("--branch",))) as live:
        port = int(live.wait_for(r"port (\d+)\n")[1])

        def get(path: str) -> bytes:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}{path}", timeout=PATIENCE
            ) as answer:
                body: bytes = answer.read()
            return body

        mark(world, "first")
        assert get("/") == b"seen"
        # The answer may arrive before the worker has executed its last line, which is the same.
        assert new_lines(session_in(world), "first") == {"web.py": [4, 7, 8, 9, 10, 12]}
        mark(world, "click")
        assert get("/buy") == b"bought"
        assert new_lines(session_in(world), "click") == {"web.py": [5]}
        live.send("\n")
        assert live.ended() == 0
    assert new_lines(world.data_file, "click") == {"web.py": [5, 17, 18, 19]}
    assert (4, 5) in new_arcs(world.data_file, "click")["web.py"]
    assert (4, 7) not in new_arcs(world.data_file, "click")["web.py"]
