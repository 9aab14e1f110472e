"""`covsup tree`: every process, who started it, how it ended, what only it did."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.fold.result import Lost
from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.model import (
    End,
    Ending,
    KnownFrom,
    ObservedRecord,
    ProcessRecord,
    Provenance,
    Unmeasured,
)
from covsup.datafile.session.settings import Settings
from covsup.supervisor.tree.drawing import UNICODE, Drawing, seconds
from covsup.supervisor.tree.process_tree import Node, process_trees, with_parents
from tests.supervisor.live import Live, beside, covsup

if TYPE_CHECKING:
    from tests.world import World

FAMILY = """\
import os, signal, subprocess, sys
def child(do):
    pid = os.fork()
    if pid == 0:
        do()
        os._exit(0)
    os.waitpid(pid, 0)
if len(sys.argv) == 1:
    child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    child(lambda: os.execv(sys.executable, [sys.executable, "target.py", "first"]))
    subprocess.run(["sh", "-c", f"{sys.executable} target.py last; . ./until_seen"])
elif sys.argv[1] == "first":
    os.execve(sys.executable, [sys.executable, "target.py", "second"], {})
elif sys.argv[1] == "second":
    sys.exit(5)
else:
    only_here = 1
"""

# A shell is not in the tree if it lived for less than the time between two looks.
UNTIL_SEEN = """\
while :; do
    while read -r line; do
        case $line in *'"pid":'$$,*) exit 0 ;; esac
    done <"$COVSUP_SESSION/observed.jsonl~"
