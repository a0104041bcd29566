"""Publishing: a report becomes files, a job summary, annotations, the step's outputs and a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError
from cml_action.publish import html, markdown, outputs, pictures, result
from cml_action.publish.frame import Frame, heading, sorted_checks
from cml_action.publish.hub import Hub
from cml_action.report import Report
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.job import Job
    from cml_action.publish.pictures import Gallery
    from cml_action.publish.place import Place

#: Modes that show what a user wrote.
_WRITTEN = {"comment", "check", "pr"}
#: The folder of the report's pictures, beside it.
_PICTURES = "pictures"


def publish(
    report: Report, job: Job, place: Place, environ: Mapping[str, str], seconds: Mapping[str, float]
) -> CmlActionError | None:
    """Publish a report, what is nearest first, so that a fault further on loses nothing.

    :return: the error that kept the report from being published whole, where there was one.
    """
    step = environ.get("GITHUB_OUTPUT")
    left = dict.fromkeys(outputs.OUTPUTS, "")
    left |= {"verdict": report.verdict, "passed": str(report.verdict != "fail").lower()}
    if report == Report():  # `setup` has nothing to say
        if step:
            outputs.append(step, outputs.output_lines(left))
        return None
    frame = _frame(report, job, seconds)
    gallery = pictures.collect(report, job.root, job.log)
    left |= _write_files(report, job, frame, seconds, gallery)
    _say(report, job, frame)
    hub = Hub(job, place)
    stored = hub.addresses(gallery)
    shown = pictures.shown(report, gallery, lambda picture: stored.get(picture.digest, ""))
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        text = markdown.render(shown, frame, markdown.SUMMARY)
        outputs.append(summary, scrub(text, job.log.secrets))
    left |= report.outputs
    fault = None
    for output, leave in (
        ("comment-url", hub.comment),
        ("check-url", hub.check),
        ("pr-url", hub.pull_request),
    ):
        try:
            left[output] = leave(shown, frame)
        except CmlActionError as error:  # noqa: PERF203 -- one door that is shut closes no other
            job.log.error(str(error), title=output.removesuffix("-url"))
            fault = fault or error
    if step:
        outputs.append(step, outputs.output_lines(left))
    return fault


def _frame(report: Report, job: Job, seconds: Mapping[str, float]) -> Frame:
    event = job.event
    base = job.base if "base" in job.__dict__ else None  # asked for only where a mode compared
    written = set(job.inputs.mode) <= _WRITTEN and not report.checks
    return Frame(
        # A user's own Markdown stands alone, as they wrote it.
        title="" if written and not job.inputs.title else job.title,
        written=written,
        repository_url=f"{event.server_url}/{event.repository}" if event.repository else "",
        revision=job.revision,
        base=base.commit if base else "",
        base_name=base.name if base else "",
        run_url=event.run_url,
        prefix=job.prefix,
        seconds=dict(seconds),
    )


def _write_files(
    report: Report, job: Job, frame: Frame, seconds: Mapping[str, float], gallery: Gallery
) -> dict[str, str]:
    """Write the report's files and pictures, and return the files' paths by the name of the output."""
    if not job.reports.exists():
        outputs.write(job.reports / ".gitignore", "*\n")
    for picture in gallery.pictures:
        outputs.write(job.reports / _PICTURES / picture.file_name, picture.data)
    beside = pictures.shown(report, gallery, lambda picture: f"{_PICTURES}/{picture.file_name}")
    page = pictures.shown(report, gallery, lambda picture: picture.data_url, figures=False)
    texts = {
        "report": ("report.md", markdown.render(beside, frame)),
        "report-html": ("report.html", html.render(page, frame)),
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
        log.line(heading(report, job.title, written=frame.written))
        outputs.annotate(report, log, job.prefix)
    else:
        from cml_action.publish.terminal import show

        show(report, frame, log)
    for check in sorted_checks(report.checks):
        log.debug(f"{check.status:5} {check.id}")
    for name in ("report.md", "report.html", "result.json"):
        log.line(f"  {job.reports / name}")
