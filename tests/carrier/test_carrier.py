"""`covsup run --carrier`: whatever starts a Python, it is measured from its first line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.carrier.preload_library import carrier_library, has_core
from covsup.supervisor.errors import UsageError
from covsup.supervisor.sessions.shells import set_variables, unset_variables
from tests.journal.harness import compiler
from tests.supervisor.live import UNTIL_OBSERVED, beside
from tests.world import World

if TYPE_CHECKING:
    from tests.world import Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is preloaded by Linux's linker")

HERE = Path(__file__).parent
BATCH = HERE.parent / "corpus" / "batch.py"
STEPS = "import sys\nif len(sys.argv) > 9:\n    never = 1\nran = 1\n"
"""What each program executes, in a file of its own: lines 1, 2 and 4."""

SHELL = {
    "env_i": "env -i {python} {file}",
    "env_i_in_a_shell": "sh -c 'env -i {python} {file}'",
    "env_i_in_env_i": "env -i sh -c 'env -i {python} {file}'",
    "in_a_background_job": "env -i sh -c '{python} {file} & wait'",
    "no_site": "{python} -S {file}",
    "isolated": "{python} -I -S -E {file}",
    "isolated_and_scrubbed": "env -i {python} -I -S -E {file}",
    "make": "make -f {here}/all.mk",
    "unset": "unset COVSUP_SESSION LD_PRELOAD; exec {python} {file}",
    "another_preload": "env -i LD_PRELOAD=libm.so.6 {python} {file}",
    "the_c_library": "env -i LD_PRELOAD=libc.so.6 env -i {python} {file}",
    "the_c_library_first": "LD_PRELOAD=\"libm.so.6 libc.so.6 $LD_PRELOAD\" sh -c 'env -i {python} {file}'",
    "a_module": "env -i {python} -S -m {name}",
    "a_command": "env -i {python} -S -c 'import {name}'",
    "a_directory": "env -i {python} -S folder",
    "an_archive": "env -i {python} -S archive.pyz",
    "standard_input": "echo 'import {name}' | env -i {python} -S",
    "standard_input_named": "echo 'import {name}' | env -i {python} -S -",
    "interactive": "echo 'import {name}' | env -i {python} -S -i -q 2>/dev/null",
    "interactive_after": "echo 'import {name}' | env -i {python} -S -i -c pass 2>/dev/null",
    "startup_file": "env -i PYTHONSTARTUP={file} {python} -S -i -q </dev/null 2>/dev/null",
    "without_covsup": "{bare} {file}",
    "without_covsup_scrubbed": "env -i {bare} {file}",
    "without_covsup_isolated": "env -i {bare} -I -S {file}",
    "debug_memory": "env -i PYTHONMALLOC=debug {python} {file}",
    "paused_no_more": "env -i COVSUP_PAUSED= {python} {file}",
}
LAUNCHED = (
    "execve", "execve_null", "execve_many", "execv", "execvp", "execvpe", "execl", "execlp",
    "fexecve", "execveat", "fork", "vfork", "posix_spawn", "posix_spawnp", "system", "popen",
)  # fmt: skip
BY_PYTHON = {
    "by_subprocess": "import subprocess\nsubprocess.run({words}, env={{}}, check=True)\n",
    "by_subprocess_closing": "import subprocess\n"
    "subprocess.run({words}, env={{}}, check=True, restore_signals=False, close_fds=False)\n",
    "by_os_execve": "import os\nos.execve({words}[0], {words}, {{}})\n",
    "by_os_posix_spawn": "import os\nos.waitpid(os.posix_spawn({words}[0], {words}, {{}}), 0)\n",
    "by_os_popen": "import os\nos.environ.clear()\nos.popen(' '.join({words})).close()\n",
    "bare_by_subprocess": "import subprocess\nsubprocess.run({words}, env={{}}, check=True)\n",
}
EMBEDDED = {
    "embedded_run": ("run", "import sys; sys.path.insert(0, '.'); import {name}"),
    "embedded_import": ("import", "{name}"),
    "embedded_main": ("main", "{file}"),
    "embedded_main_isolated": ("main", "-I", "-S", "{file}"),
}
ENVIRONMENTS = {
    "environment": "env -i sh -c 'env | sort'",
    "environment_off": "env -i COVSUP_SESSION= sh -c 'env | sort'",
    "environment_of_another": "env -i COVSUP_SESSION=/x sh -c 'env | sort'",
    "environment_preload": "env -i LD_PRELOAD=libm.so.6:libc.so.6:libdl.so.2 sh -c 'echo $LD_PRELOAD'",
    "off": "env -i COVSUP_SESSION= {python} {file}",
    "another": "env -i COVSUP_SESSION=/x {python} {file}",
    "paused": "COVSUP_PAUSED=1 env -i {python} {file}",
    "errors": "./launcher says_its_errors x",
}
"""What is not measured, or has no Python in it."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory with the launcher, and with a program that embeds Python if it can be."""
    directory = tmp_path_factory.mktemp("programs")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra"]
    subprocess.run(
        [*compiler(), *flags, str(HERE / "launcher.c"), "-o", str(directory / "launcher")],
        check=True, timeout=50,
    )  # fmt: skip
    library = sysconfig.get_config_var("LIBDIR")
    name = sysconfig.get_config_var("LDLIBRARY").removeprefix("lib").partition(".so")[0]
    if (Path(library) / f"lib{name}.so").exists():
        subprocess.run(
            [*compiler(), *flags, f"-I{sysconfig.get_path('include')}", str(HERE / "embeds.c"),
             f"-L{library}", f"-l{name}", f"-Wl,-rpath,{library}", "-o", str(directory / "embeds")],
            check=True, timeout=50,
        )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a Python without covsup and without anything."""
    directory = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    return directory / "bin" / "python"


def commands(world: World, programs: Path, bare: Path) -> dict[str, list[str]]:
    """Write a program for each way to start one; the command of each."""

    def put(text: str, name: str) -> str:
        return (
            text.replace("{python}", world.python)
            .replace("{bare}", str(bare))
            .replace("{here}", str(world.directory))
            .replace("{file}", f"{name}.py")
            .replace("{name}", name)
        )

    found = {}
    for name, text in (SHELL | ENVIRONMENTS).items():
        found[name] = ["sh", "-c", put(text, name)]
    for way in LAUNCHED:
        found[f"by_{way}"] = ["./launcher", way, world.python, f"by_{way}.py"]
    # Of these the arguments are counted by hand.
    found["by_execl"].append("more")
    found["by_execlp"].append("more")
    found["by_execle"] = ["./launcher", "execle", world.python, "by_execle.py"]
    for name, source in BY_PYTHON.items():
        python = str(bare) if name.startswith("bare") else world.python
        words = repr([world.python, "-S", f"{name}.py"])
        world.write(f"{name}_starts.py", source.format(words=words))
        found[name] = [python, f"{name}_starts.py"]
    if (programs / "embeds").exists():
        for name, embedded in EMBEDDED.items():
            words = [put(word, name) for word in embedded]
            found[name] = ["env", "-i", "./embeds", *words]
    for name in found:
        world.write(f"{name}.py", STEPS)
    world.write(
        "all.mk", f"unexport COVSUP_SESSION LD_PRELOAD\nall:\n\t@{world.python} -S make.py\n"
    )
    world.write("folder/__main__.py", "import a_directory\n")
    for name in "launcher", "embeds":
        if (programs / name).exists():
            shutil.copy(programs / name, world.directory / name)
    with zipfile.ZipFile(world.directory / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", "import sys\nsys.path.append('.')\nimport an_archive\n")
    world.write("folder/a_directory.py", STEPS)
    return found


@pytest.fixture(scope="module")
def batch(
    tmp_path_factory: pytest.TempPathFactory, programs: Path, bare: Path
) -> tuple[World, Run]:
    """Start each program in its way, all below one run."""
    world = World(tmp_path_factory.mktemp("carried"))
    manifest = []
    for name, command in commands(world, programs, bare).items():
        directory = world.directory / "runs" / name
        directory.mkdir(parents=True)
        (directory / ".stdin").touch()
        quoted = 'cd ../.. && exec "$@"'
        manifest.append(
            {
                "directory": str(directory),
                "command": ["sh", "-c", quoted, "sh", *command],
                "timeout": 40,
            }
        )
    path = world.write("manifest.json", json.dumps(manifest))
    run = world.covsup_run(BATCH, path, options=["--carrier", "--source=."], timeout=120)
    return world, run


def said(world: World, name: str) -> tuple[str, str, str]:
    directory = world.directory / "runs" / name
    ended, stdout, stderr = (
        (directory / each).read_text() for each in (".ended", ".stdout", ".stderr")
    )
    return ended, stdout, stderr


def ways() -> list[str]:
    launched = [f"by_{way}" for way in (*LAUNCHED, "execle")]
    return [*SHELL, *launched, *BY_PYTHON, *EMBEDDED]


@pytest.mark.timeout(180)  # the first one waits for all
@pytest.mark.parametrize("way", ways())
def test_a_python_is_measured_whatever_starts_it(way: str, batch: tuple[World, Run]) -> None:
    world, run = batch
    if not (world.directory / f"{way}.py").exists():
        pytest.skip("this Python has no shared library to link with")
    assert said(world, way) == ("0", "", "")
    name = f"folder/{way}.py" if way == "a_directory" else f"{way}.py"
    assert run.lines(name) == {1, 2, 4}


def test_nothing_is_said_of_what_was_measured(batch: tuple[World, Run]) -> None:
    _, run = batch
    assert run.ended == 0
    # But of those which another session has, or which are off, where they lived for long enough.
    assert set(re.findall(r"(\w+)\.py\)", run.stderr)) <= {"off", "another"}, run.stderr
    assert run.stderr.count("\n") <= 1, run.stderr


def test_what_the_environment_says_of_a_session_holds(batch: tuple[World, Run]) -> None:
    world, run = batch
    _, stdout, _ = said(world, "environment")
    names = [line.partition("=")[0] for line in stdout.splitlines()]
    assert set(names) - {"PWD", "SHLVL", "_"} == {"COVSUP_PARENT", "COVSUP_SESSION", "LD_PRELOAD"}
    assert len(names) == len(set(names))
    for name in "environment_off", "environment_of_another":
        _, stdout, _ = said(world, name)
        assert "LD_PRELOAD" not in stdout
        assert "COVSUP_PARENT" not in stdout
    _, stdout, _ = said(world, "environment_preload")
    assert stdout == f"libm.so.6:{carrier_library()}:libc.so.6:libdl.so.2\n"
    for name in "off", "another", "paused":
        assert run.lines(f"{name}.py") == set()


def test_what_fails_fails_as_without_it(batch: tuple[World, Run]) -> None:
    world, _ = batch
    plain = world.run("./launcher", "says_its_errors", "x")
    assert said(world, "errors") == ("0", plain.stdout, plain.stderr)
    assert "execve -1 ENOENT\n" in plain.stdout


def test_where_the_carrier_has_no_core_it_says_so(world: World, bare: Path) -> None:
    package = world.directory / "elsewhere" / "covsup"
    shutil.copytree(
        carrier_library().parent.parent, package,
        ignore=lambda _, names: [name for name in names if name.startswith(("_tracer.", "__pycache__"))],
    )  # fmt: skip
    world.write("target.py", f"{STEPS}print('ran')\n")
    command = ["run", "--carrier", "--strict", "sh", "-c", f"{bare} target.py; exit 0"]
    run = world.run(
        world.python, "-m", "covsup", *command,
        environment={"PYTHONPATH": str(package.parent), "COVSUP_SESSION": ""},
    )  # fmt: skip
    assert (run.ended, run.stdout) == (3, "ran\n")
    version = sysconfig.get_python_version()
    assert (
        f": covsup's carrier has no core for Python {version}: install covsup there"
        " (see `covsup tree`)\n"
    ) in run.stderr
    assert run.stderr.count("not measured") == 1


DISTRIBUTION = Path("/usr/bin/python3")


@pytest.mark.skipif(not DISTRIBUTION.exists(), reason="there is no Python of the system's")
def test_the_systems_python_is_measured_or_named(world: World) -> None:
    asked = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run([DISTRIBUTION, "-c", asked], capture_output=True, text=True, check=True)
    version = (int(said.stdout.split()[0]), int(said.stdout.split()[1]))
    world.write("target.py", f"{STEPS}print('ran')\n")
    run = world.covsup_run("sh", "-c", f"env -i {DISTRIBUTION} target.py", options=["--carrier"])
    assert (run.ended, run.stdout) == (0, "ran\n")
    if has_core(version):
        assert run.lines("target.py") == {1, 2, 4, 5}
        assert run.stderr == ""
    else:
        assert "1 Python process was not measured: " in run.stderr
        assert f"{version[0]}.{version[1]}" in run.stderr


def test_the_target_itself_may_be_a_python_that_skips_its_startup_files(
    world: World, bare: Path
) -> None:
    world.write("target.py", f"{STEPS}print(sys.flags.no_site, 'os' in sys.modules)\n")
    run = world.run(world.python, "-S", "-c", "pass")
    site = sysconfig.get_path("purelib")
    run = world.run(
        world.python, "-S", "-m", "covsup", "run", "--carrier", "target.py",
        environment={"PYTHONPATH": f"{Path(carrier_library()).parents[2]}:{site}"},
    )  # fmt: skip
    assert (run.ended, run.stdout, run.stderr) == (0, "1 False\n", "")
    assert run.lines("target.py") == {1, 2, 4, 5}
    run = world.covsup_run(bare, "target.py", options=["--carrier"])
    assert (run.ended, run.stdout, run.stderr) == (0, "0 True\n", "")
    assert run.lines("target.py") == {1, 2, 4, 5}


def test_a_setting_switches_it_on(world: World) -> None:
    world.write("pyproject.toml", "[tool.covsup]\ncarrier = true\n")
    world.write("target.py", STEPS)
    run = world.covsup_run("env", "-i", world.python, "target.py")
    assert run.lines("target.py") == {1, 2, 4}


def test_a_session_without_a_supervisor_takes_it_along(world: World) -> None:
    world.write("target.py", STEPS)
    script = """\
