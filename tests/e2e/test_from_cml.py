"""Workflow 5 of the README: a workflow written for CML runs with one line of it changed."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import commit
from tests.services.act import ROOT, Run, run_workflow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Consumer
    from tests.services.emulator import Emulator, Fresh

# Standard library only: the user's Python has nothing, and gets nothing.
TRAIN = """\
import base64, pathlib
pathlib.Path("confusion.png").write_bytes(base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="))
pathlib.Path("report.md").write_text("# Trained\\n\\nAccuracy 0.9\\n\\n")
"""
SETUP = "      - {id: cml, uses: org/cml-action@v1, with: {mode: setup}}\n"


@pytest.fixture
def trained(tmp_path: Path, action: Path, user_python: Path, emulator: Emulator, fresh: Fresh) -> Run:
    repository = tmp_path / "repository"
    workflow = repository / ".github" / "workflows" / "train.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text((ROOT / "examples" / "workflows" / "from-cml.yml").read_text())
    (repository / "train.py").write_text(TRAIN)
    commit(repository)
    return run_workflow(
        repository,
        "pull_request",
        json.loads(json.dumps(fresh.pull_request_event(), default=str)),
        action=action,
        folder=tmp_path / "runner",
        github={"GITHUB_API_URL": emulator.url, "GITHUB_REPOSITORY": fresh.name},
        token=emulator.token,
        environ={"PATH": f"{user_python.parent}:{os.environ['PATH']}"},
    )


def test_a_workflow_written_for_cml_comments_its_report_with_the_picture(trained: Run, fresh: Fresh) -> None:
    assert trained.exit_code == 0, trained.errors or trained.log
    (comment,) = fresh.pull.get_issue_comments()
    assert "Accuracy 0.9" in comment.body
    shown = re.search(r'!\[\]\((\S+) "Confusion matrix"\)', comment.body)
    assert shown
    path = shown[1].split("?")[0].partition("/cml-assets/")[2]
    stored = fresh.repo.get_contents(path, ref="cml-assets")
    assert stored.decoded_content == (trained.workspace / "confusion.png").read_bytes()  # type: ignore[union-attr]
    assert f"#issuecomment-{comment.id}" in trained.log
    assert trained.summary == ""  # `mode: setup` has nothing to say


STEPS = """\
      - run: |
          cml --version
          dvc --version
          cml-action --version
          cml-send-comment --help
          python3 where.py && echo "mine: $(cat where.txt)"
          cml comment create || echo "code $?"
          dvc init --no-scm --quiet
          dvc stage add --quiet --name where --outs where.txt --force python3 where.py
          dvc repro --quiet && echo "repro: $(cat where.txt)"
          printf 'a,b\\n1,2\\n' > table.csv
          cml-action stats table.csv --comment false
"""


def test_the_programs_are_on_the_path_and_the_users_python_is_as_it_was(
    consumer: Consumer, user_python: Path
) -> None:
    before = sorted(path.name for path in user_python.parent.iterdir())
    where = "import sys; open('where.txt', 'w').write(sys.prefix)\n"

    run = consumer(SETUP + STEPS, {"where.py": where})

    assert run.exit_code == 0, run.errors or run.log
    assert "0.20.6 (cml-action " in run.log
    assert re.search(r"^3\.\d+\.\d+", run.log, re.MULTILINE)
    assert f"mine: {user_python.parents[1]}" in run.log
    assert f"repro: {user_python.parents[1]}" in run.log
    assert "code 2" in run.log
    assert sorted(path.name for path in user_python.parent.iterdir()) == before
    # What `mode: setup` did not bring is installed when it is asked for.
    assert run.log.count("Installed base, pull privately") == 1
    assert run.log.count("Installed stats privately") == 1
    assert "1 row" in run.log
