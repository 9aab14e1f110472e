"""Whether the Python that will run the target can be measured, and has what it needs.

Our own interpreter is examined in this process, without importing anything of the target's, if its
startup file is in one of the usual places. Any other interpreter is started once, to see whether it
runs the startup file: there are more ways to have one run than places to look for it.
"""

from __future__ import annotations

import importlib.machinery
import os
import site
import sys
from pathlib import Path

from covsup.carrier.preload_library import has_core
from covsup.datafile.provenance.command_lines import PROBE_MARK, is_python
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.interpreter_command import parse_command_line
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch.install_hint import COVSUP, Environment, how_to_install
from covsup.supervisor.launch.launch import COVERAGE_STARTUP_VARIABLES
from covsup.supervisor.launch.target import TargetKind
from covsup.supervisor.own_interpreter import initial_sys_path

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any, Final

    from covsup.supervisor.launch.target import Target

LIBRARIES: Final = ("gevent", "eventlet", "greenlet")
"""Names for --concurrency that are libraries, which may not be installed."""

OLDEST: Final = (3, 11)
FIRST_WITH_MONITORING: Final = (3, 12)
_STARTUP_FILE: Final = "covsup.pth"
_PROBE_SECONDS: Final = 30.0

_NO_SESSION: Final = "/dev/null/covsup-probe"
"""A session that cannot exist: the startup file runs, loads covsup, and records nothing."""

# Runs in any Python 3. In 2.7 it reports the version.
_PROBE: Final = (
    PROBE_MARK
    + """
import json, os, sys
report = {"version": list(sys.version_info[:2])}
try:
    from importlib.util import find_spec
    import sysconfig
except ImportError:
    find_spec = None
def has(name):
    try:
        return find_spec(name) is not None
    except (ImportError, AttributeError, ValueError):
        return False
def is_at(*path):
    return os.path.exists(os.path.join(*path))
if find_spec is not None:
    report["started"] = "covsup.bootstrap" in sys.modules
    report["loaded"] = "covsup.tracer_c._tracer" in sys.modules
    report["there"] = has("covsup")
    report["has"] = [name for name in sys.argv[1:] if has(name)]
    report["prefix"] = sys.prefix
    report["has_pip"] = has("pip")
    report["externally_managed"] = sys.prefix == sys.base_prefix and is_at(
        sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    site = sys.modules.get("site")
    report["writable"] = bool(getattr(site, "ENABLE_USER_SITE", False)) or os.access(
        sysconfig.get_path("purelib"), os.W_OK)
    report["manager"] = (
        "pipx" if is_at(sys.prefix, "pipx_metadata.json")
        else "uv" if is_at(sys.prefix, "uv-receipt.toml") else "")
    try:
        if report["started"] and not report["loaded"]:
            import covsup.tracer_c._tracer
    except Exception as error:
        report["error"] = str(error)
sys.stdout.write("covsup-probe " + json.dumps(report) + "\\n")
"""
)


class ProbeResult(NamedTuple):
    """What an interpreter reports about itself."""

    environment: Environment
    starts_covsup: bool  # it ran covsup's startup file
    libraries: frozenset[str]  # those asked for that it has
    has_covsup: bool = False  # it can import the package
    error: str = ""  # why covsup cannot be loaded there

    @property
    def version(self) -> tuple[int, int]:
        """As in (3, 13)."""
        return self.environment.version


def check(
    target: Target,
    *,
    libraries: Collection[str],
    core: str,
    plugins: Collection[str] = (),
    uses_carrier: bool = False,
) -> None:
    """Raise UsageError if the target cannot run, or cannot be measured as asked for.

    `libraries` and `core` are from --concurrency and --core. `plugins` are packages with plugins of
    coverage.py, which covsup's own Python has. `uses_carrier`: the carrier is preloaded.
    """
    if target.interpreter is None:
        return
    own_options = (
        parse_command_line(sys.orig_argv) if target.kind is not TargetKind.COMMAND else None
    )
    called = own_options or (parse_command_line(target.argv) if is_python(target.argv[0]) else None)
    if not uses_carrier and called is not None and "S" in called.letters:
        raise UsageError(
            "a Python started with -S skips the startup files, so it cannot be measured: start it"
            f" without -S{carrier_hint(OLDEST)}"
        )
    asked = (*sorted(libraries), *plugins, *(["coverage"] if plugins else []))
    own = _is_our_own(target.interpreter)
    answer = _probe_ourselves(asked) if own else None
    if answer is None or not answer.starts_covsup:
        # If our startup file is in no usual place, only a start shows whether it runs.
        answer = probe(target.interpreter, asked, () if called is None else called.options)
    if answer is None:
        # It is no interpreter, perhaps a launcher. The run itself shows what it starts.
        return
    what_is_wrong = why_not(target.interpreter, answer, uses_carrier=uses_carrier)
    if what_is_wrong:
        raise UsageError(what_is_wrong)
    for name in asked:
        if name in answer.libraries:
            continue
        if name not in libraries:
            raise UsageError(
                f"coverage.py's plugins need {name}, which {target.interpreter} does not have:"
                f" {how_to_install(name, target.interpreter, answer.environment)}"
            )
        raise UsageError(
            f"--concurrency={name}, but {target.interpreter} has no {name}:"
            f" {how_to_install(name, target.interpreter, answer.environment)}"
        )
    if core == "monitoring" and answer.version < FIRST_WITH_MONITORING:
        raise UsageError(
            f"--core=monitoring needs Python 3.12; {target.interpreter} is"
            f" {answer.version[0]}.{answer.version[1]}: use --core=auto"
        )
    if own and target.kind is TargetKind.MODULE and not _has_module(target.module):
        raise UsageError(f"{target.interpreter} has no module {target.module} that can be run")


