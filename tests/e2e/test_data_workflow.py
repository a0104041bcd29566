"""Workflow 1 of the README, as a consumer's repository runs it: examples/workflows/data.yml."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.services.act import ROOT, Run, run_workflow
from tests.services.projects import Project, new_project
from tests.services.s3 import KEYS, S3, running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.emulator import Emulator, Fresh

SPECIES = ("Adelie", "Chinstrap", "@everyone")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository whose data lies in S3, with workflow 1 in it."""
    for name, value in {**s3.environ, **KEYS}.items():
        monkeypatch.setenv(name, value)
    project = new_project(tmp_path)
    project.dvc("remote", "add", "--quiet", "--force", "--default", "storage", f"s3://{s3.bucket}/dvc")
    workflow = project.path / ".github" / "workflows" / "data.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text((ROOT / "examples" / "workflows" / "data.yml").read_text())
    return project


def table(rows: int, weights: tuple[int, int, int]) -> str:
    chance = random.Random(rows)  # noqa: S311 -- data for a test
    lines = [
        f"{at},{chance.choices(SPECIES, weights)[0]},{chance.gauss(4200, 800):.0f}" for at in range(rows)
    ]
    return "\n".join(["id,species,body_mass_g", *lines]) + "\n"


class Runner:
    """Runs the workflow for a pull request of the emulator, as a runner with the given number would."""

    def __init__(
        self, project: Project, emulator: Emulator, fresh: Fresh, user_python: Path, installed: Path
    ) -> None:
        self.project, self.emulator, self.fresh, self.python = project, emulator, fresh, user_python
        self.installed = installed
        self.runs = 0

    def run(self, action: Path, folder: Path, base: str, secrets: dict[str, str]) -> Run:
        self.runs += 1
        event = json.loads(json.dumps(self.fresh.pull_request_event(), default=str))
        event["pull_request"]["base"]["sha"] = base
        event["pull_request"]["head"]["sha"] = self.project.head
        return run_workflow(
            self.project.path,
            "pull_request",
            event,
            action=action,
            folder=folder / f"run-{self.runs}",
            github={
                "GITHUB_API_URL": self.emulator.url,
                "GITHUB_REPOSITORY": self.fresh.name,
                "GITHUB_RUN_ID": str(self.runs),
            },
            token=self.emulator.token,
            secrets=secrets,
            installed=self.installed,
            environ={
                "PATH": f"{self.python.parent}:{os.environ['PATH']}",
                "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
                "AWS_DEFAULT_REGION": os.environ["AWS_DEFAULT_REGION"],
            },
        )


@pytest.fixture
def runner(project: Project, emulator: Emulator, fresh: Fresh, user_python: Path, installed: Path) -> Runner:
    return Runner(project, emulator, fresh, user_python, installed)


def test_a_pull_request_that_changes_the_data_gets_one_comment_which_the_next_push_updates(
    runner: Runner, action: Path, tmp_path: Path
) -> None:
    base = runner.project.commit({"train.csv": table(300, (6, 3, 1))}, "First data")
    runner.project.commit({"train.csv": table(340, (4, 2, 4))}, "More data")

    first = runner.run(action, tmp_path, base, KEYS)

    assert first.exit_code == 0, first.errors or first.log
    (comment,) = runner.fresh.pull.get_issue_comments()
    assert "300 → 340 (+40) rows, 3 columns" in comment.body
    assert "`@everyone` rose from" in comment.body
    assert "```mermaid" not in comment.body
    assert f"/{runner.fresh.name}/blob/cml-assets/" in comment.body
    assert "@everyone" not in comment.body.replace("`@everyone`", "").replace('"@everyone', "").replace(
        "rows: @everyone", ""
    ).replace('title "@everyone', "")
    assert f"{runner.project.head[:7]} against main@{base[:7]}" in comment.body
    assert first.outputs["data"]["comment-url"] == comment.html_url
    assert first.outputs["data"]["verdict"] == "pass"
    assert "300 → 340 (+40) rows" in first.summary
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in first.log + comment.body + first.summary

    runner.project.commit({"train.csv": table(350, (4, 2, 4))}, "Still more data")
    second = runner.run(action, tmp_path, base, KEYS)

    assert second.exit_code == 0, second.errors or second.log
    (updated,) = runner.fresh.pull.get_issue_comments()
    assert updated.id == comment.id
    assert "300 → 350 (+50) rows" in updated.body
    assert f"{runner.project.head[:7]} against main@{base[:7]}" in updated.body


def test_data_that_nobody_pushed_is_named_and_the_comment_says_so(
    runner: Runner, action: Path, tmp_path: Path
) -> None:
    base = runner.project.commit({"train.csv": table(300, (6, 3, 1))}, "First data")
    runner.project.commit({"train.csv": table(310, (6, 3, 1))}, "Forgot to push", push=False)

    run = runner.run(action, tmp_path, base, KEYS)

    assert (run.exit_code, run.failed) == (1, {"data": 3})
    (comment,) = runner.fresh.pull.get_issue_comments()
    assert "❌ pull, stats: could not finish" in comment.body
    assert "1 of 1 files are missing from `storage`" in comment.body
    assert "dvc push" in comment.body
