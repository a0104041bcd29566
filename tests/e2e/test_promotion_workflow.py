"""Promotion and rollback on the Git registry, as examples/workflows/promote.yml and rollback.yml run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.act import ROOT, Run, run_workflow
from tests.services.githttp import git
from tests.services.promotion import POLICY, Promotion
from tests.services.registries import GitWorld

if TYPE_CHECKING:
    from tests.services.emulator import Fresh
    from tests.services.githttp import GitServer
    from tests.services.proxy import Proxy


@pytest.fixture
def promotion(git_server: GitServer, proxy: Proxy, fresh: Fresh, tmp_path: Path) -> Promotion:
    world = GitWorld(git_server, tmp_path, token="test_token_admin")
    return Promotion(world, proxy, environ={"GITHUB_REPOSITORY": fresh.name})


def dispatch(
    promotion: Promotion, workflow: str, action: Path, folder: Path, python: Path, **inputs: str
) -> Run:
    world = promotion.world
    path = world.workspace / ".github" / "workflows" / "run.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((ROOT / "examples" / "workflows" / workflow).read_text())
    git(["add", "--all"], world.workspace)
    git(["commit", "--quiet", "--allow-empty", "-m", f"Add {workflow}"], world.workspace)
    promotion.runs += 1
    return run_workflow(
        world.workspace,
        "workflow_dispatch",
        {"inputs": inputs},
        action=action,
        folder=folder / f"run-{promotion.runs}",
        github={
            "GITHUB_API_URL": promotion.hub.url,
            "GITHUB_SERVER_URL": str(getattr(world, "url", "")),
            "GITHUB_REPOSITORY": promotion.environ["GITHUB_REPOSITORY"],
            "GITHUB_ACTOR": "ada",
            "GITHUB_RUN_ID": str(promotion.runs),
        },
        token="test_token_admin",
        environ={"PATH": f"{python.parent}:{os.environ['PATH']}"},
    )


def test_a_version_is_promoted_and_rolled_back_and_gto_shows_the_same(
    promotion: Promotion, action: Path, user_python: Path, tmp_path: Path
) -> None:
    promotion.policy(f"{POLICY}registry:\n  collection: mnist\n  stages: [production]\n")
    first, second = promotion.version("one"), promotion.version("two")
    promotion.step("promote", model=f"mnist:{first}")

    promoted = dispatch(promotion, "promote.yml", action, tmp_path, user_python, model=f"mnist:{second}")

    assert promoted.exit_code == 0, promoted.errors or promoted.log
    assert promotion.holder() == second
    assert promoted.outputs["promote"]["previous"] == first
    assert f"`mnist:{second}` took `production` from `{first}`." in promoted.summary

    back = dispatch(promotion, "rollback.yml", action, tmp_path, user_python, reason="Wrong sevens")

    assert back.exit_code == 0, back.errors or back.log
    assert promotion.holder() == first
    assert [(each.kind, each.why) for each in promotion.stage().moves][-1] == ("rollback", "Wrong sevens")
    git(["fetch", "--quiet", "--tags", "direct"], promotion.world.workspace)
    gto = [Path(sys.executable).with_name("gto"), "show", "mnist#production"]
    shown = subprocess.run(gto, cwd=promotion.world.workspace, check=True, capture_output=True, text=True)
    assert first in shown.stdout
    assert second not in shown.stdout
