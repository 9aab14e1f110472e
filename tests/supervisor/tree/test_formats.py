"""`covsup tree` for other programs: Mermaid's flowcharts and Chrome's traces; and many equal processes."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from covsup.datafile.provenance.model import End, Ending, Provenance, Unmeasured
from covsup.datafile.session.settings import Settings
from covsup.supervisor.tree.drawing import UNICODE, Drawing
from covsup.supervisor.tree.mermaid import Chart
from covsup.supervisor.tree.trace import Trace
from tests.supervisor.tree.test_tree import FAMILY, UNTIL_SEEN, image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covsup.datafile.provenance.model import ProcessRecord
    from tests.world import World

SETTINGS = Settings(session="s", command=("w.py",))
KILLED = Ending(end=End.KILLED, signal=9)

POOL = """\
import os
for number in range(25):
    pid = os.fork()
    if pid == 0:
        if number == 12:
            only_here = 1
        os._exit(0)
    os.waitpid(pid, 0)
pid = os.fork()
if pid == 0:
    os._exit(3)
os.waitpid(pid, 0)
"""

BOX = re.compile(r'^    (p\d+)\["([^"\[\]{}<>`;%$&\\|]|<br/>|#\d+;)*"\]$')
ARROW = re.compile(r'^    (p\d+) (-->|==>)(\|"(\w| )*"\|)? (p\d+)$')
OTHER = re.compile(
    r'^(flowchart LR|  subgraph session\d+\["[^"]*"\]|  end|  more\["and \d+ more processes"\]'
    r"|  classDef \w+ [\w#:,\- ]+|  class p[\dp,]+ \w+)$"
)


def process(
    name: str,
    pid: int,
    *,
    at: int = 1,
    ended: int = 2,
    argv: tuple[str, ...] = ("w",),
    **other: object,
) -> ProcessRecord:
    """Make a measured process; `at` and `ended` are nanoseconds."""
    return image(name, pid, 0, started_ns=at, ended_ns=ended, argv=argv, **other)


def provenance(
    processes: Sequence[ProcessRecord], unmeasured: tuple[Unmeasured, ...] = ()
) -> Provenance:
    return Provenance(
        sessions=(),
        processes=tuple(processes),
        observed=(),
        unmeasured=unmeasured,
        notes=(),
        problems=(),
        files=(),
    )


def output(world: World, *words: str) -> str:
    run = world.run(world.python, "-m", "covsup", "tree", *words)
    assert (run.ended, run.stderr) == (0, ""), run
    return run.stdout


def boxes_and_arrows(chart: str) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Read a chart back. Every line has to be one that Mermaid's grammar has."""
    boxes, arrows = {}, []
    for line in chart.splitlines():
        if box := BOX.match(line):
            boxes[box[1]] = line.partition('["')[2].removesuffix('"]')
        elif arrow := ARROW.match(line):
            arrows.append((arrow[1], arrow[3] or "", arrow[5]))
        else:
            assert OTHER.match(line), line
    assert {end for one, _, other in arrows for end in (one, other)} <= boxes.keys()
    return boxes, arrows


def check_trace(value: dict[str, Any]) -> None:
    """Check what Chrome's format asks for, and what Perfetto drops or counts as an error."""
    slices: dict[int, list[tuple[float, float]]] = {}
    named = set()
    flows: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
    for event in value["traceEvents"]:
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert isinstance(event["name"], str)
        assert event["ts"] >= 0
        match event["ph"]:
            case "M":
                named.add((event["name"], event["pid"]))
                (argument,) = event["args"]
                assert argument in {"name", "labels", "sort_index"}
            case "X":
                assert event["dur"] > 0
                slices.setdefault(event["tid"], []).append((event["ts"], event["dur"]))
            case "i":
                assert event["s"] in {"g", "p", "t"}
            case "s" | "f" as kind:
                key = (event["cat"], event["name"], event["id"])
                assert kind not in flows.setdefault(key, {})
                flows[key][kind] = event
                assert (event.get("bp") == "e") == (kind == "f")
            case other:
                pytest.fail(f"unknown phase {other}")
    for of_track in slices.values():
        of_track.sort()
        for (start, duration), (following, _) in pairwise(of_track):
            assert start + duration <= following + 1e-6
    assert {track for name, track in named if name == "process_name"} == slices.keys()
    for ends in flows.values():
        assert ends.keys() == {"s", "f"}
        assert ends["s"]["ts"] <= ends["f"]["ts"]
        for event in ends.values():
            assert any(
                start <= event["ts"] <= start + duration for start, duration in slices[event["tid"]]
            ), event


def test_a_family_as_a_flowchart(world: World) -> None:
    world.write("target.py", FAMILY)
    world.write("until_seen", UNTIL_SEEN)
    world.covsup_run("target.py")
    boxes, arrows = boxes_and_arrows(output(world, "--format=mermaid"))
    assert sum("killed by SIGKILL" in text for text in boxes.values()) == 1
    # An arrow leads from each program to the one that replaced it.
    first, second = ([arrow for arrow in arrows if f"exec {n}" in arrow[1]] for n in (1, 2))
    assert first[0][2] == second[0][0]
    assert re.search(r"target\.py second<br/>exit 5, \d+ lines$", boxes[second[0][2]])
    assert "class p2 killed" in output(world, "--format=mermaid")


