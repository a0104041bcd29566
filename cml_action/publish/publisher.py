"""Publishing: a report becomes files, a job summary, annotations, the step's outputs and a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError
from cml_action.publish import html, markdown, outputs, result
from cml_action.publish.frame import Frame, heading, sorted_checks
from cml_action.publish.place import Nowhere
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.job import Job
    from cml_action.publish.place import Place
    from cml_action.report import Report

_NO_COMMENT = "No comment was written"


def publish(
    report: Report, job: Job, place: Place, environ: Mapping[str, str], seconds: Mapping[str, float]
) -> CmlActionError | None:
    """Publish a report, what is nearest first, so that a fault further on loses nothing.

    :return: the error that kept the report from being published whole, where there was one.
    """
    frame = _frame(report, job, seconds)
    left = _write_files(report, job, frame, seconds)
    _say(report, job, frame)
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        text = markdown.render(report, frame, markdown.SUMMARY)
        outputs.append(summary, scrub(text, job.log.secrets))
    left |= {**report.outputs, "verdict": report.verdict, "passed": str(report.verdict != "fail").lower()}
    fault = None
    try:
        left["comment-url"] = _comment(report, job, place, frame)
    except CmlActionError as error:
        job.log.error(str(error), title="Comment")
        fault = error
    step = environ.get("GITHUB_OUTPUT")
    if step:
        outputs.append(step, outputs.output_lines(left))
    return fault


def _frame(report: Report, job: Job, seconds: Mapping[str, float]) -> Frame:
    event = job.event
    base = job.base if "base" in job.__dict__ else None  # asked for only where a mode compared
    # A user's own Markdown stands alone, as they wrote it.
    bare = job.inputs.mode == ("comment",) and not job.inputs.title and not report.checks
    return Frame(
        title="" if bare else job.title,
        repository_url=f"{event.server_url}/{event.repository}" if event.repository else "",
        revision=job.revision,
        base=base.commit if base else "",
        base_name=base.name if base else "",
        run_url=event.run_url,
        prefix=job.prefix,
        seconds=dict(seconds),
    )


def _write_files(report: Report, job: Job, frame: Frame, seconds: Mapping[str, float]) -> dict[str, str]:
    """Write the report's files and return their paths by the name of the output."""
    if not job.reports.exists():
        outputs.write(job.reports / ".gitignore", "*\n")
    texts = {
        "report": ("report.md", markdown.render(report, frame)),
        "report-html": ("report.html", html.render(report, frame)),
        "result": (
            "result.json",
            result.render(report, modes=job.inputs.mode, subject=job.subject(), seconds=seconds),
        ),
    }
    for name, text in texts.values():
        outputs.write(job.reports / name, scrub(text, job.log.secrets))
    return {output: str(job.reports / name) for output, (name, _) in texts.items()}


def _say(report: Report, job: Job, frame: Frame) -> None:
    """Say the verdict and what did not pass in plain text, so that nobody has to leave the log."""
    log = job.log
    if log.runner:
        log.line(heading(report, job.title))
        outputs.annotate(report, log, job.prefix)
    else:
        from cml_action.publish.terminal import show

        show(report, frame, log)
    for check in sorted_checks(report.checks):
        log.debug(f"{check.status:5} {check.id}")
    for name in ("report.md", "report.html", "result.json"):
        log.line(f"  {job.reports / name}")


def _comment(report: Report, job: Job, place: Place, frame: Frame) -> str:
    """Leave the comment where one belongs, and return its address; empty where none was left."""
    if isinstance(place, Nowhere):
        job.log.debug(f"No comment: {place.reason}")
        return ""
    token = job.inputs.github_token.get_secret_value()
    if not token:
        job.log.notice("There is no token: `github-token` is empty.", title=_NO_COMMENT)
        return ""
    from cml_action.github import connect
    from cml_action.publish.comment import leave_comment

    body = scrub(markdown.render(report, frame, markdown.COMMENT), job.log.secrets)
    repository = connect(token, job.event.api_url).get_repo(job.event.repository)
    left = leave_comment(repository, place, title=job.title, body=body, event=job.event)
    if left.reason:
        job.log.notice(left.reason, title=_NO_COMMENT)
    return left.url
