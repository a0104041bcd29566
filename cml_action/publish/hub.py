"""What of a report goes to GitHub: its pictures, the comment, the check run and the pull request.

Each door opens only where something goes through it. A token that may not is a notice, since the report is
in the job summary all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cml_action import git
from cml_action.address import split
from cml_action.errors import OutsideError
from cml_action.event import head_revision, is_fork
from cml_action.publish import markdown
from cml_action.publish.assets import StoreRefusedError, open_store
from cml_action.publish.frame import heading
from cml_action.publish.place import Nowhere
from cml_action.quantity import counted
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.Repository import Repository

    from cml_action.job import Job
    from cml_action.publish.frame import Frame
    from cml_action.publish.pictures import Gallery
    from cml_action.publish.place import Place
    from cml_action.report import Report

_NO_REPOSITORY = (
    "Which repository this is about is not known: no run of GitHub's, and no Git remote `origin` on {}."
    " Set GITHUB_REPOSITORY=owner/name."
)
_NO_TOKEN = "There is no token: `github-token` is empty."  # noqa: S105 -- a sentence
#: Modes that show the report in a place of their own, and so ask for no comment.
_PLACED = {"check", "pr"}


@dataclass(frozen=True)
class Hub:
    """The doors of a run to GitHub."""

    job: Job
    place: Place

    @property
    def wants_comment(self) -> bool:
        """Whether there is a place for a comment, and a mode that leaves one."""
        return not isinstance(self.place, Nowhere) and not set(self.job.inputs.mode) <= _PLACED

    @property
    def wants_check(self) -> bool:
        """Whether a check run is asked for."""
        return self.job.inputs.check == "true" or "check" in self.job.inputs.mode

    @property
    def wants_pull_request(self) -> bool:
        """Whether files are to be proposed."""
        return "pr" in self.job.inputs.mode

    @property
    def may_only_read(self) -> bool:
        """Whether the token is that of a fork's pull request, with which asking is a waste of requests."""
        return self.job.event.name == "pull_request" and is_fork(self.job.event)

    @cached_property
    def repository(self) -> Repository | None:
        """The repository; None where `closed` says why."""
        if self.closed:
            return None
        from cml_action.github import connect

        token = self.job.inputs.github_token.get_secret_value()
        return connect(token, self.job.event.api_url).get_repo(self._name)

    @property
    def closed(self) -> str:
        """What is missing to write anything; nothing where all is there."""
        if not self.job.inputs.github_token.get_secret_value():
            return _NO_TOKEN
        return "" if self._name else _NO_REPOSITORY.format(urlsplit(self.job.event.server_url).netloc)

    @cached_property
    def _name(self) -> str:
        """`owner/name`: the run's own, on a laptop that of the remote; no other server is shown the token."""
        event = self.job.event
        if event.repository:
            return event.repository
        server_url, name = split(git.remote_url(self.job.root, "origin") or "", event)
        return name if urlsplit(server_url).netloc == urlsplit(event.server_url).netloc else ""

    def addresses(self, gallery: Gallery) -> Mapping[str, str]:
        """Store the pictures that GitHub is to show, and return the address of each by its digest.

        Without a store there is none: figures become Mermaid, and words stand for a user's pictures.
        """
        inputs = self.job.inputs
        shown = self.wants_comment or self.wants_check or self.wants_pull_request
        if not gallery.pictures or not (shown or inputs.assets not in {"auto", "none"}):
            return {}
        to_branch = inputs.assets == "auto" or inputs.assets.startswith("branch")
        if to_branch and self.may_only_read:
            self._without_pictures(gallery, "The token of a fork's pull request may only read.")
            return {}
        try:
            store = open_store(
                inputs.assets,
                self.repository if to_branch else None,
                keep=inputs.assets_keep,
                signed=inputs.assets_signed,
                server_url=self.job.event.server_url,
            )
            if store:
                return store.put(gallery.pictures)
            self._without_pictures(gallery, self.closed if to_branch else f"`assets` is `{inputs.assets}`.")
        except StoreRefusedError as error:
            self._without_pictures(gallery, str(error))
        except OutsideError as error:
            self.job.log.warning(str(error), title="Pictures")
        return {}

    def comment(self, report: Report, frame: Frame) -> str:
        """Leave the comment where one belongs, and return its address; empty where none was left."""
        log = self.job.log
        if isinstance(self.place, Nowhere):
            if self.job.inputs.from_run:
                log.notice(f"{self.place.reason}.", title="No comment was written")
            log.debug(f"No comment: {self.place.reason}")
        if not self.wants_comment:
            return ""
        if self.repository is None:
            log.notice(self.closed, title="No comment was written")
            return ""
        from cml_action.publish.comment import leave_comment

        body = self._written(report, frame, markdown.COMMENT)
        left = leave_comment(
            self.repository, self.place, title=self.job.title, body=body, event=self.job.event
        )
        if left.reason:
            log.notice(left.reason, title="No comment was written")
        return left.url

    def check(self, report: Report, frame: Frame) -> str:
        """Make the check run where one is asked for, and return its address; empty where none was made."""
        sha = head_revision(self.job.event) or self.job.revision
        if not self.wants_check or not self._open("check run"):
            return ""
        if not sha:
            self.job.log.notice("This run knows no commit.", title="No check run was made")
            return ""
        from cml_action.publish.checkrun import CheckRun, annotations_of, conclusion_of, make_check_run

        assert self.repository  # noqa: S101 -- open
        run = CheckRun(
            name=self.job.title,
            sha=sha,
            title=heading(report, self.job.title, written=frame.written),
            summary=self._written(report, frame, markdown.CHECK),
            # What the other run found is not known here, only what it wrote.
            conclusion="neutral" if self.job.inputs.from_run else conclusion_of(report),
            annotations=annotations_of(report, self.job.prefix),
            details_url=self.job.event.run_url,
        )
        made = make_check_run(self.repository, run)
        if made.reason:
            self.job.log.notice(made.reason, title="No check run was made")
        return made.url

    def pull_request(self, report: Report, frame: Frame) -> str:
        """Open or update the pull request of `pr`, and return its address; empty where there is none."""
        if not self.wants_pull_request or not self._open("pull request"):
            return ""
        from cml_action.publish.propose import propose

        assert self.repository  # noqa: S101 -- open
        return propose(self.repository, self.job, report, self._written(report, frame, markdown.COMMENT))

    def _open(self, what: str) -> bool:
        why = "The token of a fork's pull request may only read." if self.may_only_read else ""
        why = why or self.closed
        if why:
            self.job.log.notice(why, title=f"No {what} was made")
        return not why

    def _written(self, report: Report, frame: Frame, limit: markdown.Limit) -> str:
        return scrub(markdown.render(report, frame, limit), self.job.log.secrets)

    def _without_pictures(self, gallery: Gallery, why: str) -> None:
        """Say why pictures are missing; where only figures are meant, Mermaid shows them."""
        if self.job.inputs.assets == "none":
            return
        lost = len({picture.digest for found in gallery.texts.values() for _, picture in found if picture})
        if lost:
            self.job.log.notice(f"{counted(lost, 'picture')} not shown. {why}", title="Pictures")
        elif self.job.inputs.assets == "auto":
            self.job.log.line(f"Figures are drawn with Mermaid. {why.splitlines()[0]}")
        else:
            self.job.log.notice(f"Figures are drawn with Mermaid. {why}", title="Pictures")
