"""The command line of `covsup serve`."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.supervisor.live import Live, beside
from tests.views.web.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World


@pytest.fixture
def measured(world: World) -> World:
    """A world with a data file."""
    world.write("app.py", "print(1)\n")
    assert world.covsup_run("app.py").status == 0
    return world


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which something else listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_one_clear_line(measured: World, taken_port: int) -> None:
    run = beside(measured, "serve", f"--port={taken_port}")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        f"covsup: cannot listen on 127.0.0.1, port {taken_port}: Address already in use;"
        " without --port, a free port is used\n"
    )


def test_without_port_two_servers_get_two_ports(measured: World) -> None:
    command = (measured.python, "-m", "covsup", "serve")
    with Live(measured, *command) as one, Live(measured, *command) as other:
        urls = [live.wait_for(r"(http://\S+/)\n")[1] for live in (one, other)]
    ports = {urlsplit(url).port for url in urls}
    tokens = {urlsplit(url).path for url in urls}
    assert len(ports) == len(tokens) == 2
    assert {urlsplit(url).hostname for url in urls} == {"127.0.0.1"}


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5", ""])
def test_a_port_that_is_no_port_is_refused(measured: World, port: str) -> None:
    run = beside(measured, "serve", f"--port={port}")
    assert run.returncode == 2
    assert "a port is a number from 0 to 65535" in run.stderr


def test_a_host_that_is_unknown_is_one_clear_line(measured: World) -> None:
    run = beside(measured, "serve", "--host=no.such.host.invalid")
    assert run.returncode == 1
    assert run.stderr.startswith("covsup: cannot listen on no.such.host.invalid")
    assert run.stderr.count("\n") == 1


def test_another_address_needs_the_token_too(measured: World) -> None:
    with served(measured, "--host=0.0.0.0") as server:
        server.host = "127.0.0.1"
        assert server.request("/data/state.json").status == 404
        # By whatever name it is reached.
        headers = {"Host": "build.example:80"}
        assert server.request("data/state.json", headers=headers).status == 200


def test_it_says_when_others_can_reach_it(measured: World) -> None:
    command = (measured.python, "-m", "covsup", "serve", "--port=0")
    with Live(measured, *command, "--host=0.0.0.0") as live:
        live.wait_for(r"^covsup: others can reach 0\.0\.0\.0: .*not encrypted\n")
        assert urlsplit(live.wait_for(r"(http://\S+/)\n")[1]).hostname != "0.0.0.0"


def test_nothing_to_show_is_one_clear_line(world: World) -> None:
    run = beside(world, "serve")
    assert run.returncode == 1
    assert run.stderr.startswith("covsup: no session beside ")
    assert run.stderr.count("\n") == 1


def test_a_file_that_is_no_data_file_is_one_clear_line(world: World) -> None:
    text = world.write("text", "no data\n")
    run = beside(world, "serve", str(text))
    assert run.returncode == 1
    assert run.stderr.startswith("covsup: ")
    assert run.stderr.count("\n") == 1


def test_without_the_extra_one_line_says_how_to_install_it(measured: World) -> None:
    # A module that cannot be imported stands in for a library that is not installed.
    measured.write("hidden/starlette.py", "raise ModuleNotFoundError('none', name='starlette')\n")
    run = measured.run(
        sys.executable, "-m", "covsup", "serve",
        environment={"PYTHONPATH": str(measured.directory / "hidden")},
    )  # fmt: skip
    assert run.status == 1
    assert run.stderr.count("\n") == 1
    assert "pip install 'covsup[view]'" in run.stderr


def test_a_data_file_of_coverage_py_is_a_report(world: World) -> None:
    world.write("app.py", "import sys\nif len(sys.argv) > 9:\n    print(2)\n")
    assert world.run(world.python, "-m", "coverage", "run", "--branch", "app.py").status == 0
    with served(world, ".coverage") as server:
        state = server.analysed_state()
        source = server.get("data/source/0.json").json
    assert (state["live"], state["finished"], state["branch"]) == (False, True, True)
    assert state["title"] == ".coverage"
    assert state["processes"] == []
    assert (state["totals"]["statements"], state["totals"]["executed"]) == (3, 2)
    assert source["missing_branches"] == {"2": [3]}


def test_a_data_file_that_is_written_again_is_read_again(measured: World) -> None:
    with served(measured) as server:
        state = server.analysed_state()
        measured.write("app.py", "print(1)\nprint(2)\n")
        with server.events(state["revision"]) as events:
            run = beside(measured, "run", "--branch", "app.py")
            assert run.returncode == 0, run.stderr
            assert next(events).data["lines"]["0"] == [2]
