"""Promotion and rollback as examples/workflows run them, on Git and on the stand-in for W&B."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from cml_action.registry.protocol import Move
from tests.e2e.conftest import GATED, commit
from tests.services.act import ROOT, Run, run_workflow
from tests.services.githttp import git
from tests.services.projects import write
from tests.services.promotion import POLICY, Promotion
from tests.services.registries import GitWorld
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.services.emulator import Fresh
    from tests.services.githttp import GitServer
    from tests.services.proxy import Proxy
    from tests.services.wandb_server import WandbServer

#: Stands in for `actions/setup-python`: the runner has the interpreter already.
AS_IT_IS = "name: None\nruns: {using: composite, steps: [{run: ':', shell: bash}]}\n"
#: Models that need nothing but the standard library: a file with a number.
SUMMING = """
def load(path):
    factor = float(open(path).read())
    return lambda rows: [sum(row) * factor for row in rows]

def evaluate(model):
    return {"score": model([[1.0]])[0]}
"""


class Start(Protocol):
    """Runs an example workflow on an event."""

    def __call__(
        self, promotion: Promotion, workflow: str, event: str, payload: Mapping[str, Any]
    ) -> Run: ...


@pytest.fixture
def promotion(git_server: GitServer, proxy: Proxy, fresh: Fresh, tmp_path: Path) -> Promotion:
    world = GitWorld(git_server, tmp_path, token="test_token_admin")
    return Promotion(world, proxy, environ={"GITHUB_REPOSITORY": fresh.name})


@pytest.fixture
def staged(wandb_server: WandbServer, proxy: Proxy, fresh: Fresh, tmp_path: Path) -> Promotion:
    """A repository whose models are in W&B's registry."""
    world = WandbWorld(wandb_server, tmp_path)
    git(["init", "--quiet"], world.workspace)
    write(world.workspace, {"summing.py": SUMMING, "requirements.txt": "# none\n"})
    found = Promotion(world, proxy, environ={"GITHUB_REPOSITORY": fresh.name})
    found.policy(f"{GATED}registry:\n  collection: {world.collection}\n")
    return found


@pytest.fixture
def start(action: Path, user_python: Path, installed: Path, fresh: Fresh, tmp_path: Path) -> Start:
    """Run the jobs of an example workflow, in a run of their own."""
    nothing = tmp_path / "setup-python"
    write(nothing, {"action.yml": AS_IT_IS})
    commit(nothing)

    def run(promotion: Promotion, workflow: str, event: str, payload: Mapping[str, Any]) -> Run:
        world = promotion.world
        text = (ROOT / "examples" / "workflows" / workflow).read_text()
        write(world.workspace, {".github/workflows/run.yml": text})
        git(["add", "--all"], world.workspace)
        git(["commit", "--quiet", "--allow-empty", "-m", f"Add {workflow}"], world.workspace)
        head = git(["rev-parse", "HEAD"], world.workspace).strip()
        promotion.hub.pushed[head] = fresh.repo.get_branch("main").commit.sha
        promotion.runs += 1
        variables = {name: text for name, text in promotion.variables().items() if name != "WANDB_API_KEY"}
        return run_workflow(
            world.workspace,
            event,
            payload,
            action=action,
            folder=tmp_path / f"run-{promotion.runs}",
            github=variables,
            token="test_token_admin",
            secrets={name: text for name, text in world.environ.items() if name == "WANDB_API_KEY"},
            environ={"PATH": f"{user_python.parent}:{os.environ['PATH']}"},
            actions={"actions/setup-python@v7": nothing},
            installed=installed,
        )

    return run


def test_a_version_is_promoted_and_rolled_back_and_gto_shows_the_same(
    promotion: Promotion, start: Start
) -> None:
    promotion.policy(f"{POLICY}registry:\n  collection: mnist\n  stages: [production]\n")
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")

    promoted = start(promotion, "promote.yml", "workflow_dispatch", {"inputs": {"model": f"mnist:{second}"}})

    assert promoted.exit_code == 0, promoted.errors or promoted.log
    assert promotion.holder() == second
    assert promoted.outputs["promote"]["previous"] == first
    assert f"`mnist:{second}` took `production` from `{first}`." in promoted.summary

    back = start(promotion, "rollback.yml", "workflow_dispatch", {"inputs": {"reason": "Wrong sevens"}})

    assert back.exit_code == 0, back.errors or back.log
    assert promotion.holder() == first
    assert [(each.kind, each.why) for each in promotion.stage().moves][-1] == ("rollback", "Wrong sevens")
    git(["fetch", "--quiet", "--tags", "direct"], promotion.world.workspace)
    gto = [Path(sys.executable).with_name("gto"), "show", "mnist#production"]
    shown = subprocess.run(gto, cwd=promotion.world.workspace, check=True, capture_output=True, text=True)
    assert first in shown.stdout
    assert second not in shown.stdout


