"""`cml pr create`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cml_action import git
from cml_action.cml.where import Where, find
from cml_action.errors import OutsideError, UsageError
from cml_action.event import head_commit, is_fork

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from github.Repository import Repository

    from cml_action.cml.asked import Asked
    from cml_action.log import Log
    from cml_action.publish.pullrequest import Content, Merge

_MERGES: tuple[Merge, ...] = ("merge", "rebase", "squash")
_LFS = b"version https://git-lfs.github.com/spec/"


def create(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Commit the changed files that match to a branch, open its pull request or update it; return its page.

    The commit is made through GitHub's API: the clone stays on its branch, and no token is written into it.
    Without globs the clone's own commits are pushed, as CML did.
    """
    from cml_action.publish.pullrequest import Proposal, is_own_branch, open_pull_request

    where = find(asked, environ)
    repo = where.connect()
    root = git.needed_toplevel(where.folder)
    base = asked.text("target-branch") or where.branch
    if not asked.text("target-branch") and is_own_branch(base):
        log.notice(f"`{base}` is the branch of such a pull request itself: nothing to do.")
        return ""
    if asked.text("target-branch"):
        _look_at(repo, base)
    files = _files(where.folder, root, asked.arguments, log)
    if asked.arguments and not files:
        log.warning("No changed file matches. Nothing to do.", title="cml pr create")
        return ""
    sha = where.revision
    branch = asked.text("branch") or f"{base}-cml-pr-{sha[:8]}"
    merge = next((way for way in _MERGES if asked.on(way)), None)
    if not files and not _pushed(where, branch, asked, log):
        return ""
    message = asked.text("message") or f"CML PR for {sha[:8]}"
    if asked.on("skip-ci") or not (asked.text("message") or merge):
        message += " [skip ci]"
    named = asked.given & {"user-name", "user-email"}
    done = open_pull_request(
        repo,
        Proposal(
            branch=branch,
            base=base,
            revision=head_commit(where.event) or sha,
            files=files,
            title=asked.text("title") or f"CML PR for {base} {sha[:8]}",
            body=asked.text("body") or _body(where, sha),
            message=message,
            merge=merge,
            author={"name": asked.text("user-name"), "email": asked.text("user-email")} if named else None,
        ),
    )
    if done.outcome == "skipped" and not is_fork(where.event):
        raise OutsideError(f"The pull request was not opened: {done.reason}.")
    if done.reason:
        log.warning(done.reason, title="cml pr create")
    return f"[CML's Pull Request]({done.url})" if asked.on("md") and done.url else done.url


def _pushed(where: Where, branch: str, asked: Asked, log: Log) -> bool:
    """Push what is checked out; a pull request from a fork may not, which is a warning."""
    url = where.remote_url(asked)
    try:
        git.push(where.folder, branch, url, token=where.token, server_url=where.server_url)
    except OutsideError as error:
        if not is_fork(where.event):
            raise
        log.warning(str(error), title="cml pr create")
        return False
    return True


def _look_at(repo: Repository, branch: str) -> None:
    """Make sure that a branch is there."""
    from github import UnknownObjectException

    from cml_action.github import github_errors

    with github_errors(f"look at the branch {branch}"):
        try:
            repo.get_branch(branch)
        except UnknownObjectException:
            raise UsageError(
                f"There is no branch `{branch}` (`--target-branch`).", "Name one that exists."
            ) from None


def _body(where: Where, sha: str) -> str:
    return f"Automated commits for {where.server_url}/{where.repository}/commit/{sha} created by CML."


def _files(folder: Path, root: Path, globs: tuple[str, ...], log: Log) -> dict[str, Content]:
    """Return what changed and matches, by its path in the repository, as Git would store it."""
    from cml_action.publish.pullrequest import Content

    found = {}
    for name in (
        git.changed(folder, [_pathspec(each) for glob in globs for each in _braces(glob)]) if globs else ()
    ):
        path = root / name
        if path.is_symlink():
            log.warning(f"`{name}` is a link, and is left out.", title="cml pr create")
            continue
        data = git.stored(root, name)
        if data.startswith(_LFS):
            raise UsageError(
                f"`{name}` is tracked by Git LFS, which GitHub's API cannot store.",
                "Commit it with git, then use `cml pr create` without globs, which pushes.",
            )
        found[name] = Content(data=data, executable=git.is_executable(path))
    return found


def _pathspec(glob: str) -> str:
    """Return a glob as Git reads it: `*` stays in its folder, `**` does not, a folder means all in it."""
    return f":(exclude,glob){glob[1:]}" if glob.startswith("!") else f":(glob){glob}"


def _braces(glob: str) -> Iterator[str]:
    """Yield what a glob with braces stands for; Git knows none: `a.{json,md}` is `a.json`, `a.md`."""
    found = re.search(r"\{([^{}]*,[^{}]*)\}", glob)
    if not found:
        yield glob
        return
    for each in found[1].split(","):
        yield from _braces(glob[: found.start()] + each + glob[found.end() :])
