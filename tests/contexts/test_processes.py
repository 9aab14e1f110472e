"""A context goes along into the processes that are started in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contexts.conftest import Contexts

PROCESSES = """
import multiprocessing, os, subprocess, sys
from covsup import embed
from proved import at
def leaf(label):
    at(label)
def in_a_child(label):
    at(label)
    with embed.context("inner"):
        leaf(label + "|inner")
def main():
    program = [sys.executable, __file__]
    with embed.context("fork"):
        leaf("fork")
        if os.fork() == 0:
            in_a_child("fork")
            os._exit(0)
        os.wait()
    with embed.context("exec"):
        if os.fork() == 0:
            os.execv(sys.executable, [*program, "exec"])
        os.wait()
    with embed.context("spawn"):
        subprocess.run([*program, "spawn"], check=True)
        subprocess.run([*program, "spawn"], check=True, env={"PROOF": os.environ["PROOF"]})
        os.waitpid(os.posix_spawn(sys.executable, [*program, "spawn"], os.environ), 0)
        assert os.system(f"{sys.executable} {__file__} spawn") == 0
    with embed.context("multiprocessing"):
        for method in "fork", "spawn":
            process = multiprocessing.get_context(method).Process(
                target=in_a_child, args=("multiprocessing",))
            process.start()
            process.join()
    subprocess.run([*program, "", "COVSUP_CONTEXT" not in os.environ and "plain"], check=True)
    assert os.system(f"{sys.executable} {__file__} '' plain") == 0
    leaf("")
if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        in_a_child(sys.argv[1])
        assert sys.argv[2:] in ([], ["plain"])
        assert ("COVSUP_CONTEXT" in os.environ) == (len(sys.argv) == 2)
"""


def test_a_context_goes_along_into_children(contexts: Contexts) -> None:
    contexts.check(PROCESSES)