def why_not(interpreter: str, answer: ProbeResult, *, uses_carrier: bool = False) -> str:
    """Why Pythons of this interpreter cannot be measured, and what to do; "" if they can."""
    if answer.version < OLDEST:
        return (
            f"{interpreter} is Python {answer.version[0]}.{answer.version[1]}, but covsup"
            f" measures {OLDEST[0]}.{OLDEST[1]} and later"
        )
    if answer.starts_covsup or (uses_carrier and has_core(answer.version)):
        return ""
    if answer.error:
        what = f"has a covsup that cannot be loaded there ({answer.error})"
    elif answer.has_covsup:
        what = (
            "finds covsup, but does not run its startup file: Python looks for none in a directory"
            " of PYTHONPATH, or in a path of a .pth file"
        )
    else:
        what = "has no covsup"
    if uses_carrier:
        what += ", and the carrier has no core for it"
    how = how_to_install(COVSUP, interpreter, answer.environment)
    return f"{interpreter} {what}: {how}{'' if uses_carrier else carrier_hint(answer.version)}"


def carrier_hint(version: tuple[int, int]) -> str:
    """What to add to a message if the carrier can measure Pythons of a version, or ""."""
    return ", or use --carrier" if sys.platform == "linux" and has_core(version) else ""


def probe(
    interpreter: str, libraries: Collection[str], options: Sequence[str] = ()
) -> ProbeResult | None:
    """Start an interpreter with these options and give what it reports; None if it does not.

    It starts as the Pythons of a session do, so whether its startup file runs shows whether those
    would be measured.
    """
    import json
    import subprocess

    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COVSUP_")
        and name not in {*COVERAGE_STARTUP_VARIABLES, "PYTHONINSPECT"}
    }
    environment["COVSUP_SESSION"] = _NO_SESSION
    try:
        output = subprocess.run(
            [interpreter, *options, "-c", _PROBE, *sorted(libraries)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        ).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: a zero byte in its path
        return None
    for line in output.decode("utf-8", "replace").splitlines():
        word, _, text = line.partition(" ")
        if word == "covsup-probe":
            try:
                return _probe_result(json.loads(text))
            except (ValueError, KeyError, TypeError):
                return None
    return None


def _probe_result(report: dict[str, Any]) -> ProbeResult:
    major, minor = report.pop("version")
    return ProbeResult(
        starts_covsup=bool(report.get("loaded")),
        libraries=frozenset(report.get("has", ())),
        has_covsup=bool(report.get("there") or report.get("started")),
        error=str(report.get("error", "")),
        environment=Environment(
            version=(int(major), int(minor)),
            **{name: report[name] for name in Environment._fields if name in report},
        ),
    )


def startup_files() -> list[Path]:
    """covsup's startup files in the directories where this interpreter looks for startup files."""
    places = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    return [
        file
        for place in dict.fromkeys(places)
        for name in (_STARTUP_FILE, "covsup.start")
        if (file := Path(place) / name).is_file()
    ]


def _is_our_own(interpreter: str) -> bool:
    """Whether a path starts our own interpreter in our own environment.

    Virtual environments link to the same file, so the directory counts, too.
    """
    try:
        same_file = Path(interpreter).samefile(sys.executable)
    except OSError:
        return False
    return same_file and Path(interpreter).parent.resolve() == Path(sys.executable).parent.resolve()


def _probe_ourselves(libraries: Collection[str]) -> ProbeResult:
    return ProbeResult(
        environment=Environment(version=sys.version_info[:2]),
        starts_covsup=bool(startup_files()),
        libraries=frozenset(name for name in libraries if _has_module(name, to_run=False)),
    )


def _has_module(name: str, *, to_run: bool = True) -> bool:
    """Whether `python -m name` (or `import name`) would find it; nothing is imported.

    If a package can change, when it is imported, where its submodules are, the answer is yes.
    """
    path = _target_path()
    search: list[str] | None = None
    parts = name.split(".")
    for index in range(len(parts)):
        full_name = ".".join(parts[: index + 1])
        spec = _find_spec(full_name, path if search is None else search, top=search is None)
        if spec is None:
            return False
        if spec.submodule_search_locations is None:
            return index == len(parts) - 1
        if _changes_its_path(spec):
            return True
        search = list(spec.submodule_search_locations)
    # It is a package, of which __main__ runs.
    return not to_run or _find_spec(f"{name}.__main__", search or [], top=False) is not None


def _target_path() -> list[str]:
    """sys.path of the target. It differs from ours in the first entry."""
    if sys.flags.safe_path:
        return initial_sys_path()
    return [os.getcwd(), *initial_sys_path()[1:]]


def _find_spec(name: str, path: list[str], *, top: bool) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is importlib.machinery.PathFinder:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
        else:
            spec = finder.find_spec(name, None if top else path)
        if spec is not None:
            return spec
    return None


def _changes_its_path(spec: importlib.machinery.ModuleSpec) -> bool:
    if spec.origin is None or not spec.has_location:
        return False
    try:
        return b"__path__" in Path(spec.origin).read_bytes()
    except OSError:
        return True
