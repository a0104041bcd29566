"""Has a person approved: a line of `registry.lock.yaml`, as it was merged, names the version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action import git
from cml_action.errors import UsageError
from cml_action.event import on_default_branch
from cml_action.promotion import lock
from cml_action.report import Check

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.promotion.target import Target
    from cml_action.registry.protocol import Stage, Version

_LOST = {"promote": "was replaced", "rollback": "was rolled back", "outside": "was taken away by other means"}


def approved(job: Job, target: Target, version: Version, stage: Stage) -> tuple[Check, ...]:
    """Check that the lock file, as it was merged, names the version; `skip` where a person may still do so.

    :raises UsageError: asked before anything is merged.
    """
    if job.inputs.approval != "pull-request":
        return ()
    if job.event.name.startswith("pull_request") or job.event.name == "merge_group":
        raise UsageError(
            "`approval: pull-request` does not promote from a pull request: merging it is the approval.",
            "Run this workflow on `push` to the default branch, with `paths: [registry.lock.yaml]`.",
        )
    named = _line(job, "HEAD", target) == version.name
    wrong = (_unmerged(job) or _spent(job, target, version, stage)) if named else ""
    return (
        Check(
            id="promote/approval",
            status="fail" if wrong else "pass" if named else "skip",
            title="a merged pull request names it",
            message=wrong
            if named
            else f"`{lock.FILE}` does not name it yet: the pull request waits for a person.",
        ),
    )


def _line(job: Job, revision: str, target: Target) -> str:
    """Return the version that the lock file names at a revision, empty where none."""
    merged = lock.parse(git.show(job.project, revision, lock.FILE) or "")
    return merged.get(target.collection, {}).get(target.alias, "")


def _unmerged(job: Job) -> str:
    """Say why what is checked out was not merged, as far as anyone knows; empty where it was."""
    if not on_default_branch(job.event):
        where = f"this run is of `{job.event.ref}`" if job.event.ref else "this run says of no branch"
        return (
            f"`{lock.FILE}` names it, and {where}, which is not the default branch: nobody has merged it."
            " Merge it, and let the workflow run on `push` to the default branch."
        )
    if git.commit_of(job.project, "HEAD") != job.event.sha:
        return (
            f"`{lock.FILE}` names it in another commit than the one that this run is for: nothing tells that"
            " it was merged. Check out the run's own commit: `actions/checkout` without `ref`."
        )
    return ""


def _spent(job: Job, target: Target, version: Version, stage: Stage) -> str:
    """Say why the line does not count any more; empty where it does.

    A line promotes once. It stays when the stage moves on, by a rollback or by other means, and every later
    push of the file shows it again, and so does an old job that is run again. Where the version has been in
    the stage, this very push has to have changed the line, and to have been committed after it left.
    """
    known = [each for each in stage.moves if version.name in (each.version, each.previous)]
    if not known:
        return ""
    changed = job.base is not None and _line(job, job.base.commit, target) != version.name
    if changed and git.committed(job.project, "HEAD") > max(each.when for each in known):
        return ""
    lost, held = known[-1], stage.holder
    who, when = f" by {lost.who}" if lost.who else "", f" at {lost.when}" if lost.when else ""
    set_to = f"Set it to `{held.name}`, which holds `{target.alias}`" if held else "Remove it"
    return (
        f"`{version.reference}` {_LOST[lost.kind]}{who}{when}, and `{lock.FILE}` names it still: its line was"
        f" approved before that. {set_to}; to name `{version.name}` again after that promotes it again, and"
        f" `mode: rollback` with `to: {version.name}` does so at once."
    )
