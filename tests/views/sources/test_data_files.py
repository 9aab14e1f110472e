"""The numbers of a data file are those of `coverage json` for every file in it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from covsup.datafile.fold.sets import lines_in
from covsup.views.model.open_view import open_view
from covsup.views.sources.source_library import SourceLibrary
from tests.plugins import tiny

if TYPE_CHECKING:
    from tests.world import World

PROGRAM = '''
import json
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os


class Shape(Protocol):
    def area(self) -> int: ...


def classify(value):
    """Several branches."""
    match value:
        case int():
            return "number"
        case [first, *_] if first:
            return (
                "list of "
                + str(first)
            )
        case _:
            return None


def read(path):
    try:
        with open(path) as file, open(
            path
        ) as other:
            for line in file:
                if line:
                    return line + other.read()
    except OSError:
        return ""
    finally:
        print("read")
    while True:  # pragma: no branch
        if path:
            break


def never():  # pragma: no cover
    return 1


print(classify(1), classify([1]), read(__file__), json.dumps([x for x in range(3) if x]))
with open(__file__) as file:
    file.read()
'''


def check(world: World, config_file: str | bool = False) -> int:
    """Compare every file in the world's data file; gives their number."""
    found = world.run(
        sys.executable, "-m", "coverage", "json", "-o", "report.json",
        "--ignore-errors", *(["--rcfile="] if config_file is False else []),
    )  # fmt: skip
    assert found.status == 0, found
    entries = json.loads((world.directory / "report.json").read_text())["files"]
    view = open_view(world.data_file)
    view.refresh()
    with SourceLibrary(config_file) as library:
        library.learn_plugins(view.result.plugins)
        for name, entry in entries.items():
            path = str(world.directory / name)
            while (analysis := library.analysis(path)) is None:
                assert library.problem(path) is None
                time.sleep(0.01)
            assert analysis == library.analysis_now(path)
            coverage = analysis.coverage(view.lines(path), view.arcs(path))
            summary = entry["summary"]
            assert lines_in(coverage.executed) == entry["executed_lines"], name
            assert lines_in(coverage.missing) == entry["missing_lines"], name
            assert lines_in(analysis.excluded) == entry["excluded_lines"], name
            assert coverage.statements.bit_count() == summary["num_statements"], name
            assert coverage.branches == summary.get("num_branches", 0), name
            assert coverage.taken == summary.get("covered_branches", 0), name
            assert sorted(
                [line, end] for line, ends in coverage.missing_branches.items() for end in ends
            ) == sorted(entry.get("missing_branches", [])), name
            assert coverage.percent == pytest.approx(summary["percent_covered"]), name
    return len(entries)


@pytest.mark.parametrize("branch", [True, False], ids=["branches", "lines"])
@pytest.mark.parametrize("tool", ["covsup", "coverage"])
def test_a_data_file_has_the_numbers_of_its_report(world: World, branch: bool, tool: str) -> None:
    world.write("program.py", PROGRAM)
    words = ["run", *(["--branch"] if branch else []), "--source=.,json,click", "program.py"]
    if tool == "coverage":
        words.insert(-1, "--rcfile=")
    run = world.run(sys.executable, "-m", tool, *words)
    assert run.status == 0, run
    assert check(world) > 1


def test_files_of_a_plugin_have_the_numbers_of_the_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write("tiny.py", Path(tiny.__file__).read_text(encoding="utf-8"))
    world.write(".coveragerc", "[run]\nplugins = tiny\nsource = .\nomit = walk.py, tiny.py\n")
    world.write("render.py", tiny.COMPILER)
    world.write("walk.py", tiny.WALKER)
    world.write("a.fixed", "a = 1\nif a > 1:\n    b = 2\nfor c in range(2):\n    d = c\n")
    world.write(
        "main.py", "import os\nfrom render import render\nrender(os.path.abspath('a.fixed'))\n"
    )
    run = world.covsup_run("main.py")
    assert run.status == 0, run
    monkeypatch.chdir(world.directory)
    assert check(world, str(world.directory / ".coveragerc")) >= 2


def test_django_templates_have_the_numbers_of_the_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("django_coverage_plugin")
    world.write(
        ".coveragerc", "[run]\nplugins = django_coverage_plugin\nsource = .\n"
        "[django_coverage_plugin]\ntemplate_extensions = html\n",
    )  # fmt: skip
    world.write(
        "templates/page.html",
        "<p>\n{% if yes %}\n<b>{{ yes }}</b>\n{% else %}\n<i>no</i>\n{% endif %}\n</p>\n"
        "{% comment %}\nnothing\n{% endcomment %}\n",
    )
    world.write(
        "main.py",
        "import django\n"
        "from django.conf import settings\n"
        "settings.configure(TEMPLATES=[{'BACKEND': 'django.template.backends.django.DjangoTemplates',"
        " 'DIRS': ['templates'], 'OPTIONS': {'debug': True}}])\n"
        "django.setup()\n"
        "from django.template.loader import render_to_string\n"
        "print(render_to_string('page.html', {'yes': 1}))\n",
    )
    run = world.covsup_run("main.py", branch=False)
    assert run.status == 0, run
    monkeypatch.chdir(world.directory)
    assert check(world, str(world.directory / ".coveragerc")) == 2


def test_a_file_of_a_plugin_that_is_not_configured_is_unavailable(world: World) -> None:
    path = world.write("page.html", "<p>\n")
    with SourceLibrary(False) as library:
        library.learn_plugins({str(path): frozenset({"their.Plugin"})})
        assert library.analysis(str(path)) is None
        while library.problem(str(path)) is None:
            time.sleep(0.01)
        assert "their.Plugin" in library.problem(str(path))
