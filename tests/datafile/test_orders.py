"""A result depends neither on the order of its inputs nor on the seed of Python's hashes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage.files import set_relative_directory

from covsup.supervisor.settings.combine_settings import CombineSettings
from tests.datafile.handmade import FORKED, HandMade, handmade_session

if TYPE_CHECKING:
    from tests.world import World

SEEDS = 4

# Folds the journals of a session in the order that the seed gives, and prints the data file.
FOLDING = """\
import random, sqlite3, sys
from pathlib import Path
from covsup.datafile.fold.gather import ImageFold, session_result
from covsup.datafile.database.database import read_covsup_tables, write_database
from covsup.datafile.fold.fold import fold, remapped
from covsup.datafile.journal.reader import read_journal
from covsup.datafile.database.data_files import DataFile
from covsup.datafile.session.observations import Observation
from covsup.datafile.session.directory import open_session
from covsup.supervisor.settings.combine_settings import CombineSettings

path, seed = Path(sys.argv[1]), int(sys.argv[2])
combine_settings = CombineSettings(data_file=Path("none"), relative_files=True)
session = open_session(path)
images = {}
for journal in session.journals():
    images.setdefault(journal.image_id, []).append(read_journal(journal.path))
groups = [list(images.values())[::2], list(images.values())[1::2]]
order = random.Random(seed)
results = [session_result(session.settings, session.notes(), session.observations())]
for group in groups:
    order.shuffle(group)
    image_fold = ImageFold()
    for segments in group:
        order.shuffle(segments)
        image_fold.add(segments, session=session.id, static_context="static")
    results.append(image_fold.result())
order.shuffle(results)
whole = fold(remapped(each, combine_settings.map_path()) for each in results)
first, second = Path(f"first-{seed}"), Path(f"second-{seed}")
touched = {f"/touched/{n}.py": "" for n in order.sample(range(9), 9)}
write_database(whole, first, touched=touched)
# As a later combination does, which unites it with others.
write_database(fold([read_covsup_tables(first)]), second, others=[DataFile(path=first)])
for file in (first, second):
    for line in sorted(sqlite3.connect(file).iterdump()):
        print(line)
    file.unlink()
"""


@pytest.mark.parametrize("branch", [True, False])
def test_a_data_file_is_the_same_whatever_the_order_and_the_hash_seed(
    tmp_path: Path, branch: bool
) -> None:
    names = ("tests/util.py", "pkg/tests/util.py", "pkg/deep/tests/util.py", "other.py")
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n" * (number + 1))
    journals = []
    for number in range(9):
        made = HandMade(
            image_id=f"{number:032x}",
            parent_id=f"{number // 2:032x}" if number else "0" * 32,
            pid=5_000_000 + number,
            ppid=5_000_000 + number // 2,
            start_kind=FORKED,
            started_ns=10**18 + number % 3 * 10**9,
            branch=branch,
        )
        made.knows("argv", b"python\0x.py").knows("cwd", b"/here")
        for at, name in enumerate(names):
            for place in (tmp_path, Path("/elsewhere/checkout")):
                context = ("", "one|run", "two|run")[(number + at) % 3]
                lines = range(1, 3 + (number * at) % 7)
                if branch:
                    made.went(str(place / name), *itertools.pairwise(lines), context=context)
                else:
                    made.ran(str(place / name), *lines, context=context, module=f"m{number % 2}")
        made.event(6, b"gevent\0001.0").reaped(5_000_000 + number, 0).ended(number % 2)
        journals += [made, made.next_segment().ran(str(tmp_path / "other.py"), 77)]
    session = handmade_session(tmp_path / ".coverage", journals)
    printed = set()
    for seed in range(SEEDS):
        done = subprocess.run(
            [sys.executable, "-c", FOLDING, str(session.path), str(seed)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1
    (text,) = printed
    assert "'pkg/deep/tests/util.py'" in text
    assert "/elsewhere" not in text.partition("covsup_")[0]


def test_where_a_file_belongs_does_not_depend_on_the_files_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {
        "tests/util.py": "tests/util.py",
        "pkg/tests/util.py": "pkg/tests/util.py",
        f"{tmp_path}/tests/util.py": "tests/util.py",
        f"{tmp_path}/pkg/tests/util.py": "pkg/tests/util.py",
        "/ci/build/tests/util.py": "tests/util.py",
        "/ci/build/pkg/tests/util.py": "pkg/tests/util.py",
        "C:\\ci\\pkg\\tests\\util.py": "pkg/tests/util.py",
        "/ci/build/util.py": "/ci/build/util.py",
        "/ci/build/tests/unknown.py": "/ci/build/tests/unknown.py",
    }
    for name in ("tests/util.py", "pkg/tests/util.py", "util.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name!r}\n")
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        set_relative_directory()
        combine_settings = CombineSettings(data_file=tmp_path / ".coverage", relative_files=True)
        for first in there:
            map_path = combine_settings.map_path()
            for path in (first, *there, *reversed(list(there))):
                assert map_path(path) == there[path]
        # What another checkout on this machine has otherwise is another file.
        other = tmp_path / "elsewhere" / "tests" / "util.py"
        other.parent.mkdir(parents=True)
        other.write_text("edited = 1\n")
        patch.chdir(tmp_path / "pkg")
        set_relative_directory()
        assert CombineSettings(data_file=other, relative_files=True).map_path()(str(other)) == str(
            other
        )
        other.write_text("'pkg/tests/util.py'\n")
        assert (
            CombineSettings(data_file=other, relative_files=True).map_path()(str(other))
            == "tests/util.py"
        )
    set_relative_directory()


@pytest.mark.parametrize("seed", range(2))
def test_two_files_of_one_name_stay_two_with_relative_files(world: World, seed: int) -> None:
    world.write("tests/util.py", "x = 1\n")
    world.write("pkg/tests/util.py", "\n\n\ny = 4\nz = 5\n")
    world.write(".coveragerc", "[run]\nrelative_files = true\n")
    order = ["tests.util", "pkg.tests.util"]
    world.write(
        "target.py", "".join(f"import {name}\n" for name in order[:: 1 if seed % 2 else -1])
    )
    run = world.covsup_run("target.py", environment={"PYTHONHASHSEED": str(seed)})
    assert run.ended == 0, run
    assert run.data.lines("tests/util.py") == [1]
    assert sorted(run.data.lines("pkg/tests/util.py") or ()) == [4, 5]
