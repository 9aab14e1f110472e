"""A machine that refuses: disks, limits, rights, directories. What cannot be kept is said."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.torture.proof import PROVING, Proof

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.torture, pytest.mark.timeout(200)]

CHILDREN = """
def work(n):
    if n % 2:
        told()
    else:
        told() and told()
for n in range(6):
    if os.fork() == 0:
        work(n)
        os._exit(0)
for n in range(6):
    os.wait()
told()
"""

BEFORE = {
    "nothing": "",
    "umask": "os.umask(0o777)",
    "descriptors are closed": "os.closerange(proof + 1, 65536)",
    "no descriptor is left": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (proof + 1, 4096))",
    "files may not grow": "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))",
    "memory is short": "import resource\nsize = int(open('/proc/self/statm').read().split()[0]) * 4096\nresource.setrlimit(resource.RLIMIT_AS, (size + (96 << 20), resource.RLIM_INFINITY))",
    "the working directory is deleted": "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "the session may not be written": "os.chmod(os.environ['COVSUP_SESSION'], 0o500)",
    "the session may not be entered": "os.chmod(os.environ['COVSUP_SESSION'], 0)",
    "another user": "os.setgroups([]); os.setgid(54321); os.setuid(54321)",
    "another root": "os.mkdir('jail'); os.chroot('jail'); os.chdir('/')",
    "no environment": "os.environ.clear()",
    "stack is short": "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))",
}


@pytest.mark.parametrize("what", BEFORE)
def test_whatever_the_program_does_to_itself_its_forks_lose_nothing(
    world: World, what: str
) -> None:
    if what.startswith("another") and os.getuid() != 0:
        pytest.skip("only root can do that")
    proof = Proof(world)
    world.write("target.py", PROVING + BEFORE[what] + CHILDREN)
    run = world.covsup_run("target.py", environment=proof.environment)
    assert run.ended == 0, run
    assert not proof.missing(run), run
    assert run.stderr == "", run


def test_a_session_directory_that_is_removed_is_said_and_nothing_is_lost(world: World) -> None:
    proof = Proof(world)
    world.write(
        "target.py",
        PROVING + "import shutil\nshutil.rmtree(os.environ['COVSUP_SESSION'])" + CHILDREN,
    )
    run = world.covsup_run("target.py", environment=proof.environment)
    assert run.ended == 0, run
    assert not proof.missing(run), run
    assert re.match(
        r"covsup: something deleted the session directory .* saved: \d+\n$", run.stderr
    ), run


FILES, FUNCTIONS = 20, 1500
"""Their lines take more room in a journal than the smaller of the next test's disks have. (In many
files: on 3.12 and 3.13, CPython itself takes quadratic time to find lines in a large one.)"""


QUOTA = """\
truncate -s 128M image && mkfs.btrfs -qf image && mount -o loop image disk && btrfs quota enable disk \\
&& btrfs subvolume create disk/here && btrfs qgroup limit {room} disk/here"""
DISKS = {
    **{f"{room} disk": f"mount -t tmpfs -o size={room} none disk && mkdir disk/here"
       for room in ("256k", "400k", "1m")},
    **{f"{room} quota": QUOTA.format(room=room) for room in ("1m",)},
}  # fmt: skip
"""Directories that take so much. (The quotas are btrfs's: ext4's and XFS's are in few kernels.)"""


def in_a_space_of_its_own(world: World, *commands: str) -> list[str]:
    """The command that runs the last of the commands where the others were run before, which mount;
    the test is skipped where they cannot."""
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can mount")
    *before, last = commands
    made = " && ".join(f"{{ {each} ; }} >&2" for each in before)
    space = ["unshare", "-m", "sh", "-c"]
    tried = subprocess.run(
        [*space, made], cwd=world.directory, check=False, capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"that cannot be mounted here: {tried.stderr.strip()[-200:]}")
    return [*space, f"{{ {made} ; }} 2>/dev/null && {{ {last} ; }}"]


@pytest.mark.parametrize("disk", DISKS)
def test_a_full_disk_costs_only_what_has_no_room_and_that_is_said(world: World, disk: str) -> None:
    proof = Proof(world)
    calls = f"for n in range({FUNCTIONS}):\n    globals()[f'g{{n}}']()\n"
    functions = "".join(f"def g{n}():\n    return {n}\n" for n in range(FUNCTIONS))
    for number in range(FILES):
        world.write(f"big{number}.py", functions + calls)
    imports = "".join(f"import big{number}\n" for number in range(FILES))
    world.write("target.py", f"{PROVING}told()\n{imports}{CHILDREN}")
    (world.directory / "disk").mkdir()
    command = shlex.join(
        [world.python, "-m", "covsup", "run", "--data-file=disk/here/.coverage", "target.py"]
    )
    keep = f"{command}; status=$?; cp -r disk/here kept; exit $status"
    run = world.run(
        *in_a_space_of_its_own(world, DISKS[disk], keep),
        environment=proof.environment, data_file=world.directory / "kept" / ".coverage",
        timeout=150,
    )  # fmt: skip
    said = [line for line in run.stderr.splitlines() if line.startswith("covsup: ")]
    assert "Traceback" not in run.stderr, run
    missing = proof.missing(run) if run.data.measured_files() else set(proof.lines())
    found = sum(len(run.lines(f"big{number}.py")) for number in range(FILES))
    if missing or found < FILES * (2 * FUNCTIONS + 2):
        assert said, run
        assert any(re.search("disk|space|room|lost|full|quota", line) for line in said), run
    assert sum(proof.lines().values()) == 11, run


READ_ONLY = "mount --bind {0} {0} && mount -o remount,bind,ro {0}"


def test_where_nothing_can_be_written_the_data_file_may_be_elsewhere(world: World) -> None:
    proof = Proof(world)
    world.write("here/target.py", PROVING + CHILDREN)
    command = shlex.join([world.python, "-B", "-m", "covsup", "run"])
    mount = READ_ONLY.format("here")
    run = world.run(
        *in_a_space_of_its_own(
            world, mount, f"cd here && {command} --data-file=../.coverage target.py"
        ),
        environment=proof.environment,
    )  # fmt: skip
    assert (run.ended, run.stderr) == (0, ""), run
    assert set(proof.lines()) <= run.lines("here/target.py")
    proof = Proof(world)
    run = world.run(
        *in_a_space_of_its_own(world, mount, f"cd here && {command} target.py"),
        environment=proof.environment,
    )
    assert run.ended == 2, run
    assert re.fullmatch(r"covsup: .*read-only.*--data-file.*\n", run.stderr), run
    assert not proof.lines()
