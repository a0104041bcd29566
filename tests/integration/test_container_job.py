"""A job with `container:`: the workspace belongs to the runner's user outside, and Git refuses to read it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.cml import Terminal, step_of
from tests.services.forked import forked_step
from tests.services.projects import Project, new_project, run, write

if TYPE_CHECKING:
    from tests.services.emulator import Emulator, Fresh

#: With which Git takes every repository for another user's (its own tests use it).
ANOTHERS = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}

only_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def trusted(home: Path) -> list[str]:
    path = home / ".gitconfig"
    return [line.split(" = ")[1] for line in path.read_text().splitlines() if " = " in line]


def test_a_step_compares_with_the_commit_before(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "workspace"
    write(folder, {"report.md": "Accuracy 0.9\n", "train.csv": "a\n1\n"})
    project = Project(folder, tmp_path)
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "First")):
        project.git(*words)
    first = project.head
    write(folder, {"train.csv": "a\n1\n2\n"})
    project.git("commit", "--quiet", "--all", "-m", "Second")

    environ = {**ANOTHERS, "HOME": str(home)}
    step = forked_step(folder, {"mode": "stats", "data": "train.csv"}, environ=environ)
    forked_step(folder, {"mode": "comment", "report": "report.md"}, environ=environ)

    assert step.code == 0, step.log
    assert step.result["subject"]["base"] == first
    assert "`train.csv`: 1 → 2 (+1) rows" in step.report
    assert trusted(home) == [str(folder)]  # this one alone, and once


def test_changed_files_become_a_pull_request(
    fresh: Fresh, emulator: Emulator, tmp_path: Path, home: Path
) -> None:
    step = step_of(fresh, emulator, tmp_path, event=("push", {}))
    run(["git", "init", "--quiet"], step.folder)
    write(step.folder, {"model/new.txt": "new\n"})

    done = step.cml_here("pr", "create", "model/new.txt", HOME=str(home), **ANOTHERS)

    assert done.code == 0, done.said
    assert "/pull/" in done.out
    assert trusted(home) == [str(step.folder)]


def test_on_a_laptop_gits_own_check_stays_as_it_is(
    fresh: Fresh, emulator: Emulator, tmp_path: Path, home: Path
) -> None:
    step = step_of(fresh, emulator, tmp_path, event=("push", {}))
    run(["git", "init", "--quiet"], step.folder)

    done = step.cml_here("pr", "create", "*.txt", HOME=str(home), GITHUB_ACTIONS="", **ANOTHERS)

    assert done.code == 2
    assert f"{step.folder} belongs to another user, and Git does not read it." in done.said
    assert f"If you trust it: `git config --global --add safe.directory {step.folder}`." in done.said
    assert not (home / ".gitconfig").exists()


def test_a_repository_outside_of_the_workspace_is_not_trusted(
    fresh: Fresh, emulator: Emulator, tmp_path: Path, home: Path
) -> None:
    step = step_of(fresh, emulator, tmp_path, event=("push", {}))
    run(["git", "init", "--quiet"], tmp_path)

    step.cml_here("pr", "create", "*.txt", HOME=str(home), **ANOTHERS)

    assert not (home / ".gitconfig").exists()


@only_root
def test_the_report_of_a_container_that_runs_as_root_belongs_to_the_runners_user(tmp_path: Path) -> None:
    temporary, folder = tmp_path / "_temp", tmp_path / "workspace"
    temporary.mkdir()
    os.chown(temporary, 1001, 1001)
    write(folder, {"report.md": "Accuracy 0.9\n"})

    step = forked_step(folder, {"mode": "comment", "report": "report.md"})

    report = Path(step.outputs["report"])
    assert {report.parent.stat().st_uid, report.parents[1].stat().st_uid} == {1001}
    assert report.stat().st_mode & 0o004  # whoever may enter the folder may read it


@only_root
def test_dvc_reads_the_commit_before(tmp_path: Path, home: Path) -> None:
    project = new_project(tmp_path)
    project.commit({"train.csv": "a\n1\n"}, push=False)
    project.commit({"train.csv": "a\n1\n2\n"}, push=False)
    for path in (project.path, *project.path.rglob("*")):
        os.chown(path, 1001, 1001, follow_symlinks=False)
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(project.path), "DVC_NO_ANALYTICS": "1"}

    done = Terminal(folder=project.path, environ=environ).cml("diff", "HEAD^", program="dvc", HOME=str(home))

    assert done.code == 0, done.said
    assert "train.csv" in done.out
