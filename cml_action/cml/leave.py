"""A comment as CML leaves it: a new one each time, or the last one with the same watermark updated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from github import GithubException, UnknownObjectException

from cml_action.cml.watermark import is_in
from cml_action.errors import UsageError
from cml_action.event import is_fork
from cml_action.github import complete, github_errors, may_not_write, why_not
from cml_action.publish.comment import (
    LATER,
    Left,
    look_up,
    marker,
    own_comments,
    remove,
    run_line,
    run_of,
    says,
    this_run,
)
from cml_action.publish.place import Issue, Nowhere, PullRequestOfCommit

if TYPE_CHECKING:
    from github.CommitComment import CommitComment
    from github.IssueComment import IssueComment
    from github.Repository import Repository

    from cml_action.event import Event
    from cml_action.publish.comment import Thread
    from cml_action.publish.place import Place


def leave(repo: Repository, place: Place, *, body: str, watermark: str, update: bool, event: Event) -> Left:
    """Leave a comment.

    Unlike CML, only comments of this token's own author are updated (anybody may paste a watermark), and a
    run never replaces what a later one said.

    :param repo: of `cml_action.github.connect`; it may be lazy.
    :param body: Markdown, at most `publish.comment.MAX_BODY` characters.
    :param watermark: its label; empty for a comment without one.
    :param update: update the last comment with this watermark; create one where there is none.
    :return: with a `reason` where a pull request from a fork may not be written.
    :raises OutsideError: GitHub cannot be reached, or refuses the token.
    """
    with github_errors("leave the comment"):
        try:
            return _leave(repo, place, body, watermark, update=update, event=event)
        except GithubException as error:
            if not (may_not_write(error) and is_fork(event)):
                raise
            return Left(outcome="skipped", reason=why_not(error))


def _leave(repo: Repository, place: Place, body: str, watermark: str, *, update: bool, event: Event) -> Left:
    if isinstance(place, PullRequestOfCommit):
        asked = place
        place = complete(lambda: look_up(repo, asked, moved_on=True))
    if isinstance(place, Nowhere):
        raise UsageError(
            f"There is no pull request to comment on: {place.reason}.",
            "Leave `--target` out: the comment then goes to the commit.",
        )
    thread = repo.get_issue(place.number) if isinstance(place, Issue) else repo.get_commit(place.sha)
    text = f"{marker(watermark)}\n{run_line(event)}\n{body}" if watermark else body
    before = _comments(thread)
    if update and watermark:
        found = [each for each in before if each.user is not None and is_in(each.body or "", watermark)]
        own = complete(lambda: own_comments(repo, found))
        for last in sorted(own, key=lambda each: each.id, reverse=True):
            if run_of(last) > this_run(event):
                return Left(outcome="skipped", url=last.html_url, reason=LATER)
            try:
                complete(partial(last.edit, text))
            except UnknownObjectException:  # deleted meanwhile
                continue
            return Left(outcome="updated", url=last.html_url)
    return _create(thread, text, {each.id for each in before})


def _create(thread: Thread, text: str, known: set[int]) -> Left:
    """Create a comment, once: one whose answer was lost is there already when it is sent again.

    :param known: the comments that were there before; one of them may say the same, and stays.
    """
    mine = complete(lambda: thread.create_comment(text))
    same = [
        each
        for each in _comments(thread)
        if each.id not in known and says(each, text) and each.user == mine.user
    ]
    first, *again = sorted(same, key=lambda each: each.id) or [mine]
    remove(again)
    return Left(outcome="created", url=first.html_url)


def _comments(thread: Thread) -> list[IssueComment | CommitComment]:
    def read() -> list[IssueComment | CommitComment]:
        return list(thread.get_comments())

    return complete(read)
