"""Promotion: how long it takes, how many requests it makes among 10,000 versions, and who wins a race.

`python -m benchmarks.registry [git|mlflow|wandb] [races]`. The services are those of the tests, on this
machine: for W&B that is a stand-in for its server, asked by W&B's own client. The time is that of the whole
step, in a process that has imported the registry's client before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.services.githttp import git, running_git_server
from tests.services.mlflowserver import running_mlflow
from tests.services.promotion import Promotion
from tests.services.proxy import Proxy, running_proxy
from tests.services.race import race
from tests.services.registries import GitWorld, MlflowWorld
from tests.services.wandb_server import running_wandb
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from tests.services.registries import World
    from tests.services.wandb_server import WandbServer

BACKENDS = ("git", "mlflow", "wandb")
RACES, VERSIONS, LIMIT_S = 200, 10_000, 3.0


def main() -> int:
    """Measure the registries that are named, else all; each in a process of its own, with its client."""
    words = sys.argv[1:]
    races = next((int(word) for word in words if word.isdigit()), RACES)
    backends = [word for word in words if not word.isdigit()]
    if len(backends) == 1:
        return 0 if _measure(backends[0], races) else 1
    print(f"Load before: {os.getloadavg()[0]:.1f}; 0 gives the best figures.", flush=True)
    command = [sys.executable, "-m", "benchmarks.registry", str(races)]
    return max(subprocess.run([*command, each], check=False).returncode for each in backends or BACKENDS)


def _measure(backend: str, races: int) -> bool:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        hub = stack.enter_context(running_proxy("http://127.0.0.1:9"))
        world, front = _open(backend, folder, stack)
        promotion = Promotion(world, hub)
        versions = [promotion.version(text) for text in ("one", "two", "three")]
        held = _promote(promotion, front, versions[0], "3 versions")
        _many(world, VERSIONS)
        held &= _promote(promotion, front, versions[1], f"{VERSIONS:,} versions")
        return _race(world, versions[1:], races) and held


def _open(backend: str, folder: Path, stack: ExitStack) -> tuple[World, Proxy | WandbServer]:
    (folder / "world").mkdir()
    if backend == "wandb":
        wandb = stack.enter_context(running_wandb())
        return WandbWorld(wandb, folder / "world"), wandb
    if backend == "git":
        server = stack.enter_context(running_git_server(folder))
        front = stack.enter_context(running_proxy(server.url))
        return GitWorld(server, folder / "world", token="test_token_admin", url=front.url), front
    front = stack.enter_context(running_proxy(stack.enter_context(running_mlflow(folder))))
    return MlflowWorld(front.url, folder / "world"), front


def _promote(promotion: Promotion, front: Proxy | WandbServer, version: str, among: str) -> bool:
    promotion.step("promote", model=f"{promotion.world.collection}:{version}", dry_run="true")  # warm
    before, began = len(front.calls), time.monotonic()
    step = promotion.step("promote", model=f"{promotion.world.collection}:{version}")
    seconds = time.monotonic() - began
    assert step.code == 0, step.log
    calls = front.calls[before:]
    listings = [call for call in calls if "model-versions/search" in call]
    print(
        f"{promotion.world.backend}: promote among {among}: {seconds:.2f} s of {LIMIT_S:.0f} s allowed,"
        f" {len(calls)} requests to the registry, {len(listings)} of them listing versions",
        flush=True,
    )
    return seconds < LIMIT_S and not listings


def _many(world: World, count: int) -> None:
    """Add versions in the service's own storage: through its API it would take hours."""
    if isinstance(world, GitWorld):
        commit = git(["rev-parse", "main"], world.bare).strip()
        lines = "".join(f"create refs/tags/{world.collection}@v0.0.{at} {commit}\n" for at in range(count))
        (world.folder / "refs").write_text(lines)
        with (world.folder / "refs").open("rb") as given:
            subprocess.run(["git", "update-ref", "--stdin"], cwd=world.bare, stdin=given, check=True)
        git(["pack-refs", "--all"], world.bare)
    elif isinstance(world, MlflowWorld):
        import sqlite3

        with sqlite3.connect(world.folder.parent / "mlflow.db") as base:
            names = [row[1] for row in base.execute("pragma table_info(model_versions)")]
            kept = ", ".join(name for name in names if name != "version")
            base.execute(
                f"insert into model_versions (version, {kept}) with recursive n(i) as (select 1000 union all"
                f" select i + 1 from n where i < {1000 + count}) select i, {kept} from n, model_versions"
                " where name = ? and version = 1",
                (world.collection,),
            )
    elif isinstance(world, WandbWorld):
        for at in range(count):
            world.server.publish(f"train-{at}", {"model.bin": b"%d" % at}, link=world.name)


def _race(world: World, versions: list[str], races: int) -> bool:
    """Let two jobs promote at once, each time one another version, and count who won."""
    wrong = 0
    began = time.monotonic()
    for at in range(races):
        won = race(world, "race", versions)
        stage = world.open().look(world.collection, "race")
        holder = stage.holder.name if stage.holder else ""
        wrong += len(won) != 1 or won[0] != holder or len(stage.moves) != at + 1 or bool(stage.doubts)
        if (at + 1) % 20 == 0:
            print(
                f"{world.backend}: {at + 1} races, {wrong} wrong, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
