"""A pull request from a fork, and the two workflows of examples/workflows that bring its report to it.

act has no store for artifacts on this machine: `actions/upload-artifact` is a stand-in that copies the
folder, and the API answers with it as GitHub does after a run (tests/services/runs.py).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.e2e.conftest import commit
from tests.services.act import ROOT, run_workflow
from tests.services.images import png
from tests.services.runs import Recorded, packed, run_record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.emulator import Emulator, Fresh
    from tests.services.proxy import Proxy

UPLOAD = """\
name: Stand-in for actions/upload-artifact, which copies the folder
inputs: {name: {required: true}, path: {required: true}}
runs:
  using: composite
  steps:
    - {shell: bash, env: {FROM: '${{ inputs.path }}'}, run: 'cp -a "$FROM" "$KEPT"'}
"""


def consumer(folder: Path, workflow: str, files: dict[str, bytes]) -> Path:
    text = (ROOT / "examples" / "workflows" / workflow).read_text(encoding="utf-8")
    written = {f".github/workflows/{workflow}": text.encode(), **files}
    for name, content in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    commit(folder)
    return folder


def test_a_forks_report_reaches_its_pull_request_and_its_own_run_stays_green(
    emulator: Emulator, proxy: Proxy, fresh: Fresh, action: Path, user_python: Path, tmp_path: Path
) -> None:
    somebody = emulator.connect("test_token_user")
    theirs = somebody.get_repo(fresh.name).create_fork()
    theirs.create_git_ref("refs/heads/improve", theirs.get_branch("main").commit.sha)
    sha = theirs.create_file("train.py", "Improve", "print()\n", branch="improve")["commit"].sha
    upstream = somebody.get_repo(fresh.name)
    pull = upstream.create_pull(base="main", head="octocat:improve", title="Improve", body="")
    raw = json.loads(json.dumps(pull.raw_data, default=str))
    upload, kept = tmp_path / "upload-artifact", tmp_path / "kept"
    upload.mkdir()
    (upload / "action.yml").write_text(UPLOAD)
    github = {"GITHUB_API_URL": proxy.url, "GITHUB_REPOSITORY": fresh.name}
    common: dict[str, Any] = {
        "action": action,
        "environ": {"PATH": f"{user_python.parent}:{os.environ['PATH']}"},
    }

    report = b"## It is 97.6 %, @octocat\n\n![loss](loss.png)\n"
    first = run_workflow(
        consumer(tmp_path / "fork", "fork-report.yml", {"report.md": report, "loss.png": png()}),
        "pull_request",
        {"action": "opened", "number": pull.number, "pull_request": raw},
        folder=tmp_path / "first",
        github={**github, "GITHUB_RUN_ID": "7", "KEPT": str(kept)},
        token=emulator.workflow_token(contents="read", issues="read", pull_requests="read"),
        actions={"actions/upload-artifact@v7": upload},
        **common,
    )

    assert first.exit_code == 0, first.errors or first.log
    assert "It is 97.6 %" in first.summary
    assert first.outputs["report"]["comment-url"] == ""
    assert not list(pull.get_issue_comments())

    files = {
        path.relative_to(kept).as_posix(): path.read_bytes() for path in kept.rglob("*") if path.is_file()
    }
    record = run_record(7, raw["base"]["repo"], raw["head"]["repo"], branch="improve", sha=sha)
    proxy.runs[7] = Recorded(record=record, artifacts=[("cml-report", packed(files))])
    second = run_workflow(
        consumer(tmp_path / "upstream", "fork-comment.yml", {"README.md": b"Ours\n"}),
        "workflow_run",
        {"action": "completed", "workflow_run": record},
        folder=tmp_path / "second",
        github={**github, "GITHUB_RUN_ID": "8"},
        token=emulator.workflow_token(contents="write", issues="write", pull_requests="write"),
        **common,
    )

    assert second.exit_code == 0, second.errors or second.log
    (comment,) = pull.get_issue_comments()
    assert "It is 97.6 %, @\u200boctocat" in comment.body
    assert "was written by the code of a pull request from `octocat/" in comment.body
    assert f"/{fresh.name}/blob/cml-assets/" in comment.body
    assert not list(fresh.pull.get_issue_comments())
