"""What a run leaves: the data file, lines on stderr, and an exit status of its own if asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.carrier.preload_library import carrier_library
from covsup.supervisor.combining.fail_under import total_and_minimum
from covsup.supervisor.watching.linux import HAS_PROC
from covsup.supervisor.watching.process_table import this_table
from tests.supervisor.launch.test_target import refused
from tests.supervisor.live import UNTIL_OBSERVED, Live, beside, wait_until

if TYPE_CHECKING:
    from tests.world import World

HALF = "import sys\nif len(sys.argv) > 1:\n    one = 1\nelse:\n    two = 2\n"


def test_a_quiet_run_says_nothing(world: World) -> None:
    world.write("target.py", HALF)
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, "", "")
    assert sorted(path.name for path in world.directory.iterdir()) == [
        ".coverage", ".stderr", ".stdin", ".stdout", "target.py",
    ]  # fmt: skip


def test_a_run_replaces_the_result_and_append_adds_to_it(world: World) -> None:
    world.write("target.py", HALF)
    assert world.covsup_run("target.py").lines("target.py") == {1, 2, 5}
    assert world.covsup_run("target.py", "x").lines("target.py") == {1, 2, 3}
    run = world.covsup_run("target.py", options=["--append"])
    assert run.lines("target.py") == {1, 2, 3, 5}


def test_parallel_mode_leaves_everything_for_combine(world: World) -> None:
    world.write("target.py", HALF)
    for words in (("target.py",), ("target.py", "x")):
        run = world.covsup_run(*words, options=["-p"])
        assert (run.ended, run.stderr, run.data_file.exists()) == (0, "", False)
    run = world.run(world.python, "-m", "covsup", "combine")
    assert run.ended == 0
    assert run.stdout == f"Combined 2 sessions (2 processes) into {run.data_file}\n"
    assert run.lines("target.py") == {1, 2, 3, 5}
    assert not (world.directory / ".covsup").exists()


def test_a_report_combines_what_parallel_runs_left(world: World) -> None:
    world.write("target.py", HALF)
    for words in (("target.py",), ("target.py", "x")):
        world.covsup_run(*words, options=["-p"])
    kept = beside(world, "report", "--keep-combined", "--format=total")
    assert (kept.returncode, kept.stdout) == (0, "100\n"), kept
    assert len(list((world.directory / ".covsup").glob("2*"))) == 2
    report = beside(world, "report", "--format=total")
    assert (report.stdout, report.stderr) == (
        "100\n", f"covsup: combined 2 sessions into {world.data_file}\n",
    )  # fmt: skip
    assert not (world.directory / ".covsup").exists()
    # To what is there already it is added.
    world.covsup_run("target.py")
    world.covsup_run("target.py", "x", options=["-p"])
    assert beside(world, "report", "--format=total").stdout == "100\n"


def test_combine_takes_what_coverage_left_in_parallel_mode(world: World) -> None:
    world.write("target.py", HALF)
    world.run(world.python, "-m", "coverage", "run", "--branch", "-p", "target.py", "x")
    world.write(".coverage.json", "{}")
    run = world.run(world.python, "-m", "covsup", "combine")
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.lines("target.py") == {1, 2, 3}
    world.run(world.python, "-m", "coverage", "run", "--branch", "-p", "target.py", "x")
    world.covsup_run("target.py", options=["-p"])
    run = world.run(world.python, "-m", "covsup", "combine")
    assert run.lines("target.py") == {1, 2, 3, 5}
    assert [path.name for path in world.directory.glob(".cov*")] == [".coverage", ".coverage.json"]


SERVER = """\
print("up", flush=True)
for line in iter(input, "end"):
    exec(line)
    print("done", flush=True)
