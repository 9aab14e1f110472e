"""The parts of `covsup affected`: labels, differences of sources, imports, what pytest collects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from covsup.datafile.fold.result import Version
from covsup.datafile.fold.sets import lines_in
from covsup.datafile.source_files import SourceText, digest_of
from covsup.views.answers.affected.importers import ImportGraph
from covsup.views.answers.affected.measured_texts import measured_texts
from covsup.views.answers.affected.pytest_files import (
    are_private_fixtures,
    defined_in,
    existing,
    file_patterns,
    is_searched,
    matches,
    sharing,
)
from covsup.views.answers.affected.python_changes import difference
from covsup.views.answers.affected.test_labels import (
    NamedTest,
    RecordedPhase,
    find_function,
    find_test,
    parse_node_id,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("label", "node_id", "phase"),
    [
        ("t.py::a|run", "t.py::a", "run"),
        ("t.py::C::a|setup", "t.py::C::a", "setup"),
        ("t.py::a[x|y]|teardown", "t.py::a[x|y]", "teardown"),
        ("t.py::a[x|run]|run", "t.py::a[x|run]", "run"),
        ("linux|t.py::a[b c]|run", "t.py::a[b c]", "run"),
        ("t.py::a@group|run", "t.py::a", "run"),
        ("t.py::a[x@y]@group|run", "t.py::a[x@y]", "run"),
        ("t.py::a|run|GET /items|thread-1", "t.py::a", "run"),
        # A test that runs pytest in its own process.
        ("t.py::outer|run|inner.py::b|run", "t.py::outer", "run"),
        # Two readings: whatever the parameters are, it is among all of them.
        ("t.py::a[b]|run|c]|run", "t.py::a", ""),
        # Cut at 4096 bytes, so the phase is missing.
        (f"t.py::a[{'x' * 4090}", "t.py::a", ""),
        ("", None, ""),
        ("process-12", None, ""),
        ("GET /a::b", None, ""),
        ("t.py::a", None, ""),
    ],
)
def test_tests_are_found_in_labels(label: str, node_id: str | None, phase: str) -> None:
    found = find_test(label)
    if node_id is None:
        assert found is None
    else:
        assert found == RecordedPhase(parse_node_id(node_id), phase)
        assert found.test.node_id == node_id


def test_test_functions_are_found_in_labels() -> None:
    assert find_function("static|pkg.test_a.C.test_b") == "pkg.test_a.C.test_b"
    assert find_function("test_b") is None  # of __main__: no file has this name
    assert find_function("pkg.work") is None
    assert find_function("GET /test.test_a") is None


BASE = """\
import os
LIMIT = 3

def plain(x):
    y = x
    if y > 1:
        return 1
    return y

@os.fspath
def decorated():
    "doc"
    return 2

class C(object):
    attribute = 1
    def method(self):
        for each in self:
            print(each)
        else:
            return 0
        try:
            return 1
        except ValueError:
            return 2
