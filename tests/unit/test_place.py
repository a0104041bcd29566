from __future__ import annotations

from typing import Any

import pytest

from cml_action.errors import UsageError
from cml_action.event import Event
from cml_action.publish.place import Commit, Issue, Nowhere, Place, PullRequestOfCommit, find_place

HEAD, MERGE = "a" * 40, "c" * 40
PULL = {"number": 12, "head": {"sha": HEAD}, "base": {"sha": "b" * 40}}
QUEUED = {"merge_group": {"head_sha": HEAD, "head_ref": f"refs/heads/gh-readonly-queue/main/pr-104-{MERGE}"}}


def event(name: str, payload: dict[str, Any] | None = None) -> Event:
    return Event(name=name, payload=payload or {}, sha=MERGE, repository="o/r")


@pytest.mark.parametrize(
    ("name", "payload", "place"),
    [
        ("pull_request", {"pull_request": PULL}, Issue(number=12)),
        ("pull_request_target", {"pull_request": PULL}, Issue(number=12)),
        ("pull_request_review", {"pull_request": PULL}, Issue(number=12)),
        ("issue_comment", {"issue": {"number": 7, "pull_request": {}}}, Issue(number=7)),
        ("merge_group", QUEUED, Issue(number=104)),
        ("push", {"before": HEAD}, PullRequestOfCommit(sha=MERGE, else_commit=True)),
        ("workflow_dispatch", {"inputs": None}, PullRequestOfCommit(sha=MERGE, else_commit=True)),
    ],
)
def test_auto_finds_the_place_of_an_event(name: str, payload: dict[str, Any], place: Place) -> None:
    assert find_place(event(name, payload), "auto") == place


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("schedule", {"schedule": "0 4 * * *"}),
        ("repository_dispatch", {"action": "staging", "client_payload": {}}),
        ("issue_comment", {"issue": {"number": 7}}),
        ("release", {"action": "published"}),
        ("merge_group", {"merge_group": {"head_ref": "refs/heads/unheard-of", "head_sha": HEAD}}),
    ],
)
def test_auto_leaves_no_comment_where_there_is_no_discussion(name: str, payload: dict[str, Any]) -> None:
    place = find_place(event(name, payload), "auto")

    assert isinstance(place, Nowhere)
    assert f"`{name}`" in place.reason
    assert "job summary" in place.reason


def test_a_run_outside_of_github_leaves_no_comment_unless_asked() -> None:
    assert find_place(Event(), "auto") == Nowhere(reason="this run was not started by GitHub")
    assert find_place(Event(), "pr/42") == Issue(number=42)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("pr", Issue(number=12)),
        ("pr/42", Issue(number=42)),
        ("issue/7", Issue(number=7)),
        ("commit", Commit(sha=HEAD)),
        (f"commit/{MERGE}", Commit(sha=MERGE)),
        (f"commit/{MERGE.upper()}", Commit(sha=MERGE)),
        ("false", Nowhere(reason="no comment was asked for (`comment: false`)")),
    ],
)
def test_what_is_asked_comes_before_what_the_event_says(asked: str, place: Place) -> None:
    assert find_place(event("pull_request", {"pull_request": PULL}), asked) == place


def test_pr_on_a_push_is_looked_up_and_nothing_stands_in_for_it() -> None:
    assert find_place(event("push"), "pr") == PullRequestOfCommit(sha=MERGE, else_commit=False)


@pytest.mark.parametrize("asked", ["pr", "commit"])
def test_a_place_that_needs_a_commit_where_none_is_known_is_a_usage_error(asked: str) -> None:
    with pytest.raises(UsageError, match="knows none") as caught:
        find_place(Event(), asked)

    assert "pr/42" in caught.value.fix


@pytest.mark.parametrize(
    "asked",
    [
        *("", "true", "False", "AUTO", "pull", "issue", "issue/x"),
        *("pr/", "pr/0", "pr/-1", "pr/1/2", "pr/4 2", "pr/42\n", "pr/٤٢"),
        *("commit/", "commit/abc", "commit/main", "commit/" + "g" * 40),
    ],
)
def test_anything_else_is_a_usage_error_that_lists_what_is_allowed(asked: str) -> None:
    with pytest.raises(UsageError, match="`comment`") as caught:
        find_place(event("push"), asked)

    for allowed in ("auto", "false", "pr", "pr/42", "commit", "commit/SHA", "issue/7"):
        assert f"`{allowed}`" in caught.value.fix
