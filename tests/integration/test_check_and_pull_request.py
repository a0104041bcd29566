from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from cml_action.errors import OutsideError
from cml_action.github import connect
from cml_action.publish import pullrequest
from cml_action.publish.checkrun import (
    MOST_SUMMARY,
    Annotation,
    CheckRun,
    Made,
    annotations_of,
    conclusion_of,
    make_check_run,
)
from cml_action.publish.pullrequest import Content, Opened, Proposal, branch_for, open_pull_request
from cml_action.report import Check, Report
from tests.services.forked import forked_step
from tests.services.graphql import faults_of_operation
from tests.services.proxy import NOT_ACCESSIBLE, Fault, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.emulator import Emulator, Fresh
    from tests.services.runner import Step

LOCK = b"schema: '2.0'\n"


class Hub:
    """A test's repository, as a workflow's token sees it."""

    def __init__(self, emulator: Emulator, proxy: Proxy, fresh: Fresh) -> None:
        self.emulator, self.proxy, self.fresh = emulator, proxy, fresh
        self.token = emulator.workflow_token(contents="write", pull_requests="write", checks="write")

    def check(self, run: CheckRun, token: str = "") -> Made:
        with connect(token or self.token, self.proxy.url) as client:
            return make_check_run(client.get_repo(self.fresh.name), run)

    def propose(self, token: str = "", **changed: Any) -> Opened:
        given = {
            "branch": "cml-pr/main/results",
            "base": "main",
            "revision": self.fresh.base_sha,
            "files": {"dvc.lock": Content(data=LOCK)},
            "title": "Results",
            "body": "It is 97.6 %.",
            "message": "Add results",
        }
        with connect(token or self.token, self.proxy.url) as client:
            return open_pull_request(client.get_repo(self.fresh.name), Proposal(**{**given, **changed}))

    def content(self, path: str, ref: str = "cml-pr/main/results") -> bytes:
        found = self.fresh.repo.get_contents(path, ref=ref)
        assert not isinstance(found, list)
        return found.decoded_content

    def step(self, workspace: Path, inputs: dict[str, str], **options: Any) -> Step:
        environ = {
            "GITHUB_API_URL": self.proxy.url,
            "GITHUB_REPOSITORY": self.fresh.name,
            "GITHUB_SHA": self.fresh.head_sha,
            **options.pop("environ", {}),
        }
        given = {"github-token": self.emulator.token, **inputs}
        return forked_step(workspace, given, environ=environ, **options)


@pytest.fixture
def hub(emulator: Emulator, proxy: Proxy, fresh: Fresh) -> Hub:
    return Hub(emulator, proxy, fresh)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "report.md").write_text("It is 97.6 %.\n", encoding="utf-8")
    (folder / "dvc.lock").write_bytes(LOCK)
    return folder


def page(url: str) -> str:
    """Return an address without its host: the proxy's and the emulator's differ."""
    return urlsplit(url).path


def run(hub: Hub, **changed: Any) -> CheckRun:
    given = {"name": "Data", "sha": hub.fresh.head_sha, "title": "2 of 31 failed", "summary": "All of it."}
    return CheckRun(**{**given, **changed})


def remarks(count: int) -> list[Annotation]:
    return [
        Annotation(path="cml.yaml", line=at + 1, level="failure", message=f"fault {at}")
        for at in range(count)
    ]


def test_a_check_run_has_a_title_a_summary_and_a_conclusion(hub: Hub) -> None:
    made = hub.check(run(hub, conclusion="failure"))

    found = hub.fresh.repo.get_check_run(made.id)
    assert (found.name, found.status, found.conclusion) == ("Data", "completed", "failure")
    assert (found.output.title, found.output.summary) == ("2 of 31 failed", "All of it.")
    assert page(made.url) == page(found.html_url)


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (50, 1), (51, 2), (120, 3)])
def test_annotations_beyond_fifty_come_with_further_calls_and_the_last_one_ends_the_run(
    hub: Hub, count: int, calls: int
) -> None:
    made = hub.check(run(hub, annotations=remarks(count)))

    found = hub.fresh.repo.get_check_run(made.id)
    assert found.status == "completed"
    assert len(hub.proxy.calls) == calls
    assert [call.split()[0] for call in hub.proxy.calls] == ["POST"] + ["PATCH"] * (calls - 1)


