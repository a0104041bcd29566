"""What a run leaves on the runner: files, the job summary, the step's outputs and annotations."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cml_action.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cml_action.log import Log
    from cml_action.report import Report

#: The runner shows ten annotations of each kind a step, and drops the rest (GitHub Docs, workflow commands).
MOST_ANNOTATIONS = 10

#: Each output of the step, and what it means; `make docs` carries them into `action.yml` and the README.
OUTPUTS = {
    "verdict": "`pass`, `warn` or `fail`",
    "passed": "`true` unless the verdict is `fail`",
    "report": "path of the report as Markdown",
    "report-html": "path of the report as one self-contained HTML page, with pictures",
    "result": "path of `result.json`",
    "comment-url": "address of the comment, where one was left",
    "check-url": "address of the check run, where one was made",
    "pr-url": "address of the pull request that `pr` opened or updated",
    "model": "the model that was gated, as it was named; of `promote` and `rollback` `collection:version`",
    "model-digest": "SHA-256 of the model's files, where it had to be known; else the registry's own digest",
    "verdict-file": "path of `verdict.json`, the evidence of `gate`",
    "version": "the version that `promote` or `rollback` was about",
    "previous": "the version that held the stage before",
}


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, beside its final place first."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutsideError(
            f"`{path}` could not be written: {error.strerror}.", "Free some disk space, then run again."
        ) from None


def append(path: str, text: str) -> None:
    """Append to a file that the runner reads when the step ends (`GITHUB_OUTPUT`, `GITHUB_STEP_SUMMARY`)."""
    try:
        with open(path, "a", encoding="utf-8") as stream:  # noqa: PTH123 -- a path as the runner gives it
            stream.write(text)
    except OSError as error:
        raise OutsideError(
            f"The runner's file `{path}` could not be written: {error.strerror}.", "Run the job again."
        ) from None


def output_lines(outputs: Mapping[str, str]) -> str:
    """Return outputs as the runner reads them; a delimiter that no value can know keeps values inside."""
    mark = f"cml-{secrets.token_hex(16)}"
    return "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in outputs.items())


def annotate(report: Report, log: Log, prefix: str) -> None:
    """Show each check that did not pass in the log, on its file and line where it has one.

    :param prefix: the project's folder in the repository, ending in `/`, or empty.
    """
    for status, say in (("error", log.error), ("fail", log.error), ("warn", log.warning)):
        found = [check for check in report.checks if check.status == status]
        for check in found[:MOST_ANNOTATIONS]:
            path = f"{prefix}{check.path}" if check.path else None
            say(check.message or check.title, title=check.title, path=path, line=check.line)
        for check in found[MOST_ANNOTATIONS:]:
            log.line(f"{status}: {check.title}: {check.message}")
