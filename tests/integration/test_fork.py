from __future__ import annotations

import io
import stat
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cml_action.errors import UsageError
from cml_action.fromrun import unpack
from tests.services.contract import faults_of_answer
from tests.services.forked import forked_step
from tests.services.images import png
from tests.services.runs import Recorded, packed, run_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from github.PullRequest import PullRequest

    from tests.services.emulator import Emulator, Fresh
    from tests.services.proxy import Proxy
    from tests.services.runner import Step

HOSTILE = """\
<!-- cml-action: Report -->
## Great, @everyone

Closes #1. ![spy](https://evil.example/x.png) ![ours](pictures/a.png)
"""


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A pull request from somebody else's fork, and the repository that it is for."""

    emulator: Emulator
    proxy: Proxy
    fresh: Fresh
    pull: PullRequest
    sha: str
    branch: str = "improve"

    def record(self, number: int = 7, **changed: Any) -> dict[str, Any]:
        pull = self.pull.raw_data
        record = run_record(
            number, pull["base"]["repo"], pull["head"]["repo"], branch=self.branch, sha=self.sha
        )
        return {**record, **changed}

    def left(self, files: Mapping[str, bytes | str], number: int = 7, **changed: Any) -> None:
        """Let the fork's run have left these files as its artifact."""
        archive = packed(files)
        self.proxy.runs[number] = Recorded(
            record=self.record(number, **changed), artifacts=[("cml-report", archive)]
        )

    def publish(self, workspace: Path, number: str = "7", **further: str) -> Step:
        """Run the second workflow's step."""
        workspace.mkdir(exist_ok=True)
        inputs = {"mode": "comment", "from-run": number, "title": "Report", "github-token": self.token}
        inputs |= further
        event = {"workflow_run": {"id": 7, "pull_requests": [{"number": 1}]}}
        environ = {
            "GITHUB_API_URL": self.proxy.url,
            "GITHUB_REPOSITORY": self.fresh.name,
            "GITHUB_RUN_ID": "900",
            "GITHUB_SHA": self.fresh.base_sha,
        }
        return forked_step(workspace, inputs, event=("workflow_run", event), environ=environ)

    @property
    def token(self) -> str:
        return self.emulator.token

    @property
    def own(self) -> dict[str, Any]:
        """What the record of a run of the repository's own branch says otherwise."""
        sha = self.fresh.head_sha
        return {
            "head_repository": self.pull.raw_data["base"]["repo"],
            "head_branch": "feature",
            "head_sha": sha,
            "pull_requests": [{"number": self.fresh.pull.number, "head": {"sha": sha}}],
        }

    def bodies(self, pull: PullRequest | None = None) -> list[str]:
        return [comment.body for comment in (pull or self.pull).get_issue_comments()]


@pytest.fixture
def fork(emulator: Emulator, proxy: Proxy, fresh: Fresh) -> Fork:
    somebody = emulator.connect("test_token_user")
    theirs = somebody.get_repo(fresh.name).create_fork()
    base = theirs.get_branch("main").commit.sha
    theirs.create_git_ref("refs/heads/improve", base)
    made = theirs.create_file("train.py", "Improve", "print('hello')\n", branch="improve")
    upstream = somebody.get_repo(fresh.name)
    pull = upstream.create_pull(base="main", head="octocat:improve", title="Improve", body="")
    return Fork(emulator=emulator, proxy=proxy, fresh=fresh, pull=pull, sha=made["commit"].sha)


def test_a_forks_report_becomes_a_comment_on_its_own_pull_request_and_does_nothing_but_be_read(
    fork: Fork, tmp_path: Path
) -> None:
    fork.left({"comment-x/report.md": HOSTILE, "comment-x/pictures/a.png": png(), "run.sh": "exit 1"})

    step = fork.publish(tmp_path / "workspace")

    assert (step.code, step.errors) == (0, "")
    (body,) = fork.bodies()
    assert "was written by the code of a pull request from `octocat/" in body
    assert "@\u200beveryone" in body
    assert "Closes #\u200b1" in body
    assert "evil.example" not in body
    assert f"/{fork.fresh.name}/blob/cml-assets/" in body
    assert fork.bodies(fork.fresh.pull) == []  # pull request 1, which the event's payload named
    assert fork.sha[:7] in body
    assert "actions/runs/7" in body


def test_no_verdict_of_ours_stands_above_a_report_that_is_not_ours(fork: Fork, tmp_path: Path) -> None:
    fork.left({"report.md": "### ❌ Data checks: 2 of 31 failed\n"}, **fork.own)

    step = fork.publish(tmp_path / "workspace", check="true")

    assert step.code == 0, step.log
    (body,) = fork.bodies(fork.fresh.pull)
    assert "\n### Report\n" in body
    assert "✅" not in body + step.summary + step.log
    (run,) = fork.fresh.repo.get_commit(fork.fresh.head_sha).get_check_runs()
    assert (run.conclusion, run.output.title) == ("neutral", "Report")


