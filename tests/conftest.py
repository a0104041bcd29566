from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.emulator import Emulator, Fresh, fresh_repository, running_emulator
from tests.services.githttp import GitServer, running_git_server
from tests.services.mlflowserver import running_mlflow
from tests.services.proxy import Proxy, running_proxy
from tests.services.registries import GitWorld, MlflowWorld, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """GitHub's API, one for the session (one for each worker under pytest-xdist)."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def fresh(emulator: Emulator) -> Fresh:
    """A repository with a pull request, for one test."""
    return fresh_repository(emulator)


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[Proxy]:
    """A way to the emulator on which faults can be laid; it also answers `commits/{sha}/pulls`."""
    with running_proxy(emulator.url) as running:
        yield running


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """Git over HTTP, with tokens."""
    with running_git_server(tmp_path_factory.mktemp("git")) as running:
        yield running


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server; what uses it belongs to the group `mlflow`, so that one is started."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture(params=["git", pytest.param("mlflow", marks=pytest.mark.xdist_group("mlflow"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each registry in turn, with an empty collection."""
    if request.param == "git":
        return GitWorld(request.getfixturevalue("git_server"), tmp_path)
    return MlflowWorld(request.getfixturevalue("mlflow_url"), tmp_path)
