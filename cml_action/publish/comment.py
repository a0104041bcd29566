"""One comment for each title: found by a hidden marker, updated in place, one even when two jobs race."""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, TypeAlias

from github import GithubException, UnknownObjectException

from cml_action.event import head_revision
from cml_action.github import complete, github_errors, may_not_write, why_not
from cml_action.publish.place import Commit, Issue, Nowhere, Place, PullRequestOfCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import github.Commit
    import github.Issue
    from github.CommitComment import CommitComment
    from github.IssueComment import IssueComment
    from github.Repository import Repository

    from cml_action.event import Event

    Thread: TypeAlias = github.Issue.Issue | github.Commit.Commit
    _Comment: TypeAlias = IssueComment | CommitComment

#: GitHub's limit, in characters.
LIMIT = 65_536
#: How much of it a body may use: the hidden lines before it take at most the rest.
MAX_BODY = LIMIT - 500

_KEY_LENGTH = 100
# What may stand in an HTML comment and means nothing to Markdown, not even a mention.
_UNSAFE = re.compile(r"[^\w .,:;/+()=%&-]")
_RUN = re.compile(r"<!-- cml-action run=(\d+) attempt=(\d+) commit=[0-9a-f]* -->")
# "GitHub's token formats": `ghs_` begins the token of an App's installation, GITHUB_TOKEN among them.
_OF_AN_APP = "ghs_"
#: Why a comment was left alone.
LATER = "a later run has left its comment already"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What became of the comment.

    :param outcome: `unchanged`: it said the same already; `skipped`: `reason` says why, for a notice.
    :param url: the comment's page; empty where there is none.
    """

    outcome: Literal["created", "updated", "unchanged", "skipped"]
    url: str = ""
    reason: str = ""


def leave_comment(repo: Repository, place: Place, *, title: str, body: str, event: Event) -> Left:
    """Leave `body` as the one comment of `title`: update it where it exists, create it where it does not.

    Only comments of this token's own author are touched: anybody may paste a marker. A run never replaces
    what a later run said. Where two runs create at once, the comment with the lowest id stays, and shows the
    later run. (GitHub has no conditional write: between reading a comment and replacing it another run may
    come first. The window is one request.)

    :param repo: of `cml_action.github.connect`; it may be lazy.
    :param title: the key of the comment.
    :param body: Markdown, at most `MAX_BODY` characters.
    :param event: gives the run and its revision.
    :raises ValueError: the body is longer.
    :raises OutsideError: GitHub cannot be reached, or refuses the token altogether.
    """
    if len(body) > MAX_BODY:
        raise ValueError(f"A comment's body has at most {MAX_BODY} characters, not {len(body)}")
    if isinstance(place, Nowhere):
        return Left(outcome="skipped", reason=place.reason)
    with github_errors("leave the comment"):
        try:
            return complete(lambda: _leave(repo, place, title, body, event))
        except GithubException as error:
            if not may_not_write(error):
                raise
            return Left(outcome="skipped", reason=why_not(error))


def marker(title: str) -> str:
    """Return the hidden line by which the comment of a title is found again; no two titles share one."""
    key = re.sub(r"--+", "-", _UNSAFE.sub("_", " ".join(title.split())))[:_KEY_LENGTH].strip(" -")
    if key != title:  # `#` is unsafe: no title can spell another's hash
        key += f" #{hashlib.sha256(title.encode(errors='surrogatepass')).hexdigest()[:12]}"
    return f"<!-- cml-action: {key} -->"


def _leave(repo: Repository, place: Place, title: str, body: str, event: Event) -> Left:
    if isinstance(place, PullRequestOfCommit):
        place = look_up(repo, place)
    if isinstance(place, Nowhere):
        return Left(outcome="skipped", reason=place.reason)
    thread: Thread
    thread = repo.get_issue(place.number) if isinstance(place, Issue) else repo.get_commit(place.sha)
    mark = marker(title)
    text = f"{mark}\n{run_line(event)}\n{body}"

    found = own_comments(repo, _marked(thread, mark))
    if any(run_of(comment) > this_run(event) for comment in found):
        return Left(outcome="skipped", url=found[0].html_url, reason=LATER)
    for kept in found:
        left = _update(kept, text)
        if left:
            remove([comment for comment in found if comment.id > kept.id])
            return left
    return _create(thread, mark, text, event)


def run_line(event: Event) -> str:
    """Return the hidden line that says which run left a comment, and for which commit."""
    sha = head_revision(event)
    commit = sha if re.fullmatch("[0-9a-f]*", sha) else ""
    return f"<!-- cml-action run={event.run_id} attempt={event.run_attempt} commit={commit} -->"


def look_up(
    repo: Repository, place: PullRequestOfCommit, *, moved_on: bool = False
) -> Issue | Commit | Nowhere:
    """Ask GitHub for the open pull request of a commit; the commit itself, or nowhere, without one.

    :param moved_on: where the commit is no pull request's head, one that holds it will do.
    """
    try:
        found = [pull for pull in repo.get_commit(place.sha).get_pulls() if pull.state == "open"]
        pulls = [pull.number for pull in found if pull.head.sha == place.sha]
        if moved_on and not pulls:
            pulls = [pull.number for pull in found]
    except GithubException as error:
        # 422: GitHub does not know the commit; 403 and 404: the token may not ask.
        if not may_not_write(error) and error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            raise
        pulls = []
    if pulls:
        return Issue(number=min(pulls))
    if place.else_commit:
        return Commit(sha=place.sha)
    held = "among its commits" if moved_on else "as its head"
    return Nowhere(reason=f"no open pull request has {place.sha[:7]} {held}")


def _marked(thread: Thread, mark: str) -> list[_Comment]:
    """Return the comments that begin with the marker, the oldest first, without those of deleted accounts."""
    found: list[_Comment] = [
        comment
        for comment in thread.get_comments()
        if (comment.body or "").startswith(mark) and comment.user is not None
    ]
    return sorted(found, key=lambda comment: comment.id)


def own_comments(repo: Repository, comments: Sequence[_Comment]) -> list[_Comment]:
    """Return those of the token's own author; GitHub is asked who that is only where it matters."""
    if not comments:
        return []
    login = _login(repo)
    if login:
        return [comment for comment in comments if comment.user.login == login]
    return [comment for comment in comments if comment.user.type == "Bot"]