"""

ALL_OF_PLAIN = [5, 6, 7, 8]
ALL_OF_METHOD = list(range(18, 26))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("    y = x\n", "    y = x + 1\n", [5]),
        ("y > 1", "y > 2", [6, 7]),  # with its body, which it decides about
        ("        return 1\n    return y", "        return 9\n    return y", [7]),
        ("    return y\n", "", [8]),
        # Inserted statements, and names that became local: everything in the function.
        ("    y = x\n", "    print()\n    y = x\n", ALL_OF_PLAIN),
        ("        return 1\n    return y", "        x = 1\n    return y", ALL_OF_PLAIN),
        ("        return 1\n    return y", "        yield 1\n    return y", ALL_OF_PLAIN),
        ("            return 0", "            return 3", [21]),
        ("            return 2\n", "            return 7\n", [25]),
        ("except ValueError", "except OSError", [22, 23, 24, 25]),
        ("    y = x\n", "    # comment\n\n    y = (\n        x)\n", []),
        ("LIMIT = 3\n", "LIMIT = 3  # three\n\n\n", []),
    ],
)
def test_a_change_in_a_function_touches_statements(old: str, new: str, lines: list[int]) -> None:
    assert BASE.count(old) == 1
    found = difference(BASE.encode(), BASE.replace(old, new).encode())
    assert lines_in(found.lines) == lines
    assert not found.at_import
    assert not found.definitions
    assert found.functions <= {"plain", "C.method"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3\n", ""),
        ("import os", "import os, sys"),
        ("attribute = 1", "attribute = 2"),
        ("class C(object)", "class C(dict)"),
    ],
)
def test_what_runs_at_import_is_told_from_functions(old: str, new: str) -> None:
    found = difference(BASE.encode(), BASE.replace(old, new).encode())
    assert found.at_import
    assert not found.lines


@pytest.mark.parametrize(
    ("old", "new", "definitions"),
    [
        ("def plain(x)", "def plain(x, z=1)", [("plain", "both", False)]),
        ('"doc"', '"other"', [("decorated", "both", False)]),
        ("@os.fspath", "@os.fsencode", [("decorated", "both", False)]),
        ("def plain(x)", "def other(x)", [("plain", "here", True), ("other", "there", True)]),
        ("LIMIT = 3\n", "LIMIT = 3\ndef new(): pass\n", [("new", "there", True)]),
        ("LIMIT = 3\n", "LIMIT = 3\n@os\ndef new(): pass\n", [("new", "there", False)]),
        ("    attribute = 1\n", "    attribute = 1\n    def m(self): pass\n", [("C.m", "there", False)]),
    ],
)  # fmt: skip
def test_changed_definitions_are_listed(
    old: str, new: str, definitions: list[tuple[str, str, bool]]
) -> None:
    found = difference(BASE.encode(), BASE.replace(old, new).encode())
    assert [each[:3] for each in found.definitions] == definitions


def test_versions_that_cannot_be_compared_differ_as_a_whole() -> None:
    for other in (b"def f(:", None, b"\0"):
        assert difference(BASE.encode(), other).is_whole
        assert difference(other, BASE.encode()).is_whole
    assert not difference(BASE.encode(), BASE.replace("\n", "\r\n").encode())
    assert not difference(b"def f(:", b"def f(:")
    deep = b"x = " + b"-" * 100_000 + b"1"
    assert difference(deep, b"x = 1").is_whole


@pytest.mark.parametrize("text", ["if 0:", "while 1:", "if __debug__:", "if 0 and x:"])
def test_conditions_that_leave_no_code_touch_the_function(text: str) -> None:
    source = f"def f(x):\n    print()\n    {text}\n        print(x)\n"
    found = difference(source.encode(), source.replace(text, "if x:").encode())
    assert lines_in(found.lines) == [2, 3, 4]


def graph(files: dict[str, str]) -> ImportGraph:
    return ImportGraph(files, files.__getitem__)


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("/p/other.py", "import pkg.sub.mod"),
        ("/p/other.py", "import os, pkg.sub.mod as m"),
        ("/p/other.py", "from pkg.sub import mod"),
        ("/p/other.py", "from pkg.sub.mod import x"),
        ("/p/other.py", "from pkg.sub import (\n    a,  # one\n    mod as b,\n)"),
        ("/p/other.py", "from pkg.sub import a, \\\n    mod"),
        ("/p/other.py", "def f():\n    if x: import pkg.sub.mod"),
        ("/p/other.py", "import_module('pkg.sub.mod')"),
        ("/p/other.py", "APPS = ['pkg.sub.mod.Config']"),
        ("/p/pkg/other.py", "from .sub import mod"),
        ("/p/pkg/sub/other.py", "from . import mod"),
        ("/p/pkg/sub/other.py", "from .mod import x"),
        ("/p/pkg/deep/other.py", "from ..sub.mod import x"),
        ("/p/pkg/sub/other.py", "import mod"),
    ],
)
def test_importers_are_found_by_their_words(importer: str, text: str) -> None:
    files = {
        "/p/pkg/__init__.py": "",
        "/p/pkg/sub/__init__.py": "",
        "/p/pkg/sub/mod.py": "",
        "/p/pkg/deep/__init__.py": "",
        importer: text,
        "/p/test_it.py": f"import {importer[3:-3].replace('/', '.')}",
        "/p/unrelated.py": "import os\n# import pkg.sub.mod\nfrom json import mod\n",
    }
    found = graph(files).importers("/p/pkg/sub/mod.py")
    assert found == {"/p/pkg/sub/mod.py", importer, "/p/test_it.py"}


def test_a_module_of_a_package_is_not_found_by_its_last_name() -> None:
    files = {"/p/pkg/__init__.py": "", "/p/pkg/json.py": "", "/p/other.py": "import json"}
    assert graph(files).importers("/p/pkg/json.py") == {"/p/pkg/json.py"}
    # The package's own module is run by an import of any module below it.
    files = {"/p/src/pkg/__init__.py": "", "/p/src/pkg/a.py": "", "/p/other.py": "import pkg.a"}
    assert "/p/other.py" in graph(files).importers("/p/src/pkg/__init__.py")


def test_circles_of_imports_end() -> None:
    assert graph({"/p/a.py": "import b", "/p/b.py": "import a"}).importers("/p/a.py") == {
        "/p/a.py",
        "/p/b.py",
    }


def test_the_measured_version_is_found_by_its_digest_or_its_stamp() -> None:
    old, new = b"old\n", b"new\n"
    now = SourceText(new, 9, 9)
    versions = [Version("1-4", digest_of(old))]
    assert measured_texts(versions, now, iter([old])) == ((old,), True)
    assert measured_texts(versions, now, iter([b"x"])) == ((), False)
    # No digest: the file changed before it was read. Its time and size tell that it is the same.
    assert measured_texts([Version("9-4")], now, iter(())) == ((new,), True)
    assert measured_texts([Version("1-4")], now, iter([old])) == ((), False)
    # git may have written it with other line ends.
    windows = [Version("1-5", digest_of(b"old\r\n"))]
    assert measured_texts(windows, None, iter([old])) == ((b"old\r\n",), True)
    both = [Version("1-4", digest_of(old)), Version("2-4", digest_of(new))]
    assert measured_texts(both, now, iter([old])) == ((new, old), True)


def test_files_are_tests_by_the_settings_of_pytest(tmp_path: Path) -> None:
    assert file_patterns(str(tmp_path)) == ("test_*.py", "*_test.py")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\npython_files = 'check_*.py'\n"
    )
    assert file_patterns(str(tmp_path)) == ("check_*.py",)
    (tmp_path / "pyproject.toml").write_text("not toml")
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\npython_files = a_*.py\n  b_*.py\n")
    assert file_patterns(str(tmp_path)) == ("a_*.py", "b_*.py")
    assert matches("/p/a_x.py", ("a_*.py",))
    assert not matches("/p/x.py", ("a_*.py",))
    assert matches("/p/checks/x.py", ("checks/*.py",))


TESTS = b"""\
from base import Base
from more import test_imported

