"""What started this run: the event, its repository and its revisions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What `base` means where the event names nothing to compare with.
PARENT = "HEAD^"

# A branch of the merge queue holds the number of the pull request that it is about to merge:
# refs/heads/gh-readonly-queue/main/pr-104-0123456789abcdef…
_QUEUE_REF = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-([1-9]\d*)-[0-9a-f]+")


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the runner says about this run.

    The names are those of GitHub's default environment variables without `GITHUB_`. A run outside of GitHub
    has an empty `name`, and every other text may be empty as well.

    :param name: `pull_request`, `push`, …
    :param payload: the event as GitHub describes it ("Webhook events and payloads").
    :param repository: `owner/name`.
    :param sha: the revision that the runner checks out; for a pull request that is a merge commit which
        nobody knows: see `head_revision`.
    :param run_id: 0 outside of GitHub; later runs have higher numbers. `run_attempt` counts from 1.
    """

    name: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    repository: str = ""
    ref: str = ""
    sha: str = ""
    server_url: str = "https://github.com"
    api_url: str = "https://api.github.com"
    workflow: str = ""
    job: str = ""
    actor: str = ""
    run_id: int = 0
    run_attempt: int = 0

    @property
    def run_url(self) -> str:
        """The page of this run (of this attempt, where it is not the first), or nothing."""
        if not self.run_id or not self.repository:
            return ""
        page = f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"
        return f"{page}/attempts/{self.run_attempt}" if self.run_attempt > 1 else page


def read_event(environ: Mapping[str, str]) -> Event:
    """Read the event from a runner's environment variables and from the file that they name.

    :raises UsageError: the file is not there or does not hold a JSON object.
    """
    path = environ.get("GITHUB_EVENT_PATH", "")
    defaults = Event()
    return Event(
        name=environ.get("GITHUB_EVENT_NAME", ""),
        payload=_read_payload(path) if path else {},
        repository=environ.get("GITHUB_REPOSITORY", ""),
        ref=environ.get("GITHUB_REF", ""),
        sha=environ.get("GITHUB_SHA", ""),
        server_url=(environ.get("GITHUB_SERVER_URL") or defaults.server_url).rstrip("/"),
        api_url=(environ.get("GITHUB_API_URL") or defaults.api_url).rstrip("/"),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        job=environ.get("GITHUB_JOB", ""),
        actor=environ.get("GITHUB_ACTOR", ""),
        run_id=_number(environ, "GITHUB_RUN_ID"),
        run_attempt=_number(environ, "GITHUB_RUN_ATTEMPT"),
    )


def pull_request_number(event: Event) -> int | None:
    """Return the number of the pull request that the event itself names."""
    issue = event.payload.get("issue")
    if isinstance(issue, dict) and "pull_request" in issue:  # a comment on a pull request is `issue_comment`
        return _whole(issue.get("number"))
    if event.name == "merge_group":
        queue = _QUEUE_REF.fullmatch(_text(event, "merge_group", "head_ref") or event.ref)
        return int(queue.group(1)) if queue else None
    return _whole(_at(event.payload, "pull_request", "number"))


def head_revision(event: Event) -> str:
    """Return the revision that people mean: a pull request's last commit, not its merge commit."""
    return (
        _text(event, "pull_request", "head", "sha")
        or _text(event, "merge_group", "head_sha")
        or _text(event, "workflow_run", "head_sha")  # the run that was waited for, not the default branch
        or event.sha
    )


def base_revision(event: Event) -> str:
    """Return what to compare with where nobody says: the base of the change, else the parent commit.

    A pull request has its base's revision, a merge group too; a push has what the branch was `before`, which
    is all zeros where the branch is new.
    """
    base = _text(event, "pull_request", "base", "sha") or _text(event, "merge_group", "base_sha")
    if not base and event.name == "push":
        base = _text(event, "before").strip("0") and _text(event, "before")
    return base or PARENT


def base_name(event: Event) -> str:
    """Return the branch that `base_revision` is of; nothing where the event does not say."""
    name = _text(event, "pull_request", "base", "ref") or _text(event, "merge_group", "base_ref")
    return name.removeprefix("refs/heads/")


def head_commit(event: Event) -> str:
    """Return the commit of `head_name` that the run began at; `workflow_run` works on the default branch."""
    return _text(event, "pull_request", "head", "sha") or event.sha


def head_name(event: Event) -> str:
    """Return the branch that the run works on: a pull request's own; `refs/tags/…` where it is a tag."""
    return _text(event, "pull_request", "head", "ref") or event.ref.removeprefix("refs/heads/")


def on_default_branch(event: Event) -> bool:
    """Tell whether the run is of the default branch, as far as the event says which one that is."""
    default = _text(event, "repository", "default_branch")
    # A scheduled run's payload names no repository, and it is always of the default branch.
    return event.name == "schedule" or (bool(default) and event.ref == f"refs/heads/{default}")


def is_fork(event: Event) -> bool:
    """Tell whether the pull request comes from another repository: its token may then only read."""
    if _at(event.payload, "pull_request") is None:
        return False
    head = _text(event, "pull_request", "head", "repo", "full_name")  # nothing: the fork has been deleted
    return head != _text(event, "pull_request", "base", "repo", "full_name")


def _read_payload(path: str) -> dict[str, Any]:
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The event's file, GITHUB_EVENT_PATH={path}, could not be read: {error}",
            "On a runner this file is GitHub's own; in a container, mount its folder. "
            "Elsewhere, unset GITHUB_EVENT_PATH.",
        ) from error
    if not isinstance(payload, dict):
        raise UsageError(
            f"The event's file, GITHUB_EVENT_PATH={path}, does not hold a JSON object",
            "Give the event as GitHub describes it, or unset GITHUB_EVENT_PATH.",
        )
    return payload


def _at(payload: Mapping[str, Any], *keys: str) -> Any:
    found: Any = payload
    for key in keys:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def _text(event: Event, *keys: str) -> str:
    found = _at(event.payload, *keys)
    return found if isinstance(found, str) else ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
