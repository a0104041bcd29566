"""A check run: the verdict beside the commit, the report as its summary, and remarks on lines of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from github import GithubException

from cml_action.github import complete, github_errors, may_not_write, why_not

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from github.Repository import Repository

    from cml_action.report import Report, Status, Verdict

#: The summary's limit in bytes ("summary exceeds a maximum bytesize of 65535"), though GitHub Docs, "Create a
#: check run", call them characters; how many annotations a call takes.
MOST_SUMMARY = 65_535
MOST_A_CALL = 50
_MOST_TITLE = 255
#: An annotation's message has at most 64 KB.
_MOST_MESSAGE = 60_000
_CONCLUSIONS: dict[Verdict, str] = {"pass": "success", "warn": "neutral", "fail": "failure"}
_LEVELS: dict[Status, str] = {"error": "failure", "fail": "failure", "warn": "warning"}


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark on a line of a file.

    :param path: relative to the repository's root.
    :param line: from 1.
    :param level: `notice`, `warning` or `failure`.
    """

    path: str
    line: int
    level: str
    message: str
    title: str = ""

    def sent(self) -> dict[str, Any]:
        """Return it as GitHub takes it."""
        message = self.message.encode(errors="replace")[:_MOST_MESSAGE]
        return {
            "path": self.path,
            "start_line": self.line,
            "end_line": self.line,
            "annotation_level": self.level,
            "message": message.decode(errors="ignore") or self.title or "–",
            **({"title": self.title[:_MOST_TITLE]} if self.title else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of the check run.

    :param url: its page; empty where none was made, and `reason` says why, for a notice.
    """

    url: str = ""
    reason: str = ""
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True)
class CheckRun:
    """What a check run says.

    :param name: what it is listed as; GitHub shows the newest of a name.
    :param sha: the commit; of a pull request its head, not the merge commit.
    :param summary: Markdown, at most `MOST_SUMMARY` bytes.
    :param conclusion: `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed_out` or
        `action_required`; left out where the status is not `completed`.
    :param status: `completed`, `queued` or `in_progress`.
    """

    name: str
    sha: str
    title: str
    summary: str
    conclusion: str = "success"
    annotations: Sequence[Annotation] = ()
    status: str = "completed"
    details_url: str = ""


def make_check_run(repository: Repository, run: CheckRun) -> Made:
    """Make a check run, with as many calls as its annotations need.

    The run completes with the last of them, so that nobody sees half of it.

    :param repository: of `cml_action.github.connect`; it may be lazy.
    :raises ValueError: the summary is too long.
    :raises OutsideError: GitHub cannot be reached, or does not take it.
    """
    if len(run.summary.encode()) > MOST_SUMMARY:
        raise ValueError(f"A check run's summary has at most {MOST_SUMMARY} bytes")
    with github_errors("make the check run"):
        try:
            return _make(repository, run)
        except GithubException as error:
            if not may_not_write(error):
                raise
            return Made(reason=why_not(error))


def _make(repository: Repository, run: CheckRun) -> Made:
    route = f"{repository.url}/check-runs"
    last = max(0, len(run.annotations) - 1) // MOST_A_CALL
    found: Mapping[str, Any] = {}
    for at in range(last + 1):
        part = run.annotations[at * MOST_A_CALL : (at + 1) * MOST_A_CALL]
        sent: dict[str, Any] = {
            "status": run.status if at == last else "in_progress",
            "output": {
                "title": run.title[:_MOST_TITLE] or run.name,
                "summary": run.summary,
                "annotations": [each.sent() for each in part],
            },
        }
        if at == last and run.status == "completed":
            sent["conclusion"] = run.conclusion
        if found:
            _call(repository, "PATCH", f"{route}/{found['id']}", sent)
            continue
        sent |= {"name": run.name, "head_sha": run.sha}
        if run.details_url:
            sent["details_url"] = run.details_url
        found = _call(repository, "POST", route, sent)
    return Made(url=str(found.get("html_url") or ""), id=int(found["id"]))


def conclusion_of(report: Report) -> str:
    """Return GitHub's word for a verdict; a warning is neutral, which lets a required check pass."""
    return _CONCLUSIONS[report.verdict]


def annotations_of(report: Report, prefix: str) -> tuple[Annotation, ...]:
    """Return a remark for each check that did not pass and has a place, the worst first.

    :param prefix: the project's folder in the repository, ending in `/`, or empty.
    """
    return tuple(
        Annotation(
            path=f"{prefix}{check.path}",
            line=check.line or 1,
            level=level,
            message=check.message or check.title,
            title=check.title,
        )
        for status, level in _LEVELS.items()
        for check in report.checks
        if check.status == status and check.path
    )


def _call(repository: Repository, verb: str, route: str, sent: Mapping[str, Any]) -> Any:
    return complete(lambda: repository.requester.requestJsonAndCheck(verb, route, input=dict(sent))[1])
