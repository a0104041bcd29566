"""`comment`: publish a Markdown file of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.paths import inside
from cml_action.report import Markdown, Report, Section, Text

if TYPE_CHECKING:
    from cml_action.job import Job

#: A report that is larger is no report; GitHub shows at most 65,536 characters of it.
MOST_BYTES = 10 * 1024 * 1024


def run(job: Job) -> Report:
    """Return the file as a report without a verdict of its own."""
    asked = job.inputs.report
    if not asked:
        raise UsageError(
            "`mode: comment` needs a file to publish.", "Name a Markdown file in the input `report`."
        )
    path = inside(job.project, asked, input_name="report", root=job.workspace)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UsageError(
            f"`{asked}` is {size:,} bytes long; at most {MOST_BYTES:,} are published.",
            "Publish a shorter report.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"`{asked}` is not UTF-8 (byte {error.start + 1}).", "Save the report as UTF-8.", path=asked
        ) from None
    if not text.strip():
        raise UsageError(f"`{asked}` is empty.", "Write something into the report before it is published.")
    return Report(sections=(Section(title=Text(()), blocks=(Markdown(text),)),))
