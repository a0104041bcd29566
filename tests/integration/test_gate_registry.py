"""`mode: gate` on versions of a registry: fetched, tested beside production, and promoted on the verdict."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.services.forked import forked_step
from tests.services.projects import write
from tests.services.promotion import Promotion
from tests.services.proxy import running_proxy
from tests.services.registries import GitWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.githttp import GitServer
    from tests.services.runner import Step

POLICY = """\
model:
  loader: serve:load
  input: {shape: [1, 2], dtype: float32}
  gates:
    - {measure: size, max: 1 kB}
    - {measure: latency-p50, max-ratio: 100}
"""
SERVE = """
def load(path):
    factor = float(open(path).read())
    return lambda rows: rows * factor
"""


@pytest.fixture
def promotion(git_server: GitServer, tmp_path: Path) -> Iterator[Promotion]:
    with running_proxy("http://127.0.0.1:9") as hub:
        found = Promotion(GitWorld(git_server, tmp_path, token="test_token_admin"), hub)
        found.policy(POLICY)
        write(found.world.workspace, {"serve.py": SERVE})
        yield found


def gate(promotion: Promotion, **inputs: str) -> Step:
    given = promotion.inputs("gate", python=sys.executable, **inputs)
    return forked_step(promotion.world.workspace, given, environ=promotion.variables(), limit_s=300)


def test_a_version_is_gated_beside_the_holder_of_the_stage_and_promoted_on_the_verdict_that_is_kept(
    promotion: Promotion,
) -> None:
    first = promotion.world.add({"model.bin": "1.5"})
    step = gate(promotion, model=f"mnist:{first}")
    assert (step.code, step.errors) == (0, ""), step.log
    assert "No version holds `production` yet" in step.log
    assert step.outputs["model"] == f"mnist:{first}"
    assert f"The verdict is kept beside mnist:{first}." in step.log
    assert promotion.step("promote", model=f"mnist:{first}").code == 0

    second = promotion.world.add({"model.bin": "2.5"})
    refused = promotion.step("promote", model=f"mnist:{second}")
    assert refused.code == 1
    assert "No verdict of a gate" in refused.log
    step = gate(promotion, model=f"mnist@{second}", baseline="mnist#production")  # as GTO writes them
    assert step.code == 0, step.log
    assert f"`mnist:{second}` may replace `mnist:{first}`" in step.report
    assert step.result["model"]["baseline"] == f"mnist:{first}"
    promoted = promotion.step("promote", model=f"mnist:{second}")
    assert (promoted.code, promoted.outputs["previous"]) == (0, first)
    assert promoted.outputs["model-digest"] == step.outputs["model-digest"]


def test_a_version_that_fails_its_gate_is_not_promoted(promotion: Promotion) -> None:
    version = promotion.world.add({"model.bin": "1." + "0" * 2000})
    step = gate(promotion, model=f"mnist:{version}", baseline="none")
    assert step.code == 1
    assert step.outputs["verdict"] == "fail"
    refused = promotion.step("promote", model=f"mnist:{version}")
    assert refused.code == 1
    assert f"The gate refused `mnist:{version}`" in refused.log


def test_production_that_was_deleted_is_named_as_such(promotion: Promotion) -> None:
    first, second = (promotion.world.add({"model.bin": text}) for text in ("1.5", "2.5"))
    assert promotion.step("promote", model=f"mnist:{first}", require_gate="false").code == 0
    promotion.world.delete(first)
    step = gate(promotion, model=f"mnist:{second}")
    assert step.code == 2
    assert f"`{first}` holds `production`, and the candidate cannot be compared with it." in step.log
    assert "or set `baseline: none`" in step.log


def test_a_version_that_is_not_there_is_named(promotion: Promotion) -> None:
    promotion.world.add({"model.bin": "1.5"})
    step = gate(promotion, model="mnist:v9.0.0")
    assert step.code == 2
    assert "There is no version v9.0.0 of `mnist`" in step.log


def test_a_verdict_that_cannot_be_kept_is_in_the_report_all_the_same(promotion: Promotion) -> None:
    promotion.policy(POLICY.replace("    - {measure: latency-p50, max-ratio: 100}\n", ""))
    version = promotion.world.add({"model.bin": "1.5"})
    step = gate(promotion, model=f"mnist:{version}", github_token="ghs_read_token")
    assert step.code == 3, step.log
    found = {check["id"]: check["status"] for check in step.result["checks"]}
    assert (found["model/size/max"], found["gate"]) == ("pass", "error")
    assert "`contents: write`" in step.report
    assert step.outputs["model-digest"].startswith("sha256:")