def test_a_token_without_checks_is_a_reason(hub: Hub) -> None:
    made = hub.check(run(hub), token=hub.emulator.workflow_token(checks="read"))

    assert made.url == ""
    assert "may not do that" in made.reason


def test_a_summary_at_the_limit_is_taken_and_one_beyond_is_the_callers_fault(hub: Hub) -> None:
    assert hub.check(run(hub, summary="x" * MOST_SUMMARY)).url
    for longer in ("x" * (MOST_SUMMARY + 1), "é" * (MOST_SUMMARY // 2 + 1)):
        with pytest.raises(ValueError, match="65535 bytes"):
            hub.check(run(hub, summary=longer))


def test_a_verdict_has_githubs_word_and_checks_their_places() -> None:
    report = Report(
        checks=(
            Check(id="a", status="warn", title="drift", message="PSI 0.24", path="cml.yaml", line=12),
            Check(id="b", status="fail", title="values", message="3 rows", path="cml.yaml", line=9),
            Check(id="c", status="fail", title="no place"),
            Check(id="d", status="pass", title="fine", path="cml.yaml", line=1),
        )
    )

    assert conclusion_of(report) == "failure"
    assert [(each.path, each.line, each.level) for each in annotations_of(report, "ml/")] == [
        ("ml/cml.yaml", 9, "failure"),
        ("ml/cml.yaml", 12, "warning"),
    ]


def test_mode_check_publishes_a_file_as_a_check_run_and_no_comment(hub: Hub, workspace: Path) -> None:
    step = hub.step(
        workspace,
        {"mode": "check", "report": "report.md"},
        event=("pull_request", hub.fresh.pull_request_event()),
    )

    assert step.code == 0, step.log
    (found,) = hub.fresh.repo.get_commit(hub.fresh.head_sha).get_check_runs()
    assert (found.name, found.conclusion) == ("check", "success")
    assert "It is 97.6 %." in found.output.summary
    assert page(step.outputs["check-url"]) == page(found.html_url)
    assert step.outputs["comment-url"] == ""
    assert not list(hub.fresh.pull.get_issue_comments())


def test_a_comment_and_a_check_run_come_together_where_both_are_asked_for(hub: Hub, workspace: Path) -> None:
    step = hub.step(
        workspace,
        {"mode": "comment", "report": "report.md", "check": "true"},
        event=("pull_request", hub.fresh.pull_request_event()),
    )

    assert step.outputs["check-url"]
    assert step.outputs["comment-url"]


def test_files_are_committed_to_a_branch_and_proposed_with_the_report(hub: Hub) -> None:
    files = {
        "dvc.lock": Content(data=LOCK),
        "models/net.bin": Content(data=bytes(range(256))),
        "run.sh": Content(data=b"#!/bin/sh\n", executable=True),
    }

    opened = hub.propose(files=files)

    assert opened.outcome == "opened"
    pull = hub.fresh.repo.get_pull(opened.number)
    assert (pull.title, pull.body, pull.base.ref) == ("Results", "It is 97.6 %.", "main")
    assert page(opened.url) == page(pull.html_url)
    for path, content in files.items():
        assert hub.content(path) == content.data
    modes = {entry.path: entry.mode for entry in hub.fresh.repo.get_git_tree("cml-pr/main/results").tree}
    assert modes["run.sh"] == "100755"
    (commit,) = list(hub.fresh.repo.get_commits(sha="cml-pr/main/results"))[:1]
    assert commit.commit.message == "Add results"
    assert [parent.sha for parent in commit.parents] == [hub.fresh.base_sha]


def test_a_later_run_updates_the_same_pull_request_and_keeps_what_people_committed(hub: Hub) -> None:
    first = hub.propose()
    hub.fresh.repo.create_file("notes.md", "Mine", "by hand\n", branch="cml-pr/main/results")

    second = hub.propose(files={"dvc.lock": Content(data=b"newer\n")}, body="It is 98.1 %.")

    assert (second.outcome, second.number) == ("updated", first.number)
    assert hub.content("dvc.lock") == b"newer\n"
    assert hub.content("notes.md") == b"by hand\n"
    assert hub.fresh.repo.get_pull(first.number).body == "It is 98.1 %."


def test_a_run_that_changes_nothing_writes_nothing(hub: Hub) -> None:
    hub.propose()
    hub.proxy.calls.clear()

    assert hub.propose().outcome == "updated"
    assert {call.split()[0] for call in hub.proxy.calls} == {"GET"}


def test_files_that_the_base_has_already_open_no_pull_request(hub: Hub) -> None:
    hub.fresh.repo.create_file("dvc.lock", "Lock", LOCK.decode(), branch="main")

    opened = hub.propose()

    assert (opened.outcome, opened.url) == ("unchanged", "")
    assert opened.reason == "`main` holds these files already"


def test_a_branch_that_a_closed_pull_request_left_behind_starts_anew(hub: Hub) -> None:
    first = hub.propose()
    hub.fresh.repo.create_file("stale.md", "Stale", "old\n", branch="cml-pr/main/results")
    hub.fresh.repo.get_pull(first.number).edit(state="closed")

    second = hub.propose(files={"dvc.lock": Content(data=b"newer\n")})

    assert second.outcome == "opened"
    assert second.number != first.number
    assert "stale.md" not in [each.path for each in hub.fresh.repo.get_git_tree("cml-pr/main/results").tree]


def test_a_branch_that_somebody_named_keeps_what_is_on_it(hub: Hub) -> None:
    hub.fresh.repo.create_git_ref("refs/heads/models", hub.fresh.base_sha)
    hub.fresh.repo.create_file("notes.md", "Mine", "by hand\n", branch="models")

    opened = hub.propose(branch="models")

    assert opened.outcome == "opened"
    assert (hub.content("dvc.lock", "models"), hub.content("notes.md", "models")) == (LOCK, b"by hand\n")
    hub.fresh.repo.get_pull(opened.number).edit(state="closed")
    assert hub.propose(branch="models").outcome == "opened"  # with what is on it already


def test_what_others_changed_while_a_run_went_on_is_not_taken_back(hub: Hub) -> None:
    hub.fresh.repo.create_file("dvc.lock", "Theirs", "theirs\n", branch="main")

    hub.propose()

    (commit,) = list(hub.fresh.repo.get_commits(sha="cml-pr/main/results"))[:1]
    assert [parent.sha for parent in commit.parents] == [hub.fresh.base_sha]  # Git finds the conflict
    hub.propose(branch="later", revision=hub.fresh.repo.get_branch("main").commit.sha)
    assert hub.content("dvc.lock", "later") == LOCK


def test_files_that_a_run_left_as_they_were_are_not_proposed_over_newer_ones(hub: Hub) -> None:
    hub.fresh.repo.create_file("dvc.lock", "Lock", LOCK.decode(), branch="main")
    revision = hub.fresh.repo.get_branch("main").commit.sha
    held = hub.fresh.repo.get_contents("dvc.lock", ref="main")
    hub.fresh.repo.update_file("dvc.lock", "Theirs", "theirs\n", held.sha, branch="main")  # type: ignore[union-attr]

    assert hub.propose(revision=revision).outcome == "unchanged"


def test_a_commit_that_was_not_pushed_is_named(hub: Hub) -> None:
    with pytest.raises(OutsideError, match=r"The commit 1{7} is not on GitHub\."):
        hub.propose(revision="1" * 40)


def test_runs_at_the_same_moment_open_one_pull_request(hub: Hub) -> None:
    hub.proxy.meet("POST", "/pulls$", parties=2)

    with ThreadPoolExecutor(2) as pool:
        opened = list(pool.map(lambda _: hub.propose(), range(2)))

    assert len({each.number for each in opened}) == 1
    assert hub.fresh.repo.get_pulls(state="open", head="admin:cml-pr/main/results").totalCount == 1


def test_a_token_that_may_not_is_a_reason_with_the_setting_to_change(hub: Hub) -> None:
    assert "may not do that" in hub.propose(token=hub.emulator.workflow_token(contents="read")).reason
    message = "GitHub Actions is not permitted to create or approve pull requests."
    hub.proxy.fail("POST", "/pulls$", Fault(status=403, message=message))
    assert "allow it under Settings, Actions, General" in hub.propose().reason
    hub.proxy.fail("GET", "/pulls", Fault(status=403, message=NOT_ACCESSIBLE["message"]))
    assert hub.propose().outcome == "skipped"


def test_where_nothing_has_to_be_waited_for_it_is_merged_at_once(hub: Hub) -> None:
    opened = hub.propose(merge="squash")

    assert opened.merge == "merged"
    assert hub.fresh.repo.get_pull(opened.number).merged
    assert hub.content("dvc.lock", "main") == LOCK


def test_with_checks_to_wait_for_github_merges_later(hub: Hub) -> None:
    waiting = {"data": {"enablePullRequestAutoMerge": {"clientMutationId": None}}}
    hub.proxy.fail("POST", "/graphql", Fault(status=200, message=waiting))

    opened = hub.propose(merge="merge")

    assert opened.merge == "waiting"
    assert not hub.fresh.repo.get_pull(opened.number).merged


def test_a_merge_that_github_refuses_is_a_reason_and_the_pull_request_stays(hub: Hub) -> None:
    hub.proxy.fail("PUT", "/merge", Fault(status=405, message="2 of 2 required checks are expected."))

    opened = hub.propose(merge="rebase")

    assert opened.url
    assert "it was not merged: the token may not do that (2 of 2 required checks" in opened.reason


def test_what_turns_on_auto_merge_is_what_githubs_schema_takes() -> None:
    sent = {"input": {"pullRequestId": "PR_1", "mergeMethod": "SQUASH"}}

    assert faults_of_operation(pullrequest.AUTO_MERGE, sent) == []


def test_each_title_and_branch_has_a_branch_of_its_own() -> None:
    titles = ["train", "Train", "train!", "", "a" * 100, "a" * 101, "データ"]

    branches = {branch_for(title, base) for title in titles for base in ("main", "dev")}
    assert len(branches) == 2 * len(titles)
    assert branch_for("train", "main") == "cml-pr/main/train"


def test_mode_pr_proposes_files_of_the_workspace_against_the_branch_of_the_run(
    hub: Hub, workspace: Path
) -> None:
    inputs = {"mode": "pr", "report": "report.md", "title": "New results", "files": "dvc.lock"}
    pushed = {"event": ("push", {}), "environ": {"GITHUB_REF": "refs/heads/main"}}

    step = hub.step(workspace, inputs, **pushed)

    assert step.code == 0, step.log
    (pull,) = hub.fresh.repo.get_pulls(
        state="open", base="main", head="admin:" + branch_for("New results", "main")
    )
    assert page(step.outputs["pr-url"]) == page(pull.html_url)
    assert pull.title == "New results"
    assert "It is 97.6 %." in pull.body
    stacked = hub.step(
        workspace, inputs, event=("push", {}), environ={"GITHUB_REF": f"refs/heads/{pull.head.ref}"}
    )
    assert stacked.code == 0
    assert "is the branch of a pull request that cml-action opened itself." in stacked.log
    assert stacked.outputs["pr-url"] == ""


def test_a_file_of_a_checkout_with_a_path_keeps_its_place_in_the_repository(
    hub: Hub, workspace: Path
) -> None:
    (workspace / "repo" / ".git").mkdir(parents=True)
    (workspace / "dvc.lock").rename(workspace / "repo" / "dvc.lock")
    pushed = {"event": ("push", {}), "environ": {"GITHUB_REF": "refs/heads/main"}}

    step = hub.step(workspace, {"mode": "pr", "working-directory": "repo"}, **pushed)

    assert step.code == 0, step.log
    assert hub.content("dvc.lock", branch_for("pr", "main")) == LOCK


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("nope.lock", "`nope.lock` (input `files`) names no file."),
        ("../secret", "`../secret` (input `files`) leaves the repository."),
        (".git/config", "`.git/config` (input `files`) leaves the repository."),
    ],
)
def test_files_that_cannot_be_proposed_are_named(hub: Hub, workspace: Path, files: str, said: str) -> None:
    (workspace.parent / "secret").write_text("secret")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("[remote]")

    step = hub.step(workspace, {"mode": "pr", "files": files})

    assert step.code == 2
    assert said in step.log
