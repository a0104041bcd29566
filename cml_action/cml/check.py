"""`cml check create`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.cml.comment import read_report
from cml_action.cml.where import find
from cml_action.errors import UsageError
from cml_action.github import complete, github_errors
from cml_action.publish import markdown
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.log import Log

#: GitHub's limit for a check run's summary is 65,535 characters ("Create a check run").
_LIMIT = markdown.COMMENT


def create(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Create a check run whose summary is the report. As with CML, nothing is printed."""
    where = find(asked, environ)
    repo = where.connect()
    text = scrub(read_report(Path(asked.arguments[0])), log.secrets)
    if not _LIMIT.holds(text):
        raise UsageError(
            f"The report has {len(text):,} characters; a check run holds {_LIMIT.most:,}.",
            "Publish a shorter report, or use `cml comment create`, which cuts it.",
        )
    completed = asked.text("status") == "completed"
    if not completed and "conclusion" in asked.given:
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
    now, title = datetime.now(timezone.utc), asked.text("title")
    fields: dict[str, Any] = {
        "name": title,
        "head_sha": asked.text("commit-sha") or where.revision,
        "status": asked.text("status"),
        "started_at": now,
        "output": {"title": title, "summary": text},
    }
    if completed:
        fields |= {"conclusion": asked.text("conclusion"), "completed_at": now}
    with github_errors("create the check run"):
        made = complete(lambda: repo.create_check_run(**fields))
    log.line(f"Created the check run {made.html_url or title}.")
    return ""
