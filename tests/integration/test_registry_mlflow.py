"""What only an MLflow server can do: versions whose source is a file, permissions for models alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cml_action.promotion.show import to_table
from cml_action.registry.fetch import fetch
from cml_action.registry.protocol import RefusedError
from tests.services.proxy import Fault, Proxy, running_proxy
from tests.services.race import take
from tests.services.registries import MlflowWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("mlflow")


@pytest.fixture
def proxy(mlflow_url: str) -> Iterator[Proxy]:
    with running_proxy(mlflow_url) as running:
        yield running


@pytest.fixture
def world(proxy: Proxy, tmp_path: Path) -> MlflowWorld:
    return MlflowWorld(proxy.url, tmp_path)


def test_a_version_whose_source_is_a_file_is_that_file(world: MlflowWorld, tmp_path: Path) -> None:
    folder = world.client.get_model_version(world.collection, world.add({"model.bin": "one"}))
    source = f"runs:/{folder.run_id}/model/model.bin"
    made = world.client.create_model_version(world.collection, source, run_id=folder.run_id)
    registry = world.open()
    fetched = fetch(registry, registry.find(world.collection, str(made.version)), tmp_path)
    assert (fetched.path.name, fetched.path.read_text()) == ("model.bin", "one")


def test_who_may_write_the_record_and_not_the_alias_leaves_no_move_for_others_to_carry_out(
    world: MlflowWorld, proxy: Proxy
) -> None:
    version, registry = world.add({"model.bin": "one"}), world.open()
    # As with `basic-auth` for an account with EDIT for the experiment and READ for the registered model.
    proxy.fail("POST", "registered-models/", Fault(status=403, message=b"Permission denied"))
    with pytest.raises(RefusedError, match="permission EDIT for the registered model"):
        take(registry, registry.look(world.collection, "production"), version)
    stage = world.open().look(world.collection, "production")
    assert (stage.holder, stage.moves, stage.pending) == (None, (), False)


def test_a_move_whose_alias_does_not_follow_is_shown_as_such(world: MlflowWorld, proxy: Proxy) -> None:
    version, registry = world.add({"model.bin": "one"}), world.open()
    proxy.fail("POST", "registered-models/alias", Fault(status=403, message=b"Permission denied"), times=1)
    with pytest.raises(RefusedError):
        take(registry, registry.look(world.collection, "production"), version)
    shown = to_table(world.open().look(world.collection, "production"))
    assert "1 holds it by the record, and the alias does not follow it yet" in shown
