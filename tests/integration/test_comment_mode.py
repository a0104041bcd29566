from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cml_action.cli import app
from tests.services.projects import run
from tests.services.runner import run_step

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.emulator import Emulator, Fresh

#: What `mode: comment` must never pay for.
HEAVY = {"pandas", "numpy", "matplotlib", "duckdb", "ibis", "dvc", "torch", "pyarrow", "scipy"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "report.md").write_text("## Accuracy\n\nIt is 97.6 %.\n", encoding="utf-8")
    return folder


def github(emulator: Emulator, fresh: Fresh, run_id: int = 100) -> dict[str, str]:
    return {
        "GITHUB_API_URL": emulator.url,
        "GITHUB_REPOSITORY": fresh.name,
        "GITHUB_RUN_ID": str(run_id),
    }


def bodies(fresh: Fresh) -> list[str]:
    return [comment.body for comment in fresh.pull.get_issue_comments()]


def test_a_report_is_commented_once_and_updated_by_the_next_run(
    workspace: Path, emulator: Emulator, fresh: Fresh
) -> None:
    inputs = {"mode": "comment", "report": "report.md", "github-token": emulator.token}
    event = ("pull_request", fresh.pull_request_event())
    first = run_step(workspace, inputs, event=event, environ=github(emulator, fresh))
    assert (first.code, first.errors) == (0, "")
    assert first.outputs["verdict"] == "pass"
    assert first.outputs["comment-url"].startswith("http")
    (workspace / "report.md").write_text("It is 98.1 %.\n", encoding="utf-8")
    second = run_step(workspace, inputs, event=event, environ=github(emulator, fresh, run_id=101))
    assert second.outputs["comment-url"] == first.outputs["comment-url"]
    (body,) = bodies(fresh)
    assert "It is 98.1 %." in body
    assert "97.6" not in body
    assert "It is 98.1 %." in second.summary


def test_the_comment_path_imports_nothing_that_it_does_not_need(
    workspace: Path, emulator: Emulator, fresh: Fresh
) -> None:
    step = run_step(
        workspace,
        {"mode": "comment", "report": "report.md", "github-token": emulator.token},
        event=("pull_request", fresh.pull_request_event()),
        environ=github(emulator, fresh),
        python=("-X", "importtime"),
    )
    assert step.code == 0
    imported = {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", step.errors, re.MULTILINE)}
    assert "github" in imported
    assert not imported & HEAVY


def test_a_missing_report_is_named_and_the_comment_of_an_earlier_run_says_so(
    workspace: Path, emulator: Emulator, fresh: Fresh
) -> None:
    step = run_step(
        workspace,
        {"mode": "comment", "report": "nope.md", "github-token": emulator.token},
        event=("pull_request", fresh.pull_request_event()),
        environ=github(emulator, fresh),
    )
    assert step.code == 2
    assert "`nope.md` (input `report`) is not there." in step.log
    assert step.outputs["passed"] == "false"


def test_without_a_token_the_report_is_in_the_summary_and_the_step_is_green(workspace: Path) -> None:
    step = run_step(
        workspace,
        {"mode": "comment", "report": "report.md", "comment": "pr/1"},
        environ={"GITHUB_API_URL": "http://127.0.0.1:9"},
    )
    assert step.code == 0
    assert "::notice title=No comment was written::There is no token" in step.log
    assert "It is 97.6 %." in step.summary


def test_on_a_laptop_the_repository_is_that_of_the_remote_where_it_is_on_github(
    workspace: Path, emulator: Emulator, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["git", "init", "--quiet"], workspace)
    monkeypatch.chdir(workspace)
    gone = {name: None for name in os.environ if name.startswith(("GITHUB_", "RUNNER_"))}
    environ = {**gone, "GITHUB_API_URL": emulator.url, "GITHUB_TOKEN": emulator.token}
    words = ["comment", "report.md", "--comment", f"pr/{fresh.pull.number}"]

    run(["git", "remote", "add", "origin", f"https://example.com/{fresh.name}.git"], workspace)
    unknown = CliRunner().invoke(app, words, env=environ)
    run(["git", "remote", "set-url", "origin", f"git@github.com:{fresh.name}.git"], workspace)
    known = CliRunner().invoke(app, words, env=environ)

    assert "no Git remote `origin` on github.com. Set GITHUB_REPOSITORY=owner/name." in unknown.output
    assert (unknown.exit_code, known.exit_code) == (0, 0), known.output
    (body,) = bodies(fresh)
    assert "It is 97.6 %." in body


def test_github_that_cannot_be_reached_loses_nothing(workspace: Path) -> None:
    step = run_step(
        workspace,
        {"mode": "comment", "report": "report.md", "comment": "pr/1", "github-token": "ghs_0123456789"},
        environ={"GITHUB_API_URL": "http://127.0.0.1:9"},
    )
    assert step.code == 3
    assert "It is 97.6 %." in step.summary
    assert "It is 97.6 %." in step.report
    assert "Traceback" not in step.log + step.errors
    shown = [line for line in step.log.splitlines() if not line.startswith("::add-mask::")]
    assert "ghs_0123456789" not in "\n".join(shown)


@pytest.mark.parametrize("asked", ["..", "../elsewhere", "/", "link"])
def test_a_working_directory_outside_of_the_workspace_is_refused(workspace: Path, asked: str) -> None:
    (workspace / "link").symlink_to(workspace.parent)
    step = run_step(workspace, {"mode": "comment", "report": "report.md", "working-directory": asked})
    assert step.code == 2
    assert f"The input `working-directory` is `{asked}`, which leaves the workspace." in step.log


def test_a_report_that_a_link_takes_out_of_the_workspace_is_refused(workspace: Path) -> None:
    (workspace.parent / "secret.md").write_text("secret", encoding="utf-8")
    (workspace / "link.md").symlink_to(workspace.parent / "secret.md")
    step = run_step(workspace, {"mode": "comment", "report": "link.md"})
    assert step.code == 2
    assert "`link.md` (input `report`) leaves the workspace." in step.log


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\xff\xfe\x00", "is not UTF-8"), (None, "is not a file")],
)
def test_a_report_that_cannot_be_read_is_named(workspace: Path, content: bytes | None, message: str) -> None:
    path = workspace / "odd.md"
    path.mkdir() if content is None else path.write_bytes(content)
    step = run_step(workspace, {"mode": "comment", "report": "odd.md"})
    assert step.code == 2
    assert message in step.log


def test_an_unknown_place_for_the_comment_is_refused_before_anything_runs(workspace: Path) -> None:
    step = run_step(workspace, {"mode": "comment", "report": "report.md", "comment": "pull/1"})
    assert step.code == 2
    assert "report" not in step.outputs
