"""Where a `cml` command works: which repository, which server, whose token, which commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cml_action.cml.asked import read
from cml_action.cml.flags import COMMANDS
from cml_action.cml.watermark import is_in, label
from cml_action.cml.where import Where, find
from cml_action.errors import UsageError
from cml_action.event import Event
from cml_action.publish.place import Commit, Issue, PullRequestOfCommit
from tests.services.projects import run

if TYPE_CHECKING:
    from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"
CREATE = next(command for command in COMMANDS if command.name == "comment create")
JOB = {"GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": SHA, "GITHUB_EVENT_NAME": "push", "REPO_TOKEN": "t"}


def where(folder: Path, environ: dict[str, str] | None = None, **typed: str) -> Where:
    given = {name.replace("_", "-"): value for name, value in typed.items()}
    environ = JOB if environ is None else environ
    return find(read(CREATE, given, (), environ), environ, folder)


@pytest.mark.parametrize(
    ("repo", "name", "api_url"),
    [
        ("https://github.com/o/r", "o/r", "https://api.github.com"),
        ("https://github.com/o/r.git", "o/r", "https://api.github.com"),
        ("https://github.com/o/r/", "o/r", "https://api.github.com"),
        ("https://x-access-token:secret@github.com/o/r", "o/r", "https://api.github.com"),
        ("git@github.com:o/r.git", "o/r", "https://api.github.com"),
        ("ssh://git@github.com/o/r.git", "o/r", "https://api.github.com"),
        ("o/r", "o/r", "https://api.github.com"),
        ("https://git.example.com/o/r", "o/r", "https://git.example.com/api/v3"),
        ("http://git.example.com:8080/o/r", "o/r", "http://git.example.com:8080/api/v3"),
    ],
)
def test_a_repository_may_be_named_in_every_usual_way(
    tmp_path: Path, repo: str, name: str, api_url: str
) -> None:
    found = where(tmp_path, repo=repo)

    assert (found.repository, found.api_url) == (name, api_url)
    assert "secret" not in repr(found)


def test_a_job_works_on_its_own_repository_and_a_laptop_on_that_of_the_remote(tmp_path: Path) -> None:
    run(["git", "init", "--quiet"], tmp_path)
    run(["git", "remote", "add", "origin", "git@github.com:me/mine.git"], tmp_path)

    assert where(tmp_path).repository == "o/r"
    assert where(tmp_path, {"REPO_TOKEN": "t"}).repository == "me/mine"


def test_a_job_on_an_enterprise_server_uses_the_api_that_the_runner_names(tmp_path: Path) -> None:
    server = {"GITHUB_SERVER_URL": "https://ghe.local", "GITHUB_API_URL": "https://ghe.local/api/v3"}

    assert where(tmp_path, {**JOB, **server}).api_url == "https://ghe.local/api/v3"
    assert where(tmp_path, {**JOB, **server}, repo="x/y").api_url == "https://ghe.local/api/v3"


@pytest.mark.parametrize(
    ("environ", "token"),
    [
        ({"REPO_TOKEN": "a", "repo_token": "b", "GITHUB_TOKEN": "c"}, "a"),
        ({"repo_token": "b", "GITHUB_TOKEN": "c"}, "b"),
        ({"REPO_TOKEN": "", "GITHUB_TOKEN": "c"}, "c"),
        ({"GITLAB_TOKEN": "d"}, ""),
    ],
)
def test_tokens_are_looked_for_in_cmls_order(tmp_path: Path, environ: dict[str, str], token: str) -> None:
    assert where(tmp_path, {"GITHUB_REPOSITORY": "o/r", **environ}).token == token


def test_a_token_that_was_typed_goes_before_all_others(tmp_path: Path) -> None:
    assert where(tmp_path, driver_token="typed").token == "typed"


@pytest.mark.parametrize(
    "environ",
    [
        {"CI_PROJECT_URL": "https://gitlab.example.com/o/r"},
        {"BITBUCKET_REPO_UUID": "{1}"},
    ],
)
def test_other_providers_are_told_that_only_github_is_served(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="serves GitHub only"):
        where(tmp_path, environ)


def test_without_any_repository_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        where(tmp_path, {})

    assert "--repo https://github.com/owner/name" in caught.value.fix


def event_file(folder: Path, payload: dict[str, object]) -> dict[str, str]:
    (folder / "event.json").write_text(json.dumps(payload))
    return {**JOB, "GITHUB_EVENT_PATH": str(folder / "event.json")}


def test_a_pull_requests_comment_belongs_to_it_and_its_commit_is_the_head(tmp_path: Path) -> None:
    head = "f" * 40
    environ = event_file(tmp_path, {"pull_request": {"number": 7, "head": {"sha": head, "ref": "topic"}}})
    found = where(tmp_path, {**environ, "GITHUB_EVENT_NAME": "pull_request"})

    assert found.place("") == found.place("auto") == found.place("pr") == Issue(number=7)
    assert found.place("commit") == Commit(sha=head)
    assert found.branch == "topic"


def test_another_runs_comment_belongs_to_the_pull_request_of_its_commit_else_to_the_commit(
    tmp_path: Path,
) -> None:
    found = where(tmp_path)

    assert found.place("") == PullRequestOfCommit(sha=SHA, else_commit=True)
    assert found.place("pr") == PullRequestOfCommit(sha=SHA, else_commit=False)
    assert found.place("COMMIT/abcdef0") == Commit(sha="abcdef0")
    assert found.place("Issue/12") == Issue(number=12)


def test_a_short_commit_is_made_whole_where_the_clone_has_it(tmp_path: Path) -> None:
    run(["git", "init", "--quiet"], tmp_path)
    me = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    run(["git", *me, "commit", "--quiet", "--allow-empty", "-m", "First"], tmp_path)
    whole = run(["git", "rev-parse", "HEAD"], tmp_path).strip()

    assert where(tmp_path).place(f"commit/{whole[:8]}") == Commit(sha=whole)


@pytest.mark.parametrize("target", ["mr/1", "pr/", "pr/x", "pr/0", "commit/", "commit/xyz", "issue", "7"])
def test_a_target_that_is_none_is_answered_with_those_that_are(tmp_path: Path, target: str) -> None:
    with pytest.raises(UsageError) as caught:
        where(tmp_path).place(target)

    assert f"`--target` is `{target}`" in caught.value.what
    assert "`pr/42`" in caught.value.fix


def test_a_label_has_the_workflow_and_the_run_in_it() -> None:
    event = Event(workflow="train", run_id=100)

    assert label("", event) == "CML watermark"
    assert label("{workflow}-{run}", event) == "CML watermark train-100"


@pytest.mark.parametrize(
    ("body", "wanted", "found"),
    [
        (f'text\n\n![](https://cml.dev/watermark.png#{SHA} "CML watermark")', "CML watermark", True),
        (f'text\r\n\r\n![](https://cml.dev/watermark.png#{SHA} "CML watermark")\r\n', "CML watermark", True),
        ('text\n\n![](https://cml.dev/watermark.png "CML watermark")', "CML watermark", True),
        ('text\n\n![](https://cml.dev/watermark.png#0a "CML watermark x")', "CML watermark", False),
        ('![](https://cml.dev/watermark.png#0a "CML watermark")\n\ntext', "CML watermark", False),
        ('text\n\n`![](https://cml.dev/watermark.png#0a "CML watermark")`', "CML watermark", False),
        ('text\n\n![](https://cml.dev.evil/watermark.png "CML watermark")', "CML watermark", False),
        ("<!-- cml-action: CML watermark -->\n\ntext", "CML watermark", True),
        ("text\n<!-- cml-action: CML watermark -->", "CML watermark", False),
        ("", "CML watermark", False),
    ],
)
def test_only_the_first_line_and_the_last_can_hold_a_mark(body: str, wanted: str, *, found: bool) -> None:
    assert is_in(body, wanted) is found
