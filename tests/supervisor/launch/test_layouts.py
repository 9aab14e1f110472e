"""Where covsup may be installed, and whether a run is refused there: by what Python does at start.

Each layout is built by hand, as venv, uv, pipx, conda, pip and virtualenvwrapper build theirs.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import covsup
from covsup.supervisor.launch.install_hint import Environment, how_to_install, requirement_from
from tests.supervisor.launch.test_target import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

PACKAGE = Path(covsup.__file__).parent
STARTUP = next(
    path
    for place in (*site.getsitepackages(), site.getusersitepackages())
    if (path := Path(place) / "covsup.pth").exists()
)
OURS = STARTUP.parent
"""Where the environment of the tests has its packages, with what covsup needs."""

LIB = f"python{sys.version_info[0]}.{sys.version_info[1]}"


class Layout:
    """An environment in the making."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = root / "bin" / "python"
        self.site = root / "lib" / LIB / "site-packages"
        self.elsewhere = root / "elsewhere"
        self.variables: dict[str, str] = {}
        self.options: tuple[str, ...] = ()

    def venv(self, *lines: str, home: Path | None = None) -> None:
        self.python.parent.mkdir(parents=True)
        self.site.mkdir(parents=True)
        base = Path(sys._base_executable) if home is None else home / "python"
        self.python.symlink_to(base)
        text = "\n".join((f"home = {base.parent}", *lines))
        (self.root / "pyvenv.cfg").write_text(text + "\n", encoding="utf-8")
        # What covsup needs, as plain paths: no startup file is looked for there.
        self.pth("needed", str(OURS))

    def pth(self, name: str, line: str) -> None:
        (self.site / f"{name}.pth").write_text(line + "\n", encoding="utf-8")

    def install(self, directory: Path) -> Path:
        """Put covsup there as a wheel would be."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "covsup").symlink_to(PACKAGE)
        for name in "covsup.pth", "covsup.start":
            if (OURS / name).exists():
                shutil.copy(OURS / name, directory)
        return directory

    def overlay(self, directory: Path) -> None:
        self.pth("_overlay", f"import site; site.addsitedir({str(directory)!r})")

    def prefix(self) -> None:
        """Make a whole installation of its own, as conda does."""
        self.python.parent.mkdir(parents=True)
        shutil.copy(Path(sys._base_executable).resolve(), self.python)
        self.site.parent.mkdir(parents=True)
        for entry in Path(sysconfig.get_path("stdlib")).iterdir():
            if not entry.name.endswith("-packages"):
                (self.site.parent / entry.name).symlink_to(entry)
        self.variables["LD_LIBRARY_PATH"] = str(sysconfig.get_config_var("LIBDIR"))
        # Debian's Pythons have another name for it.
        asked = subprocess.run(
            [self.python, "-c", "import site; print(site.getsitepackages()[-1])"],
            env=self.variables, check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.site = Path(asked.stdout.strip())
        self.site.mkdir(parents=True)
        self.pth("needed", str(OURS))


def wheel(layout: Layout) -> None:
    layout.venv()
    layout.install(layout.site)


def editable(layout: Layout) -> None:
    layout.venv()
    layout.pth("__editable__.covsup", str(PACKAGE.parent))
    shutil.copy(STARTUP, layout.site)


def uv_run_with(layout: Layout) -> None:
    layout.venv()
    layout.overlay(layout.install(layout.elsewhere))


def uv_run_with_in_a_project(layout: Layout) -> None:
    project = Layout(layout.root / "project")
    project.venv()
    project.overlay(project.install(project.elsewhere))
    layout.venv()
    layout.overlay(project.site)


def system_site_packages(layout: Layout) -> None:
    base = Layout(layout.root / "base")
    base.prefix()
    base.install(base.site)
    layout.venv("include-system-site-packages = true", home=base.python.parent)
    layout.variables.update(base.variables)


def conda(layout: Layout) -> None:
    layout.prefix()
    layout.install(layout.site)


def isolated(layout: Layout) -> None:
    uv_run_with(layout)
    layout.options = ("-I",)


def without_variables(layout: Layout) -> None:
    uv_run_with(layout)
    layout.options = ("-E",)


def user_site(layout: Layout) -> None:
    layout.prefix()
    layout.install(layout.root / "user" / "lib" / LIB / "site-packages")
    layout.variables["PYTHONUSERBASE"] = str(layout.root / "user")


def target_directory(layout: Layout) -> None:
    layout.venv()
    layout.variables["PYTHONPATH"] = str(layout.install(layout.elsewhere))


def add2virtualenv(layout: Layout) -> None:
    layout.venv()
    layout.pth("_virtualenv_path_extensions", str(layout.install(layout.elsewhere)))


def user_site_left_out(layout: Layout) -> None:
    user_site(layout)
    layout.variables["PYTHONPATH"] = str(PACKAGE.parent)
    layout.options = ("-s",)


def other_version(layout: Layout) -> None:
    layout.venv()
    layout.install(layout.site)
    (layout.site / "covsup").unlink()
    shutil.copytree(
        PACKAGE, layout.site / "covsup",
        ignore=lambda _, names: [name for name in names if name.endswith((".so", ".pyc"))],
    )  # fmt: skip


MEASURED = [
    wheel, editable, uv_run_with, uv_run_with_in_a_project, system_site_packages, conda, isolated,
    without_variables, user_site,
]  # fmt: skip
NOT_STARTED = "finds covsup, but does not run its startup file"
REFUSED = {
    target_directory: NOT_STARTED,
    add2virtualenv: NOT_STARTED,
    user_site_left_out: NOT_STARTED,
    other_version: "has a covsup that cannot be loaded there (",
}


def built(world: World, make: Callable[[Layout], None]) -> Layout:
    layout = Layout(world.directory / "layout")
    make(layout)
    world.write("target.py", "import sys\nprint(sys.prefix)\n")
    return layout


@pytest.mark.parametrize("make", MEASURED, ids=lambda make: make.__name__)
def test_a_layout_whose_startup_file_is_run_is_measured(
    world: World, make: Callable[[Layout], None]
) -> None:
    layout = built(world, make)
    own = [str(layout.python), *layout.options]
    by_itself = world.run(*own, "-m", "covsup", "run", "target.py", environment=layout.variables)
    assert (by_itself.ended, by_itself.stdout, by_itself.stderr) == (0, f"{layout.root}\n", "")
    assert by_itself.lines("target.py") == {1, 2}
    world.data_file.unlink()
    by_another = world.covsup_run(*own, "target.py", environment=layout.variables)
    assert (by_another.ended, by_another.stderr) == (0, "")
    assert by_another.lines("target.py") == {1, 2}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_a_layout_without_a_startup_file_is_refused_with_the_reason(
    world: World, make: Callable[[Layout], None]
) -> None:
    layout = built(world, make)
    own = [str(layout.python), *layout.options]
    run = world.covsup_run(*own, "target.py", environment=layout.variables)
    assert refused(run).startswith(f"{layout.python} {REFUSED[make]}"), run
    # It is true: that Python leaves no journal.
    below = world.covsup_run("sh", "-c", f"{' '.join(own)} target.py; exit 0",
                             environment=layout.variables)  # fmt: skip
    assert (below.stdout, below.lines("target.py")) == (f"{layout.root}\n", set())


@pytest.mark.parametrize("form", ["script", "command"])
def test_a_python_that_skips_its_startup_files_is_refused(world: World, form: str) -> None:
    world.write("target.py", "print('ran')\n")
    if form == "command":
        run = world.covsup_run(world.python, "-IS", "target.py")
    else:
        path = os.pathsep.join((str(PACKAGE.parent), str(OURS)))
        run = world.run(
            world.python, "-S", "-m", "covsup", "run", "target.py", environment={"PYTHONPATH": path}
        )
    assert refused(run).startswith("a Python started with -S skips the startup files")


def test_asking_an_interpreter_leaves_nothing_behind(world: World) -> None:
    layout = built(world, uv_run_with)
    world.run(
        str(layout.python), "-m", "covsup", "run", "--data-file=out/data", "target.py",
        environment={"COVERAGE_PROCESS_START": str(world.write("rc", "[run]\nparallel = true\n"))},
    )  # fmt: skip
    left = {path.name for path in world.directory.iterdir()} - {".stdin", ".stdout", ".stderr"}
    assert left == {"layout", "out", "rc", "target.py"}


HERE = Environment(version=sys.version_info[:2], prefix="/env/tool")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (HERE, "install it with: /p/python -m pip install gevent"),
        (HERE._replace(manager="pipx"), "install it with: pipx inject tool gevent"),
        (HERE._replace(manager="uv"), "install it with: uv tool install --with gevent tool"),
        (HERE._replace(externally_managed=True), "pip refuses to change them (PEP 668)"),
        (HERE._replace(writable=False), "/env/tool is not writable"),
        (HERE._replace(has_pip=False), "install it with: uv pip install --python /p/python gevent"),
    ],
)
def test_the_advice_is_one_that_works_in_that_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment, sentence: str
) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sentence in how_to_install("gevent", "/p/python", environment)


def test_a_python_that_refuses_pip_is_not_told_to_use_it(world: World) -> None:
    layout = built(world, Layout.prefix)
    (layout.site.parent / "EXTERNALLY-MANAGED").write_text("", encoding="utf-8")
    run = world.covsup_run(str(layout.python), "target.py", environment=layout.variables)
    assert "has no covsup: its packages are the system's and pip refuses to change them" in (
        refused(run)
    )
    layout.python = layout.root / "venv" / "bin" / "python"
    layout.site = layout.root / "venv" / "lib" / LIB / "site-packages"
    base, layout.root = layout.root, layout.root / "venv"
    layout.venv(home=base / "bin")
    run = world.covsup_run(str(layout.python), "target.py", environment=layout.variables)
    assert "PEP 668" not in refused(run)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({}, ""),
        ({"url": "file:///no/such", "dir_info": {"editable": True}}, ""),
        ({"url": "file:///", "dir_info": {}}, "/"),
        ({"url": "https://x/covsup-0.1.tar.gz", "archive_info": {}}, "https://x/covsup-0.1.tar.gz"),
        ({"url": "https://x/covsup-0.1-cp313-cp313-linux.whl"}, "https://x/covsup-0.1-cp313-cp313-linux.whl"),
        ({"url": "https://x/covsup-0.1-cp312-cp312-linux.whl"}, ""),
        ({"url": "file:///no/covsup-0.1-cp313-cp313-linux.whl"}, ""),
        (
            {"url": "https://x/covsup", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://x/covsup@abc",
        ),
    ],
)  # fmt: skip
def test_covsup_is_named_by_where_it_came_from(said: dict[str, object], named: str) -> None:
    assert requirement_from(said, (3, 13)) == named


def test_without_pip_and_uv_another_pip_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    advice = how_to_install("gevent", "/p/python", HERE._replace(has_pip=False))
    assert advice in {
        f"install it with: {sys.executable} -m pip --python /p/python install gevent",
        "install it with: /p/python -m ensurepip && /p/python -m pip install gevent",
    }
