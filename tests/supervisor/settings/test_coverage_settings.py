"""Every setting of coverage.py's is honoured or named; what it is to us stands in one table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage.config import CoverageConfig

from covsup.supervisor.settings.compatibility import (
    RUN_OPTIONS,
    SETTINGS,
    VARIABLES,
    WARNINGS,
    Compatibility,
)
from covsup.supervisor.settings.covsup_settings import KEYS
from tests.supervisor.settings.test_settings import here, settings  # noqa: F401 - a fixture of that name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world import World

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_table_has_every_setting_of_coverages() -> None:
    theirs = {option[1] for option in CoverageConfig.CONFIG_FILE_OPTIONS}
    ours = {f"{section}:{key}" for section, keys in SETTINGS.items() for key in keys}
    assert theirs - ours == set()


def test_the_page_on_settings_says_what_the_table_says() -> None:
    rows = [line.strip("| ").split(" | ") for line in DOCS.read_text().splitlines()]

    def verdicts(column: int, first: str = "") -> dict[str, str]:
        return {
            word: row[column + 1].strip()
            for row in rows
            if len(row) > column + 1 and (not first or row[0] == first)
            for word in re.findall(r"`([^`]+)`", row[column])
        }

    for section, keys in SETTINGS.items():
        if section != "paths":
            assert verdicts(1, f"`{section}`") == by_word(keys)
    others = verdicts(0)
    for table in (VARIABLES, RUN_OPTIONS, WARNINGS):
        assert by_word(table).items() <= others.items()
    assert KEYS.keys() <= others.keys()


def by_word(table: Mapping[str, Compatibility]) -> dict[str, str]:
    return {word: meaning.support.value for word, meaning in table.items()}


ALL_UNNEEDED = "[run]\nparallel = true\nsigterm = yes\ntimid = 1\ncore = ctrace\npatch = fork\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run]\nparallel = false\nsigterm = no\ntimid = 0\ncore =\npatch =\n", None),
        (ALL_UNNEEDED, "[run] core, parallel, patch, sigterm and timid are not needed and change"),
        (ALL_UNNEEDED + "disable_warnings = settings-unneeded\n", None),
        ("[run]\ntimid = true\n", "[run] timid is not needed and changes nothing; `covsup debug"),
        ("[run]\ndisable_warnings = no-data-colected, no-sysmon\n",
         "[run] disable_warnings: there is no warning 'no-data-colected'; did you mean 'no-data-"),
        ("[run]\ndebug = sys\n", "[run] debug is not supported and changes nothing: `covsup debug`"),
        ("[run]\ndata_suffix = x\n", "2: [run] has no 'data_suffix'; did you mean 'data_file'?"),
        ("[html]\nxyz = 1\n", "2: [html] has no 'xyz'; there are: directory, extra_css, show_"),
        ("[reprot]\nsort = 1\n", "2: [reprot] is not a section of coverage.py; did you mean 'report'"),
        ("[paths]\nwhatever = a\n    b\n[covsup]\ngrace = 1\n[DEFAULT]\nx = 1\n", None),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_named(
    here: Path, text: str, said: str | None  # noqa: F811
) -> None:  # fmt: skip
    (here / ".coveragerc").write_text(text)
    found = [each.removeprefix(".coveragerc:").lstrip() for each in settings().warnings]
    assert [each[: len(said or "")] for each in found] == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("setup.cfg", "[metadata]\nnam = 1\n\n[coverage:run]\nbranhc = 1\n",
         "setup.cfg:5: [coverage:run] has no 'branhc'; did you mean 'branch'?"),
        ("tox.ini", "[testenv]\nx = 1\n[coverage:run]\nbranch = 1\n[coverage:rnu]\nbranch = 1\n",
         "tox.ini:6: [coverage:rnu] is not a section of coverage.py; did you mean 'run'?"),
        ("pyproject.toml", "[tool.x]\nbranhc = 1\n[tool.coverage.report]\nfail_undr = 1\n",
         "pyproject.toml:4: [tool.coverage.report] has no 'fail_undr'; did you mean 'fail_under'?"),
        ("pyproject.toml", "[tool.coverage]\nbranch = true\nrun.context = 'x'\n",
         "pyproject.toml:2: branch is read only in a section such as [tool.coverage.run]"),
        (".coveragerc.toml", "[run]\nbranch = true\n[tool.covsup]\ngrace = 1\n[run.x]\ny = 1\n",
         ".coveragerc.toml:6: [run.x] is not a section of coverage.py; did you mean 'run'?"),
    ],
)  # fmt: skip
def test_a_misspelt_word_is_named_with_its_line_and_the_nearest(
    here: Path, name: str, text: str, said: str  # noqa: F811
) -> None:  # fmt: skip
    (here / name).write_text(text)
    assert settings().warnings == (said,)


def test_variables_of_coverages_are_honoured_or_named(
    here: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setenv("COVERAGE_CORE", "ctrace")
    monkeypatch.setenv("COVERAGE_DEBUG", "sys")
    for text in (None, "[run]\nbranch = true\n"):
        if text is not None:
            (here / ".coveragerc").write_text(text)
        unneeded, unsupported = settings().warnings
        assert unneeded.startswith("COVERAGE_CORE is not needed and changes nothing")
        assert unsupported.startswith("COVERAGE_DEBUG is not supported and changes nothing")


EVERYTHING = """\
[run]
branch = true
command_line = --module app one "two three"
context = nightly
parallel = true
relative_files = true
source = src
source_pkgs = extra,nowhere
omit = */left_out.py
disable_warnings = settings-unneeded, no-data-collected
[paths]
where =
    lib
    src
