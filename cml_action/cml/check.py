"""`cml check create`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.cml.comment import read_report
from cml_action.cml.where import find
from cml_action.errors import OutsideError, UsageError
from cml_action.event import is_fork
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.log import Log


def create(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Create a check run whose summary is the report. As with CML, nothing is printed."""
    from cml_action.publish.checkrun import MOST_SUMMARY, CheckRun, make_check_run

    where = find(asked, environ)
    repo = where.connect()
    text = scrub(read_report(Path(asked.arguments[0])), log.secrets)
    size = len(text.encode())
    if size > MOST_SUMMARY:
        raise UsageError(
            f"The report has {size:,} bytes; a check run holds {MOST_SUMMARY:,}.",
            "Publish a shorter report, or use `cml comment create`, which cuts it.",
        )
    if asked.text("status") != "completed" and "conclusion" in asked.given:
        raise UsageError(
            f"A check that is `{asked.text('status')}` has no conclusion yet.",
            "Give `--status completed`, or leave `--conclusion` out.",
        )
    github_token = environ.get("GITHUB_TOKEN")
    if github_token and github_token != where.token:
        log.warning(
            "The token is not GITHUB_TOKEN; GitHub takes checks from it, and from GitHub Apps, alone.",
            title="cml check create",
        )
    run = CheckRun(
        name=asked.text("title"),
        sha=asked.text("commit-sha") or where.revision,
        title=asked.text("title"),
        summary=text,
        conclusion=asked.text("conclusion"),
        status=asked.text("status"),
    )
    made = make_check_run(repo, run)
    if made.reason and not is_fork(where.event):
        raise OutsideError(
            f"The check run was not created: {made.reason}.",
            "Add `checks: write` to the job's `permissions:`.",
        )
    if made.reason:
        log.notice(made.reason, title="No check run was created")
    else:
        log.line(f"Created the check run {made.url or run.name}.")
    return ""
