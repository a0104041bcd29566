from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.services.emulator import Emulator, Fresh, fresh_repository, running_emulator
from tests.services.githttp import GitServer, running_git_server
from tests.services.mlflowserver import running_mlflow
from tests.services.proxy import Proxy, running_proxy
from tests.services.registries import GitWorld, MlflowWorld, World
from tests.services.wandb_server import WandbServer, running_wandb
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_configure() -> None:
    """Let Ctrl+C through: what a shell starts in the background ignores it, and so does what that starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def wandb_server() -> Iterator[WandbServer]:
    """The stand-in for W&B's server; the client asks for nothing that its schema does not know."""
    os.environ["WANDB_X_GRAPHQL_RETRY_MAX"] = "1"  # the client reads it once; each more is seconds of waiting
    with running_wandb() as running:
        yield running
        assert running.unknown == []


# One process for each of the two that are slow to start: the client of W&B and the server of MLflow.
@pytest.fixture(
    params=["git", *(pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("mlflow", "wandb"))]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Each registry in turn, with an empty collection."""
    if request.param == "git":
        return GitWorld(request.getfixturevalue("git_server"), tmp_path)
    if request.param == "wandb":
        return WandbWorld(request.getfixturevalue("wandb_server"), tmp_path)
    return MlflowWorld(request.getfixturevalue("mlflow_url"), tmp_path)
