"""The carrier keeps out of what it must not touch, and is taken away where it has nothing to do."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.carrier import preload_library
from covsup.carrier.preload_library import CarrierUnavailable, carrier_library, with_carrier
from tests.journal.harness import compiler
from tests.supervisor.watching.test_other_users import let_all_through

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is preloaded by Linux's linker")

USER = 54321
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
SHOW = 'env | grep -c "COVSUP_\\|LD_PRELOAD"; exit 0'

HOOKS = """
import ctypes, sys
maps = [line.split() for line in open("/proc/self/maps")]
spans = [(*(int(each, 16) for each in line[0].split("-")), line[1], line[5:]) for line in maps]
code = [each for each in spans if each[3] and "/_carrier." in each[3][0] and "x" in each[2]]
heap = [each for each in spans if each[3] == ["[heap]"]]
runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
def inside(address, spans):
    return any(each[0] <= address < each[1] for each in spans)
found = 0
(end,) = [each[1] for each in spans if each[0] <= runtime < each[1]]
for span in spans:
    if span[0] == end and "w" in span[2]:
        end = span[1]
words = (ctypes.c_size_t * ((end - runtime) // 8)).from_address(runtime)
for word in words:
    if word % 8 == 0 and inside(word, heap) and inside(word + 23, heap):
        found += inside(ctypes.c_size_t.from_address(word + 8).value, code)
print(len(code) > 0, found)
"""


@pytest.mark.parametrize(("flags", "left"), [((), 0), (("-S",), 1)], ids=["startup file", "-S"])
def test_the_audit_hook_goes_where_the_startup_file_did_the_work(
    world: World, flags: tuple[str, ...], left: int
) -> None:
    world.write("target.py", HOOKS)
    run = world.covsup_run(world.python, *flags, "target.py", options=["--carrier"])
    assert (run.ended, run.stdout, run.stderr) == (0, f"True {left}\n", "")


@as_root
def test_a_user_who_cannot_read_the_library_is_not_told_of_it_by_the_linker(world: World) -> None:
    here = carrier_library().parent.parent
    package = world.directory / "private" / "covsup"
    shutil.copytree(here, package, ignore=shutil.ignore_patterns("__pycache__"))
    package.parent.chmod(0o700)
    world.write(
        "target.py",
        "import os\n"
        "print('LD_PRELOAD' in os.environ, flush=True)\n"
        f"os.setuid({USER})\n"
        "os.execv('/bin/sh', ['sh', '-c', 'echo $LD_PRELOAD-'])\n",
    )
    run = world.run(
        world.python, "-m", "covsup", "run", "--carrier", "target.py",
        environment={"PYTHONPATH": str(package.parent)},
    )  # fmt: skip
    assert (run.ended, run.stdout) == (0, "True\n-\n")
    assert "ld.so" not in run.stderr
    run = world.run(
        world.python, "-m", "covsup", "run", "--carrier", "chroot", "/", "/bin/sh", "-c", "env",
        environment={"PYTHONPATH": str(package.parent), "LD_PRELOAD": "libm.so.6"},
    )  # fmt: skip
    preload = re.search(r"^LD_PRELOAD=(.*)$", run.stdout, re.MULTILINE)
    assert preload is not None
    assert preload[1].startswith("libm.so.6:/")


@as_root
def test_a_program_that_has_another_ones_rights_is_left_alone(world: World) -> None:
    let_all_through(world.directory)
    source = world.write(
        "elevated.c",
        '#include <stdlib.h>\n#include <unistd.h>\n'
        'int main(void) { execle("/usr/bin/env", "env", (char *)0, (char *[]){0}); return 9; }\n',
    )  # fmt: skip
    program = world.directory / "elevated"
    subprocess.run([*compiler(), source, "-o", program], check=True, timeout=50)
    run = world.covsup_run("./elevated", options=["--carrier"])
    assert "LD_PRELOAD=" in run.stdout
    os.chown(program, USER, USER)
    program.chmod(0o755 | stat.S_ISUID)
    run = world.covsup_run("./elevated", options=["--carrier"])
    assert (run.ended, run.stdout) == (0, "")


@as_root
def test_nothing_is_carried_into_roots_programs_for_another_user(world: World) -> None:
    let_all_through(world.directory)
    session = world.directory / "theirs"
    session.mkdir(mode=0o700)
    environment = {"COVSUP_SESSION": str(session), "LD_PRELOAD": str(carrier_library())}
    command = "env", "-i", "/bin/sh", "-c", SHOW
    assert world.run(*command, environment=environment).stdout == "2\n"
    for change in (
        lambda: session.chmod(0o777),
        lambda: (session.chmod(0o700), os.chown(session, USER, USER)),
        lambda: shutil.rmtree(session),
    ):
        change()
        assert world.run(*command, environment=environment).stdout == "0\n"


def test_what_cannot_be_preloaded_is_refused_in_one_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = world.directory / "a place" / "covsup"
    shutil.copytree(
        carrier_library().parent.parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    run = world.run(
        world.python, "-m", "covsup", "run", "--carrier", "true",
        environment={"PYTHONPATH": str(package.parent)},
    )  # fmt: skip
    assert (run.ended, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert "--carrier cannot be preloaded from " in run.stderr
    with monkeypatch.context() as patched:
        patched.setattr(preload_library, "HERE", tmp_path)
        with pytest.raises(CarrierUnavailable, match="install covsup again"):
            carrier_library()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "darwin")
        with pytest.raises(CarrierUnavailable, match="works on Linux, not on darwin"):
            carrier_library()


def test_it_stands_last_and_once_in_the_list_of_libraries() -> None:
    path = Path("/x/_carrier.so")
    assert with_carrier("", path) == "/x/_carrier.so"
    assert with_carrier("a.so b.so", path) == "a.so:b.so:/x/_carrier.so"
    assert with_carrier("/x/_carrier.so:a.so", path) == "a.so:/x/_carrier.so"
    # The C library in front of it would take the functions that start programs away from it.
    assert with_carrier("a.so:libc.so.6 b.so", path) == "a.so:/x/_carrier.so:libc.so.6:b.so"
    assert with_carrier("/lib/libc.so.6 /x/_carrier.so", path) == "/x/_carrier.so:/lib/libc.so.6"
