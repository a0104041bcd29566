"""When the step with `actions/attest` that `docs/gate.md` shows runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import commit
from tests.services.act import ROOT, run_workflow
from tests.services.projects import write

if TYPE_CHECKING:
    from pathlib import Path

#: The gate is played by a step that leaves what it leaves, and `actions/attest` by one that says that it ran.
WORKFLOW = """\
on: [push, pull_request]
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - id: gate
        run: echo "verdict-file=FILE" >> "$GITHUB_OUTPUT"; exit CODE
      - id: attest
        if: CONDITION
        run: echo "ran=yes" >> "$GITHUB_OUTPUT"
"""


def pull_request(*, fork: bool) -> dict[str, Any]:
    return {"pull_request": {"number": 1, "head": {"ref": "f", "repo": {"fork": fork}}}}


@pytest.mark.parametrize(
    ("event", "payload", "file", "code", "signs"),
    [
        ("push", {"ref": "refs/heads/main"}, "verdict.json", 0, "yes"),
        ("push", {"ref": "refs/heads/main"}, "verdict.json", 1, "yes"),
        ("push", {"ref": "refs/heads/main"}, "", 2, "no"),
        ("pull_request", pull_request(fork=False), "verdict.json", 0, "yes"),
        ("pull_request", pull_request(fork=True), "verdict.json", 0, "no"),
    ],
    ids=["passed", "failed", "no verdict", "pull request", "fork"],
)
def test_a_verdict_is_signed_whatever_it_says_where_there_is_one_and_a_token(
    tmp_path: Path, event: str, payload: dict[str, Any], file: str, code: int, signs: str
) -> None:
    docs = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    (condition,) = re.findall(r"uses: actions/attest@\S+\n +if: (.+)\n", docs)
    workflow = WORKFLOW.replace("FILE", file).replace("CODE", str(code)).replace("CONDITION", condition)
    repository = tmp_path / "repository"
    write(repository, {".github/workflows/gate.yml": workflow})
    commit(repository)

    run = run_workflow(repository, event, payload, action=ROOT, folder=tmp_path / "runner")

    assert run.outputs.get("attest", {"ran": "no"}) == {"ran": signs}