def test_a_version_whose_tag_is_pushed_is_gated_and_takes_the_stage(
    promotion: Promotion, start: Start
) -> None:
    world = promotion.world
    promotion.policy(f"{GATED}registry:\n  collection: mnist\n")
    write(world.workspace, {"summing.py": SUMMING, "requirements.txt": "# none\n"})
    first, second, worse = (world.add({"model.bin": text}) for text in ("1", "1.5", "0.1"))
    for version, before in ((first, ""), (second, first), (worse, second)):
        promotion.environ = {**promotion.environ, "GITHUB_REF": f"refs/tags/mnist@{version}"}
        run = start(promotion, "tagged.yml", "push", {"ref": f"refs/tags/mnist@{version}"})
        passed = version != worse
        assert run.exit_code == (0 if passed else 1), run.errors or run.log
        assert promotion.holder() == (version if passed else second)
        if passed:
            assert run.outputs["promote"]["previous"] == before
    assert f"`mnist:{worse}` must not replace `mnist:{second}`" in run.summary


def test_merging_the_pull_request_that_the_gate_opened_promotes(
    promotion: Promotion, fresh: Fresh, start: Start
) -> None:
    world = promotion.world
    assert isinstance(world, GitWorld)
    promotion.policy(f"{GATED}registry:\n  collection: mnist\n  stages: [production]\n")
    write(world.workspace, {"summing.py": SUMMING})
    version = world.add({"model.bin": "1.5"})
    dispatched = {"action": "staging", "client_payload": {"model": f"mnist:{version}"}}

    proposed = start(promotion, "approve.yml", "repository_dispatch", dispatched)

    assert proposed.exit_code == 0, proposed.errors or proposed.log
    assert promotion.holder() == ""
    (pull,) = [each for each in fresh.repo.get_pulls() if each.number != fresh.pull.number]
    assert pull.title == "Promote a model"
    assert f"`mnist:{version}` may go to production. It was compared with nothing." in pull.body
    assert "latency p50" in pull.body
    assert pull.body.count("full report") == 1
    before, after = (
        {(each.path, each.sha) for each in fresh.repo.get_git_tree(name, recursive=True).tree}
        for name in ("main", pull.head.ref)
    )
    assert [path for path, _ in after - before] == ["registry.lock.yaml"]
    lock = fresh.repo.get_contents("registry.lock.yaml", ref=pull.head.ref)
    assert not isinstance(lock, list)
    text = lock.decoded_content.decode()
    assert text.endswith(f"\nmnist:\n  production: {version}\n")

    write(world.workspace, {"registry.lock.yaml": text})
    world.commit("Merge the pull request")
    on_main = {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    merged = start(promotion, "approve.yml", "push", on_main)

    assert merged.exit_code == 0, merged.errors or merged.log
    assert promotion.holder() == version


@pytest.mark.xdist_group("wandb")
def test_a_model_staged_in_wandb_is_gated_beside_production_promoted_and_rolled_back(
    staged: Promotion, start: Start
) -> None:
    world = staged.world
    assert isinstance(world, WandbWorld)
    first, second, bad = (world.add({"model.bin": text}) for text in ("1", "1.5", "0.1"))
    registry = world.open()
    registry.move(
        registry.look(world.collection, "production"), Move(number=1, alias="production", version=first)
    )
    world.move_by_hand("staging", second)
    event = {"action": "staging", "client_payload": world.automation("staging")}

    done = start(staged, "model-wandb.yml", "repository_dispatch", event)

    assert done.exit_code == 0, done.errors or done.log
    assert staged.holder() == second
    models = world.collection
    assert f"`{models}:{second}` may replace `{models}:{first}`" in done.summary
    assert f"`{models}:{second}` took `production` from `{first}`." in done.summary
    assert world.environ["WANDB_API_KEY"] not in done.log + json.dumps(done.outputs)

    world.move_by_hand("staging", bad)
    event = {"action": "staging", "client_payload": world.automation("staging")}
    refused = start(staged, "model-wandb.yml", "repository_dispatch", event)

    assert refused.exit_code == 1
    assert "score" in refused.summary
    assert staged.holder() == second

    back = start(staged, "rollback-wandb.yml", "workflow_dispatch", {"inputs": {"reason": "Slow"}})

    assert back.exit_code == 0, back.errors or back.log
    assert staged.holder() == first
    assert [(each.kind, each.version, each.why) for each in staged.stage().moves][-1] == (
        "rollback",
        first,
        "Slow",
    )
