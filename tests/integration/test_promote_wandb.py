"""`promote` and `rollback` as steps of a workflow, on the stand-in for W&B."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from cml_action.registry.protocol import Move
from tests.services.forked import forked_step, start_step
from tests.services.promotion import Promotion
from tests.services.proxy import running_proxy
from tests.services.runner import Step, step_environment
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.wandb_server import WandbServer

pytestmark = pytest.mark.xdist_group("wandb")


@pytest.fixture
def world(wandb_server: WandbServer, tmp_path: Path) -> WandbWorld:
    return WandbWorld(wandb_server, tmp_path)


@pytest.fixture
def promotion(world: WandbWorld) -> Iterator[Promotion]:
    with running_proxy("http://127.0.0.1:9") as hub:
        yield Promotion(world, hub)


def dispatched(promotion: Promotion, world: WandbWorld, payload: dict[str, str]) -> Step:
    """Run `promote` as the job of an automation's `repository_dispatch`, which names the model."""
    event = {"action": "staging", "client_payload": payload}
    return forked_step(
        world.workspace,
        promotion.inputs("promote", comment="false"),
        event=("repository_dispatch", event),
        environ=promotion.variables(),
    )


def test_what_an_automation_names_is_promoted_and_rolled_back(
    promotion: Promotion, world: WandbWorld
) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    world.move_by_hand("staging", first)
    early = world.automation("staging")
    registry = world.open()
    move = Move(number=1, alias="production", version=first, who="ada")
    registry.move(registry.look(world.collection, "production"), move)
    world.move_by_hand("staging", second)

    late = dispatched(promotion, world, early)

    assert late.code == 2
    assert f"`staging` of `{world.collection}` moved on since this event: {second} holds it now" in late.log
    assert world.holder("production") == first
    step = dispatched(promotion, world, world.automation("staging"))
    assert (step.code, step.errors) == (0, "")
    assert (step.outputs["version"], step.outputs["previous"]) == (second, first)
    assert world.holder("production") == second
    back = promotion.step("rollback", comment="false")
    assert (back.code, back.errors) == (0, ""), back.log
    assert world.holder("production") == first
    moves = promotion.stage().moves
    assert [(each.kind, each.version, each.who) for each in moves] == [
        ("promote", first, "ada"),
        ("promote", second, "ada"),
        ("rollback", first, "ada"),
    ]


@pytest.mark.parametrize("call", ["UpdateArtifact", "LinkArtifact", "AddAliases"])
def test_a_step_that_is_killed_is_finished_by_the_same_one_run_again(
    promotion: Promotion, world: WandbWorld, wandb_server: WandbServer, call: str
) -> None:
    first, second = promotion.version("one"), promotion.version("two")
    registry = world.open()
    stage = registry.look(world.collection, "production")
    registry.move(stage, Move(number=1, alias="production", version=first, who="ada"))
    inputs = {"model": f"{world.collection}:{second}", "comment": "false"}
    promotion.runs += 1
    given = step_environment(
        world.workspace, promotion.inputs("promote", **inputs), environ=promotion.variables()
    )
    process, _ = start_step(given)
    wandb_server.after(call, lambda: os.killpg(int(process.pid or 0), signal.SIGKILL))
    process.join(180)
    assert process.exitcode == -signal.SIGKILL
    assert world.holder("production") == (second if call == "AddAliases" else first)

    again = promotion.step("promote", same_run=True, **inputs)

    assert again.code == 0, again.log
    assert world.holder("production") == second
    stage = promotion.stage()
    assert [(each.number, each.version, each.previous) for each in stage.moves] == [
        (1, first, ""),
        (2, second, first),
    ]
    assert (stage.pending, stage.doubts) == (False, ())


def test_a_key_that_has_expired_fails_the_step_with_one_sentence_and_three(
    promotion: Promotion, world: WandbWorld
) -> None:
    version = promotion.version("one")
    promotion.environ = {"WANDB_API_KEY": "f" * 40}
    step = promotion.step("promote", model=f"{world.collection}:{version}")
    assert step.code == 3
    assert "does not accept the key" in step.log
    assert "f" * 40 not in step.log + step.errors
    assert "Traceback" not in step.log + step.errors
