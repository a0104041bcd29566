"""Jobs that promote at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cml_action.registry.protocol import Move, MovedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.registry.protocol import Registry, Stage
    from tests.services.registries import World


def take(registry: Registry, stage: Stage, version: str, **more: str) -> Stage:
    """Let a version take a stage, as `promote` does."""
    move = Move(
        number=stage.next,
        alias=stage.alias,
        version=version,
        previous=stage.holder.name if stage.holder else "",
        **{"who": "ada", "when": "2026-11-01T10:00:00Z", **more},  # type: ignore[arg-type]
    )
    return registry.move(stage, move)


def race(world: World, alias: str, versions: Sequence[str]) -> list[str]:
    """Let each version try to take a stage, all from the same look at it; return those that did."""
    racers = [world.open() for _ in versions]
    looked = [each.look(world.collection, alias) for each in racers]
    barrier, won = threading.Barrier(len(racers)), list[str]()

    def run(at: int) -> None:
        barrier.wait()
        try:
            take(racers[at], looked[at], versions[at])
            won.append(versions[at])
        except MovedError:
            pass

    threads = [threading.Thread(target=run, args=(each,)) for each in range(len(racers))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return won