done
"""


PYTHON = Path(sys.executable).name


def tree_of(world: World, *words: str, columns: int = 100) -> list[str]:
    run = world.run(
        world.python, "-m", "covsup", "tree", *words, environment={"COLUMNS": str(columns)}
    )
    assert (run.ended, run.stderr) == (0, ""), run
    return run.stdout.splitlines()


@pytest.mark.parametrize("combined", [True, False], ids=["combined", "not combined"])
def test_the_tree_shows_how_each_process_was_started_and_ended(
    world: World, *, combined: bool
) -> None:
    world.write("target.py", FAMILY)
    world.write("until_seen", UNTIL_SEEN)
    run = world.covsup_run("target.py", options=[] if combined else ["-p"], branch=False)
    assert (run.ended, run.stderr) == (0, "")
    lines = tree_of(world, columns=1000)  # the path of the Python may be long
    assert lines[0].startswith("session 2")
    assert lines[1] == "covsup run target.py"
    assert lines[2].split() == ["start", "time", "end", "lines", "only", "here"]
    shown = [
        re.sub(r" +\+[\d.]+m?s +[\d.]+m?s  ", " | ", re.sub(r"─ (\D*(?:\d )?)\d{2,} ", r"─ \1PID ", line))
        for line in lines[3:]
    ]  # fmt: skip
    text = "\n".join(shown).replace(str(Path(world.python).parent) + "/", "").replace(PYTHON, "PY")
    assert text.startswith("└─ start PID PY target.py | exit 0 ")
    assert re.search(r"├─ fork PID PY target.py \| killed by SIGKILL +\d", text), text
    assert re.search(r"├─ fork PID PY target.py \| exec +\d", text)
    assert re.search(r"├─ exec 1 PID PY target.py first \| exec +\d", text)
    assert re.search(r"├─ exec 2 PID PY target.py second \| exit 5 +\d", text)
    assert re.search(r"└─ PID sh -c PY target.py last; \. \./until_seen \| exit 0\n", text)
    assert re.search(r"\n      └─ spawn PID PY target.py last \| exit 0 +\d+ +\d+\n", text)
    assert shown[-1] == "4 measured processes, 2 execs"


def test_the_tree_fits_into_80_columns_and_escapes_what_steers_a_terminal(world: World) -> None:
    long = "x" * 300
    world.write(
        "target.py",
        "import os, subprocess, sys\n"
        "if len(sys.argv) < 20:\n"
        "    subprocess.run([sys.executable, *sys.argv, sys.argv[1]])\n",
    )
    run = world.covsup_run("target.py", f"\x1b[31m\r\n{long}")
    assert run.ended == 0
    lines = tree_of(world, columns=80)
    assert len(lines) > 20
    assert max(map(len, lines)) <= 80
    text = "".join(lines)
    assert text.isprintable()
    assert "\\x1b[31m" in text
    assert all(len(line) <= 60 for line in tree_of(world, columns=60))


@pytest.mark.parametrize("columns", [40, 80, 100, 300, None])
def test_the_columns_stand_below_each_other_at_every_width(
    world: World, columns: int | None
) -> None:
    world.write("target.py", FAMILY)
    world.write("until_seen", "exit 0\n")
    world.covsup_run("target.py")
    environment = {} if columns is None else {"COLUMNS": str(columns)}
    lines = world.run(
        world.python, "-m", "covsup", "tree", environment=environment
    ).stdout.splitlines()[2:-1]
    # The shell's command has a path in the middle, which may be too long to stay in its column.
    lines = [line for line in lines if "sh -c" not in line]
    assert len({line.rindex("s  ") for line in lines if re.search(r"\d\.\d+s  ", line)}) == 1
    assert sum("target.py" in line for line in lines) >= 6
    assert world.python not in "\n".join(lines)
    if columns is not None:
        assert max(map(len, lines)) <= columns


def test_the_tree_for_programs_has_all_that_is_known(world: World) -> None:
    world.write("target.py", FAMILY)
    world.write("until_seen", UNTIL_SEEN)
    before = time.time()
    world.covsup_run("target.py", "", branch=True, environment={"LC_ALL": "C"})
    world.covsup_run("target.py")
    (session,) = json.loads("\n".join(tree_of(world, "--json")))["sessions"]
    assert (session["command"], session["branch"]) == (["target.py"], True)
    root, killed, fork, *_ = processes = session["processes"]
    assert [each["id"] for each in processes] == list(range(1, len(processes) + 1))
    assert (root["parent"], killed["parent"], fork["parent"]) == (None, 1, 1)
    assert root["command"] == [world.python, "target.py"]
    assert (killed["how"], killed["end"]["how"], killed["end"]["signal"]) == (
        "fork", "killed", "SIGKILL",
    )  # fmt: skip
    assert before < root["started"] <= killed["started"] < time.time()
    assert 0 <= killed["seconds"] < root["seconds"] < time.time() - before
    assert [each["generation"] for each in processes if each["how"] == "exec"] == [1, 2]
    shell = next(each for each in processes if each["command"][0] == "sh")
    assert (shell["measured"], shell["not_measured_because"], shell["how"]) == (False, None, None)
    assert all(each["lines"] > 0 for each in processes if each["measured"])


def test_a_piped_tree_has_no_colours_and_a_terminal_has_some(world: World) -> None:
    world.write("target.py", "pass\n")
    world.covsup_run("target.py")
    assert "\x1b" not in beside(world, "tree").stdout
    with Live(
        world, world.python, "-m", "covsup", "tree", terminal=True, environment={"TERM": "xterm"}
    ) as live:
        assert "\x1b[" in live.rest()


def test_a_pipe_that_is_closed_early_is_no_error(world: World) -> None:
    world.write("target.py", FAMILY)
    world.covsup_run("target.py")
    run = world.run("sh", "-c", f"{world.python} -m covsup tree | true")
    assert (run.ended, run.stderr) == (0, "")


def test_an_output_that_knows_only_ascii_gets_ascii(world: World) -> None:
    world.write("target.py", FAMILY)
    world.covsup_run("target.py")
    run = world.run(world.python, "-m", "covsup", "tree", environment={"PYTHONIOENCODING": "ascii"})
    assert run.ended == 0, run
    assert run.stdout.isascii()
    assert "`- start " in run.stdout


def test_a_running_session_is_shown_as_far_as_it_goes(world: World) -> None:
    world.write("target.py", "print('ready', flush=True)\ninput()\n")
    with Live(world, *covsup(world, "target.py")) as live:
        live.wait_for("ready")
        shown = beside(world, "tree")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert re.search(r"s? +still running +2\b", shown.stdout), shown.stdout
        live.send("\n")
        assert live.ended() == 0
    assert re.search(r"s  exit 0 +2\b", beside(world, "tree").stdout)


def test_without_a_session_the_tree_says_so(world: World) -> None:
    shown = beside(world, "tree")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("covsup: no session beside ")
    assert beside(world, "tree", "no/such").stderr == (
        "covsup: there is no no/such: it is no session, and no file or directory\n"
    )
    world.write(".coverage", "no database")
    assert beside(world, "tree").stderr.count("\n") == 1


def test_only_the_last_session_is_shown_unless_all_are_asked_for(world: World) -> None:
    world.write("target.py", "pass\n")
    world.covsup_run("target.py")
    world.covsup_run("target.py", "again", options=["-a"])
    shown = tree_of(world)
    assert sum(line.startswith("session ") for line in shown) == 1
    assert shown[1] == "covsup run target.py again"
    assert sum(line.startswith("session ") for line in tree_of(world, "--all")) == 2


EXIT_0 = Ending(end=End.EXITED, known_from=KnownFrom.ITSELF, status=0)


def image(name: str, pid: int, at: int, **other: object) -> ProcessRecord:
    """Make an image that started `at` seconds."""
    record = ProcessRecord(
        image_id=name,
        session="s",
        pid=pid,
        ppid=0,
        parent=None,
        parent_known_from=KnownFrom.NOBODY,
        started=StartKind.SPAWNED,
        generation=0,
        started_ns=at * 10**9,
        argv=(name,),
        executable="",
        cwd="",
        host="",
        python="3.13.0",
        core="monitoring",
        branch=False,
        ending=EXIT_0,
        lines=1,
        unique_lines=0,
        threads=1,
        libraries=(),
        tracers=(),
        notes=(),
        lost=Lost(),
        forks_lost=Lost(),
    )
    return record._replace(**other)  # type: ignore[arg-type]


def seen(name: str, pid: int, ppid: int, at: int, **other: object) -> ObservedRecord:
    record = ObservedRecord(
        session="s",
        pid=pid,
        ppid=ppid,
        create_time=float(at),
        argv=(name,),
        executable="",
        python=False,
        ending=EXIT_0,
        images=(),
        reason="",
    )
    return record._replace(**other)  # type: ignore[arg-type]


def drawn(
    *processes: ProcessRecord,
    observed: tuple[ObservedRecord, ...] = (),
    unmeasured: tuple[Unmeasured, ...] = (),
) -> str:
    """The process_trees in one line: a(b c(d))."""
    provenance = Provenance(
        sessions=(),
        processes=processes,
        observed=observed,
        unmeasured=unmeasured,
        notes=(),
        problems=(),
        files=(),
    )

    def draw(node: Node) -> str:
        below = f"({' '.join(map(draw, node.below))})" if node.below else ""
        return f"{node.argv[0]}{'!' if node.reason else ''}{below}"

    return " ".join(map(draw, process_trees(provenance)))


def test_generations_of_an_exec_follow_each_other_on_one_level() -> None:
    root = image("root", 1, 1)
    first = image("a", 2, 2, parent="root", ppid=1)
    second = image("b", 2, 3, parent="a", ppid=1, started=StartKind.EXECED, generation=1)
    third = image("c", 2, 4, parent="b", ppid=1, started=StartKind.EXECED, generation=2)
    child = image("d", 3, 5, parent="b", ppid=2, started=StartKind.FORKED)
    assert drawn(root, first, second, third, child) == "root(a b(d) c)"


def test_a_shell_in_between_stands_in_between() -> None:
    root = image("root", 1, 1)
    inner = image("inner", 3, 10, parent="root", ppid=2)
    shell = seen("sh", 2, 1, 9)
    assert drawn(root, inner, observed=(shell,)) == "root(sh(inner))"


def test_an_older_process_of_the_same_pid_is_nobodys_parent() -> None:
    root = image("root", 1, 1)
    later = seen("later", 2, 1, 100)
    inner = image("inner", 3, 10, parent="root", ppid=2)
    assert drawn(root, inner, observed=(later,)) == "root(inner later)"


def test_an_unmeasured_python_is_one_node_however_many_saw_it() -> None:
    root = image("root", 1, 1)
    process = seen("python", 2, 1, 5, python=True)
    other = Unmeasured(session="s", pid=9, argv=("ghost",), reason="r", at_ns=6 * 10**9, ppid=1)
    told = Unmeasured(session="s", pid=2, argv=("python",), reason="r", at_ns=5 * 10**9, ppid=1)
    assert drawn(root, observed=(process,), unmeasured=(told, other)) == "root(python! ghost!)"


def test_what_an_unmeasured_exec_started_is_below_it_and_not_below_what_it_was() -> None:
    root = image("root", 1, 1)
    ending = Ending(end=End.EXECED, known_from=KnownFrom.ITSELF, detail="after")
    before = image("before", 2, 5, parent="root", ppid=1, ending=ending)
    after = Unmeasured(session="s", pid=2, argv=("after",), reason="r", at_ns=4 * 10**9, ppid=1)
    child = seen("child", 3, 2, 8)
    assert drawn(root, before, observed=(child,), unmeasured=(after,)) == (
        "root(before after!(child))"
    )


def test_processes_that_seem_to_descend_from_themselves_are_all_shown() -> None:
    one = seen("one", 1, 2, 5)
    two = seen("two", 2, 1, 5)
    assert sorted(drawn(observed=(one, two)).replace("(", " ").replace(")", "").split()) == [
        "one", "two",
    ]  # fmt: skip


def test_a_chain_of_any_depth_is_drawn() -> None:
    chain = tuple(
        image(f"n{number}", number, number, parent=f"n{number - 1}", ppid=number - 1)
        for number in range(1, 1500)
    )
    settings = Settings(session="s")
    provenance = Provenance((settings,), chain, (), (), (), (), ())
    assert sum(1 for _ in with_parents(process_trees(provenance))) == len(chain)
    drawn = list(Drawing(80, UNICODE, everything=False).lines(settings, provenance))
    assert len(drawn) > len(chain)
    assert max(map(len, drawn)) <= 80


def test_a_time_takes_seven_characters_at_most() -> None:
    assert [seconds(each) for each in (0, 1.234, 9.999, 99.96, 3599.4, 3600, 90_000, 8_640_000)] == [
        "0.00s", "1.23s", "10.0s", "1m40s", "59m59s", "1h00m", "1d01h", "100d00h",
    ]  # fmt: skip


def test_the_tree_is_no_program_that_changes_anything(world: World) -> None:
    world.write("target.py", FAMILY)
    world.covsup_run("target.py", options=["-p"])
    before = {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in (world.directory / ".covsup").rglob("*")
    }
    tree_of(world)
    after = {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in (world.directory / ".covsup").rglob("*")
    }
    assert before == after
    assert not world.data_file.exists()


def test_a_shell_that_becomes_a_python_has_the_end_of_the_python(world: World) -> None:
    world.write("seven.py", "import os\nos._exit(7)\n")
    world.write(
        "start.sh", UNTIL_SEEN.replace("exit 0", "break 2") + f"exec {world.python} seven.py\n"
    )
    assert world.covsup_run("sh", "start.sh").ended == 7
    (line,) = [line for line in tree_of(world) if "seven.py" in line and "start" in line]
    assert " exit 7 " in line
