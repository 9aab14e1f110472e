"""`covsup affected`: the tests that a change touches, in a real repository with a real run of pytest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import Run

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")

CART = """\
from shop.rates import RATE


def total(prices):
    result = 0
    for price in prices:
        result += price
    return result


def largest(prices):
    if not prices:
        return None
    return max(prices)


def with_tax(prices):
    return total(prices) * RATE
"""

RATES = """\
RATE = 2
"""

LABELS = """\
def label(text):
    if "|" in text:
        return "bar"
    return "plain"
"""

WORK = """\
def in_a_program():
    return 1


def in_a_fork():
    return 2


def in_a_thread():
    return 3


def in_a_greenlet():
    return 4


def at_the_start():
    return 5


if __name__ == "__main__":
    in_a_program()
"""

CONFTEST = """\
import pytest

from shop import work


@pytest.fixture(scope="session")
def service():
    return work.at_the_start()


@pytest.fixture
def prices():
    return [1, 2]
"""

TEST_CART = """\
from shop import cart


def test_total(prices):
    assert cart.total(prices) == 3


def test_largest(prices):
    assert cart.largest(prices) == 2


class TestTax:
    def test_with_tax(self, prices):
        assert cart.with_tax(prices) == 6
"""

TEST_LABELS = """\
import pytest

from shop.labels import label


@pytest.mark.parametrize("text", ["a b", "x|y", "z"])
def test_label(text):
    assert label(text)
"""

TEST_WORK = """\
import os
import signal
import subprocess
import sys
import threading

import pytest

from shop import work


def test_program():
    subprocess.run([sys.executable, "shop/work.py"], check=True)


def test_killed_fork():
    pid = os.fork()
    if pid == 0:
        work.in_a_fork()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_thread():
    thread = threading.Thread(target=work.in_a_thread)
    thread.start()
    thread.join()


def test_greenlet():
    gevent = pytest.importorskip("gevent")
    gevent.spawn(work.in_a_greenlet).join()
"""

TEST_SERVICE = """\
def test_first(service):
    assert service == 5


def test_second(service):
    assert service == 5
