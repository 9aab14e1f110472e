"""Analyses are made in the background, and kept on disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from covsup.datafile.fold.result import Version
from covsup.datafile.fold.sets import line_set_of
from covsup.datafile.source_files import version_now
from covsup.views.sources import background, disk_cache
from covsup.views.sources import source_library as library_module
from covsup.views.sources.disk_cache import AnalysisCache
from covsup.views.sources.reporters import Reporters
from covsup.views.sources.source_library import Priority, SourceLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 50.0
PROGRAM = "import os\n\ndef function():\n    return 1\n"


class Watched:
    """A library, and the paths that it said were ready."""

    def __init__(self, config_file: str | bool = False, workers: int | None = None) -> None:
        self._news = threading.Event()
        self.source_library = SourceLibrary(config_file, on_ready=self._news.set, workers=workers)
        self.ready: list[str] = []

    def wait(self, *paths: Path) -> None:
        """Wait until all of them are ready."""
        deadline = time.monotonic() + PATIENCE
        while not {str(path) for path in paths} <= set(self.ready):
            assert self._news.wait(deadline - time.monotonic()), self.ready
            self._news.clear()
            self.ready += self.source_library.take_ready()

    def processes(self) -> list[int]:
        return self.source_library._background.processes()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(*arguments: object, **options: object) -> Watched:
        made.append(Watched(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.source_library.close()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_analysis_is_made_in_the_background(
    watch: Callable[..., Watched], program: Path
) -> None:
    watched = watch()
    assert watched.source_library.analysis(str(program)) is None
    watched.wait(program)
    analysis = watched.source_library.analysis(str(program))
    assert analysis is not None
    assert analysis.statements == line_set_of([1, 3, 4])
    assert analysis == SourceLibrary(False).analysis_now(str(program))


def test_no_process_is_started_without_work(watch: Callable[..., Watched], program: Path) -> None:
    watched = watch()
    assert watched.processes() == []
    watched.source_library.analysis(str(program))
    watched.wait(program)
    assert len(watched.processes()) == 1


def test_a_process_has_a_low_priority(watch: Callable[..., Watched], program: Path) -> None:
    watched = watch()
    watched.source_library.analysis(str(program))
    watched.wait(program)
    (pid,) = watched.processes()
    assert psutil.Process(pid).nice() == min(19, psutil.Process().nice() + 10)


def test_a_process_ends_when_there_is_no_work(
    watch: Callable[..., Watched], program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_IDLE_SECONDS", 0.01)
    watched = watch()
    watched.source_library.analysis(str(program))
    watched.wait(program)
    wait_until(lambda: watched.processes() == [])
    program.write_text("x = 1\n")
    watched.source_library.request([str(program)])
    wait_until(lambda: watched.source_library.analysis(str(program)).statements == line_set_of([1]))


def test_closing_ends_the_processes(watch: Callable[..., Watched], tmp_path: Path) -> None:
    watched = watch(workers=2)
    paths = [tmp_path / f"module{number}.py" for number in range(20)]
    for path in paths:
        path.write_text(PROGRAM)
    watched.source_library.request(map(str, paths))
    watched.wait(paths[0])
    pids = watched.processes()
    watched.source_library.close()
    assert pids
    assert all(map(is_gone, pids))


def test_the_processes_end_with_their_parent(tmp_path: Path, program: Path) -> None:
    script = (
        "import sys, time\n"
        "from covsup.views.sources.source_library import SourceLibrary\n"
        "library = SourceLibrary(False)\n"
        "library.analysis(sys.argv[1])\n"
        "while library.analysis(sys.argv[1]) is None:\n"
        "    time.sleep(0.01)\n"
        "print(*library._background.processes(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert pids
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: all(map(is_gone, pids)))


def test_a_killed_process_costs_only_the_file_that_it_analysed(
    watch: Callable[..., Watched], program: Path, tmp_path: Path
) -> None:
    watched = watch(workers=1)
    watched.source_library.analysis(str(program))
    watched.wait(program)
    (pid,) = watched.processes()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(PROGRAM)
    second.write_text(PROGRAM)
    watched.source_library.analysis(str(first))
    watched.wait(first)
    assert watched.source_library.problem(str(first)) == (
        f"{first}: the process that analysed it ended with signal 9"
    )
    watched.source_library.analysis(str(second))
    watched.wait(second)
    assert watched.source_library.analysis(str(second)) is not None


def test_files_that_are_looked_at_come_first(watch: Callable[..., Watched], tmp_path: Path) -> None:
    watched = watch(workers=1)
    paths = [tmp_path / f"module{number}.py" for number in range(100)]
    for path in paths:
        path.write_text(PROGRAM)
    watched.source_library.request(map(str, paths))
    watched.source_library.request([str(paths[98])], Priority.MOVING)
    watched.source_library.analysis(str(paths[99]))
    watched.wait(*paths)
    looked_at, moving, other = (watched.ready.index(str(paths[each])) for each in (99, 98, 97))
    # The process may have begun with the moving one before the other was looked at.
    assert max(looked_at, moving) < min(50, other)


def test_an_edited_file_is_analysed_again(watch: Callable[..., Watched], program: Path) -> None:
    watched = watch()
    watched.source_library.analysis(str(program))
    watched.wait(program)
    measured = version_now(str(program))
    assert not watched.source_library.is_edited(str(program), {measured})
    program.write_text("import os\nimport sys\n")
    assert watched.source_library.is_edited(str(program), {measured})
    assert watched.source_library.analysis_now(str(program)).statements == line_set_of([1, 2])
    wait_until(
        lambda: watched.source_library.analysis(str(program)).statements == line_set_of([1, 2])
    )


def test_a_copy_with_another_time_is_not_edited(
    watch: Callable[..., Watched], program: Path
) -> None:
    measured = version_now(str(program))
    os.utime(program, ns=(1, 1))
    assert not watch().source_library.is_edited(str(program), {measured})
    assert watch().source_library.is_edited(str(program), {Version("2-2")})


def test_a_source_in_a_zip_file_is_analysed(watch: Callable[..., Watched], tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("package/module.py", PROGRAM)
    path = tmp_path / "all.zip" / "package" / "module.py"
    watched = watch()
    watched.source_library.analysis(str(path))
    watched.source_library.highlighted(str(path))
    watched.wait(path)
    assert watched.source_library.analysis_now(str(path)).statements == line_set_of([1, 3, 4])
    assert "".join(
        text for _, text in watched.source_library.highlighted_now(str(path)).lines[0]
    ) == ("import os")


@pytest.mark.parametrize(
    "contents",
    [b"# coding: latin-1\nx = '\xe4'\n", b"\xef\xbb\xbfx = 1\n", b"x = 1\r\ny = 2\r\n", b"x = 1\ry = 2",
     b"# coding: utf-8\nx = '\xff'\n"],
    ids=["latin-1", "bom", "crlf", "cr", "not-utf-8"],
)  # fmt: skip
def test_an_odd_encoding_is_read_as_coverage_py_reads_it(
    watch: Callable[..., Watched], tmp_path: Path, contents: bytes
) -> None:
    import coverage
    from coverage.python import PythonFileReporter

    path = tmp_path / "program.py"
    path.write_bytes(contents)
    watched = watch()
    watched.source_library.analysis(str(path))
    watched.wait(path)
    found = watched.source_library.analysis_now(str(path))
    oracle = coverage.Coverage(data_file=None, config_file=False)
    oracle._init()
    assert found.statements == line_set_of(PythonFileReporter(str(path), oracle).lines())


def test_a_pipe_in_place_of_a_source_does_not_block(
    watch: Callable[..., Watched], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    watched = watch()
    watched.source_library.analysis(str(tmp_path / "pipe.py"))
    watched.wait(tmp_path / "pipe.py")
    assert "cannot be read" in watched.source_library.problem(str(tmp_path / "pipe.py"))


def test_without_processes_it_is_analysed_in_this_one(
    watch: Callable[..., Watched], program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("covsup.views.sources.background.WorkerProcess", refuse)
    watched = watch()
    watched.source_library.analysis(str(program))
    watched.source_library.highlighted(str(program))
    wait_until(lambda: watched.source_library.analysis(str(program)) is not None)
    wait_until(lambda: watched.source_library.highlighted(str(program)) is not None)


@pytest.mark.usefixtures("cache")
class TestCacheOnDisk:
    """Of what one library made, the next one makes nothing again."""

    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("COVSUP_SOURCE_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache" / "analyses.sqlite"

    def fill(self, program: Path) -> None:
        with SourceLibrary(False) as library:
            library.analysis_now(str(program))

    def misses(self, program: Path, config_file: str | bool = False) -> int:
        """How many analyses the next library makes anew."""
        made = []
        with SourceLibrary(config_file) as library:
            analyse = library._reporters.analyse
            library._reporters.analyse = lambda *each: made.append(each) or analyse(*each)
            expected = Reporters(config_file).analyse(str(program), "")
            assert library.analysis_now(str(program)) == expected
        return len(made)

    def test_a_known_source_is_not_analysed_again(self, program: Path) -> None:
        self.fill(program)
        assert self.misses(program) == 0

    def test_the_same_contents_elsewhere_are_known(self, program: Path, tmp_path: Path) -> None:
        self.fill(program)
        (tmp_path / "copy.py").write_text(PROGRAM)
        assert self.misses(tmp_path / "copy.py") == 0

    def test_an_edited_source_is_analysed(self, program: Path) -> None:
        self.fill(program)
        program.write_text(PROGRAM + "1\n")
        assert self.misses(program) == 1

    def test_other_exclusions_are_other_analyses(self, program: Path, tmp_path: Path) -> None:
        self.fill(program)
        (tmp_path / "settings").write_text("[report]\nexclude_also = def\n")
        assert self.misses(program, str(tmp_path / "settings")) == 1

    @pytest.mark.parametrize("damage", ["header", "middle", "empty", "entry"])
    def test_a_damaged_cache_is_harmless(self, cache: Path, program: Path, damage: str) -> None:
        self.fill(program)
        contents = cache.read_bytes()
        match damage:
            case "header":
                cache.write_bytes(b"no database" + contents[11:])
            case "middle":
                cache.write_bytes(contents[:4096] + b"\xff" * (len(contents) - 4096))
            case "empty":
                cache.write_bytes(b"")
            case "entry":
                with sqlite3.connect(cache) as database:
                    database.execute("UPDATE analysis SET text = x'1234'")
                database.close()
        assert self.misses(program) == 1
        self.misses(program)  # where the file was removed, this one makes it anew
        assert self.misses(program) == 0

    def test_a_cache_that_cannot_be_written_is_read(
        self, cache: Path, program: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.fill(program)
        monkeypatch.setattr(disk_cache, "_BUSY_SECONDS", 0.1)
        with sqlite3.connect(cache) as database:
            database.execute("BEGIN EXCLUSIVE")  # as another process that does not end
            database.execute("UPDATE analysis SET used = 0")
            self.misses(program)
        database.close()
        assert self.misses(program) == 0

    def test_no_cache_directory_is_harmless(
        self, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("COVSUP_SOURCE_CACHE", str(tmp_path / "file" / "below"))
        assert self.misses(program) == 1

    def test_a_full_disk_is_harmless(self, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVSUP_SOURCE_CACHE", "/dev/full")
        assert self.misses(program) == 1

    def test_off_writes_nothing(
        self, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COVSUP_SOURCE_CACHE", "off")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
        assert self.misses(program) == 1
        assert not (tmp_path / "home").exists()
        monkeypatch.delenv("COVSUP_SOURCE_CACHE")
        self.misses(program)
        assert [each.name for each in (tmp_path / "home" / "covsup").iterdir()] == [
            "analyses.sqlite"
        ]

    def test_its_size_is_bounded(self, tmp_path: Path, program: Path) -> None:
        analysis = Reporters(False).analyse(str(program), "")
        large = analysis._replace(arcs=os.urandom(64_000))
        cache = AnalysisCache(tmp_path / "cache", b"key", largest_bytes=4_000_000)
        for number in range(1000):
            cache.put(str(number), large)
        cache.close()
        assert (tmp_path / "cache" / "analyses.sqlite").stat().st_size < 30_000_000
        again = AnalysisCache(tmp_path / "cache", b"key", largest_bytes=4_000_000)
        assert sum(again.get(str(number)) is not None for number in range(1000)) < 300
        again.close()

    def test_processes_write_at_the_same_time(self, tmp_path: Path) -> None:
        script = (
            "import sys\n"
            "from covsup.views.sources.source_library import SourceLibrary\n"
            "for path in sys.argv[1:]:\n"
            "    with SourceLibrary(False) as library:\n"
            "        library.analysis_now(path)\n"
        )
        paths = [tmp_path / f"module{number}.py" for number in range(10)]
        for number, path in enumerate(paths):
            path.write_text(PROGRAM * (number + 1))
        started = [
            subprocess.Popen([sys.executable, "-c", script, *paths[half : half + 5]])
            for half in (0, 5)
        ]
        assert [each.wait() for each in started] == [0, 0]
        assert [self.misses(path) for path in paths] == [0] * 10


def test_the_module_names_what_faces_need() -> None:
    assert set(library_module.__all__) <= set(vars(library_module))
