"""The startup files: there where Python looks, cheap without a session, and never in the way."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINE = (ROOT / "covsup.pth").read_text(encoding="utf-8")
NEWER = sys.version_info >= (3, 15)
HAS_BOTH = NEWER and sys.version_info < (3, 18)
"""It executes the line in the .pth, and would execute a .start instead, which is slow."""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONDONTWRITEBYTECODE": "1", **environment},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["covsup.pth", "covsup.start"])
def test_what_this_python_executes_is_in_site_packages(name: str) -> None:
    installed = Path(sysconfig.get_path("purelib")) / name
    if HAS_BOTH and name == "covsup.start":
        assert not installed.exists()
    else:
        assert installed.read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8")


def test_a_python_without_a_session_starts_with_nothing_more_than_without_covsup() -> None:
    program = "import sys; print([name in sys.modules for name in ('covsup', 'pkgutil', 're')])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[False, False, False]\n"


def test_the_line_is_one_line_that_site_executes() -> None:
    assert LINE.startswith("import ")
    assert LINE.count("\n") == 1
    assert LINE.endswith("\n")


def test_without_a_session_the_line_looks_one_variable_up_and_imports_nothing() -> None:
    program = f"""
import os, sys
asked = []
class Environment(dict):
    def get(self, name, default=None):
        asked.append(name)
        return super().get(name, default)
os.environ = Environment(COVSUP_SESSION="")
before = set(sys.modules)
exec({LINE!r})
os.environ.clear()
exec({LINE!r})
assert asked == ["COVSUP_SESSION"] * 2, asked
assert set(sys.modules) == before, set(sys.modules) - before
"""
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_covsup_that_cannot_be_imported_leaves_a_note_and_no_traceback(tmp_path: Path) -> None:
    program = f"import sys; sys.modules['covsup'] = None; exec({LINE!r}); exec({LINE!r}); print(1)"
    done = run(program, COVSUP_SESSION=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    (note,) = tmp_path.iterdir()
    text = note.read_text(encoding="utf-8")
    assert "kind=start-failed\n" in text
    assert "ModuleNotFoundError" in text


def test_a_session_directory_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    program = f"import sys; sys.modules['covsup'] = None; exec({LINE!r}); print(1)"
    done = run(program, COVSUP_SESSION=str(tmp_path / "gone"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.skipif(not NEWER, reason="PEP 829 is new in 3.15")
def test_the_entry_point_is_one_that_python_can_resolve() -> None:
    import pkgutil  # only where it has what is tested

    entry = (ROOT / "covsup.start").read_text(encoding="utf-8").strip()
    assert callable(pkgutil.resolve_name(entry))


def test_the_metadata_names_the_command_and_what_the_supervisor_needs() -> None:
    metadata = distribution("covsup")
    (command,) = metadata.entry_points.select(group="console_scripts", name="covsup")
    assert callable(command.load())
    required = [need for need in metadata.requires or () if "extra ==" not in need]
    assert {need.split(">")[0] for need in required} == {"coverage", "psutil", "rich"}
