from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.emulator import Emulator, Fresh, fresh_repository, running_emulator
from tests.services.proxy import Proxy, running_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


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
