"""The report of another run, fetched in a `workflow_run` job and published with this job's token.

A run of a fork's pull request has a token that may only read. It leaves its report as an artifact; a second
workflow, which is the repository's own and runs none of the fork's code, publishes it. Whose pull request
it is comes from GitHub's record of the run, never from what the run wrote; of the artifact only Markdown
and pictures are read, in bounded amounts, and its text is somebody else's (GitHub Security Lab, "Preventing
pwn requests").
"""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cml_action.errors import UsageError
from cml_action.publish.place import Issue, Nowhere
from cml_action.quantity import quantity
from cml_action.report import Report
from cml_action.written import read_markdown, report_of

if TYPE_CHECKING:
    from github.Repository import Repository

    from cml_action.inputs import Inputs
    from cml_action.job import Job

#: The artifact's name, where a run has several.
ARTIFACT = "cml-report"
_REPORT = "report.md"
_READ = {".md", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}
_MOST_ZIP_BYTES, _MOST_BYTES, _MOST_ENTRIES, _MOST_REPORTS = 50_000_000, 100_000_000, 1000, 10
_CHUNK = 1 << 16
_DOING = "read the run {}"


@dataclass(frozen=True, kw_only=True)
class SourceRun:
    """GitHub's record of a run.

    :param place: the pull request that it was for, or why there is none.
    :param record: as the API describes it ("Get a workflow run").
    """

    place: Issue | Nowhere
    record: dict[str, Any]

    @property
    def repository(self) -> str:
        """Where its code came from, `owner/name`."""
        return _name(self.record.get("head_repository"))


def with_source(job: Job) -> tuple[Job, Issue | Nowhere]:
    """Return a job that is about the run that `from-run` names, and the place of its comment.

    Its run and attempt are those of that run, so that the report of an older one never replaces a newer
    one's.

    :raises UsageError: `from-run` is no number.
    :raises OutsideError: GitHub does not know the run.
    """
    source = find_run(_repository(job), _number(job.inputs))
    payload = {**job.event.payload, "workflow_run": source.record}
    event = replace(
        job.event,
        payload=payload,
        run_id=int(source.record["id"]),
        run_attempt=int(source.record.get("run_attempt") or 1),
    )
    return replace(job, event=event), source.place


def find_run(repository: Repository, number: int) -> SourceRun:
    """Ask GitHub for a run, and for the pull request that it was for.

    For a branch of the repository itself the record names the pull request. For a fork it does not
    (github/docs#22501): then it is the open one from the run's own repository and branch whose head is the
    run's commit.
    """
    record = _get(repository, f"/actions/runs/{number}", number)
    sha, here = str(record["head_sha"]), _name(record.get("repository"))
    there = _name(record.get("head_repository"))
    if there == here:
        numbers = [
            int(pull["number"])
            for pull in record.get("pull_requests") or ()
            if str(pull["head"]["sha"]) == sha
        ]
    else:
        head = quote(f"{there.partition('/')[0]}:{record.get('head_branch')}", safe="")
        numbers = [
            int(pull["number"])
            for pull in _get(repository, f"/pulls?state=open&head={head}&per_page=100", number)
            if str(pull["head"]["sha"]) == sha and _name(pull["head"].get("repo")) == there
        ]
    if not numbers:
        reason = f"no open pull request has {sha[:7]} of `{there}` as its head: it is closed, or has moved on"
        return SourceRun(place=Nowhere(reason=reason), record=record)
    return SourceRun(place=Issue(number=min(numbers)), record=record)


def fetched(job: Job) -> Report:
    """Return the report that the run left as an artifact, as somebody else's words.

    :raises UsageError: it left none, or one that is not what a report is.
    """
    from cml_action.publish.hostile import harmless, introduced

    number = _number(job.inputs)
    folder = job.private / "from-run"
    folder.mkdir()
    archive = folder.with_suffix(".zip")
    _download(job, _artifact(_repository(job), number), archive)
    files = folder.resolve()
    unpack(archive, files)
    reports = sorted(files.rglob(_REPORT)) or sorted(files.rglob("*.md"))
    if not reports:
        raise UsageError(
            f"The artifact of the run {number} holds no `{_REPORT}`.",
            "Upload the folder of the report: `path: ${{ runner.temp }}/cml-action-reports`.",
        )
    found, source = Report(), _name(job.event.payload["workflow_run"].get("head_repository"))
    for at, path in enumerate(reports[:_MOST_REPORTS]):
        text = harmless(read_markdown(path, path.relative_to(files).as_posix()))
        found += report_of(introduced(text, source) if at == 0 else text, path.parent)
    return found


