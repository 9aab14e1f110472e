"""Projects whose tests ran under covsup: one that all tests share, and one of each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.views.answers.affected.sample import FILES, MEASURED, Project
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def needs_git() -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")


@pytest.fixture(scope="session")
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
