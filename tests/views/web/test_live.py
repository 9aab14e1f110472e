"""A session that runs, as the page sees it: over real HTTP, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.supervisor.live import Live, covsup
from tests.views.web.served import served, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

SHOP = """\
import os, sys

def buy():
    return "bought"

def sell():
    return "sold"

worker = os.fork()
if not worker:
    buy()
    print("worker", os.getpid(), flush=True)
    while True:
        os.read(os.open("never", os.O_RDONLY), 1)
for line in sys.stdin:
    if line == "sell\\n":
        print(sell(), flush=True)
    elif line == "wait\\n":
        os.waitpid(worker, 0)
"""
"""A program with a worker. It reads commands line by line."""


@pytest.fixture
def shop(world: World) -> Iterator[Live]:
    """The program, under covsup, once its worker runs."""
    world.write("shop.py", SHOP)
    os.mkfifo(world.directory / "never")
    with Live(world, *covsup(world, "shop.py", options=["--branch"])) as live:
        live.worker = int(live.wait_for(r"worker (\d+)")[1])  # type: ignore[attr-defined]
        yield live


def test_the_state_has_the_files_processes_and_totals_of_a_session_that_runs(
    world: World, shop: Live
) -> None:
    with served(world) as server:
        state = server.analysed_state()
    (file,) = state["files"]
    assert (file["path"], state["live"], state["finished"]) == ("shop.py", True, False)
    assert 0 < file["executed"] < file["statements"] == state["totals"]["statements"]
    assert 0 < file["taken"] < file["branches"] == state["totals"]["branches"]
    parent, worker = state["processes"]
    assert worker["parent"] == parent["id"]
    assert [each["how"] for each in (parent, worker)] == ["start", "fork"]
    assert worker["pid"] == shop.worker  # type: ignore[attr-defined]
    assert {each["end"]["how"] for each in (parent, worker)} == {"running"}
    assert parent["command"].endswith("shop.py")
    assert state["title"] == "shop.py"


def test_a_line_that_runs_is_a_change_soon_afterwards(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.analysed_state()
        with server.events(state["revision"]) as events:
            shop.send("sell\n")
            event = until(events, lambda each: each.data["lines"])
        assert event.data["revision"] == int(event.id) > state["revision"]
        assert 7 in event.data["lines"]["0"]
        (file,) = event.data["files"]
        assert file["executed"] > state["files"][0]["executed"]
        assert file["moved"] is not None
        assert event.data["totals"]["executed"] == file["executed"]
        assert event.data["activity"] == [[event.data["at"], len(event.data["lines"]["0"])]]
        assert 7 in server.get("data/source/0.json").json["executed"]


def test_the_source_of_a_file_has_its_text_and_who_ran_each_line_first(
    world: World, shop: Live
) -> None:
    with served(world) as server:
        state = server.analysed_state()
        source = server.get("data/source/0.json").json
        worker = next(each for each in state["processes"] if each["how"] == "fork")
    text = ["".join(piece for _, piece in line) for line in source["lines"]]
    assert text == SHOP.splitlines()
    assert source["error"] is None
    assert 4 in source["executed"]
    assert 7 in set(source["statements"]) - set(source["executed"])
    assert source["first"]["4"] == worker["id"]
    assert source["first"]["1"] != worker["id"]
    assert source["context_counts"]["4"] == 1
    assert {region["name"]: region["executed"] for region in source["regions"]} == {
        "buy": 1,
        "sell": 0,
    }


def test_the_end_of_a_killed_worker_is_a_change(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.state()
        with server.events(state["revision"]) as events:
            os.kill(shop.worker, signal.SIGKILL)  # type: ignore[attr-defined]
            shop.send("wait\n")
            event = until(
                events,
                lambda each: any(row["end"]["how"] == "killed" for row in each.data["processes"]),
            )
    (row,) = [row for row in event.data["processes"] if row["end"]["how"] == "killed"]
    assert row["pid"] == shop.worker  # type: ignore[attr-defined]
    assert (row["end"]["signal"], row["end"]["words"]) == ("SIGKILL", "killed by SIGKILL")


def test_a_worker_that_no_one_waited_for_runs_no_more(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.state()
        with server.events(state["revision"]) as events:
            os.kill(shop.worker, signal.SIGKILL)  # type: ignore[attr-defined]
            event = until(events, lambda each: each.data["processes"])
    assert all(
        row["end"]["how"] != "running"
        for row in event.data["processes"]
        if row["pid"] == shop.worker  # type: ignore[attr-defined]
    )


def test_a_mark_shows_what_is_new_since(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.state()
        assert state["can_mark"]
        with server.events(state["revision"]) as events:
            assert server.post_mark("before the sale").status == 201
            marked = until(events, lambda each: each.data["marks"]).data["marks"]
            assert [each["name"] for each in marked] == ["before the sale"]
            shop.send("sell\n")
            until(events, lambda each: 7 in each.data["lines"].get("0", ()))
        (new,) = server.get(f"data/since/{marked[0]['id']}.json").json["files"]
        assert new["file"] == 0
        assert 7 in new["lines"]
        assert 4 not in new["lines"]
        assert [each["name"] for each in server.state()["marks"]] == ["before the sale"]


def test_at_the_end_of_the_session_its_result_is_shown(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.state()
        with server.events(state["revision"]) as events:
            assert server.post_mark("before the sale").status == 201
            shop.send("sell\n")
            shop.wait_for("sold")
            os.kill(shop.worker, signal.SIGKILL)  # type: ignore[attr-defined]
            assert shop.process.stdin is not None
            shop.process.stdin.close()
            until(events, lambda each: each.kind == "reset")
        assert shop.ended() == 0
        state = server.analysed_state()
        assert (state["live"], state["finished"], state["can_mark"]) == (False, True, False)
        assert state["place"].endswith(".coverage")
        assert {row["end"]["how"] for row in state["processes"]} <= {"exited", "killed"}
        assert 7 in server.get("data/source/0.json").json["executed"]
        (mark,) = state["marks"]
        assert mark["name"] == "before the sale"
        (new,) = server.get(f"data/since/{mark['id']}.json").json["files"]
        assert 7 in new["lines"]
        assert server.post_mark("too late").status == 409
        assert server.get("lcov.info").status == 200


def test_a_client_that_reconnects_gets_what_it_missed(world: World, shop: Live) -> None:
    with served(world) as server:
        state = server.analysed_state()
        with server.events(state["revision"]) as events:
            shop.send("sell\n")
            first = until(events, lambda each: 7 in each.data["lines"].get("0", ()))
        with server.events(headers={"Last-Event-ID": str(state["revision"])}) as events:
            assert until(events, lambda each: each.data["lines"]) == first


@pytest.mark.parametrize("revision", ["999999", "-1", "x", ""])
def test_a_client_with_an_unknown_revision_is_told_to_load_the_state(
    world: World, shop: Live, revision: str
) -> None:
    with served(world) as server, server.events(headers={"Last-Event-ID": revision}) as events:
        event = next(events)
        assert event.kind == "reset"
        assert event.data == int(event.id)


def test_ctrl_c_ends_the_server_quietly_and_all_streams(world: World, shop: Live) -> None:
    with served(world) as server, server.events() as one, server.events() as other:
        assert next(one).kind == next(other).kind == "reset"
        server.live.kill(signal.SIGINT)
        assert list(one) == list(other) == []
        assert server.live.rest() == ""
        assert server.live.ended() == 0


def test_sigterm_ends_the_server_as_ctrl_c_does(world: World, shop: Live) -> None:
    with served(world) as server:
        server.live.kill(signal.SIGTERM)
        assert server.live.rest() == ""
        assert server.live.ended() == 0


def test_a_session_whose_result_is_lost_stays_on_the_page(world: World) -> None:
    world.write("app.py", "import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    opened = world.run(world.python, "-m", "covsup", "env", "--shell=json")
    variables = json.loads(opened.stdout)
    with Live(world, world.python, "app.py", environment=variables) as app:
        app.wait_for("ready")
        with served(world) as server:
            state = server.state()
            shutil.rmtree(state["place"])
            message = server.live.wait_for(r"covsup: (.*) was deleted, and (.*)\n")
            assert state["place"] in message[1]
            after = server.state()
            assert [each["lines"] for each in after["files"]] == [3]
            assert not after["live"]