def unpack(archive: Path, folder: Path) -> None:
    """Write the Markdown and the pictures of an archive below a folder, and nothing else.

    :raises UsageError: it is no archive, leads out of the folder, holds a link, or is too large; nothing in
        it is trusted to say how large it is.
    """
    left = _MOST_BYTES
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise _refused(f"holds {len(entries):,} files; at most {_MOST_ENTRIES:,} are read")
            for entry in entries:
                path = _safe(entry)
                if entry.is_dir() or path.suffix.lower() not in _READ:
                    continue
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as content, target.open("xb") as stream:
                    while chunk := content.read(_CHUNK):
                        left -= len(chunk)
                        if left < 0:
                            raise _refused(f"holds more than {quantity(_MOST_BYTES, 'bytes')}")
                        stream.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise _refused(f"cannot be unpacked ({type(error).__name__})") from None


def _safe(entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _refused("holds a link")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise _refused("leads out of its own folder")
    return path


def _refused(why: str) -> UsageError:
    return UsageError(
        f"The artifact of the other run {why}.", "Only what cml-action left there is published."
    )


def _artifact(repository: Repository, number: int) -> dict[str, Any]:
    """Return the run's artifact: the one named `cml-report`, or the only one.

    Each attempt of a run may have left one of the same name: the latest counts.
    """
    found = _get(repository, f"/actions/runs/{number}/artifacts?per_page=100", number)["artifacts"]
    named = [each for each in found if each["name"] == ARTIFACT] or found
    if len({each["name"] for each in named}) != 1:
        raise UsageError(
            f"The run {number} left no artifact named `{ARTIFACT}`.",
            "Upload its report with `actions/upload-artifact` under that name.",
        )
    artifact: dict[str, Any] = max(named, key=lambda each: int(each["id"]))
    if artifact.get("expired"):
        raise UsageError(f"The artifact of the run {number} has expired.", "Run it again.")
    if int(artifact["size_in_bytes"]) > _MOST_ZIP_BYTES:
        raise _refused(
            f"has {quantity(int(artifact['size_in_bytes']), 'bytes')}; at most"
            f" {quantity(_MOST_ZIP_BYTES, 'bytes')} are fetched"
        )
    return artifact


def _download(job: Job, artifact: dict[str, Any], path: Path) -> None:
    from cml_action.github import download

    url = f"{job.event.api_url}/repos/{job.event.repository}/actions/artifacts/{artifact['id']}/zip"
    token = job.inputs.github_token.get_secret_value()
    if not download(url, token, path, most_bytes=_MOST_ZIP_BYTES):
        raise _refused(f"has more than {quantity(_MOST_ZIP_BYTES, 'bytes')}")


def _repository(job: Job) -> Repository:
    from cml_action.github import connect

    client = connect(job.inputs.github_token.get_secret_value(), job.event.api_url)
    return client.get_repo(job.event.repository)


def _get(repository: Repository, route: str, number: int) -> Any:
    from cml_action.github import complete, github_errors

    with github_errors(_DOING.format(number)):
        path = f"{repository.url}{route}"
        return complete(lambda: repository.requester.requestJsonAndCheck("GET", path)[1])


def _number(inputs: Inputs) -> int:
    text = inputs.from_run.strip()
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(
            f"The input `from-run` is `{text}`.", "Set it to `${{ github.event.workflow_run.id }}`."
        )
    return int(text)


def _name(repository: Any) -> str:
    """Return `owner/name`; nothing where the fork has been deleted."""
    return str(repository.get("full_name") or "") if isinstance(repository, dict) else ""
