"""Killed at any point, a second run ends where an undisturbed one does, and production is never empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.services.killer import EVERYWHERE, Killer
from tests.services.promotion import Promotion
from tests.services.proxy import Proxy, running_proxy
from tests.services.race import take
from tests.services.registries import GitWorld, MlflowWorld
from tests.services.runner import step_environment
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.wandb_server import WandbServer

Doors: TypeAlias = "tuple[Promotion, tuple[Proxy | WandbServer, ...]]"
MOST_POINTS = 80


@pytest.fixture(
    params=[
        "git",
        *(
            pytest.param(name, marks=[pytest.mark.xdist_group(name), pytest.mark.slow])
            for name in ("mlflow", "wandb")
        ),
    ]
)
def doors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Doors]:
    """A promotion, and what all of its talk with the outside goes through."""
    with running_proxy("http://127.0.0.1:9") as hub:
        if request.param == "git":
            server = request.getfixturevalue("git_server")
            with running_proxy(server.url) as front:
                world = GitWorld(server, tmp_path, token="test_token_admin", url=front.url)
                yield Promotion(world, hub), (front, hub)
        elif request.param == "wandb":
            server = request.getfixturevalue("wandb_server")
            yield Promotion(WandbWorld(server, tmp_path), hub), (server, hub)
        else:
            with running_proxy(request.getfixturevalue("mlflow_url")) as front:
                yield Promotion(MlflowWorld(front.url, tmp_path), hub), (front, hub)


def state(promotion: Promotion, alias: str) -> dict[str, Any]:
    """What a run leaves, without what differs from run to run."""
    stage = promotion.stage(alias)
    moves = [(each.number, each.version, each.previous, each.kind) for each in stage.moves]
    made = [each for each in promotion.hub.deployments.made if each["environment"] == alias]
    return {
        "holder": stage.holder and stage.holder.name,
        "alias": promotion.world.open().find(promotion.world.collection, alias).name,
        "pending": stage.pending,
        "moves": moves,
        "doubts": stage.doubts,
        "deployments": [(each["task"].replace(alias, "STAGE"), each["payload"]["version"]) for each in made],
        "states": [
            [status["state"] for status in promotion.hub.deployments.statuses[each["id"]]] for each in made
        ],
    }


def kill_everywhere(doors: Doors, mode: str, held: list[str], **inputs: str) -> list[str]:
    """Kill a step at each point, each time on a stage of its own, and return where it was killed."""
    promotion, proxies = doors
    world, expected, points = promotion.world, None, []
    for at in range(MOST_POINTS):
        alias, registry = f"stage-{at}", world.open()
        stage = registry.look(world.collection, alias)
        for version in held:
            stage = take(registry, stage, version)
        promotion.runs += 1
        given = step_environment(
            world.workspace, promotion.inputs(mode, alias=alias, **inputs), environ=promotion.variables()
        )
        killer = Killer(at, *proxies)
        code = killer.run(given)
        if at == 0:  # the undisturbed one
            assert code == 0
            expected = state(promotion, alias)
            continue
        if not killer.killed_at:
            assert code == 0
            return points
        points.append(killer.killed_at)
        assert code == -9
        left = promotion.stage(alias)
        assert left.holder, f"nobody held the stage when it was killed {killer.killed_at}"
        again = promotion.step(mode, same_run=True, alias=alias, **inputs)
        assert again.code == 0, f"killed {killer.killed_at}:\n{again.log}"
        assert state(promotion, alias) == expected, f"killed {killer.killed_at}"
    raise AssertionError("There is no end of it")


def test_a_promotion(doors: Doors) -> None:
    promotion, _ = doors
    first, second = promotion.version("one"), promotion.version("two")
    points = kill_everywhere(doors, "promote", [first], model=f"{promotion.world.collection}:{second}")
    assert len(points) >= (20 if EVERYWHERE else 8)
    writes = {"git": "receive-pack", "mlflow": "log-parameter", "wandb": "AddAliases"}[
        promotion.world.backend
    ]
    assert {each.split()[0] for each in points if writes in each} == {"before", "after"}


@pytest.mark.slow
def test_a_rollback_that_is_run_again_goes_back_once(doors: Doors) -> None:
    promotion, _ = doors
    names = [promotion.version(text) for text in ("one", "two")]
    assert len(kill_everywhere(doors, "rollback", names)) >= 8


@pytest.mark.slow
@pytest.mark.xdist_group("mlflow")
def test_the_first_promotion_that_makes_the_record_in_mlflow(mlflow_url: str, tmp_path: Path) -> None:
    points = []
    with running_proxy("http://127.0.0.1:9") as hub, running_proxy(mlflow_url) as front:
        for at in range(1, MOST_POINTS):
            folder = tmp_path / str(at)
            folder.mkdir()
            promotion = Promotion(MlflowWorld(front.url, folder), hub)
            world = promotion.world
            first, second = promotion.world.add({"model.bin": "one"}), promotion.version("two")
            world.move_by_hand("production", first)
            inputs = {"model": f"{world.collection}:{second}"}
            given = step_environment(
                world.workspace, promotion.inputs("promote", **inputs), environ=promotion.variables()
            )
            killer = Killer(at, front)
            killer.run(given)
            if not killer.killed_at:
                break
            points.append(killer.killed_at)
            assert promotion.holder() in {first, second}
            assert promotion.step("promote", same_run=True, **inputs).code == 0
            assert promotion.holder() == second
            stage = promotion.stage()
            moves = [(each.version, each.previous) for each in stage.moves]
            assert moves == [(first, ""), (second, first)]
    assert any("experiments/create" in each for each in points)
    assert any("runs/create" in each for each in points)
