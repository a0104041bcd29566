"""`cml comment create` and `cml comment update`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.cml import staged
from cml_action.cml.watch import watch
from cml_action.cml.where import NoSecretsError, Where, find
from cml_action.errors import CmlActionError, UsageError
from cml_action.publish import markdown
from cml_action.publish.frame import Frame
from cml_action.publish.outputs import append
from cml_action.report import Markdown, Report, Section, Text
from cml_action.secret import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from github.Repository import Repository

    from cml_action.cml.asked import Asked
    from cml_action.log import Log
    from cml_action.publish.place import Place

#: A report that is larger is no report.
MOST_BYTES = 10 * 1024 * 1024


def create(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Leave a comment, and return its address; with `--watch` go on for ever."""
    update = asked.on("update")
    if update and asked.on("rm-watermark"):
        raise UsageError(
            "`--update` finds the comment by its watermark, and `--rm-watermark` leaves none.",
            "Give one of them.",
        )
    where = find(asked, environ)
    # A token that is missing is said before anything else.
    repo = None if where.lacks_secrets else where.connect()
    place = where.place(_target(asked, log))
    publish = partial(_publish, asked, environ, where, repo, place, log)
    if not asked.on("watch"):
        if asked.text("trigger-file"):
            raise UsageError("`--trigger-file` means nothing without `--watch`.", "Add `--watch`.")
        return publish(update=update)
    if not asked.arguments:
        raise UsageError("`--watch` needs a file to watch.", "Name the Markdown file.")

    def changed(*, first: bool) -> None:
        try:
            log.line(publish(update=update or not first))
        except CmlActionError as error:  # the next change may mend it
            log.warning(str(error), title="cml comment create --watch")

    watch(Path(asked.arguments[0]), asked.text("trigger-file"), changed, log)
    return ""


def update(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Update the last comment with the same watermark, or leave a new one."""
    return create(replace(asked, values={**asked.values, "update": "true"}), environ, log)


def _target(asked: Asked, log: Log) -> str:
    """Return the target, also where it was said in the older ways."""
    if asked.text("commit-sha"):
        log.warning("`--commit-sha SHA` is an old name: write `--target commit/SHA`.", title="Deprecated")
        return f"commit/{asked.text('commit-sha')}"
    if asked.on("pr"):
        log.warning("`--pr` is an old name: write `--target pr`.", title="Deprecated")
        return "pr"
    return asked.text("target")


def _publish(  # noqa: PLR0913 -- all that was found out before anything is done
    asked: Asked,
    environ: Mapping[str, str],
    where: Where,
    repo: Repository | None,
    place: Place,
    log: Log,
    *,
    update: bool,
) -> str:
    from cml_action.cml.leave import leave
    from cml_action.cml.watermark import label

    path = Path(asked.arguments[0]) if asked.arguments else None
    folder = path.resolve().parent if path else where.folder
    stage = staged.file(environ, where.folder)
    text = _with_added(path, staged.read(stage, folder))
    if asked.on("publish"):
        from cml_action.cml.pictures import published

        root = where.root(environ)
        text = published(text, folder, root, asked=asked.text("publish-url"), repo=repo, log=log)
    text = scrub(text, log.secrets)
    if repo is None:
        _to_summary(text, environ)
        stage.unlink(missing_ok=True)
        raise NoSecretsError
    left = leave(
        repo,
        place,
        body=_fitting(text, where, environ, log),
        watermark="" if asked.on("rm-watermark") else label(asked.text("watermark-title"), where.event),
        update=update,
        event=where.event,
    )
    if left.reason:
        log.notice(left.reason, title="No comment was written")
    if left.outcome == "skipped" and not left.url:
        _to_summary(text, environ)
    stage.unlink(missing_ok=True)
    return left.url


def _with_added(path: Path | None, added: str) -> str:
    """Return the report: the file, then what was added with `cml metrics add` and `cml image add`."""
    if path is None and not added:
        raise UsageError(
            "`cml comment create` needs a Markdown file.",
            "Name it, or add to the report first: `cml metrics add FILE`, `cml image add FILE`.",
        )
    text = read_report(path, empty=bool(added)).rstrip() if path else ""
    return "\n\n".join(filter(None, [text, added])) + "\n"


def read_report(path: Path, *, empty: bool = False) -> str:
    """Return a Markdown file of the user's.

    :param empty: whether it may be.
    :raises UsageError: it is missing, too long, empty or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UsageError(
                f"`{path}` is {size:,} bytes long; at most {MOST_BYTES:,} are published.",
                "Publish a shorter report.",
            )
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"`{path}` is not UTF-8 (byte {error.start + 1}).", "Save the report as UTF-8."
        ) from None
    except OSError as error:
        raise UsageError(
            f"`{path}` could not be read: {error.strerror}.",
            "Name a Markdown file that an earlier step wrote.",
        ) from None
    if not text.strip() and not empty:
        raise UsageError(f"`{path}` is empty.", "Write something into the report before it is published.")
    return text


def _fitting(text: str, where: Where, environ: Mapping[str, str], log: Log) -> str:
    """Return the report as a comment may hold it; one that is too long is whole in the job summary."""
    if markdown.COMMENT.holds(text):
        return text
    log.warning(
        f"The report has {len(text):,} characters; a comment holds {markdown.COMMENT.most:,}.", title="Cut"
    )
    _to_summary(text, environ)
    frame = Frame(title="", run_url=where.event.run_url, seconds={})
    return markdown.render(_report(text), frame, markdown.COMMENT)


def _to_summary(text: str, environ: Mapping[str, str]) -> None:
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        whole = markdown.render(_report(text), Frame(title="", seconds={}), markdown.SUMMARY)
        append(summary, whole)


def _report(text: str) -> Report:
    return Report(sections=(Section(title=Text(()), blocks=(Markdown(text),)),))
