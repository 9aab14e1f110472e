"""A build of covsup with instrumented C, in a directory of its own, and a Python that uses it.

The directory has a copy of the sources, whose extensions are compiled with other options, and a
virtual environment with everything that the environment of this Python has. Its `python` is not a
link to the interpreter but a small program of ours, linked to libpython and to what the
instrumented code needs at run time. So no process depends on an environment variable such as
LD_PRELOAD, which programs and tests remove, and programs other than Python are as they always are.

The extensions are linked without that run-time library. A Python that does not have it fails to
import them, with an ImportError that names the missing symbol.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "covsup.pth", "covsup.start")
CARRIER = "covsup.carrier._carrier"
"""This extension is loaded into programs that are no Python, so no run-time library is there."""


class CannotBuild(Exception):
    """The tools for this build are not here; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How to instrument."""

    name: str
    """The directory below build/."""
    compile: tuple[str, ...]
    """Options for every C file but the carrier's."""
    link: tuple[str, ...]
    """Options for linking the interpreter."""
    link_extensions: tuple[str, ...] = ()
    carrier: tuple[str, ...] = ()
    """Options for the carrier's C files."""
    interpreter: Path
    """The C file of the interpreter."""
    defines: dict[str, str] = field(default_factory=dict)
    """String constants for it."""
    added: dict[str, str] = field(default_factory=dict)
    """C files that are put into rooms of the copy: the text by the path below src/covsup."""


def place_of(kind: Kind) -> Path:
    """Give the directory of a build for this version of Python."""
    return ROOT / "build" / f"{kind.name}-{sys.version_info[0]}.{sys.version_info[1]}"


def make(kind: Kind, place: Path | None = None, source: Path = ROOT) -> Path:
    """Bring the build at `place` up to date with the sources; return its python.

    Raises CannotBuild.
    """
    place = place or place_of(kind)
    place.mkdir(parents=True, exist_ok=True)
    copy_sources(kind, place, source)
    python = make_environment(place)
    link_interpreter(kind, python)
    compile_extensions(kind, place)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(place / "src")], check=True, cwd=place
    )
    return python


def copy_sources(kind: Kind, place: Path, source: Path) -> None:
    """Copy the package, and add what this kind adds."""
    for name in "src", "objects", "build":
        shutil.rmtree(place / name, ignore_errors=True)
    shutil.copytree(
        source / "src" / "covsup",
        place / "src" / "covsup",
        ignore=shutil.ignore_patterns("*.so", "__pycache__", "*.pyc"),
    )
    for name in PACKAGE:
        shutil.copy2(source / name, place / name)
    for path, text in kind.added.items():
        (place / "src" / "covsup" / path).write_text(text, encoding="utf-8")


def make_environment(place: Path) -> Path:
    """Make a virtual environment with what is installed in the one of this Python."""
    environment = place / "environment"
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run(
        [getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--without-pip",
         str(environment)],
        check=True,
    )  # fmt: skip
    installed = Path(sysconfig.get_path("purelib"))
    packages = environment / installed.relative_to(sys.prefix)
    # Not by a path in a .pth file: covsup tells libraries from programs by their directory.
    shutil.copytree(installed, packages, copy_function=link_or_copy, dirs_exist_ok=True)
    for path in packages.glob("__editable__*covsup*"):
        path.unlink()
    (packages / "__editable__.covsup.pth").write_text(f"{place / 'src'}\n", encoding="utf-8")
    (packages / "covsup.pth").unlink(missing_ok=True)
    shutil.copy2(place / "covsup.pth", packages / "covsup.pth")
    copy_scripts(environment / "bin")
    return environment / "bin" / "python"


def link_or_copy(source: str, to: str) -> None:
    """Make a second name of a file, or a copy where another file system is."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def copy_scripts(to: Path) -> None:
    """Copy the commands that the packages installed, to be run by the new Python."""
    ours = str(Path(sys.prefix) / "bin").encode()
    for path in (Path(sys.prefix) / "bin").iterdir():
        if path.is_file() and not path.is_symlink() and not (to / path.name).exists():
            text = path.read_bytes()
            if text.startswith(b"#!" + ours):
                (to / path.name).write_bytes(text.replace(ours, os.fsencode(to), 1))
                (to / path.name).chmod(0o755)


def compiler() -> list[str]:
    """The compiler that distutils uses."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def link_interpreter(kind: Kind, python: Path) -> None:
    """Replace the environment's link to Python by a program that is linked to libpython."""
    library = sysconfig.get_config_var("LIBDIR") or ""
    version = sysconfig.get_config_var("LDVERSION") or sysconfig.get_python_version()
    archive = Path(sysconfig.get_config_var("LIBPL") or "") / f"libpython{version}.a"
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        libpython = [f"-L{library}", f"-Wl,-rpath,{library}", f"-lpython{version}"]
    elif archive.exists():
        libpython = ["-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive"]
    else:
        raise CannotBuild(f"no libpython to link an interpreter with: {archive} does not exist")
    for variable in "LIBS", "MODLIBS", "SYSLIBS":
        libpython += shlex.split(sysconfig.get_config_var(variable) or "")
    python.unlink()
    run_compiler([
        *compiler(), "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter",
        f"-I{sysconfig.get_path('include')}",
        *(f'-D{name}="{value}"' for name, value in kind.defines.items()),
        str(kind.interpreter), "-o", str(python), "-Wl,--no-as-needed", *kind.link,
        *shlex.split(sysconfig.get_config_var("LINKFORSHARED") or ""), *libpython,
    ])  # fmt: skip
    try:
        subprocess.run([python, "-c", "import ctypes"], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise CannotBuild(f"the interpreter does not start: {error.stderr}") from None


def run_compiler(command: list[str]) -> None:
    """Run a compiler. Raises CannotBuild with what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"{shlex.join(command)}\n{done.stderr}")


def compile_extensions(kind: Kind, place: Path) -> None:
    """Compile what setup.py names, with the options of this kind."""
    request = {
        "jobs": len(os.sched_getaffinity(0)),
        "name_of_carrier": CARRIER,
        "carrier": {"compile": kind.carrier, "link": ()},
        "others": {"compile": kind.compile, "link": kind.link_extensions},
    }
    done = subprocess.run(
        [sys.executable, HERE / "compile_extensions.py", json.dumps(request)],
        cwd=place, capture_output=True, text=True, check=False,
        env={**os.environ, "CFLAGS": "", "LDFLAGS": ""},
    )  # fmt: skip
    (place / "compile.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise CannotBuild(done.stdout + done.stderr)