[report]
exclude_also =
    def unused
partial_also =
    if x
precision = 2
show_missing = true
skip_empty = true
sort = -cover
contexts = night
fail_under = 99.5
[html]
directory = pages
title = All of it
[xml]
output = out.xml
[json]
output = out.json
pretty_print = true
show_contexts = true
[lcov]
output = out.lcov
"""


def test_coverages_settings_give_coverages_reports(world: World) -> None:
    world.write(".coveragerc", EVERYTHING)
    world.write("src/app.py", "import sys\nimport extra\nx = 1\nif x:\n    print(sys.argv[1:])\n"
                "def unused():\n    return 1\nfor y in ():\n    print(y)\n")  # fmt: skip
    world.write("src/left_out.py", "a = 1\n")
    world.write("src/never.py", "a = 1\n")
    world.write("src/extra.py", "a = 1\n")
    (world.directory / "lib").symlink_to("src")
    environment = {"PYTHONPATH": "src", "COVERAGE_CORE": "ctrace"}
    shown = {}
    for tool in ("coverage", "covsup"):
        run = world.run(world.python, "-m", tool, "run", environment=environment)
        assert (run.ended, run.stdout) == (0, "['one', 'two three']\n")
        assert run.stderr.count("\n") == (1 if tool == "covsup" else run.stderr.count("\n"))
        assert "nowhere was never imported" in run.stderr
        if tool == "coverage":
            assert world.run(world.python, "-m", tool, "combine", "-q").ended == 0
        report = world.run(world.python, "-m", tool, "report")
        made = world.run(world.python, "-m", tool, "json", "-q")
        assert (report.ended, made.ended) == (2, 2)
        data = (world.directory / "out.json").read_text()
        shown[tool] = (report.stdout, re.sub(r'"timestamp": "[^"]*"', "", data))
        world.data_file.rename(world.directory / f"data-of-{tool}")
    assert shown["covsup"] == shown["coverage"]
    assert re.search(r"^lib/app\.py .* \d+\.\d\d% ", shown["covsup"][0], re.MULTILINE)
    assert '"nightly"' in shown["covsup"][1]
    (world.directory / "data-of-covsup").rename(world.data_file)
    for kind, place in (("html", "pages/index.html"), ("xml", "out.xml"), ("lcov", "out.lcov")):
        world.run(world.python, "-m", "covsup", kind, "-q")
        assert "app" in (world.directory / place).read_text()
    assert "All of it" in (world.directory / "pages/index.html").read_text()


def test_warnings_are_told_with_their_names_and_can_be_switched_off(world: World) -> None:
    world.write("target.py", "import json\n")
    world.write("bad.py", "x = \n")
    words = "--source=.,math,nowhere,json"
    run = world.covsup_run("target.py", options=[words])
    assert set(run.stderr.splitlines()) == {
        "covsup: module math has no Python source (module-not-python)",
        "covsup: module nowhere was never imported (module-not-imported)",
    }
    told = world.run(world.python, "-m", "covsup", "report", "-i")
    assert told.stderr.splitlines() == [
        f"covsup: Couldn't parse Python file '{world.directory / 'bad.py'}' (couldnt-parse)"
    ]
    world.write(".coveragerc", "[run]\ntimid = true\ndisable_warnings = module-not-imported,"
                " module-not-python, couldnt-parse, settings-unneeded\n")  # fmt: skip
    assert world.covsup_run("target.py", options=[words, "--timid"]).stderr == ""
    assert world.run(world.python, "-m", "covsup", "report", "-i").stderr == ""


def test_options_of_coverages_that_mean_nothing_here_are_answered(world: World) -> None:
    world.write("target.py", "print('ran')\n")
    run = world.covsup_run("target.py", options=["--timid"])
    assert (run.ended, run.stdout, run.stderr.count("\n")) == (0, "ran\n", 1)
    assert "--timid is not needed" in run.stderr
    run = world.covsup_run("target.py", options=["--save-signal=USR1"])
    assert (run.ended, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert "`covsup combine --keep`" in run.stderr
