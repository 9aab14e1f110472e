"""What all tests share: private worlds, the cores of this Python, and command line options."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # `from tests.world import ...`, whatever the working directory

from tests.world import (  # noqa: E402
    World,
    become_subreaper,
    forbid_core_files,
    restore_default_signals,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler.protocol import Scheduling

# The tests of these files look at what one run of many programs gave: one worker has it all.
ONE_RUN_FOR_ALL = ("tests/carrier/test_carrier.py", "tests/transparency/test_transparency.py")

CORES = ("monitoring", "settrace") if sys.version_info >= (3, 12) else ("settrace", "settrace-fast")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; runs only with --slow")
    config.addinivalue_line("markers", "torture: part of `make torture`; runs only with --torture")
    config.addinivalue_line("markers", "load: part of `make test-load`; runs only with --load")
    # On a machine that is busy nothing has a deadline, and making inputs takes what it takes.
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")
    os.environ["COVSUP_SOURCE_CACHE"] = "off"  # of the tests' own process; it is the user's
    become_subreaper()
    forbid_core_files()
    restore_default_signals()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Keep what is to be together so under --dist=loadgroup.

    Not by marks of xdist_group: xdist 3.8 hangs them on node ids that pytest 9.2 makes anew.
    """
    from xdist.scheduler import LoadScopeScheduling  # only there if xdist is

    class ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in ONE_RUN_FOR_ALL else nodeid

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("covsup's own tests")
    group.addoption("--slow", action="store_true", help="also run the tests that take minutes")
    group.addoption("--torture", action="store_true", help="also run `make torture`'s tests")
    group.addoption("--load", action="store_true", help="also run `make test-load`'s tests")
    group.addoption(
        "--line-mode",
        action="store_true",
        help="run the corpus without --branch as well (twice the time)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for kind in "slow", "torture", "load":
        if config.getoption(f"--{kind}"):
            continue
        skip = pytest.mark.skip(reason=f"{kind}: run it with --{kind}")
        for item in items:
            if item.get_closest_marker(kind) is not None:
                item.add_marker(skip)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give an empty directory to run programs in; what they leave running is killed."""
    here = World(tmp_path)
    yield here
    here.kill_what_is_left()


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest) -> str:
    """Give each core that this Python has, in turn."""
    name: str = request.param
    return name
