"""What a runner gives to a step, for tests that start the program without a runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that has ended.

    :param outputs: as a later step would read them; `summary`: the job summary.
    """

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    errors: str

    @property
    def report(self) -> str:
        """The report as Markdown."""
        return Path(self.outputs["report"]).read_text(encoding="utf-8")

    @property
    def result(self) -> Any:
        """What `result.json` holds."""
        return json.loads(Path(self.outputs["result"]).read_text(encoding="utf-8"))


def run_step(
    workspace: Path,
    inputs: Mapping[str, str],
    *,
    event: tuple[str, Mapping[str, Any]] = ("workflow_dispatch", {}),
    environ: Mapping[str, str] | None = None,
    python: tuple[str, ...] = (),
    limit_s: float = 120,
) -> Step:
    """Run the program in a process of its own, in the environment that a runner gives to a step.

    :param event: its name and payload.
    :param environ: more variables, such as GITHUB_API_URL or a remote's credentials.
    :param python: options of the interpreter.
    :param limit_s: seconds after which it is stopped.
    """
    given = step_environment(workspace, inputs, event=event, environ=environ)
    done = subprocess.run(
        [sys.executable, *python, "-m", "cml_action.action"],
        capture_output=True,
        check=False,
        cwd=workspace,
        env=given,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=limit_s,
    )
    return read_step(given, done.returncode, done.stdout, done.stderr)


def step_environment(
    workspace: Path,
    inputs: Mapping[str, str],
    *,
    event: tuple[str, Mapping[str, Any]] = ("workflow_dispatch", {}),
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Write what a runner writes before a step, and return the step's environment."""
    temporary = workspace.parent / "_temp"
    temporary.mkdir(exist_ok=True)
    name, payload = event
    files = {each: temporary / each for each in ("event.json", "output", "summary")}
    files["event.json"].write_text(json.dumps(payload), encoding="utf-8")
    for each in ("output", "summary"):
        files[each].write_text("", encoding="utf-8")
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ}
    return {
        **kept,
        "CI": "true",
        "CML_ACTION_INPUTS": json.dumps(inputs),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(files["event.json"]),
        "GITHUB_OUTPUT": str(files["output"]),
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "100",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_STEP_SUMMARY": str(files["summary"]),
        "GITHUB_WORKSPACE": str(workspace),
        "PYTHONPATH": str(ROOT),
        "RUNNER_TEMP": str(temporary),
        **(environ or {}),
    }


def read_step(given: Mapping[str, str], code: int, log: str, errors: str) -> Step:
    """Return what is left of a step that ran in this environment."""
    return Step(
        code=code,
        log=log,
        errors=errors,
        outputs=_outputs(Path(given["GITHUB_OUTPUT"]).read_text(encoding="utf-8")),
        summary=Path(given["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8"),
    )


def _outputs(text: str) -> dict[str, str]:
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, mark = line.split("<<", 1)
        value = []
        while (each := next(lines)) != mark:
            value.append(each)
        found[name] = "\n".join(value)
    return found
