"""A stand-in for GitHub's record of workflow runs and for their artifacts, which the emulator has no way to
make.

`proxy.py` answers with these; a test holds them against GitHub's own description.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIME = "2026-11-26T12:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run that has ended, and what its attempts left, packed, with the artifact's name; earliest first."""

    record: Mapping[str, Any]
    artifacts: Sequence[tuple[str, bytes]]
    said_size: int | None = None

    def listed(self, url: str) -> dict[str, Any]:
        """Return its artifacts as the API lists them."""
        found = [
            {
                "id": int(self.record["id"]) * 100 + at,
                "node_id": f"A_{at}",
                "name": name,
                "size_in_bytes": self.said_size if self.said_size is not None else len(content),
                "url": f"{url}/{at}",
                "archive_download_url": f"{url}/{at}/zip",
                "expired": False,
                "created_at": _TIME,
                "updated_at": _TIME,
                "expires_at": _TIME,
            }
            for at, (name, content) in enumerate(self.artifacts)
        ]
        return {"total_count": len(found), "artifacts": found}


def run_record(
    number: int,
    repository: Mapping[str, Any],
    head_repository: Mapping[str, Any],
    *,
    branch: str,
    sha: str,
    pull_requests: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return a run of `pull_request` as "Get a workflow run" describes it; a fork's names no pull request."""
    url = f"{repository['url']}/actions/runs/{number}"
    person = {"name": "Ada", "email": "ada@example.com"}
    return {
        "id": number,
        "name": "Report",
        "node_id": f"WFR_{number}",
        "check_suite_id": 1,
        "check_suite_node_id": "CS_1",
        "head_branch": branch,
        "head_sha": sha,
        "path": ".github/workflows/report.yml@main",
        "run_number": 1,
        "run_attempt": 1,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "success",
        "workflow_id": 1,
        "url": url,
        "html_url": f"{repository['html_url']}/actions/runs/{number}",
        "pull_requests": pull_requests or [],
        "created_at": _TIME,
        "updated_at": _TIME,
        "run_started_at": _TIME,
        "display_title": "New data",
        **{
            f"{name}_url": f"{url}/{name}"
            for name in ("jobs", "logs", "check_suite", "artifacts", "cancel", "rerun", "workflow")
        },
        "previous_attempt_url": None,
        "head_commit": {
            "id": sha,
            "tree_id": sha,
            "message": "New data",
            "timestamp": _TIME,
            "author": person,
            "committer": person,
        },
        "repository": dict(repository),
        "head_repository": dict(head_repository),
    }


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """Return an archive as `actions/upload-artifact` makes one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
