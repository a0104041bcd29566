"""Where a command works: the repository on GitHub, the token, and what started this run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cml_action import git
from cml_action.address import api_of, split
from cml_action.errors import CmlActionError, UsageError
from cml_action.event import Event, head_name, head_revision, is_fork, pull_request_number, read_event
from cml_action.publish.place import Commit, Issue, Place, PullRequestOfCommit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.Repository import Repository

    from cml_action.cml.asked import Asked

_TARGETS = "`commit`, `pr`, `commit/f00bar`, `pr/42` or `issue/1337`"


class NoSecretsError(CmlActionError):
    """A pull request from a fork has no token at all: nothing can be written, and nobody is at fault."""

    exit_code = 0

    def __init__(self) -> None:
        super().__init__("A pull request from a fork gets no secrets, so there is no token for GitHub.")


@dataclass(frozen=True, kw_only=True)
class Where:
    """A repository with the way to it.

    :param repository: `owner/name`.
    :param server_url: of its pages, `https://github.com`; `api_url`: of its API.
    :param folder: the folder that the command was called in.
    """

    repository: str
    server_url: str
    api_url: str
    token: str = field(repr=False)
    event: Event
    folder: Path

    @property
    def lacks_secrets(self) -> bool:
        """Whether there is no token because this is a pull request from a fork."""
        return not self.token and is_fork(self.event)

    def connect(self) -> Repository:
        """Return the repository; nothing is asked yet.

        :raises UsageError: there is no token.
        :raises NoSecretsError: there can be none.
        """
        if self.lacks_secrets:
            raise NoSecretsError
        if not self.token:
            raise UsageError(
                "There is no token for GitHub.",
                "Set `REPO_TOKEN: ${{ secrets.GITHUB_TOKEN }}` in the step's `env`, or give `--token`.",
            )
        from cml_action.github import connect

        return connect(self.token, self.api_url).get_repo(self.repository)

    def root(self, environ: Mapping[str, str]) -> Path:
        """Return the folder that no picture may leave: the job's workspace, the repository, or this one."""
        given = environ.get("GITHUB_WORKSPACE")
        return Path(given).resolve() if given else git.toplevel(self.folder) or self.folder

    @property
    def revision(self) -> str:
        """The commit that this run is about.

        :raises UsageError: outside of a run and of a repository.
        """
        found = head_revision(self.event) or git.commit_of(self.folder, "HEAD")
        if not found:
            raise UsageError(
                "Which commit this is about cannot be told: no Git repository is here, and no run of GitHub.",
                "Name the place: `--target pr/42`, `--target commit/SHA`, or `--commit-sha SHA`.",
            )
        return found

    @property
    def branch(self) -> str:
        """The branch that this run works on: of a pull request its own, not the one it goes to.

        :raises UsageError: it works on a tag, or on no branch.
        """
        found = head_name(self.event) or git.current_branch(self.folder) or ""
        if not found or found.startswith("refs/"):
            raise UsageError(
                f"This run works on no branch{f' ({found})' if found else ''}.", "Give `--target-branch`."
            )
        return found

    def remote_url(self, asked: Asked) -> str:
        """Return the address to push to, without a token in it."""
        given = git.remote_url(self.folder, asked.text("remote"))
        if given is None and "remote" in asked.given:
            raise UsageError(f"There is no Git remote `{asked.text('remote')}`.", "`git remote` lists them.")
        return given or f"{self.server_url}/{self.repository}.git"

    def place(self, target: str) -> Place:
        """Return where a comment goes, by CML's rules.

        :param target: `commit`, `pr`, `commit/SHA`, `pr/N`, `issue/N`; empty for the pull request, else the
            commit.
        :raises UsageError: it is something else.
        """
        kind, _, rest = target.partition("/")
        kind = kind.lower()
        if target.lower() in {"", "auto", "pr"}:
            number = pull_request_number(self.event)
            if number:
                return Issue(number=number)
            return PullRequestOfCommit(sha=self.revision, else_commit=target.lower() != "pr")
        if target.lower() == "commit":
            return Commit(sha=self.revision)
        if kind == "commit" and re.fullmatch(r"[0-9a-fA-F]{4,64}", rest):
            return Commit(sha=git.commit_of(self.folder, rest) or rest)
        if kind in {"pr", "issue"} and re.fullmatch(r"[1-9][0-9]{0,9}", rest):
            return Issue(number=int(rest))
        raise UsageError(f"`--target` is `{target}`.", f"Allowed are {_TARGETS}.")


def find(asked: Asked, environ: Mapping[str, str], folder: Path | None = None) -> Where:
    """Find out where a command works.

    :raises UsageError: no repository can be found, or it is not on GitHub.
    """
    folder = folder or Path.cwd()
    event = read_event(environ)
    named = asked.text("repo")
    url = named or (f"{event.server_url}/{event.repository}" if event.repository else "")
    url = url or git.remote_url(folder, asked.text("remote") or "origin") or ""
    server_url, repository = split(url, event)
    driver = asked.text("driver") or _driver(server_url, environ)
    if driver != "github":
        raise UsageError(
            f"cml-action serves GitHub only; this is {driver.capitalize()}"
            f"{' (--driver)' if asked.text('driver') else ''}.",
            "CML itself still works there: `npm install --global @dvcorg/cml`, or its container image.",
        )
    if not repository:
        raise UsageError(
            f"`--repo` is `{named}`, which names no repository."
            if named
            else "Which repository this is about cannot be told: no run of GitHub's, and no Git remote.",
            "Give `--repo https://github.com/owner/name`.",
        )
    return Where(
        repository=repository,
        server_url=server_url,
        api_url=api_of(server_url, event),
        token=_token(asked, environ),
        event=event,
        folder=folder,
    )


def _driver(server_url: str, environ: Mapping[str, str]) -> str:
    host = urlsplit(server_url).hostname or ""
    if host == "gitlab.com" or ("GITHUB_REPOSITORY" not in environ and "CI_PROJECT_URL" in environ):
        return "gitlab"
    if re.search(r"(^|\.)bitbucket\.(com|org)$", host) or (
        "GITHUB_REPOSITORY" not in environ and "BITBUCKET_REPO_UUID" in environ
    ):
        return "bitbucket"
    return "github"


def _token(asked: Asked, environ: Mapping[str, str]) -> str:
    names = ("REPO_TOKEN", "repo_token", "GITHUB_TOKEN")
    return asked.text("driver-token") or next((environ[name] for name in names if environ.get(name)), "")
