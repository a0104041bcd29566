"""The gate as a consumer's repository runs it, started by a `repository_dispatch`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.model.digest import digest
from tests.e2e.conftest import GATED, commit
from tests.services.act import run_workflow
from tests.services.projects import write

if TYPE_CHECKING:
    from tests.e2e.conftest import Consumer
    from tests.services.emulator import Emulator, Fresh

WORKFLOW = """\
on:
  repository_dispatch: {types: [staging]}
permissions: {contents: read, issues: write}
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - id: gate
        uses: org/cml-action@v1
        with: {mode: gate, baseline: models/production.bin, comment: COMMENT, python: PYTHON}
"""
#: A model that needs nothing but the standard library, and work that can be counted.
LOADER = """
def load(path):
    times = int(open(path).read())
    return lambda rows: [sum(row) + 0 * sum(range(times)) for row in rows]

def evaluate(model):
    return {"score": 0.9}
"""


def test_a_dispatched_model_is_gated_beside_production_and_the_verdict_is_commented(
    tmp_path: Path, action: Path, user_python: Path, installed: Path, emulator: Emulator, fresh: Fresh
) -> None:
    repository = tmp_path / "repository"
    workflow = WORKFLOW.replace("COMMENT", f"pr/{fresh.pull.number}").replace("PYTHON", sys.executable)
    write(
        repository,
        {
            ".github/workflows/gate.yml": workflow,
            "cml.yaml": GATED,
            "summing.py": LOADER,
            "models/production.bin": "20000",
            "models/candidate.bin": "20001",
        },
    )
    commit(repository)
    payload = {
        "action": "staging",
        "client_payload": {"model_path": "models/candidate.bin", "event_author": "@everyone"},
    }

    run = run_workflow(
        repository,
        "repository_dispatch",
        payload,
        action=action,
        folder=tmp_path / "runner",
        github={"GITHUB_API_URL": emulator.url, "GITHUB_REPOSITORY": fresh.name, "GITHUB_RUN_ID": "7"},
        token=emulator.token,
        environ={"PATH": f"{user_python.parent}:{os.environ['PATH']}"},
        installed=installed,
    )

    assert run.exit_code == 0, run.errors or run.log
    outputs = run.outputs["gate"]
    assert outputs["model"] == "models/candidate.bin"
    assert outputs["model-digest"] == digest(repository / "models" / "candidate.bin")
    evidence = json.loads(Path(outputs["verdict-file"]).read_text())
    assert (evidence["digest"], evidence["baseline"]) == (outputs["model-digest"], "models/production.bin")
    (comment,) = fresh.pull.get_issue_comments()
    for text in (comment.body, run.summary):
        assert "`models/candidate.bin` may replace `models/production.bin`" in text
        assert "latency p50, batch 1" in text
        assert "Asked for by `@everyone`" in text
    assert emulator.token not in run.log + comment.body


def test_what_loads_the_model_is_installed_where_the_users_python_lacks_it(
    tmp_path: Path, consumer: Consumer
) -> None:
    train = (
        "import skops.io, sklearn.linear_model\n"
        "model = sklearn.linear_model.LinearRegression().fit([[0, 1], [1, 0], [1, 1]], [1, 2, 3])\n"
        "skops.io.dump(model, 'sum.skops')\n"
    )
    subprocess.run([sys.executable, "-c", train], cwd=tmp_path, check=True)
    policy = "model:\n  path: sum.skops\n  input: {shape: [1, 2], dtype: float32}\n"
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "sum.skops").rename(repository / "sum.skops")

    run = consumer("      - {id: gate, uses: org/cml-action@v1, with: {mode: gate}}\n", {"cml.yaml": policy})

    assert run.exit_code == 0, run.errors or run.log
    assert "lacks what sum.skops needs: it is installed privately." in run.log
    assert "Installed sklearn privately" in run.log
    assert "`sum.skops` may go to production" in run.summary
