from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cml_action.errors import UsageError
from cml_action.event import (
    Event,
    base_revision,
    head_commit,
    head_name,
    head_revision,
    is_fork,
    pull_request_number,
    read_event,
)

if TYPE_CHECKING:
    from pathlib import Path

BASE, HEAD, MERGE = "b" * 40, "a" * 40, "c" * 40
ZEROS = "0" * 40


def pull_request(head_repo: str | None = "o/r") -> dict[str, Any]:
    return {
        "action": "synchronize",
        "number": 12,
        "pull_request": {
            "number": 12,
            "head": {"sha": HEAD, "ref": "topic", "repo": {"full_name": head_repo} if head_repo else None},
            "base": {"sha": BASE, "ref": "main", "repo": {"full_name": "o/r"}},
        },
    }


MERGE_GROUP = {
    "action": "checks_requested",
    "merge_group": {
        "head_sha": HEAD,
        "head_ref": f"refs/heads/gh-readonly-queue/release/1.0/pr-104-{BASE}",
        "base_sha": BASE,
        "base_ref": "refs/heads/release/1.0",
    },
}


def event(name: str, payload: dict[str, Any] | None = None, **fields: Any) -> Event:
    return Event(name=name, payload=payload or {}, sha=MERGE, repository="o/r", **fields)


def test_the_runners_environment_becomes_an_event(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(pull_request()))

    read = read_event(
        {
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_REF": "refs/pull/12/merge",
            "GITHUB_SHA": MERGE,
            "GITHUB_SERVER_URL": "https://ghe.example.com/",
            "GITHUB_API_URL": "https://ghe.example.com/api/v3",
            "GITHUB_WORKFLOW": "Data",
            "GITHUB_JOB": "stats",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_RUN_ID": "1658821493",
            "GITHUB_RUN_ATTEMPT": "2",
        }
    )

    assert pull_request_number(read) == 12
    assert read.api_url == "https://ghe.example.com/api/v3"
    assert read.run_url == "https://ghe.example.com/o/r/actions/runs/1658821493/attempts/2"
    assert (read.job, read.actor, read.workflow) == ("stats", "octocat", "Data")


def test_outside_of_github_the_event_is_neutral() -> None:
    assert read_event({}) == Event()
    assert Event().run_url == ""


def test_the_first_attempt_has_the_runs_own_page() -> None:
    first = event("push", run_id=5, run_attempt=1)

    assert first.run_url == "https://github.com/o/r/actions/runs/5"


@pytest.mark.parametrize("text", ["{", "[1]", "\x00", ""])
def test_a_broken_event_is_a_usage_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "event.json"
    path.write_text(text)

    with pytest.raises(UsageError, match="GITHUB_EVENT_PATH") as caught:
        read_event({"GITHUB_EVENT_PATH": str(path)})

    assert str(path) in caught.value.what


def test_an_event_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        read_event({"GITHUB_EVENT_PATH": str(tmp_path / "event.json")})

    assert "container" in caught.value.fix


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (event("pull_request", pull_request()), 12),
        (event("pull_request_target", pull_request()), 12),
        (event("pull_request_review", pull_request()), 12),
        (event("issue_comment", {"issue": {"number": 7, "pull_request": {"url": "…"}}}), 7),
        (event("issue_comment", {"issue": {"number": 7}}), None),
        (event("merge_group", MERGE_GROUP), 104),
        (event("merge_group", ref=f"refs/heads/gh-readonly-queue/main/pr-3-{BASE}"), 3),
        (event("merge_group", ref="refs/heads/main"), None),
        (event("push", {"before": BASE, "after": HEAD}), None),
        (event("schedule", {"schedule": "0 0 * * *"}), None),
        (event("pull_request", {"pull_request": "not an object"}), None),
        (event("pull_request", {"pull_request": {"number": "12"}}), None),
    ],
)
def test_the_number_of_the_pull_request(found: Event, number: int | None) -> None:
    assert pull_request_number(found) == number


@pytest.mark.parametrize(
    ("found", "head", "base"),
    [
        (event("pull_request", pull_request()), HEAD, BASE),
        (event("pull_request_target", pull_request()), HEAD, BASE),
        (event("merge_group", MERGE_GROUP), HEAD, BASE),
        (event("push", {"before": BASE, "after": MERGE}), MERGE, BASE),
        (event("push", {"before": ZEROS, "after": MERGE, "created": True}), MERGE, "HEAD^"),
        (event("push"), MERGE, "HEAD^"),
        (event("workflow_dispatch", {"inputs": {}}), MERGE, "HEAD^"),
        (event("repository_dispatch", {"client_payload": {"before": BASE}}), MERGE, "HEAD^"),
        (Event(), "", "HEAD^"),
    ],
)
def test_the_revision_that_people_mean_and_what_it_is_compared_with(
    found: Event, head: str, base: str
) -> None:
    assert (head_revision(found), base_revision(found)) == (head, base)


def test_a_run_after_another_one_works_on_the_default_branch_as_it_was() -> None:
    after = event("workflow_run", {"workflow_run": {"head_sha": HEAD}}, ref="refs/heads/main")

    assert (head_name(after), head_commit(after)) == ("main", MERGE)
    assert head_commit(event("pull_request", pull_request())) == HEAD


@pytest.mark.parametrize(
    ("found", "fork"),
    [
        (event("pull_request", pull_request("o/r")), False),
        (event("pull_request", pull_request("stranger/r")), True),
        (event("pull_request", pull_request(None)), True),
        (event("push", {"before": BASE}), False),
    ],
)
def test_a_fork_is_a_head_in_another_repository(found: Event, fork: bool) -> None:  # noqa: FBT001
    assert is_fork(found) is fork
