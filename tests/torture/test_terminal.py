"""A terminal that stops what is written to it: whoever waits for it loses nothing by that."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import Live, covsup
from tests.torture.proof import PROVING, Proof

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.torture, pytest.mark.timeout(200)]

WRITER = """
def work(n):
    told()
    os.write(1, b"x" * 40000 + b"\\n")
    told()
    os.write(1, b"done\\n")
    told()
if os.fork() == 0:
    work(1)
    os._exit(0)
work(2)
os.wait()
print("end", flush=True)
"""


def wait_for_lines(proof: Proof, count: int) -> None:
    until = time.monotonic() + 60
    while sum(proof.lines().values()) < count:
        assert time.monotonic() < until, proof.lines()
        time.sleep(0.01)


@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_output_that_is_held_by_ctrl_s_holds_nothing_else(world: World, then: str) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + "told()\nsys.stdin.readline()\n" + WRITER)
    with Live(
        world, *covsup(world, "target.py"), terminal=True, environment=proof.environment
    ) as live:
        wait_for_lines(proof, 1)
        live.send("\x13")
        live.send("\n")
        # Both are about to write, or do: there is no room for all of it.
        wait_for_lines(proof, 3)
        if then == "goes on":
            live.send("\x11")
            live.wait_for("end")
            assert live.ended() == 0
        else:
            os.killpg(live.pid, signal.SIGKILL)
            live.process.wait()
    world.kill_what_is_left()
    run = world.run(world.python, "-m", "covsup", "combine" if then == "is killed" else "--version")
    assert not proof.missing(run)
    assert sum(proof.lines().values()) == (7 if then == "goes on" else 3)


def test_a_job_in_the_background_that_may_not_write_goes_on_in_the_foreground(
    world: World,
) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + WRITER)
    words = " ".join(covsup(world, "target.py"))
    with Live(
        world, "bash", "--norc", "--noprofile", "-i", terminal=True, environment=proof.environment
    ) as live:
        live.send("PS1='shell''> '; set -b; stty tostop -echo\n")
        live.wait_for("shell> ")
        live.send(f"{words} &\n")
        live.wait_for("Stopped")
        # The first who writes stops the other, too, wherever that is.
        wait_for_lines(proof, 1)
        live.send("fg\n")
        live.wait_for("end")
        live.wait_for("shell> ")
        live.send("echo ended $?\n")
        live.wait_for("ended 0")
        live.send("exit\n")
        assert live.ended() == 0
    assert not proof.missing(world.run(world.python, "-m", "covsup", "--version"))
    assert sum(proof.lines().values()) == 6
