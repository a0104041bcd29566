"""`check`: publish a Markdown file, or what the other modes of this run found, as a check run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.written import written

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.report import Report


def run(job: Job) -> Report:
    """Return the file as a report; the check run itself is made when the report is published."""
    return written(job, "check", required=len(job.inputs.mode) == 1)