LD_PRELOAD=libm.so.6; export LD_PRELOAD
eval "$(python -m covsup env --carrier)"
env -i "$(command -v python)" -S target.py
eval "$(python -m covsup env --close)"
python -m covsup combine -q
echo "left: $COVSUP_SESSION $LD_PRELOAD"
"""
    run = world.run("sh", "-c", script)
    assert (run.ended, run.stdout, run.stderr) == (0, "left:  libm.so.6\n", "")
    assert run.lines("target.py") == {1, 2, 4}


def test_the_carrier_in_the_words_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    session, library = Path("/s"), carrier_library()
    for form, expected in {
        "systemd": f'COVSUP_SESSION="/s"\nLD_PRELOAD="{library}"\n',
        "env-file": f"COVSUP_SESSION=/s\nLD_PRELOAD={library}\n",
        "fish": f"set -gx COVSUP_SESSION '/s'\nset -gx LD_PRELOAD '{library}'\n",
        "csh": f"setenv COVSUP_SESSION '/s';\nsetenv LD_PRELOAD '{library}';\n",
    }.items():
        assert set_variables(form, session, library) == expected
    package = library.parent.parent
    assert shlex.split(set_variables("docker", session, library))[-2:] == [
        "--mount", f"type=bind,source={package},target={package},readonly",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="use another --shell with --carrier"):
        set_variables("path", session, library)
    assert unset_variables("json", library) == '{"COVSUP_SESSION": null}\n'
    monkeypatch.setenv("LD_PRELOAD", str(library))
    assert unset_variables("sh", library) == "unset COVSUP_SESSION\nunset LD_PRELOAD\n"
    assert unset_variables("docker", library) == "--env COVSUP_SESSION= --env LD_PRELOAD=\n"


def test_the_closing_line_names_it_where_it_would_help(world: World) -> None:
    world.write("target.py", UNTIL_OBSERVED)
    for command in "env -i {} target.py", "{} -S target.py":
        run = world.covsup_run("sh", "-c", f"{command.format(world.python)}; :")
        assert "or use --carrier (see" in run.stderr
    assert beside(world, "run", "--help").stdout.count("--carrier") == 1
