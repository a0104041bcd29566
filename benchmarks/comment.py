"""`mode: comment` on the GitHub emulator: from nothing, and again in the same job.

The step runs as `action.yml` starts it, `python3 -I entrypoint.py`. Cold: RUNNER_TEMP is new, so uv and the
packages are installed, out of the installers' caches. Warm: the private environment is there, and the comment
is updated. The yardstick is the least that anything with these libraries costs: an interpreter that imports
PyGithub and pydantic and asks GitHub one question.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, Run, finish, in_turn, median, ratio, run, show
from tests.services.act import ROOT, runner_environment
from tests.services.emulator import Emulator, Fresh, fresh_repository, running_emulator

COLD_S, WARM_S = 5, 1.2
ROUNDS = 7
BARE = """
import sys, github, pydantic
github.Github(base_url=sys.argv[1], auth=github.Auth.Token(sys.argv[2])).get_repo(sys.argv[3])
"""


def measure() -> list[Bar]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "emulator").mkdir()
        with running_emulator(folder / "emulator") as emulator:
            return _measure(folder, emulator, fresh_repository(emulator))


def _measure(folder: Path, emulator: Emulator, fresh: Fresh) -> list[Bar]:
    step = _Step(folder, emulator, fresh)
    step.cold()  # fills the installers' caches
    cold, warm, bare = in_turn(ROUNDS, step.cold, step.warm, step.bare)
    cold_s, warm_s = (statistics.median(each.wall_s for each in runs) for runs in (cold, warm))
    times = ratio([each.wall_s for each in warm], [each.wall_s for each in bare])
    return [
        show(Bar(name="comment, cold environment", value=cold_s, unit="s", limit=COLD_S, note=median(cold))),
        show(Bar(name="comment, warm", value=warm_s, unit="s", limit=WARM_S, note=median(warm))),
        show(Bar(name="comment, warm / bare import and request", value=times, unit="x", note=median(bare))),
    ]


class _Step:
    """One step of a job, and where its job's files lie."""

    def __init__(self, folder: Path, emulator: Emulator, fresh: Fresh) -> None:
        self._folder, self._emulator, self._fresh = folder, emulator, fresh
        self._number = itertools.count(1)
        self._temp = folder
        self._workspace = folder / "workspace"
        self._workspace.mkdir()
        (folder / "home").mkdir()
        (folder / "event.json").write_text(json.dumps(fresh.pull_request_event()), encoding="utf-8")

    def cold(self) -> Run:
        self._temp = Path(tempfile.mkdtemp(dir=self._folder))
        return self._run()

    def warm(self) -> Run:
        return self._run()

    def bare(self) -> Run:
        python = next(self._temp.glob("cml-action-*/env/bin/python"))
        return run([python, "-I", "-c", BARE, self._emulator.url, self._emulator.token, self._fresh.name])

    def _run(self) -> Run:
        number = next(self._number)
        (self._workspace / "report.md").write_text(f"## Accuracy\n\nRun {number}: 97.6 %\n", encoding="utf-8")
        inputs = {"mode": "comment", "report": "report.md", "github-token": self._emulator.token}
        environ = {
            **runner_environment(self._folder / "home"),
            "CML_ACTION_INPUTS": json.dumps(inputs),
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self._emulator.url,
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self._folder / "event.json"),
            "GITHUB_OUTPUT": str(self._temp / "output"),
            "GITHUB_REPOSITORY": self._fresh.name,
            "GITHUB_RUN_ID": str(number),
            "GITHUB_STEP_SUMMARY": str(self._temp / "summary"),
            "GITHUB_WORKSPACE": str(self._workspace),
            "RUNNER_TEMP": str(self._temp),
        }
        # The interpreter below this environment, as setup-python would have put it on the PATH.
        python = Path(sys.executable).resolve()
        done = run([python, "-I", ROOT / "entrypoint.py"], environ=environ, folder=self._workspace)
        comments = list(self._fresh.pull.get_issue_comments())
        assert len(comments) == 1, done.output
        assert f"Run {number}:" in comments[0].body, done.output
        return done


if __name__ == "__main__":
    sys.exit(finish(measure()))
