"""What journals take: of a program's address space, and of whatever a session is copied to."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.supervisor.launch import supervise
from tests.supervisor.commands.test_env import covsup, opened
from tests.supervisor.live import Live, beside, on_linux

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(not on_linux, reason="a mapping is extended on Linux")

SMALL = 1 << 20
"""More than a short journal takes, and much less than its file has while it is written."""

LIMITED = """\
import os, resource, threading
pages = int(open("/proc/self/statm").read().split()[0])
room = pages * resource.getpagesize() + ({room} << 20)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
data = bytearray({use} << 20)
del data
if os.fork() == 0:
    data = bytearray({use} << 20)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
worker = threading.Thread(target=print, args=("thread",))
worker.start()
worker.join()
"""

FORKING = f"""\
import os, resource
for number in range(5):
    if os.fork() == 0:
        own = number
        os._exit(0)
    os.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, {resource.RLIM_INFINITY}))
if os.fork() == 0:
    lodges = 1
    os._exit(0)
os.wait()
"""

WAITING = """\
import os, resource, sys
print("up", flush=True)
sys.stdin.readline()
done = 1
if os.fork() == 0:
    child = 1
    os._exit(0)
os.wait()
print("on", flush=True)
sys.stdin.readline()
"""


def sizes(directory: Path) -> dict[str, int]:
    """The apparent sizes of the journals in the sessions of a directory."""
    return {path.name: path.stat().st_size for path in directory.glob(".covsup/2*/*.journal~")}


def test_a_program_that_limits_its_address_space_has_nearly_all_of_it(world: World) -> None:
    world.write("target.py", LIMITED.format(room=40, use=30))
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, "0\nthread\n", "")
    assert run.lines("target.py") == set(range(1, 14))


def test_a_measured_process_takes_hardly_more_address_space_than_a_plain_one(
    world: World,
) -> None:
    world.write("target.py", "print(open('/proc/self/statm').read().split()[0])\n")
    plain = world.run(world.python, "target.py")
    measured = world.covsup_run("target.py")
    more = (int(measured.stdout) - int(plain.stdout)) * resource.getpagesize()
    assert more < 4 << 20


def test_journals_that_wait_for_combine_are_no_longer_than_what_they_hold(world: World) -> None:
    world.write("target.py", FORKING)
    run = world.covsup_run("target.py", options=["-p"])
    assert (run.ended, run.stderr) == (0, "")
    found = sizes(world.directory)
    assert len(found) == 6
    # One of them has a slot, which lies behind the room for its own words.
    assert sum(found.values()) < 2 * SMALL
    assert not list(world.directory.glob(".covsup/2*/.new-*"))
    combined = covsup(world, "combine")
    assert combined.stderr == ""
    assert combined.lines("target.py") == set(range(1, 12))


def test_a_combination_that_keeps_journals_shortens_those_of_ended_images(world: World) -> None:
    world.write("target.py", FORKING)
    session = opened(world)
    world.run(world.python, "target.py", environment=session)
    before = sizes(world.directory)
    assert min(before.values()) > SMALL
    first = covsup(world, "combine", "--keep")
    after = sizes(world.directory)
    assert after.keys() == before.keys()
    assert sum(after.values()) < 2 * SMALL
    (world.directory / ".coverage").unlink()
    again = covsup(world, "combine")
    assert (first.stderr, again.stderr) == ("", "")
    assert again.lines("target.py") == set(range(1, 12))


def test_a_closed_session_is_shortened_but_for_what_a_process_has_mapped(world: World) -> None:
    world.write("target.py", FORKING)
    world.write("waiting.py", WAITING)
    session = opened(world)
    world.run(world.python, "target.py", environment=session)
    with Live(world, world.python, "waiting.py", environment=session) as live:
        live.wait_for("up")
        (mapped,) = re.findall(
            r"[^/]+\.journal~$", Path(f"/proc/{live.pid}/maps").read_text(), re.MULTILINE
        )[:1]
        assert beside(world, "env", "--close").returncode == 0
        found = sizes(world.directory)
        assert found.pop(mapped) > SMALL
        assert sum(found.values()) < 2 * SMALL
        live.send("\n")
        live.wait_for("on")
        live.send("\n")
        assert live.ended() == 0
    run = covsup(world, "combine")
    assert (run.ended, run.stderr) == (0, "")
    assert run.lines("waiting.py") == set(range(1, 11))
    assert run.lines("target.py") == set(range(1, 12))


def test_a_full_disk_is_called_a_full_disk(world: World) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can mount")
    disk = world.directory / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=64k none {disk}"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("nothing can be mounted here")
    world.write("target.py", "x = 1\n" * 10_000)
    command = f"{mount} && exec {world.python} -m covsup run --branch target.py"
    variable = {"COVSUP_SESSIONS": str(disk)}
    run = world.run("unshare", "-m", "sh", "-c", command, environment=variable)
    assert run.ended == 0, run
    (line,) = run.stderr.splitlines()
    assert re.search(
        r"^covsup: process \d+ \(.*target\.py\) could not keep \d+ facts.*: the file system of its"
        r" session directory is full, or its quota is used up: free some space",
        line,
    ), line
    # 64 KiB hold some 6,000 facts of 8 bytes.
    assert 1_000 < len(run.lines("target.py")) < 9_000


def test_a_limit_that_the_system_refuses_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On macOS the hard limit has no bounds, and is refused as a soft one.
    taken = []

    def set_limit(_: int, limits: tuple[int, int]) -> None:
        if limits[0] == resource.RLIM_INFINITY:
            raise ValueError("current limit exceeds maximum limit")
        taken.append(limits)

    unbounded = resource.RLIM_INFINITY
    for soft, expected in ((256, [(10_240, unbounded)]), (20_000, [])):
        taken.clear()
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, unbounded))
        monkeypatch.setattr(resource, "setrlimit", set_limit)
        supervise._raise_descriptor_limit()
        assert taken == expected

    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    supervise._raise_descriptor_limit()


def test_what_appears_in_a_session_during_a_run_is_named_as_watchers_of_files_ignore(
    world: World,
) -> None:
    world.write(
        "target.py",
        """\
import os, sys, time
session = os.environ["COVSUP_SESSION"]
before = set(os.listdir(session))
if os.fork() == 0:
    os._exit(0)
os.wait()
while not any(name.startswith("observed") for name in os.listdir(session)):
    time.sleep(0.01)
print(*(name for name in set(os.listdir(session)) - before if not name.endswith("~")))
print(*(name for name in before if not name.endswith("~")))
""",
    )
    run = world.covsup_run("target.py")
    assert (run.ended, run.stdout) == (0, "\nsettings\n")
