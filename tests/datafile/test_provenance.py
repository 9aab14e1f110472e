"""Who started whom, how each ended, what only it covered, and what was not measured."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import image_result, session_result
from covsup.datafile.fold.result import Kind
from covsup.datafile.fold.sets import arc_set_of, arcs_in
from covsup.datafile.journal.reader import read_journal
from covsup.datafile.provenance.command_lines import is_python, unmeasured_reason
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.provenance.model import End, KnownFrom, Provenance
from covsup.datafile.provenance.probes import runs_nothing_measured
from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.settings import Settings
from tests.datafile.handmade import EXECED, FORKED, LIBRARY, NOTE, TRACER, HandMade, with_liveness

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.fold.result import Result

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def results(tmp_path: Path, *journals: HandMade) -> list[Result]:
    return [
        image_result([read_journal(journal.write(tmp_path))], session="s") for journal in journals
    ]


def told(tmp_path: Path, *journals: HandMade, observed: list[Observation] | None = None,
         notes: list[SessionNote] | None = None) -> Provenance:  # fmt: skip
    session = session_result(Settings(session="s"), notes or (), observed or ())
    return provenance_of(fold([session, *results(tmp_path, *journals)]))


def saw(pid: int, at: float = 0.0, **more: object) -> Observation:
    return Observation(pid=pid, create_time=T0 / 1e9 + at, **more)  # type: ignore[arg-type]


def test_lines_and_context_labels_are_kept_by_path(tmp_path: Path) -> None:
    made = HandMade().ran("/a.py", 1, 2).ran("/a.py", 2, 3, context="test|run").ran("/b.py", 9)
    (result,) = results(tmp_path, made)
    assert result.lines == {("/a.py", ""): 0b110, ("/a.py", "test|run"): 0b1100, ("/b.py", ""): 512}
    (process,) = provenance_of(result).processes
    assert process.lines == process.unique_lines == 4


def test_a_branch_measurement_has_lines_and_arcs_and_counts_the_ends_of_arcs(
    tmp_path: Path,
) -> None:
    made = HandMade(branch=True).ran("/a.py", 7).went("/a.py", (-1, 3), (3, 5), (5, -1))
    (result,) = results(tmp_path, made)
    assert result.kind is Kind.ARCS
    assert result.lines == {("/a.py", ""): 1 << 7}
    assert result.arcs == {("/a.py", ""): arc_set_of([(5, -1), (-1, 3), (3, 5)])}
    assert arcs_in(result.arcs["/a.py", ""]) == [(-1, 3), (3, 5), (5, -1)]
    assert provenance_of(result).processes[0].lines == 3


def test_arcs_of_a_line_measurement_are_lines(tmp_path: Path) -> None:
    (result,) = results(tmp_path, HandMade().went("/a.py", (-1, 3), (3, 5)))
    assert result.kind is Kind.LINES
    assert result.lines == {("/a.py", ""): 1 << 3 | 1 << 5}


def test_the_segments_of_an_image_share_what_was_defined(tmp_path: Path) -> None:
    begin = HandMade().ran("/a.py", 1, context="c")
    rest = begin.next_segment().ran("/a.py", 2_000_000, context="c")
    journals = [read_journal(each.write(tmp_path)) for each in (rest, begin)]
    result = image_result(journals, session="s")
    assert result.lines == {("/a.py", "c"): 1 << 1 | 1 << 2_000_000}
    assert not result.problems


def test_impossible_and_nameless_facts_are_told_and_the_rest_is_used(tmp_path: Path) -> None:
    made = HandMade().ran("/a.py", 1, 1 << 40)
    made.files["/lost.py"] = 7
    made.ran("/lost.py", 5)
    (result,) = results(tmp_path, made)
    assert result.lines == {("/a.py", ""): 2}
    assert sorted(each.what for each in result.problems) == [
        "1 facts are left out: the journal does not name their files",
        "1 facts have impossible line numbers",
    ]


def test_facts_of_an_unnamed_context_lose_the_label_only(tmp_path: Path) -> None:
    made = HandMade()
    made.contexts["never written"] = 3
    (result,) = results(tmp_path, made.ran("/a.py", 1, context="never written"))
    assert result.lines == {("/a.py", ""): 2}
    assert len(result.problems) == 1


def test_lines_that_nobody_else_covered_are_counted_for_each_process(tmp_path: Path) -> None:
    one = HandMade(pid=11).ran("/a.py", 1, 2, 3)
    two = HandMade(pid=12, started_ns=T0 + 1).ran("/a.py", 3, 4)
    said = told(tmp_path, two, one)
    assert [(each.pid, each.lines, each.unique_lines) for each in said.processes] == [
        (11, 3, 2),
        (12, 2, 1),
    ]
    assert [(each.path, each.first, each.alone) for each in said.files] == [
        ("/a.py", 3, 2),
        ("/a.py", 1, 1),
    ]


def test_a_fork_and_an_exec_name_the_image_they_come_from(tmp_path: Path) -> None:
    root = HandMade(pid=11).ran("/a.py", 1)
    child = HandMade(pid=12, ppid=11, parent_id=root.image_id, start_kind=FORKED)
    child.started_ns += SECOND
    again = HandMade(pid=12, ppid=11, parent_id=child.image_id, start_kind=EXECED, generation=1)
    again.started_ns += 2 * SECOND
    first, forked, execed = told(tmp_path, root, child, again).processes
    assert (first.parent, first.how_started) == (None, "start")
    assert (forked.parent, forked.how_started) == (root.image_id, "fork")
    assert (execed.parent, execed.how_started) == (child.image_id, "exec 1")
    assert forked.ending.end is End.EXECED
    assert forked.ending.known_from is KnownFrom.SUCCESSOR


def test_a_spawned_process_is_the_child_of_the_image_that_had_its_ppid_then(
    tmp_path: Path,
) -> None:
    shell = HandMade(pid=11)
    reexeced = HandMade(pid=11, parent_id=shell.image_id, start_kind=EXECED, generation=1)
    reexeced.started_ns += SECOND
    child = HandMade(pid=13, ppid=11, parent_id=shell.image_id, started_ns=T0 + 2 * SECOND)
    child_record = told(tmp_path, shell, reexeced, child).processes[-1]
    assert child_record.parent == reexeced.image_id
    assert child_record.parent_known_from is KnownFrom.PROCESS_ID


def test_a_process_started_through_another_program_is_its_environments_child(
    tmp_path: Path,
) -> None:
    root = HandMade(pid=11)
    child = HandMade(pid=13, ppid=12, parent_id=root.image_id, started_ns=T0 + SECOND)
    record = told(tmp_path, root, child).processes[-1]
    assert (record.parent, record.parent_known_from) == (root.image_id, KnownFrom.ENVIRONMENT)


def test_an_image_that_had_been_waited_for_is_nobodys_parent(tmp_path: Path) -> None:
    root = HandMade(pid=11).reaped(12, 0, at_ns=T0 + SECOND)
    dead = HandMade(pid=12, ppid=11)
    later = HandMade(pid=13, ppid=12, started_ns=T0 + 2 * SECOND)
    assert told(tmp_path, root, dead, later).processes[-1].parent is None


def test_an_end_is_told_by_the_parent_before_the_process_itself(tmp_path: Path) -> None:
    root = HandMade(pid=11).reaped(12, signal.SIGKILL, at_ns=T0 + SECOND).ended(3)
    killed = HandMade(pid=12, ppid=11).ended(0)
    said = {each.pid: each.ending for each in told(tmp_path, root, killed).processes}
    assert said[11].words == "exit 3"
    assert said[11].known_from is KnownFrom.ITSELF
    assert said[12].words == "killed by SIGKILL"
    assert said[12].known_from is KnownFrom.PARENT
    assert said[12].end is End.KILLED


def test_an_end_by_os_exit_is_called_so(tmp_path: Path) -> None:
    (process,) = told(tmp_path, HandMade().ended(3, how=2)).processes
    assert process.ending.words == "exit 3 by os._exit"


def test_the_supervisor_tells_the_end_of_what_it_saw(tmp_path: Path) -> None:
    seen_twice = [saw(11, at_ns=1, python=True), saw(11, at_ns=2, ended="pidfd", status=3 << 8)]
    said = told(tmp_path, HandMade(pid=11), observed=seen_twice)
    assert said.processes[0].ending.words == "exit 3"
    assert said.processes[0].ending.known_from is KnownFrom.SUPERVISOR
    assert [each.images for each in said.observed] == [(said.processes[0].image_id,)]


def test_a_pid_that_came_again_does_not_mix_up_two_ends(tmp_path: Path) -> None:
    root = HandMade(pid=11)
    root.reaped(12, 256, at_ns=T0 + SECOND).reaped(12, 512, at_ns=T0 + 5 * SECOND)
    one = HandMade(pid=12, ppid=11, started_ns=T0 + 100)
    two = HandMade(pid=12, ppid=11, started_ns=T0 + 3 * SECOND)
    ends = [each.ending.words for each in told(tmp_path, root, one, two).processes[1:]]
    assert ends == ["exit 1", "exit 2"]


def test_an_exec_of_another_program_ends_the_image(tmp_path: Path) -> None:
    made = HandMade(pid=11).about_to_exec("/bin/sleep", "sleep", "1")
    root = HandMade(pid=10).reaped(11, 0, at_ns=T0 + 10 * SECOND)
    ending = told(tmp_path, made, root).processes[-1].ending
    (ending,) = (e.ending for e in told(tmp_path, made, root).processes if e.pid == 11)
    assert (ending.end, ending.detail) == (End.EXECED, "/bin/sleep")


def test_an_exec_that_failed_ends_nothing(tmp_path: Path) -> None:
    made = HandMade(pid=11).about_to_exec("/no", "no", at_ns=T0 + 1).exec_failed(2, at_ns=T0 + 2)
    assert told(tmp_path, made.ended(0, at_ns=T0 + 3)).processes[0].ending.words == "exit 0"


def test_without_any_witness_the_end_is_unknown_and_a_running_image_runs(tmp_path: Path) -> None:
    (result,) = results(tmp_path, made := HandMade())
    assert provenance_of(result).processes[0].ending.words == "unknown"
    running = with_liveness(result, running=[made.image_id], gone=(), at_ns=T0)
    assert provenance_of(running).processes[0].ending.words == "still running"
    gone = fold([running, with_liveness(result, running=(), gone=[made.image_id], at_ns=T0 + 1)])
    assert provenance_of(gone).processes[0].ending.words == "unknown"


def test_libraries_tracers_notes_losses_and_command_lines_are_told(tmp_path: Path) -> None:
    made = HandMade(lost=(2, 1, 28, 9), threads=4)
    made.event(LIBRARY, b"gevent\x0026.9").event(TRACER, b"sys.settrace").event(NOTE, b"odd")
    made.knows("argv", b"a.py\0-x\0\xff").knows("cwd", b"/w").knows("host", b"h")
    (process,) = told(tmp_path, made).losses
    assert process.libraries == (("gevent", "26.9"),)
    assert process.tracers == ("sys.settrace",)
    assert process.notes == ("odd",)
    assert process.argv == ("a.py", "-x", "\udcff")
    assert (process.cwd, process.host, process.threads) == ("/w", "h", 4)
    assert (process.lost.facts, process.lost.errno, process.lost.stage) == (2, 28, 9)
    assert process.python == "3.13.0"


def test_a_python_without_a_journal_is_named_once_with_the_best_reason(tmp_path: Path) -> None:
    root = HandMade(pid=11).spawned(12, "python3", "-S", "x.py", at_ns=T0 + SECOND)
    root.spawned(13, "/usr/bin/python3.13", "y.py", at_ns=T0 + SECOND)
    root.spawned(14, "ls", at_ns=T0 + SECOND).spawned(15, "python", "--version")
    said = told(
        tmp_path,
        root,
        observed=[
            saw(13, at=1, python=True, argv=("python3.13", "y.py"), reason="its env was scrubbed"),
            saw(16, at=1, python=False, argv=("ls",)),
        ],
        notes=[SessionNote(pid=17, time_ns=T0, kind="start-failed", why="no room", argv=("z",))],
    )
    assert {each.pid: each.reason for each in said.unmeasured} == {
        12: "started with -S, which skips the startup files",
        13: "its env was scrubbed",
        17: "no room",
    }


def test_a_python_that_a_signal_ends_as_it_starts_is_not_called_unmeasured(tmp_path: Path) -> None:
    root = HandMade(pid=11)
    for pid, argv, status, after in (
        (12, ("python3", "x.py"), signal.SIGTERM, SECOND // 2),
        (13, ("python3", "late.py"), signal.SIGTERM, 3 * SECOND),
        (14, ("python3", "well.py"), 0, SECOND // 2),
        (15, ("python3", "-S", "never.py"), signal.SIGTERM, SECOND // 2),
    ):
        root.spawned(pid, *argv, at_ns=T0 + SECOND)
        root.reaped(pid, status, at_ns=T0 + SECOND + after)
    assert {each.pid for each in told(tmp_path, root).unmeasured} == {13, 14, 15}


def test_a_python_that_could_not_be_executed_is_not_called_unmeasured(tmp_path: Path) -> None:
    root = HandMade(pid=11).spawned(12, "python3", "x.py", at_ns=T0 + SECOND)
    root.unexecuted(12, at_ns=T0 + 2 * SECOND)
    root.spawned(13, "python3", "y.py", at_ns=T0 + SECOND)
    # The pid comes again, for one that can.
    root.spawned(12, "python3", "z.py", at_ns=T0 + 100 * SECOND)
    assert [each.argv[1] for each in told(tmp_path, root).unmeasured] == ["y.py", "z.py"]


def test_a_measured_python_is_not_called_unmeasured(tmp_path: Path) -> None:
    root = HandMade(pid=11).spawned(12, "python3", "x.py", at_ns=T0 + SECOND)
    child = HandMade(pid=12, ppid=11, started_ns=T0 + SECOND - 1000)
    looks = [saw(11, python=True), saw(12, at=1, python=True)]
    assert told(tmp_path, root, child, observed=looks).unmeasured == ()


def test_a_measured_process_that_became_an_unmeasured_python_is_named(tmp_path: Path) -> None:
    made = HandMade(pid=11).about_to_exec("/usr/bin/python3", "python3", "-S", "x.py")
    (missing,) = told(tmp_path, made).unmeasured
    assert (missing.pid, missing.parent) == (11, made.image_id)
    assert "-S" in missing.reason


PYTHONS = [
    "python",
    "python2",
    "python3",
    "python2.7",
    "python3.13",
    "/usr/bin/python3",
    "./python",
    "python3.13t",
    "python3.13d",
    "python3.13td",
    "python3.7m",
    "python3.14t_d.exe",
    "python_d.exe",
    "python.exe",
    "pythonw.exe",
    "python3.11-dbg",
    "python3-dbg",
    "python3.12-debug",
    "python3.13-nogil",
    "python3.12-intel64",
    "python3.13t-intel64",
    "python3-32",
    "python3-64",
    "pythonw",
    "pythonw3.12",
    "python3.12-jit",
    "/Library/Frameworks/Python.framework/Versions/3.13/Resources/Python.app/Contents/MacOS/Python",
    "pypy",
    "pypy3",
    "pypy3.10",
    "pypy3.11-c",
    "pypy-c",
    "/opt/graalpy/bin/graalpy",
    "graalpy3.12",
    "graalpython",
    "/nix/store/x/bin/.python3.12-wrapped",
]
OTHERS = [
    "python-config",
    "python3-config",
    "python3.12-config",
    "python-config.sh",
    "ipython",
    "ipython3",
    "bpython",
    "ptpython",
    "pythonista",
    "pythonista.app",
    "pythontex",
    "python3-pip",
    "/python/ls",
    "/usr/lib/python3.12/x.py",
    "python.py",
    "python3.12-gdb.py",
    "bash",
    "pypi",
    "pypyr",
    "sleep",
]


@pytest.mark.parametrize("name", [*PYTHONS, "python3.12 (deleted)"])
def test_a_python_is_known_by_its_name_whatever_its_build(name: str) -> None:
    assert is_python(name)


@pytest.mark.parametrize("name", [*OTHERS, "", "/"])
def test_a_program_with_python_in_its_name_is_none(name: str) -> None:
    assert not is_python(name)


@pytest.mark.parametrize("name", PYTHONS)
def test_a_python_of_any_name_that_left_no_journal_is_named(tmp_path: Path, name: str) -> None:
    became = HandMade(pid=11).about_to_exec(name, name, "x.py")
    started = HandMade(pid=12).spawned(13, name, "x.py", at_ns=T0)
    assert {each.pid for each in told(tmp_path, became, started).unmeasured} == {11, 13}


COOKIES = ("e6ebbf21b1651017c47b6789866e344b", "fe90b2c9835f2a443dfb293f238d6ccf")
SITE = "/venv/lib/python3.13/site-packages"
UV = (
    "import sys; sys.path = ['/c'] + sys.path; from python.get_interpreter_info import main; main()"
)
PROBES = [
    ("-c", "import sys; print(sys.version_info[:2])"),
    (
        "-I",
        "-S",
        "-c",
        "import json, platform, sys\nprint(json.dumps([sys.prefix, platform.machine()]))",
    ),
    ("-Wignore", "-Ec", "from sysconfig import get_path\nprint(get_path('purelib'))"),
    ("-I", "-B", "-c", UV),
    (f"{SITE}/python_discovery/_py_info_collect.py", *COOKIES),
    (f"{SITE}/virtualenv/discovery/py_info.py", *COOKIES),
    ("/tmp/tmpabc/_py_info_collect.py", *COOKIES),
    ("-m", "ensurepip", "--upgrade", "--default-pip"),
    ("-Im", "ensurepip"),
    ("-mvenv", ".venv"),
    ("-I", "-m", "pip", "install", "x"),
]
LOSSES = [
    ("-c", "pass"),
    ("-c", "import x"),
    ("-c", "import sys, x"),
    ("-c", "import sys; sys.path.insert(0, '.'); from . import x"),
    ("-c", "import os; exec(open('x.py').read())"),
    ("-c", "import os; __import__('x').main()"),
    ("-c", "import sys; sys.modules['x'].main()"),
    ("-c", "from sys import modules; modules['x'].main()"),
    ("-c", "import site; site.addsitedir('x')"),
    ("-c", "import os; getattr(os, 'x')()"),
    ("-c", "import sys; print("),
    ("-c", UV),
    ("-c",),
    ("/project/py_info.py", *COOKIES),
    ("py_info.py", *COOKIES),
    (f"{SITE}/python_discovery/_py_info_collect.py", "x", "y"),
    (f"{SITE}/ray/_private/workers/default_worker.py", "--node"),
    ("-m", "pip", "install", "x"),
    ("-m", "x"),
    ("-I", "-m", "pytest"),
    ("x.py",),
    ("-i",),
    (),
]


@pytest.mark.parametrize("words", PROBES, ids=" ".join)
def test_a_python_that_is_only_asked_about_itself_is_no_loss(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    root = HandMade(pid=11).spawned(12, "/usr/bin/python3", *words, at_ns=T0)
    became = HandMade(pid=13).about_to_exec("/usr/bin/python3", "python3", *words)
    assert (
        told(
            tmp_path, root, became, observed=[saw(14, python=True, argv=("python3", *words))]
        ).unmeasured
        == ()
    )


@pytest.mark.parametrize("words", LOSSES, ids=" ".join)
def test_a_python_that_may_have_run_code_of_the_program_is_a_loss(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    root = HandMade(pid=11).spawned(12, "/usr/bin/python3", *words, at_ns=T0)
    project = session_result(Settings(session="s", cwd="/project"), (), ())
    assert len(provenance_of(fold([project, *results(tmp_path, root)])).unmeasured) == 1
    assert not runs_nothing_measured(("python3", *words), Settings(session="s", cwd="/project"))


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (("-I", "-m", "pip"), Settings(session="s", source_pkgs=("pip._internal",))),
        (("-m", "venv"), Settings(session="s", cover_pylib=True)),
        ((f"{SITE}/virtualenv/py_info.py", *COOKIES), Settings(session="s", source_pkgs=("virtualenv",))),
        (("/src/v/py_info.py", *COOKIES), Settings(session="s", source_dirs=("/src",))),
    ],
)  # fmt: skip
def test_a_tool_that_is_itself_measured_is_a_loss(
    words: tuple[str, ...], settings: Settings
) -> None:
    assert runs_nothing_measured(("python3", *words), Settings(session="s"))
    assert not runs_nothing_measured(("python3", *words), settings)


def test_flags_of_the_script_are_not_flags_of_the_interpreter() -> None:
    assert "-S" in unmeasured_reason(["python", "-IS", "-c", "pass"])
    assert "-S" in unmeasured_reason(["python", "-W", "error", "-S", "x.py"])
    for argv in (["python", "x.py", "-S"], ["python", "-m", "S", "-S"], ["python", "-WS", "x"]):
        assert "-S," not in unmeasured_reason(argv), argv


def test_the_part_of_one_session_can_be_taken_out(tmp_path: Path) -> None:
    one = image_result([read_journal(HandMade(pid=1).write(tmp_path))], session="one")
    two = image_result([read_journal(HandMade(pid=2).ran("/a", 1).write(tmp_path))], session="two")
    said = provenance_of(fold([one, two])).of_session("two")
    assert [each.pid for each in said.processes] == [2]
    assert [each.path for each in said.files] == ["/a"]


def test_a_clock_that_is_set_while_they_run_makes_no_process_an_unmeasured_one(
    tmp_path: Path,
) -> None:
    hour = 3600 * SECOND
    for set_by in (hour, -hour):
        root = HandMade(pid=11).spawned(12, "python3", "x.py", at_ns=T0 + SECOND)
        since_boot = root.boottime_ns + SECOND
        child = HandMade(
            pid=12, ppid=11, parent_id=root.image_id, started_ns=T0 + set_by, boottime_ns=since_boot
        )
        look = saw(12, 1.0, boottime_ns=since_boot, python=True, argv=("python3", "x.py"), ppid=11)
        said = told(tmp_path, root, child, observed=[look])
        assert said.unmeasured == ()
        assert [each.images for each in said.observed] == [(child.image_id,)]


def test_a_wait_counts_though_the_clock_was_set_back_before_it(tmp_path: Path) -> None:
    hour = 3600 * SECOND
    root = HandMade(pid=11)
    children = [
        HandMade(pid=12, ppid=11, parent_id=root.image_id, start_kind=FORKED, started_ns=T0 + at)
        for at in (hour, 2 * hour)
    ]
    root.reaped(12, signal.SIGKILL, at_ns=T0 + SECOND)
    _, child = told(tmp_path, root, children[0]).processes
    assert child.ending.words == "killed by SIGKILL"
    # Of two there is no telling which it was for.
    _, *both = told(tmp_path, root, *children).processes
    assert [each.ending.words for each in both] == ["unknown", "unknown"]


def test_a_pid_that_comes_again_soon_after_is_told_apart_by_the_time_since_boot(
    tmp_path: Path,
) -> None:
    """Closer together than the wall clock's slack: two lives, one image each."""
    one = HandMade(pid=12)
    tick = 10_000_000
    other = HandMade(
        pid=12, started_ns=one.started_ns + 9 * tick, boottime_ns=one.boottime_ns + 9 * tick
    )
    looks = [
        saw(12, 0.0, boottime_ns=one.boottime_ns, python=True, argv=("python3", "a.py")),
        saw(12, 0.09, boottime_ns=other.boottime_ns, python=True, argv=("python3", "b.py")),
    ]
    said = told(tmp_path, one, other, observed=looks)
    assert said.unmeasured == ()
    assert [each.images for each in said.observed] == [(one.image_id,), (other.image_id,)]