def test_what_the_stand_in_answers_is_what_github_describes(fork: Fork) -> None:
    fork.left({"report.md": "x"})
    run = fork.proxy.runs[7]

    assert faults_of_answer("/repos/{owner}/{repo}/actions/runs/{run_id}", run.record) == []
    listed = run.listed("https://api.github.com/repos/o/r/actions/artifacts")
    assert faults_of_answer("/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts", listed) == []


def test_a_pull_request_that_has_moved_on_gets_no_comment_and_a_notice(fork: Fork, tmp_path: Path) -> None:
    fork.left({"report.md": "old"}, head_sha="0" * 40)

    step = fork.publish(tmp_path / "workspace")

    assert step.code == 0
    assert fork.bodies() == fork.bodies(fork.fresh.pull) == []
    assert "No comment was written::no open pull request has 0000000 of" in step.log


def test_a_run_of_the_repositorys_own_branch_is_for_the_pull_request_that_github_names(
    fork: Fork, tmp_path: Path
) -> None:
    fork.left({"report.md": "It is 97.6 %."}, **fork.own)

    assert fork.publish(tmp_path / "workspace").code == 0
    assert "It is 97.6 %." in fork.bodies(fork.fresh.pull)[0]


def test_the_report_of_an_older_run_never_replaces_a_newer_one(fork: Fork, tmp_path: Path) -> None:
    fork.left({"report.md": "newer"}, number=8)
    fork.left({"report.md": "older"}, number=7)
    fork.publish(tmp_path / "workspace", "8")

    step = fork.publish(tmp_path / "workspace", "7")

    assert step.code == 0
    assert "newer" in fork.bodies()[0]
    assert "a later run has left its comment already" in step.log


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"artifacts": []}, "left no artifact named `cml-report`"),
        ({"artifacts": [("cml-report", packed({"a.png": png()}))]}, "holds no `report.md`"),
        ({"artifacts": [("cml-report", b"no archive")]}, "cannot be unpacked (BadZipFile)"),
        ({"artifacts": [("cml-report", packed({"report.md": ""}))]}, "is empty"),
        ({"artifacts": [("cml-report", packed({"../report.md": "x"}))]}, "leads out of its own folder"),
        ({"artifacts": [("cml-report", b"")], "said_size": 10**9}, "at most 50\u202fMB are fetched"),
    ],
)
def test_an_artifact_that_is_no_report_is_a_sentence(
    fork: Fork, tmp_path: Path, recorded: dict[str, Any], said: str
) -> None:
    fork.proxy.runs[7] = Recorded(record=fork.record(), **recorded)

    step = fork.publish(tmp_path / "workspace")

    assert step.code == 2
    assert said in step.log
    assert "Traceback" not in step.log + step.errors


@pytest.mark.parametrize("name", ["cml-report", "report"])
def test_of_a_run_that_was_repeated_the_last_attempts_report_counts(
    fork: Fork, tmp_path: Path, name: str
) -> None:
    attempts = [(name, packed({"report.md": text})) for text in ("first attempt", "second attempt")]
    fork.proxy.runs[7] = Recorded(record=fork.record(run_attempt=2), artifacts=attempts)

    step = fork.publish(tmp_path / "workspace")

    assert (step.code, step.errors) == (0, "")
    (body,) = fork.bodies()
    assert "second attempt" in body


def test_a_run_that_github_does_not_know_is_a_sentence(fork: Fork, tmp_path: Path) -> None:
    assert "Could not read the run 99: GitHub does not find it" in fork.publish(tmp_path / "w", "99").log
    assert "The input `from-run` is `main`." in fork.publish(tmp_path / "w", "main").log


def refused(tmp_path: Path, archive: bytes) -> str:
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    with pytest.raises(UsageError) as caught:
        unpack(path, tmp_path / "files")
    return str(caught.value)


@pytest.mark.parametrize("name", ["../x.md", "/etc/x.md", "a/../../x.md", "..\\x.md", "C:\\x.md", "C:x.md"])
def test_no_entry_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert "leads out of its own folder" in refused(tmp_path, packed({name: "x"}))
    assert not list(tmp_path.rglob("x.md"))


def test_links_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("report.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")

    assert "holds a link" in refused(tmp_path, stream.getvalue())


def test_an_archive_that_grows_beyond_its_limit_is_stopped(tmp_path: Path) -> None:
    assert "holds more than 100\u202fMB" in refused(tmp_path, packed({"report.md": bytes(101_000_000)}))


def test_a_thousand_files_are_enough(tmp_path: Path) -> None:
    assert "holds 1,001 files" in refused(tmp_path, packed({f"{at}.md": "" for at in range(1001)}))


def test_a_file_that_stands_in_it_twice_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("report.md", "one")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("report.md", "two")

    assert "cannot be unpacked" in refused(tmp_path, stream.getvalue())


def test_only_markdown_and_pictures_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packed({"report.md": "x", "a.PNG": png(), "run.sh": "x", "x.py": "x", ".env": "x"}))

    unpack(path, tmp_path / "files")

    assert sorted(each.name for each in (tmp_path / "files").iterdir()) == ["a.PNG", "report.md"]