def _login(repo: Repository) -> str:
    """Return the name of the token's user; empty for an App, which may not ask and writes as a bot."""
    auth = repo.requester.auth
    if auth is not None and auth.token.startswith(_OF_AN_APP):
        return ""
    try:
        _, user = repo.requester.requestJsonAndCheck("GET", "/user")
    except GithubException as error:
        if not may_not_write(error):
            raise
        return ""
    return str(user["login"])


def _create(thread: Thread, mark: str, text: str, event: Event) -> Left:
    mine = thread.create_comment(text)
    # Somebody may have done the same since we looked; so may we, where the answer to a first attempt was
    # lost. Everybody keeps the lowest id, and the rest goes.
    rivals = [comment for comment in _marked(thread, mark) if comment.user.login == mine.user.login]
    left: Left | None
    for winner in rivals:
        if winner.id == mine.id:
            break
        if says(winner, text):
            left = Left(outcome="created", url=winner.html_url)
        else:
            left = _update(winner, text) if run_of(winner) < this_run(event) else _lost(winner, event)
        if left:
            remove([comment for comment in rivals if comment.id > winner.id])
            return left
    remove([comment for comment in rivals if comment.id > mine.id])
    return Left(outcome="created", url=mine.html_url)


def _lost(winner: _Comment, event: Event) -> Left:
    if run_of(winner) > this_run(event):
        return Left(outcome="skipped", url=winner.html_url, reason=LATER)
    return Left(
        outcome="skipped",
        url=winner.html_url,
        reason="another job of this run left a comment of the same title at the same moment; "
        "give each of them its own `title`",
    )


def _update(comment: _Comment, text: str) -> Left | None:
    """Replace what the comment says; nothing where it has been deleted meanwhile."""
    if says(comment, text):
        return Left(outcome="unchanged", url=comment.html_url)
    try:
        comment.edit(text)
    except UnknownObjectException:
        return None
    return Left(outcome="updated", url=comment.html_url)


def says(comment: _Comment, text: str) -> bool:
    """Tell whether a comment says that already, as GitHub keeps line ends and the end."""
    return (comment.body or "").replace("\r\n", "\n").rstrip() == text.rstrip()


def remove(comments: Sequence[_Comment]) -> None:
    """Delete comments."""
    for comment in comments:
        with contextlib.suppress(UnknownObjectException):  # somebody else was faster
            comment.delete()


def run_of(comment: _Comment) -> tuple[float, float]:
    """Return the run and the attempt that a comment came from; later ones are higher."""
    lines = comment.body.splitlines()
    said = _RUN.fullmatch(lines[1]) if len(lines) > 1 else None
    return (int(said.group(1)), int(said.group(2))) if said else (-1, -1)


def this_run(event: Event) -> tuple[float, float]:
    """Return this run and attempt. Outside of GitHub a person asks, now: that is later than any run."""
    return (event.run_id, event.run_attempt) if event.run_id else (math.inf, 0)
