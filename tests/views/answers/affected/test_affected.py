"""`covsup affected`: the tests that a change touches, in a real repository with a real run of pytest."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest

from tests.views.answers.affected.sample import (
    CART_TESTS,
    LABELS,
    OF_ALL,
    TEST_CART,
    WORK,
    Project,
)


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


def test_a_file_that_cannot_be_parsed_affects_all_tests_that_ran_it(project: Project) -> None:
    project.write("shop/labels.py", "def label(:\n")
    run = project.affected()
    assert run.stdout == "tests/test_labels.py\n"
    assert "shop/labels.py: versions that cannot be compared" in run.stderr
