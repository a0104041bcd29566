"""`comment`: publish a Markdown file of the user's own, or the report of another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.written import written

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.report import Report


def run(job: Job) -> Report:
    """Return the file as a report without a verdict of its own."""
    if job.inputs.from_run:
        from cml_action.fromrun import fetched

        return fetched(job)
    return written(job, "comment")
