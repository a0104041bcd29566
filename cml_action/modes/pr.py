"""`pr`: propose files of the workspace in a pull request, with the report as its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.quantity import counted
from cml_action.report import Code, Report, Text
from cml_action.workfiles import chosen
from cml_action.written import written

if TYPE_CHECKING:
    from cml_action.job import Job

_SHOWN = 5


def run(job: Job) -> Report:
    """Say what is proposed; the pull request itself is opened when the report is published."""
    names = sorted(chosen(job.project, job.root, job.inputs.files))
    pieces = [piece for name in names[:_SHOWN] for piece in (", ", Code(name))][1:]
    rest = f" and {counted(len(names) - _SHOWN, 'more file')}" if len(names) > _SHOWN else ""
    text = Text.of("Proposed: ", *pieces, rest, ".")
    return Report(summary=(text,), facts={"pr": {"files": names}}) + written(job, "pr", required=False)