def test_a_family_as_a_trace(world: World) -> None:
    world.write("target.py", FAMILY)
    world.write("until_seen", UNTIL_SEEN)
    world.covsup_run("target.py")
    value = json.loads(output(world, "--format=trace"))
    check_trace(value)
    events = value["traceEvents"]
    # The programs of one process are slices of one track.
    fork = next(each["pid"] for each in events if "target.py first" in each["name"])
    programs = [each["name"] for each in events if each["ph"] == "X" and each["pid"] == fork]
    assert [name.rpartition("target.py")[2] for name in programs] == ["", " first", " second"]
    (killed,) = (each for each in events if each["ph"] == "i")
    assert (killed["name"], killed["cat"]) == ("SIGKILL", "killed")
    (shell,) = (each for each in events if each["name"].startswith("sh -c"))
    labels = [each["pid"] for each in events if each.get("args") == {"labels": "not measured"}]
    assert labels == [shell["pid"]]


def test_the_formats_of_json_are_one(world: World) -> None:
    world.write("target.py", "pass\n")
    world.covsup_run("target.py")
    assert output(world, "--json") == output(world, "--format=json") != ""


def test_many_processes_that_look_alike_share_a_line(world: World) -> None:
    world.write("target.py", POOL)
    world.covsup_run("target.py")
    lines = output(world).splitlines()
    assert sum("─ fork " in line for line in lines) == 4
    assert any(re.search(r"└─ and 22 more like \d+ \(--all shows each\)$", line) for line in lines)
    assert any(re.search(r"─ fork .* exit 3 by os\._exit ", line) for line in lines)
    # The one that has lines of its own is among those that are shown.
    assert any(re.search(r"─ fork .* exit 0 by os\._exit +\d+ +\d+$", line) for line in lines), (
        lines
    )
    assert sum("─ fork " in line for line in output(world, "--all").splitlines()) == 26
    boxes, _ = boxes_and_arrows(output(world, "--format=mermaid"))
    assert len(boxes) == 3
    assert any(text.startswith("25 x ") for text in boxes.values())
    assert len(boxes_and_arrows(output(world, "--format=mermaid", "--all"))[0]) == 27


ODD = (
    'a "b" `c`',
    "%%{init: {}}%%",
    "$$x$$",
    "<b>&amp;</b>",
    "fa:fa-car",
    "\x1b[31m",
    "#35;",
    "\\n",
    "é日",
)


@pytest.mark.parametrize("word", ODD)
def test_no_command_can_become_markup_of_a_chart(word: str) -> None:
    images = (process("a", 10, argv=("python", "x.py", word)),)
    chart = Chart(everything=False)
    chart.add(SETTINGS, provenance(images))
    boxes, _ = boxes_and_arrows(chart.text())
    text = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), boxes["p1"])
    assert text.startswith("10 python x.py ")
    if word.isprintable():
        assert word in text


def test_a_thousand_processes_stay_within_the_limits_of_github() -> None:
    images = [process("root", 10)]
    images += [
        process(f"i{n}", 100 + n, ppid=10, parent="root", argv=("python", "w.py", "é" * 60, str(n)))
        for n in range(1000)
    ]
    chart = Chart(everything=False)
    chart.add(SETTINGS, provenance(images))
    boxes, arrows = boxes_and_arrows(chart.text())
    assert len(chart.text()) < 50_000
    assert len(arrows) < 500
    more = re.search(r"and (\d+) more processes", chart.text())
    assert more is not None
    assert len(boxes) + int(more[1]) == 1001


def test_a_trace_of_processes_with_poor_clocks_and_pids_that_were_used_again() -> None:
    images = [
        process("root", 10, at=1_000_000, ended=2_000_000),
        # It began before its parent, by its clock, and ended after it.
        process("early", 11, ppid=10, parent="root", at=900_000, ended=3_000_000),
        process("again", 11, ppid=10, parent="root", at=1_500_000, ended=1_600_000),
        process("late", 12, ppid=10, parent="root", at=2_500_000, ended=2_500_000),
        process("running", 13, ppid=10, parent="root", at=1_700_000, ended=0),
    ]
    trace = Trace()
    unmeasured = (Unmeasured("s", 14, ("python", "-S"), "started with -S", 1_800_000, 10),)
    trace.add(SETTINGS, provenance(images, unmeasured))
    value = trace.value()
    check_trace(value)
    names = {
        each["args"]["name"] for each in value["traceEvents"] if each["name"] == "process_name"
    }
    assert "NOT MEASURED python -S" in names
    tracks = {each["pid"] for each in value["traceEvents"] if each["ph"] == "X"}
    assert len(tracks) == 6
    killed = process("k", 20, ending=KILLED)
    other = Trace()
    other.add(SETTINGS, provenance((killed,)))
    assert [each["name"] for each in other.value()["traceEvents"] if each["ph"] == "i"]


def test_an_empty_session_gives_a_valid_chart_and_trace() -> None:
    chart, trace = Chart(everything=False), Trace()
    chart.add(SETTINGS, provenance(()))
    trace.add(SETTINGS, provenance(()))
    boxes_and_arrows(chart.text())
    check_trace(trace.value())


def test_the_text_of_equal_processes_refers_to_one_that_is_shown() -> None:
    images = [process("root", 10)]
    images += [process(f"i{n}", 100 + n, ppid=10, parent="root") for n in range(21)]
    drawn = [
        line.plain
        for line in Drawing(80, UNICODE, everything=False).lines(SETTINGS, provenance(images))
    ]
    assert drawn[-2] == "   └─ and 18 more like 100 (--all shows each)"
    assert max(map(len, drawn)) <= 80
