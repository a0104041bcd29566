"""The pull request of `pr`: whose branch, against which, and whether there is one at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.event import head_commit
from cml_action.publish.pullrequest import (
    Content,
    Proposal,
    branch_for,
    is_own_branch,
    open_pull_request,
)
from cml_action.workfiles import chosen

if TYPE_CHECKING:
    from pathlib import Path

    from github.Repository import Repository

    from cml_action.event import Event
    from cml_action.job import Job
    from cml_action.report import Report

_EXECUTABLE = 0o100
_NONE = "No pull request was opened"


def propose(repository: Repository, job: Job, report: Report, body: str) -> str:
    """Propose files against the branch of the run, and return the pull request's address.

    There is one for each `title` and branch: later runs update it. A failed report proposes nothing, and a
    run on a branch that was itself proposed opens no second one on top of it.
    """
    base = target_branch(job.event)
    why = ""
    if report.verdict == "fail":
        why = "The report failed."
    elif not base:
        why = "This run is on no branch."
    elif is_own_branch(base):
        why = f"`{base}` is the branch of a pull request that cml-action opened itself."
    if why:
        job.log.notice(why, title=_NONE)
        return ""
    opened = open_pull_request(
        repository,
        Proposal(
            branch=branch_for(job.title, base),
            base=base,
            revision=head_commit(job.event) or job.revision,
            files={name: _content(path) for name, path in _files(job).items()},
            title=job.inputs.title or f"Results of {job.revision[:7] or base}",
            body=body,
            message=job.inputs.title or f"Add results of {job.revision[:7] or base}",
            merge=job.inputs.merge or None,
        ),
    )
    if opened.reason:
        job.log.notice(opened.reason, title=_NONE if not opened.url else "Pull request")
    return opened.url


def target_branch(event: Event) -> str:
    """Return the branch that a run is about: a pull request's own, else the one that was pushed or chosen."""
    pull = event.payload.get("pull_request")
    if isinstance(pull, dict):
        return str((pull.get("head") or {}).get("ref") or "")
    return event.ref.removeprefix("refs/heads/") if event.ref.startswith("refs/heads/") else ""


def _files(job: Job) -> dict[str, Path]:
    return chosen(job.project, job.root, job.inputs.files)


def _content(path: Path) -> Content:
    return Content(data=path.read_bytes(), executable=bool(path.stat().st_mode & _EXECUTABLE))