def test_one(): pass

if True:
    def test_two(): pass

class TestPlain:
    def test_in(self): pass

class TestChild(Base):
    pass

test_made = make()
"""


@pytest.mark.parametrize(
    ("node_id", "left"),
    [
        ("t.py::test_one", "t.py::test_one"),
        ("t.py::test_one[a]", "t.py::test_one[a]"),
        ("t.py::test_two", "t.py::test_two"),
        ("t.py::test_gone", None),
        ("t.py::TestPlain::test_in", "t.py::TestPlain::test_in"),
        ("t.py::TestPlain::test_gone", None),
        ("t.py::TestChild::test_inherited", "t.py::TestChild"),
        ("t.py::TestGone::test_a", None),
        ("t.py::test_imported", "t.py::test_imported"),
        ("t.py::test_made", "t.py::test_made"),
        ("t.py::t.TestPlain", "t.py::t.TestPlain"),  # an example in its docstring
        ("t.py::t.gone", None),
    ],
)
def test_tests_that_are_gone_are_told_from_those_that_may_be_there(
    node_id: str, left: str | None
) -> None:
    found = existing(parse_node_id(node_id), defined_in(TESTS))
    assert (None if found is None else found.node_id) == left


def test_a_star_import_may_bring_any_test() -> None:
    defined = defined_in(b"from base import *\n")
    assert existing(parse_node_id("t.py::test_a"), defined) == NamedTest("t.py", "")
    assert existing(parse_node_id("t.py::test_a"), None) == NamedTest("t.py", "test_a")


@pytest.mark.parametrize(
    ("text", "widest"),
    [
        ("@pytest.fixture\ndef f(): pass", ""),
        ("@pytest.fixture(scope='function')", ""),
        ("@pytest.fixture(scope='module')", "file"),
        ('@pytest.fixture(autouse=True, scope="session")', "all"),
        ("@pytest.fixture(scope=choose)", "all"),
        ("def setup_module(): pass", "file"),
        ("    def setUpClass(cls): pass", "file"),
    ],
)
def test_the_scope_of_fixtures_is_read_from_the_text(text: str, widest: str) -> None:
    assert sharing(text) == widest


def test_a_fixture_that_each_test_has_for_itself() -> None:
    text = b"""\
@pytest.fixture
def one(): pass
@fixture(scope="function")
def two(): pass
@pytest.fixture(scope="module")
def three(): pass
@pytest.fixture(**options)
def four(): pass
def five(): pass
"""
    assert are_private_fixtures(text, {"one", "two"})
    for name in ("three", "four", "five", "six"):
        assert not are_private_fixtures(text, {"one", name})


def test_directories_that_pytest_does_not_search() -> None:
    assert is_searched("tests/test_a.py")
    assert is_searched("../tests/.test_a.py")
    for path in (".tox/test_a.py", "venv/lib/test_a.py", "build/lib/test_a.py", "a.egg/test_a.py"):
        assert not is_searched(path)