"""


def test_a_report_says_when_its_data_were_taken_where_something_has_more(world: World) -> None:
    world.write("server.py", SERVER)
    session = beside(world, "env", "--shell=path", "--branch").stdout.strip()
    with Live(world, world.python, "server.py", environment={"COVSUP_SESSION": session}) as live:
        live.wait_for("up")
        beside(world, "combine", "--keep")
        for kind in ("report", "json", "xml"):
            said = beside(world, kind).stderr.splitlines()
            (line,) = [each for each in said if each.startswith("covsup: ")]
            assert line.startswith(f"covsup: {world.data_file} has what was measured until 20")
            assert f"process {live.pid} ({Path(world.python).name} server.py) of session " in line
        live.send("end\n")
        assert live.ended() == 0
    assert "1 process of session" in beside(world, "report").stderr
    beside(world, "combine")
    world.write("target.py", HALF)
    assert beside(world, "report").stderr == "", "an open session without more is not named"
    run = world.covsup_run("target.py", options=["--data-file=other"])
    assert beside(world, "report", f"--data-file={run.directory / 'other'}").stderr == ""


def test_combine_after_all_is_combined_changes_nothing_and_is_no_error(world: World) -> None:
    world.write("target.py", HALF)
    assert beside(world, "combine").stderr.startswith("covsup: no session in ")
    run = world.covsup_run("target.py", "x")
    before = run.data_file.read_bytes()
    again = beside(world, "combine")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"Nothing new to combine into {run.data_file}\n"
    assert run.data_file.read_bytes() == before
    world.run(world.python, "-m", "coverage", "run", f"--data-file={run.data_file}", "target.py")
    foreign = beside(world, "combine")
    assert foreign.returncode == 1
    assert foreign.stderr.startswith("covsup: no session in ")


def test_combine_takes_coverages_files_and_coverage_takes_ours(world: World) -> None:
    world.write("target.py", HALF)
    world.run(world.python, "-m", "coverage", "run", "--branch", "-p", "target.py", "x")
    (theirs,) = world.directory.glob(".coverage.*")
    world.covsup_run("target.py", options=["-p"])
    (ours,) = (world.directory / ".covsup").glob("2*")
    run = world.run(world.python, "-m", "covsup", "combine", str(theirs), str(ours))
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("target.py") == {1, 2, 3, 5}
    shutil.copy(world.data_file, world.directory / ".coverage.copy")
    run = world.run(world.python, "-m", "coverage", "combine")
    assert run.ended == 0
    assert run.lines("target.py") == {1, 2, 3, 5}


def test_fail_under_turns_a_success_into_2(world: World) -> None:
    world.write("target.py", HALF)
    run = world.covsup_run("target.py", options=["--fail-under=90"], branch=False)
    assert run.ended == 2
    assert run.stderr == "covsup: the total of 75% is below --fail-under=90\n"
    assert run.lines("target.py") == {1, 2, 5}
    assert world.covsup_run("target.py", options=["--fail-under=75"], branch=False).ended == 0
    world.write("target.py", f"{HALF}sys.exit(7)\n")
    assert world.covsup_run("target.py", options=["--fail-under=100"]).ended == 7


@pytest.mark.parametrize(
    ("total", "minimum", "precision", "shown"),
    [
        (75.0, 90.0, 0, ("75", "90")),
        (0.4, 0.5, 0, ("0.4", "0.5")),
        (99.996, 100.0, 2, ("99.99", "100.00")),
        (99.6, 100.0, 0, ("99", "100")),
        (66.666, 66.67, 0, ("66.666", "66.670")),
        (66.6, 67.0, 0, ("66.6", "67.0")),
        (0.0, 1.0, 0, ("0", "1")),
    ],
)
def test_a_total_is_told_with_the_digits_that_tell_it_from_the_minimum(
    total: float, minimum: float, precision: int, shown: tuple[str, str]
) -> None:
    assert total_and_minimum(total, minimum, precision) == shown


def test_a_total_of_less_than_half_a_percent_is_not_called_none(world: World) -> None:
    world.write("target.py", "if 0:\n    pass\n" + "def f():\n" + "    x = 1\n" * 500)
    run = world.covsup_run("target.py", options=["--fail-under=0.5"], branch=False)
    assert run.ended == 2
    assert run.stderr == "covsup: the total of 0.4% is below --fail-under=0.5\n"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("{python} -S target.py", "started with -S"),
        ("env -i {python} target.py", "has no COVSUP_SESSION"),
        ("COVSUP_SESSION= {python} target.py", "an empty COVSUP_SESSION"),
        ("COVSUP_SESSION=/x {python} target.py", "another session, /x"),
    ],
)
def test_an_unmeasured_python_is_named_with_the_reason_and_strict_fails(
    world: World, command: str, reason: str
) -> None:
    world.write("target.py", UNTIL_OBSERVED)
    words = ("sh", "-c", f"{command.format(python=world.python)}; exit 0")
    run = world.covsup_run(*words)
    assert run.ended == 0
    line = run.stderr.splitlines()[-1]
    assert line.startswith("covsup: 1 Python process was not measured: ")
    assert reason in line
    assert world.covsup_run(*words, options=["--strict"]).ended == 3
    tree = beside(world, "tree")
    assert "NOT MEASURED: " in tree.stdout
    assert reason in " ".join(tree.stdout.replace("│", " ").split())


UNTIL_SEEN = (
    "import os\n"
    "seen = os.environ['COVSUP_SESSION'] + '/observed.jsonl~'\n"
    "me = f'\"pid\":{os.getpid()},'\n"
    "def lines():\n"
    "    return open(seen) if os.path.exists(seen) else []\n"
    "while not any(me in line and '\"until_seen.py\"]' in line for line in lines()):\n"
    "    pass\n"
)


def test_an_interpreter_without_covsup_below_a_shell_is_named_with_its_cure(
    world: World, bare_python: os.PathLike[str]
) -> None:
    world.write("until_seen.py", UNTIL_SEEN)
    run = world.covsup_run("sh", "-c", f"{bare_python} until_seen.py; true")
    assert run.ended == 0
    assert f"{bare_python} has no covsup: install it with: " in run.stderr


@pytest.mark.parametrize("how", ["by a relative path", "by PATH"])
def test_the_cure_names_the_environment_that_was_started_and_not_its_base(
    world: World, bare_python: Path, how: str
) -> None:
    world.write("until_seen.py", UNTIL_SEEN)
    (world.directory / "bare").symlink_to(bare_python.parent.parent)
    path = world.directory / "bare" / "bin"
    start = {
        "by a relative path": "bare/bin/python until_seen.py; true",
        "by PATH": f"PATH={path}:$PATH; python until_seen.py; true",
    }[how]
    run = world.covsup_run("sh", "-c", start)
    assert f"{path}/python has no covsup: install it with: " in run.stderr, run


@pytest.mark.parametrize("name", ["python3.11-dbg", "python3.14t", "Python"])
def test_a_python_of_another_build_is_missed_by_strict(
    world: World, bare_python: Path, name: str
) -> None:
    # A copy, not a link: the kernel names the file that runs.
    other = bare_python.parent / name
    if not other.exists():
        shutil.copy(bare_python.resolve(), other)
    world.write("until_seen.py", UNTIL_SEEN)
    library = str(sysconfig.get_config_var("LIBDIR"))
    run = world.covsup_run(
        *("sh", "-c", f"{other} until_seen.py; exit 0"),
        options=["--strict"],
        environment={"LD_LIBRARY_PATH": library},
    )
    assert run.ended == 3, run
    assert f"({name} until_seen.py): {other} has no covsup" in run.stderr


def runs(pid: int) -> str:
    program = this_table().program(pid)
    return program.argv[0] if program is not None and program.argv else ""


@pytest.mark.skipif(not HAS_PROC, reason="what is mapped is not to be seen")
def test_a_python_under_any_name_is_known_by_what_it_has_loaded() -> None:
    environment = {**os.environ, "LD_PRELOAD": str(carrier_library())}
    with subprocess.Popen(["sleep", "60"], env=environment) as sleep:
        try:
            wait_until(lambda: runs(sleep.pid) == "sleep", "it sleeps")
            assert not this_table().maps_python(sleep.pid)
        finally:
            sleep.kill()
    assert this_table().maps_python(os.getpid())


@pytest.mark.skipif(not HAS_PROC, reason="there is no second process of covsup's")
def test_of_a_session_in_a_session_only_the_target_is_named(world: World) -> None:
    world.write(
        "outer.py",
        "import os, subprocess, sys\n"
        "words = [sys.executable, '-m', 'covsup', 'run', '--data-file=inner', 'until_seen.py']\n"
        "subprocess.run([*words, os.environ['COVSUP_SESSION'] + '/observed.jsonl~'], check=True)\n",
    )
    world.write(
        "until_seen.py",
        "import os, sys\n"
        "def seen():\n"
        "    return open(sys.argv[1]).read() if os.path.exists(sys.argv[1]) else ''\n"
        "while f'\"pid\":{os.getpid()},' not in seen():\n"
        "    pass\n",
    )
    run = world.covsup_run("outer.py")
    assert run.ended == 0
    (line,) = [line for line in run.stderr.splitlines() if "not measured" in line]
    assert line.startswith("covsup: 1 Python process was not measured: ")
    assert "until_seen.py" in line
    assert "it belongs to another session" in line
    assert "sentry" not in beside(world, "tree").stdout


def test_strict_is_content_where_all_is_measured(world: World) -> None:
    world.write(
        "target.py",
        "import multiprocessing as mp, os, subprocess, sys\n"
        "def work(n):\n"
        "    return n * 2\n"
        "if __name__ == '__main__':\n"
        "    for way in ('fork', 'spawn', 'forkserver'):\n"
        "        with mp.get_context(way).Pool(2) as pool:\n"
        "            pool.map(work, range(4))\n"
        "    subprocess.run([sys.executable, '-I', '-c', 'pass'], env={})\n"
        "    subprocess.run(['sh', '-c', f'{sys.executable} -c pass; true'])\n"
        "    subprocess.run(['/no/such/program'], shell=True, stderr=subprocess.DEVNULL)\n"
        "    os.system('true')\n",
    )
    run = world.covsup_run("target.py", options=["--strict"])
    assert run.stderr == ""
    assert run.ended == 0


def test_a_data_file_that_is_no_database_is_left_alone(world: World) -> None:
    world.write("target.py", HALF)
    world.write(".coverage", "my notes\n")
    run = world.covsup_run("target.py")
    assert refused(run) == (
        f"{run.data_file} is not a coverage data file and is left as it is; name another --data-file"
    )
    assert run.data_file.read_text() == "my notes\n"


@pytest.mark.parametrize("where", ["target.py/is/no/directory/.coverage", "."])
def test_a_data_file_that_cannot_be_written_is_refused(world: World, where: str) -> None:
    world.write("target.py", HALF)
    run = world.covsup_run("target.py", options=[f"--data-file={where}"])
    assert "data file" in refused(run)


def test_lines_do_not_meet_branches_and_nothing_is_lost(world: World) -> None:
    world.write("target.py", HALF)
    world.covsup_run("target.py", branch=True)
    run = world.covsup_run("target.py", "x", branch=False, options=["--append"])
    assert run.ended == 1
    (line,) = run.stderr.splitlines()
    assert "one data file cannot hold both" in line
    assert run.lines("target.py") == {1, 2, 5}
    (aside,) = world.directory.glob(".coverage-*")
    assert str(aside) in line
    with contextlib.closing(sqlite3.connect(aside)) as database:
        assert database.execute("select count(*) from line_bits").fetchone() == (1,)


def test_the_static_context_reaches_every_process(world: World) -> None:
    world.write(
        "target.py",
        "import os\nif os.fork() == 0:\n    child = 1\n    os._exit(0)\nos.wait()\n",
    )
    run = world.covsup_run("target.py", options=["--context=nightly"])
    assert run.data.measured_contexts() == {"nightly"}


REPORTS = [
    ("report", ["--show-missing", "--fail-under=10"], ""),
    ("html", ["--directory=pages", "--title=T"], "pages/index.html"),
    ("xml", ["-o", "out.xml"], "out.xml"),
    ("json", ["-o", "out.json", "--pretty-print"], "out.json"),
    ("lcov", ["-o", "out.lcov"], "out.lcov"),
    ("annotate", ["-d", "notes"], "notes"),
]


@pytest.mark.parametrize(("kind", "options", "made"), REPORTS, ids=[row[0] for row in REPORTS])
def test_reports_are_coverages_with_its_own_options(
    world: World, kind: str, options: list[str], made: str
) -> None:
    world.write("target.py", HALF)
    data_file = world.directory / "data"
    world.covsup_run("target.py", data_file=data_file)
    theirs = world.run(world.python, "-m", "coverage", kind, f"--data-file={data_file}", *options)
    ours = world.run(world.python, "-m", "covsup", kind, f"--data-file={data_file}", *options)
    assert (ours.ended, ours.stdout, ours.stderr) == (0, theirs.stdout, theirs.stderr)
    assert (world.directory / made).exists()


@pytest.mark.parametrize(
    "options",
    [["--branch"], ["--branch", f"--rcfile={os.devnull}"], ["--branch", "--append"]],
    ids=["alone", "no settings", "append"],
)
def test_a_run_imports_coverage_py_only_where_it_needs_it(world: World, options: list[str]) -> None:
    world.write("target.py", "print(1)\n")
    for _ in range(2):
        run = world.run(
            world.python, "-X", "importtime", "-m", "covsup", "run", *options, "--", "target.py"
        )
        assert run.ended == 0
        assert run.lines("target.py") == {1}
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "covsup.supervisor.combining.combine" in imported
    # What it is to be united with is read by coverage.py.
    assert ("coverage" in imported) == ("--append" in options)
    assert ("typing" in imported) == ("--append" in options)


def test_a_report_that_fails_has_coverages_status(world: World) -> None:
    world.write("target.py", HALF)
    world.covsup_run("target.py")
    assert beside(world, "report", "--fail-under=99").returncode == 2
    assert beside(world, "report", "--no-such-option").returncode == 1
    assert beside(world, "html", "--directory=/proc/none").returncode == 1


def test_erase_deletes_data_and_sessions_of_this_data_file_only(world: World) -> None:
    world.write("target.py", HALF)
    world.covsup_run("target.py")
    world.covsup_run("target.py", options=["-p"])
    world.covsup_run("target.py", options=["-p", "--data-file=other"])
    world.write(".coverage.host.1", "")
    done = beside(world, "erase")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not world.data_file.exists()
    assert not (world.directory / ".coverage.host.1").exists()
    assert len(list((world.directory / ".covsup").glob("2*"))) == 1
    beside(world, "erase", "--data-file=other")
    assert not (world.directory / ".covsup").exists()
