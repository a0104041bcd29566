"""Where a comment belongs. Every rule about that stands here; nothing here talks to GitHub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from cml_action.errors import UsageError
from cml_action.event import Event, head_revision, pull_request_number

_ALLOWED = "`auto`, `false`, `pr`, `pr/42`, `commit`, `commit/SHA` (all 40 digits) or `issue/7`"
_NUMBERED = re.compile(r"(?:pr|issue)/([1-9][0-9]{0,9})")
_COMMIT = re.compile(r"commit/([0-9a-f]{40}|[0-9a-f]{64})")
# A run of these events belongs to a commit that somebody just made or chose.
_ABOUT_A_COMMIT = frozenset({"push", "workflow_dispatch"})


@dataclass(frozen=True, kw_only=True)
class Issue:
    """The discussion of an issue or a pull request: GitHub numbers and serves both the same."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The comments below one commit."""

    sha: str


@dataclass(frozen=True, kw_only=True)
class PullRequestOfCommit:
    """The open pull request whose head is that commit, which GitHub has to be asked for.

    :param else_commit: without one, the commit itself is the place; otherwise there is none.
    """

    sha: str
    else_commit: bool


@dataclass(frozen=True, kw_only=True)
class Nowhere:
    """No comment, and why."""

    reason: str


Place: TypeAlias = "Issue | Commit | PullRequestOfCommit | Nowhere"


def find_place(event: Event, asked: str) -> Place:
    """Return where to leave the comment.

    :param asked: the input `comment`: `auto`, `false`, `pr`, `pr/42`, `commit`, `commit/SHA`, `issue/7`.
    :raises UsageError: `asked` is something else, or needs a commit and none is known.
    """
    if asked == "auto":
        return _auto(event)
    if asked == "false":
        return Nowhere(reason="no comment was asked for (`comment: false`)")
    if asked == "pr":
        number = pull_request_number(event)
        return (
            Issue(number=number) if number else PullRequestOfCommit(sha=_sha(event, asked), else_commit=False)
        )
    if asked == "commit":
        return Commit(sha=_sha(event, asked))
    if numbered := _NUMBERED.fullmatch(asked):
        return Issue(number=int(numbered.group(1)))
    if commit := _COMMIT.fullmatch(asked.lower()):
        return Commit(sha=commit.group(1))
    raise UsageError(f"The input `comment` is {asked!r}", f"Set `comment` to {_ALLOWED}.")


def _auto(event: Event) -> Place:
    number = pull_request_number(event)
    if number:
        return Issue(number=number)
    if not event.name:
        return Nowhere(reason="this run was not started by GitHub")
    sha = head_revision(event)
    if event.name in _ABOUT_A_COMMIT and sha:
        return PullRequestOfCommit(sha=sha, else_commit=True)
    return Nowhere(reason=f"a run of `{event.name}` has no pull request; the job summary holds the report")


def _sha(event: Event, asked: str) -> str:
    sha = head_revision(event)
    if not sha:
        raise UsageError(
            f"`comment: {asked}` needs a commit, and this run knows none",
            "Name the place: `pr/42`, `commit/SHA` or `issue/7`.",
        )
    return sha
