"""Where a job works: its workspace, the repository in it, and the folder of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cml_action.cli import app
from cml_action.errors import UsageError
from cml_action.inputs import parse
from cml_action.job import Job, open_job
from cml_action.log import Log
from tests.services.projects import Project, write

if TYPE_CHECKING:
    from pathlib import Path


def repository(path: Path) -> Project:
    write(path, {"sub/report.md": "It is 97.6 %.\n"})
    project = Project(path, path)
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "First")):
        project.git(*words)
    return project


def opened(workspace: Path, monkeypatch: pytest.MonkeyPatch, where: str, here: str = ".") -> Job:
    temporary = workspace.parent / "_temp"
    temporary.mkdir()
    monkeypatch.chdir(workspace / here)
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(workspace),
        "HOME": str(temporary),
        "RUNNER_TEMP": str(temporary),
    }
    return open_job(parse({"mode": "stats", "working-directory": where}), environ, Log(runner=True))


def test_a_checkout_with_a_path_has_its_root_there_and_a_commit_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository(tmp_path / "workspace" / "repo")
    first = project.head
    project.git("commit", "--quiet", "--allow-empty", "-m", "Second")

    job = opened(tmp_path / "workspace", monkeypatch, "repo/sub")

    assert job.prefix == "sub/"
    assert job.base is not None
    assert (job.base.commit, job.revision) == (first, project.head)


def test_a_policy_under_another_ending_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    repository(workspace)
    write(workspace, {"cml.yml": "model: {gates: [{measure: size, max: 1 MB}]}\n"})
    with pytest.raises(UsageError, match=r"There is a file `cml\.yml`, and the policy file is `cml\.yaml`"):
        opened(workspace, monkeypatch, ".")


def test_a_submodule_belongs_to_the_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "workspace")
    write(tmp_path / "workspace", {"part/.git": "gitdir: ../.git/modules/part\n"})

    assert opened(tmp_path / "workspace", monkeypatch, "part").prefix == "part/"


def test_a_command_of_a_job_takes_paths_from_the_folder_that_it_is_called_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path)
    monkeypatch.chdir(tmp_path / "sub")
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_WORKSPACE": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path),
    }

    done = CliRunner().invoke(app, ["comment", "report.md", "--comment=false"], env=environ)

    assert done.exit_code == 0, done.output
    assert "It is 97.6 %." in (tmp_path / "summary.md").read_text(encoding="utf-8")