"""

FILES = {
    ".gitignore": ".coverage*\n.covsup\n__pycache__\n.pytest_cache\n.std*\n.py.ini\n",
    "conftest.py": "",
    "shop/__init__.py": "",
    "shop/cart.py": CART,
    "shop/rates.py": RATES,
    "shop/labels.py": LABELS,
    "shop/work.py": WORK,
    "tests/conftest.py": CONFTEST,
    "tests/test_cart.py": TEST_CART,
    "tests/test_labels.py": TEST_LABELS,
    "tests/test_service.py": TEST_SERVICE,
    "tests/test_work.py": TEST_WORK,
    "notes.txt": "notes\n",
}

CART_TESTS = {
    "tests/test_cart.py::test_total",
    "tests/test_cart.py::test_largest",
    "tests/test_cart.py::TestTax::test_with_tax",
}
OF_ALL = {f"tests/test_{name}.py" for name in ("cart", "labels", "service", "work")}


class Project:
    """A repository whose tests ran under covsup."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.directory = world.directory
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "A")
        self.git("config", "user.email", "a@example.org")
        self.git("config", "commit.gpgsign", "false")

    def git(self, *words: str) -> str:
        return subprocess.run(
            ("git", *words), cwd=self.directory, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, message: str = "a change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> None:
        self.world.write(name, text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.directory / name).read_text()
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def measure(self, *options: str) -> None:
        run = self.world.run(
            self.world.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options,
        )  # fmt: skip
        assert run.ended == 0, run

    def affected(self, *options: str) -> Run:
        return self.world.run(self.world.python, "-m", "covsup", "affected", *options)

    def tests(self, *options: str) -> set[str]:
        run = self.affected(*options)
        assert run.ended == (0 if run.stdout else 5), run
        return set(run.stdout.splitlines())

    def clean(self) -> None:
        self.git("checkout", "-q", "-f", "main")
        self.git("reset", "-q", "--hard", "start")
        self.git("clean", "-qfd")


MEASURED = ("--covsup", "--covsup-context=test", "--covsup-report=")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(World(tmp_path_factory.mktemp("project")))
    for name, text in FILES.items():
        project.write(name, text)
    project.commit()
    project.git("tag", "start")
    project.measure(*MEASURED)
    return project


@pytest.fixture
def project(measured: Project) -> Iterator[Project]:
    measured.clean()
    yield measured
    measured.world.kill_what_is_left()


@pytest.fixture
def own_project(world: World) -> Project:
    return Project(world)


def test_a_changed_line_affects_the_tests_that_ran_it(project: Project) -> None:
    project.replace("shop/cart.py", "result += price", "result = result + price")
    run = project.affected()
    assert run.ended == 0
    assert set(run.stdout.splitlines()) == CART_TESTS - {"tests/test_cart.py::test_largest"}
    assert run.stderr == ""


def test_a_line_that_no_test_ran_affects_none(project: Project) -> None:
    project.replace("shop/cart.py", "return None", "return 0")
    run = project.affected()
    assert (run.ended, run.stdout) == (5, "")
    assert run.stderr == "covsup: none of 12 tests is affected\n"


def test_without_a_change_no_test_is_affected(project: Project) -> None:
    assert project.tests() == set()


def test_an_inserted_line_affects_the_tests_that_ran_the_function(project: Project) -> None:
    project.replace("shop/cart.py", "    return max", "    print(prices)\n    return max")
    assert project.tests() == {"tests/test_cart.py::test_largest"}


def test_comments_and_layout_affect_no_test(project: Project) -> None:
    project.replace(
        "shop/cart.py", "    result = 0\n", "    # from nothing\n\n    result = (\n 0)\n"
    )
    assert project.tests() == set()


@pytest.mark.parametrize("staged", [False, True])
def test_staged_and_unstaged_changes_count(project: Project, *, staged: bool) -> None:
    project.replace("shop/cart.py", "return max(prices)", "return sorted(prices)[-1]")
    if staged:
        project.git("add", "-A")
    assert project.tests() == {"tests/test_cart.py::test_largest"}


@pytest.mark.parametrize(
    ("function", "test"),
    [
        ("in_a_program", "test_program"),
        ("in_a_fork", "test_killed_fork"),
        ("in_a_thread", "test_thread"),
        pytest.param(
            "in_a_greenlet", "test_greenlet",
            marks=pytest.mark.skipif(find_spec("gevent") is None, reason="there is no gevent"),
        ),
    ],
)  # fmt: skip
def test_tests_are_found_whose_work_ran_elsewhere(
    project: Project, function: str, test: str
) -> None:
    text = WORK.replace(f"def {function}():\n    return", f"def {function}():\n    return -")
    project.write("shop/work.py", text)
    assert project.tests() == {f"tests/test_work.py::{test}"}


def test_a_fixture_that_tests_share_affects_all_that_may_use_it(project: Project) -> None:
    project.replace("shop/work.py", "return 5", "return 2 + 3")
    run = project.affected()
    assert set(run.stdout.splitlines()) == OF_ALL
    assert "shop/work.py: ran in fixtures that tests may share" in run.stderr


def test_a_fixture_that_each_test_has_affects_those_that_use_it(project: Project) -> None:
    project.replace("tests/conftest.py", "return [1, 2]", "return [2, 1]")
    assert project.tests() == CART_TESTS


def test_a_module_level_line_affects_the_tests_of_the_files_that_import_it(
    project: Project,
) -> None:
    project.write("shop/rates.py", "RATE = 3\n")
    run = project.affected("--format=json")
    found = {each["id"]: each["because"] for each in json.loads(run.stdout)["tests"]}
    assert found.keys() == {"tests/test_cart.py"}
    assert found["tests/test_cart.py"] == ["uses shop/rates.py, which changed at import"]
    assert "shop/rates.py: changed at import" in run.stderr


def test_a_new_function_that_no_other_text_names_affects_no_test(project: Project) -> None:
    project.write("shop/labels.py", f"{LABELS}\n\ndef unheard_of():\n    return 1\n")
    assert project.tests() == set()
    project.write("shop/labels.py", f"{LABELS}\n\ndef sorted(items):\n    return items\n")
    assert project.tests() == {"tests/test_labels.py"}
    project.write("shop/labels.py", f"{LABELS}\n\n@print\ndef unheard_of():\n    return 1\n")
    assert project.tests() == {"tests/test_labels.py"}


def test_parameters_with_spaces_and_bars(project: Project) -> None:
    project.replace("shop/labels.py", 'return "plain"', 'return "p"')
    ids = {"tests/test_labels.py::test_label[a b]", "tests/test_labels.py::test_label[z]"}
    assert project.tests("--format=lines") == ids
    run = project.affected("--format=null")
    assert set(run.stdout.split("\0")) == {*ids, ""}
    # A shell would split `[a b]`.
    assert project.tests() == {"tests/test_labels.py::test_label"}
    project.write("shop/labels.py", LABELS.replace('"bar"', '"b"'))
    assert project.tests() == {"tests/test_labels.py::test_label[x|y]"}


@pytest.mark.parametrize(
    "command",
    [
        "{python} -m pytest -v $({python} -m covsup affected)",
        "{python} -m covsup affected --format=null | xargs -0r {python} -m pytest -v",
        "{python} -m covsup affected --format=lines >.stdtests; {python} -m pytest -v @.stdtests",
    ],
)
def test_pytest_runs_the_tests_that_are_printed(project: Project, command: str) -> None:
    project.replace("shop/labels.py", 'return "plain"', 'return "p"')
    run = project.world.run("sh", "-c", command.format(python=sys.executable))
    assert run.ended == 0, run
    assert "test_label[a b] PASSED" in run.stdout
    assert "test_label[z] PASSED" in run.stdout
    assert "test_cart" not in run.stdout


def test_a_word_for_no_test_keeps_pytest_from_running_all(project: Project) -> None:
    run = project.world.run(
        "sh", "-c",
        f"{sys.executable} -m pytest $({sys.executable} -m covsup affected --none-as=--version)",
    )  # fmt: skip
    assert run.ended == 0, run
    assert run.stdout.startswith("pytest ")
    assert run.stdout.count("\n") == 1


def test_a_changed_test_is_affected_and_a_new_one(project: Project) -> None:
    project.replace("tests/test_cart.py", "== 3", "== 1 + 2")
    assert project.tests() == {"tests/test_cart.py::test_total"}
    project.write("tests/test_cart.py", f"{TEST_CART}\n\ndef test_new():\n    pass\n")
    assert project.tests() == {"tests/test_cart.py::test_new"}
    project.write("tests/test_cart.py", TEST_CART.replace("from shop", "import os\nfrom shop"))
    assert project.tests() == {"tests/test_cart.py"}


def test_a_test_whose_parameters_changed_is_run_with_all(project: Project) -> None:
    project.replace("tests/test_labels.py", '"z"]', '"zz"]')
    assert project.tests("--format=lines") == {"tests/test_labels.py::test_label"}


def test_new_test_files_are_affected(project: Project) -> None:
    project.write("tests/test_new.py", "def test_it():\n    pass\n")
    run = project.affected()
    assert run.stdout == "tests/test_new.py\n"
    assert "tests/test_new.py: all tests of new files" in run.stderr


@pytest.mark.parametrize("name", ["tests/sub/conftest.py", "conftest.py"])
def test_a_conftest_affects_all_tests_below_it(project: Project, name: str) -> None:
    project.write(name, "import os\n")
    assert project.tests() == (OF_ALL if name == "conftest.py" else set())


@pytest.mark.parametrize("name", ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"])
def test_settings_of_pytest_affect_all_tests(project: Project, name: str) -> None:
    project.write(name, "")
    project.write(name, "[pytest]\n" if name.endswith("ini") else "")
    run = project.affected()
    assert set(run.stdout.splitlines()) == OF_ALL
    assert f"{name}: settings may be pytest's" in run.stderr


def test_deleted_tests_are_left_out_and_reported(project: Project) -> None:
    project.replace("shop/cart.py", "result += price", "result = result + price")
    start = TEST_CART.index("def test_total")
    end = TEST_CART.index("def test_largest")
    project.write("tests/test_cart.py", TEST_CART[:start] + TEST_CART[end:])
    run = project.affected()
    assert run.stdout == "tests/test_cart.py::TestTax::test_with_tax\n"
    assert "gone, so not in the list: tests/test_cart.py::test_total" in run.stderr
    project.git("rm", "-qf", "tests/test_cart.py")
    run = project.affected()
    assert run.stdout == ""
    assert "gone, so not in the list: tests/test_cart.py" in run.stderr


def test_a_deleted_or_renamed_module_affects_the_tests_that_ran_it(project: Project) -> None:
    project.git("mv", "shop/labels.py", "shop/names.py")
    run = project.affected()
    assert run.stdout == "tests/test_labels.py\n"
    assert "shop/labels.py: deleted" in run.stderr


def test_files_of_other_kinds_are_reported(project: Project) -> None:
    project.write("notes.txt", "other\n")
    project.write("odd \n name.txt", "other\n")
    (project.directory / "link").symlink_to("notes.txt")
    run = project.affected()
    assert run.stdout == ""
    assert "notes.txt, odd \\n name.txt: which tests read these files is not known" in run.stderr
    assert "link: what uses these links" in run.stderr


def test_a_file_without_data_affects_the_tests_of_its_importers(project: Project) -> None:
    project.write("shop/fresh.py", "VALUE = 1\n")
    run = project.affected()
    assert run.stdout == ""
    assert "shop/fresh.py: new" in run.stderr
    project.write("shop/labels.py", f"import shop.fresh\n\n\n{LABELS}")
    assert project.tests() == {"tests/test_labels.py"}


def test_a_file_that_cannot_be_parsed_affects_all_tests_that_ran_it(project: Project) -> None:
    project.write("shop/labels.py", "def label(:\n")
    run = project.affected()
    assert run.stdout == "tests/test_labels.py\n"
    assert "shop/labels.py: versions that cannot be compared" in run.stderr


def test_the_change_of_a_branch_counts_from_where_it_left(project: Project) -> None:
    project.git("checkout", "-q", "-b", "feature")
    project.replace("shop/cart.py", "return max(prices)", "return sorted(prices)[-1]")
    project.commit()
    project.git("checkout", "-q", "main")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    project.commit()
    project.git("checkout", "-q", "feature")
    assert project.tests("--since=main") == {"tests/test_cart.py::test_largest"}
    assert project.tests("--since", "start") == {"tests/test_cart.py::test_largest"}


def test_work_in_a_directory_below_gives_ids_for_there(project: Project) -> None:
    project.replace("shop/cart.py", "return max(prices)", "return sorted(prices)[-1]")
    run = project.world.run(
        "sh", "-c",
        f"cd tests && {sys.executable} -m covsup affected ../.coverage",
    )  # fmt: skip
    assert run.stdout == "test_cart.py::test_largest\n", run


def test_windows_line_ends_make_no_difference(project: Project) -> None:
    path = project.directory / "shop/cart.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert project.tests() == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since=nothing",), "git knows no revision nothing"),
        (("--since=--all",), "git knows no revision --all"),
        (("no-such-file",), "there is no no-such-file"),
    ],
)
def test_mistakes_give_one_line(project: Project, words: tuple[str, ...], message: str) -> None:
    run = project.affected(*words)
    assert (run.ended, run.stdout, run.stderr) == (1, "", f"covsup: {message}\n")


