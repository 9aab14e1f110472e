"""A project in a git repository, whose tests ran under covsup."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.world import Run, World

MEASURED = ("--covsup", "--covsup-context=test", "--covsup-report=")

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
