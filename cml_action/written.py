"""The Markdown file that a user wrote, or that an earlier step did, as a report without a verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.paths import inside
from cml_action.report import Markdown, Report, Section, Text

if TYPE_CHECKING:
    from pathlib import Path

    from cml_action.job import Job

#: A report that is larger is no report; GitHub shows at most 65,536 characters of it.
MOST_BYTES = 10 * 1024 * 1024
_FOOT = re.compile(r"\n<sub>[^\n]*>full report</a></sub>\s*\Z")
_READERS = ("comment", "check", "pr")


def written(job: Job, mode: str, *, required: bool = True) -> Report:
    """Return what the input `report` names; nothing where another mode of this run has it already.

    :raises UsageError: there is none, or it cannot be read.
    """
    asked = job.inputs.report
    if next(each for each in job.inputs.mode if each in _READERS) != mode:
        return Report()
    if not asked and not required:
        return Report()
    if not asked:
        raise UsageError(
            f"`mode: {mode}` needs a file to publish.", "Name a Markdown file in the input `report`."
        )
    path = inside(job.project, asked, input_name="report", root=job.workspace, reports=job.reports.parent)
    return report_of(read_markdown(path, asked), path.parent)


def report_of(text: str, folder: Path) -> Report:
    """Return Markdown as a report; one that this Action wrote loses its foot, for the new one has its own.

    :param folder: where its relative addresses start.
    """
    text = _FOOT.sub("\n", text)
    return Report(sections=(Section(title=Text(()), blocks=(Markdown(text, folder),)),))


def read_markdown(path: Path, shown_as: str) -> str:
    """Return the text of a Markdown file.

    :raises UsageError: it is too large, empty, or no text.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UsageError(
            f"`{shown_as}` is {size:,} bytes long; at most {MOST_BYTES:,} are published.",
            "Publish a shorter report.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"`{shown_as}` is not UTF-8 (byte {error.start + 1}).",
            "Save the report as UTF-8.",
            path=shown_as,
        ) from None
    if not text.strip():
        raise UsageError(f"`{shown_as}` is empty.", "Write something into the report before it is published.")
    return text