def test_without_a_repository_or_git_the_reason_is_one_line(world: World) -> None:
    world.write("test_one.py", "def test_one():\n    pass\n")
    world.run(world.python, "-m", "pytest", *MEASURED)
    environment = {"GIT_CEILING_DIRECTORIES": str(world.directory.parent)}
    run = world.run(world.python, "-m", "covsup", "affected", environment=environment)
    assert run.ended == 1
    assert "not a git repository" in run.stderr
    assert run.stderr.count("\n") == 1
    run = world.run(world.python, "-m", "covsup", "affected", environment={"PATH": "/nowhere"})
    assert run.stderr == "covsup: there is no git command, which knows what changed\n"


def test_data_without_tests_says_how_to_record_them(own_project: Project) -> None:
    own_project.write("test_one.py", "def test_one():\n    pass\n")
    own_project.commit()
    own_project.measure("--covsup", "--covsup-report=")
    run = own_project.affected()
    assert run.ended == 1
    assert "pytest --covsup --covsup-context=test" in run.stderr


def test_data_of_a_later_or_an_unknown_version_of_the_source(own_project: Project) -> None:
    project = own_project
    project.write(".gitignore", FILES[".gitignore"])
    for name in ("shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.commit()
    # Two lines more: the data has other line numbers than the base.
    project.write("shop/labels.py", f"# one\n# two\n{LABELS}".replace('"bar"', '"b"'))
    project.commit("measured")
    project.measure(*MEASURED)
    only = {"tests/test_labels.py::test_label[x|y]"}
    assert project.tests("--since=HEAD~1") == only
    assert project.tests() == set()
    # The change is relative to the data too: nothing differs from HEAD, but from what was measured.
    project.write("shop/labels.py", LABELS.replace('"bar"', '"c"'))
    project.commit("later")
    run = project.affected()
    assert set(run.stdout.splitlines()) == only
    assert "shop/labels.py: changed since the measurement" in run.stderr
    assert project.tests("--since=HEAD~1") == only
    # A version that was never committed is not known.
    project.write("shop/labels.py", LABELS.replace('"bar"', '"d"'))
    project.measure(*MEASURED)
    project.write("shop/labels.py", LABELS.replace('"bar"', '"e"'))
    run = project.affected()
    assert run.stdout == "tests/test_labels.py\n"
    assert "shop/labels.py: the measured version is not in the repository" in run.stderr


@pytest.mark.parametrize("core_of_all", ["auto", "settrace"])
def test_data_of_branches_is_as_good(own_project: Project, core_of_all: str) -> None:
    project = own_project
    for name in (".gitignore", "shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.write(".coveragerc", "[run]\nbranch = True\n")
    project.write("pyproject.toml", f'[tool.covsup]\ncore = "{core_of_all}"\n')
    project.commit()
    project.measure(*MEASURED, "--covsup-branch")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    assert project.tests() == {"tests/test_labels.py::test_label[x|y]"}
    project.write("shop/labels.py", LABELS.replace('if "|"', 'if "z"'))
    assert project.tests() == {"tests/test_labels.py::test_label"}


def test_a_session_that_is_not_combined_answers_too(own_project: Project) -> None:
    project = own_project
    for name in (".gitignore", "shop/__init__.py", "shop/labels.py", "tests/test_labels.py"):
        project.write(name, FILES[name])
    project.write("conftest.py", "")
    project.commit()
    run = project.world.covsup_run(
        "-m", "pytest", "-p", "no:cacheprovider", options=["-p", "--dynamic-context=test"]
    )
    assert run.ended == 0, run
    (session,) = (project.directory / ".covsup").glob("2*")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    run = project.affected(str(session))
    # The data has no digest yet of a version that is gone.
    assert run.stdout == "tests/test_labels.py\n", run
    assert "shop/labels.py: the measured version is not in the repository" in run.stderr


def test_data_of_another_machine_is_read_as_this_working_tree(project: Project) -> None:
    elsewhere = project.directory.with_name("elsewhere")
    shutil.copytree(project.directory, elsewhere)
    moved = project.directory.with_name("moved")
    project.directory.rename(moved)
    try:
        path = elsewhere / "shop/cart.py"
        path.write_text(path.read_text().replace("return max(prices)", "return 2"))
        run = subprocess.run(
            (sys.executable, "-m", "covsup", "affected"),
            cwd=elsewhere, env=project.world.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.stdout == "tests/test_cart.py::test_largest\n", run
        note = f"the data was recorded in {project.directory}; it is read as {elsewhere}"
        assert run.stderr == f"covsup: {note}\n"
    finally:
        moved.rename(project.directory)


def test_new_files_of_tools_and_of_environments_are_no_tests(project: Project) -> None:
    project.write("env/lib/site-packages/pkg/test_it.py", "")
    project.write("venv/test_it.py", "")
    project.write(".hidden/test_it.py", "")
    run = project.affected()
    assert run.stdout == ""
    note = "new, in a directory that pytest does not search"
    assert f"covsup: .hidden/test_it.py, venv/test_it.py: {note}\n" in run.stderr


@pytest.mark.parametrize("name", [b"test_\xff.py", b"test_\n.py", b"test_ '\".py"])
def test_names_of_any_bytes_are_printed_as_they_are(project: Project, name: bytes) -> None:
    project.write(f"tests/{os.fsdecode(name)}", "def test_a():\n    pass\n")
    done = subprocess.run(
        (sys.executable, "-m", "covsup", "affected", "--format=null"),
        cwd=project.directory, env=project.world.environment(), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"tests/" + name + b"\0"
    run = project.affected("--format=json")
    assert json.loads(run.stdout)["tests"][0]["path"] == f"tests/{os.fsdecode(name)}"
    run = project.affected("-q")
    assert run.stderr == ""


def test_a_changed_submodule_is_reported(project: Project) -> None:
    inner = project.directory / "inner"
    inner.mkdir()
    git = ("git", "-C", str(inner), "-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run((*git, "init", "-q"), check=True)
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "one"), check=True)
    project.git("add", "inner")
    project.git("commit", "-q", "-m", "a submodule")
    assert project.affected().stderr == "covsup: none of 12 tests is affected\n"
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "two"), check=True)
    run = project.affected()
    assert "covsup: inner: what uses these links and submodules is not known\n" in run.stderr
    shutil.rmtree(inner)


def test_without_a_common_commit_the_revision_itself_is_the_base(project: Project) -> None:
    project.git("checkout", "-q", "--orphan", "other")
    project.replace("shop/labels.py", 'return "bar"', 'return "b"')
    project.commit()
    run = project.affected("--since=main")
    assert run.stdout == "tests/test_labels.py::test_label[x|y]\n"
    assert "has no commit that main and HEAD share" in run.stderr


def test_a_repository_without_a_commit_has_only_new_files(own_project: Project) -> None:
    own_project.write("test_one.py", "def test_one():\n    pass\n")
    own_project.measure(*MEASURED)
    assert own_project.tests("-q") == {"test_one.py"}


def test_data_of_coverage_py_names_tests_by_function(own_project: Project) -> None:
    project = own_project
    project.write(".gitignore", FILES[".gitignore"])
    project.write("shop/__init__.py", "")
    project.write("shop/labels.py", LABELS)
    project.write("test_it.py", "from shop.labels import label\ndef test_bar():\n    label('|')\ndef test_it():\n    label('')\n")  # fmt: skip
    project.write("pyproject.toml", "[tool.coverage.run]\ndynamic_context = 'test_function'\n")
    project.commit()
    run = project.world.run(
        project.world.python, "-m", "coverage", "run", "-m", "pytest", "-p", "no:covsup"
    )
    assert run.ended == 0, run
    project.replace("shop/labels.py", '"bar"', '"b"')
    run = project.affected()
    assert run.stdout == "test_it.py::test_bar\n", run
    assert "the data does not say which version it measured" in run.stderr
