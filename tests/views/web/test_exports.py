"""What other programs get from `covsup serve`: coverage.py's reports, and metrics."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.supervisor.live import Live, beside, covsup
from tests.views.web.served import served, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.world import World

PROGRAM = """\
import os, sys
from pkg import used

if not os.fork():
    used.f(1)
    os._exit(0)
os.wait()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def project(world: World) -> World:
    """A package with a file that never runs, and a program that uses it."""
    world.write("pkg/__init__.py", "")
    world.write("pkg/used.py", "def f(x):\n    if x:\n        return 1\n    return 2\n")
    world.write("pkg/unused.py", "def g():\n    return 3\n")
    world.write("app.py", PROGRAM)
    return world


@pytest.fixture(params=[("--branch",), ()], ids=["branches", "lines"])
def running(request: pytest.FixtureRequest, project: World) -> Iterator[Live]:
    """The program, under covsup."""
    options = [*request.param, "--source=."]
    with Live(project, *covsup(project, "app.py", options=options)) as live:
        live.wait_for("ready")
        yield live


def without_times(text: str) -> Any:
    """A report without the moment at which it was made."""
    if text.startswith("{"):
        report = json.loads(text)
        del report["meta"]["timestamp"]
        return report
    return re.sub(r'timestamp="\d+"', "", text)


def reports_of(world: World, names: Sequence[str], *options: str) -> list[Any]:
    """The reports that coverage.py makes of the data file beside it."""
    reports = []
    for command, name in zip(("lcov", "xml", "json"), names, strict=True):
        assert beside(world, command, "-q", "-o", name, *options).returncode == 0
        reports.append(without_times((world.directory / name).read_text(encoding="utf-8")))
    return reports


NAMES = ("lcov.info", "coverage.xml", "coverage.json")


def test_the_reports_of_a_session_are_those_of_a_snapshot(project: World, running: Live) -> None:
    with served(project) as server:
        mine = [without_times(server.get(name).text) for name in NAMES]
        types = [server.get(name).headers["content-type"] for name in NAMES]
    assert beside(project, "combine", "--keep").returncode == 0
    assert mine == reports_of(project, NAMES)
    assert "pkg/unused.py" in mine[0]
    assert types == ["text/plain; charset=utf-8", "application/xml", "application/json"]


def test_the_reports_use_the_paths_that_the_settings_give(project: World) -> None:
    project.write(".coveragerc", "[run]\nrelative_files = true\n")
    with Live(project, *covsup(project, "app.py", options=["--source=."])) as live:
        live.wait_for("ready")
        with served(project) as server:
            mine = [without_times(server.get(name).text) for name in NAMES]
        assert beside(project, "combine", "--keep").returncode == 0
    assert mine == reports_of(project, NAMES)


def test_the_reports_of_a_data_file_are_those_of_coverage_py(project: World) -> None:
    assert project.covsup_run("app.py", options=["--source=."]).status == 0
    with served(project, str(project.data_file)) as server:
        mine = [without_times(server.get(name).text) for name in NAMES]
    assert mine == reports_of(project, NAMES)


def test_the_totals_are_those_of_coverage_py(project: World, running: Live) -> None:
    with served(project) as server:
        totals = server.analysed_state()["totals"]
        report = server.get("coverage.json").json["totals"]
    assert totals["statements"] == report["num_statements"]
    assert totals["executed"] == report["covered_lines"]
    assert totals["branches"] == report.get("num_branches", 0)
    assert totals["taken"] == report.get("covered_branches", 0)
    assert totals["percent"] == pytest.approx(report["percent_covered"])


def test_a_report_that_cannot_be_made_says_why(world: World) -> None:
    world.write("app.py", "print('ready', flush=True)\ninput()\n")
    with Live(world, *covsup(world, "app.py", options=["--omit=*"])) as live:
        live.wait_for("ready")
        with served(world) as server:
            answer = server.get("lcov.info")
    assert answer.status == 503
    assert "coverage.py cannot make lcov.info: No data to report" in answer.text


def test_the_end_of_a_session_keeps_files_that_never_ran(project: World, running: Live) -> None:
    with served(project) as server:
        before = server.analysed_state()
        with server.events(before["revision"]) as events:
            assert running.process.stdin is not None
            running.process.stdin.close()
            until(events, lambda each: each.kind == "reset")
        after = server.analysed_state()
        unused = server.get("data/unused.json").json
    assert [each["path"] for each in after["files"]] == [each["path"] for each in before["files"]]
    assert after["totals"]["statements"] == before["totals"]["statements"]
    assert unused["complete"]


def test_code_that_never_ran_is_listed_with_the_reason(project: World, running: Live) -> None:
    with served(project) as server:
        files = {each["id"]: each["path"] for each in server.analysed_state()["files"]}
        unused = server.get("data/unused.json").json
    assert unused["complete"]
    assert [(files[each["file"]], each["kind"], each["why"]) for each in unused["items"]] == [
        ("pkg/unused.py", "module", "never imported"),
        ("pkg/used.py", "function", "partly run"),
    ]


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_are_what_prometheus_reads(project: World, running: Live) -> None:
    with served(project) as server:
        totals = server.analysed_state()["totals"]
        answer = server.get("metrics")
        found = samples(answer.text)
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        families = list(parse_open_metrics(server.request("metrics", headers=accept).text))
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["covsup_statements",] == totals["statements"]
    assert found["covsup_covered_statements",] == totals["executed"]
    assert found["covsup_covered_branches",] == totals["taken"]
    assert found["covsup_coverage_percent",] == pytest.approx(totals["percent"])
    assert found["covsup_processes", "running"] == 1
    assert found["covsup_processes", "exited"] == 1
    assert found["covsup_processes", "unmeasured"] == 0
    assert found["covsup_package_statements", "pkg"] == 6
    assert found["covsup_package_covered_statements", "pkg"] == 3
    assert found["covsup_package_statements", "other"] == totals["statements"] - 6
    assert found["covsup_new_lines_total",] == 0
    assert found["covsup_lost_facts",] == found["covsup_lost_events",] == 0
    assert "covsup_coverage_percent" in {each.name for each in families}


def test_the_metrics_are_right_without_any_client(world: World) -> None:
    world.write("app.py", "print('ready', flush=True)\ninput()\nx = 1\nprint('set')\ninput()\n")
    with Live(world, *covsup(world, "app.py")) as live:
        live.wait_for("ready")
        with served(world) as server:
            server.analysed_state()
            before = samples(server.get("metrics").text)
            live.send("\n")
            live.wait_for("set")
            after = samples(server.get("metrics").text)
    assert after["covsup_new_lines_total",] - before["covsup_new_lines_total",] == 3
    assert after["covsup_covered_statements",] == 5
