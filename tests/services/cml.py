"""The `cml` command as a step runs it, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from cml_action.cml.line import app, as_usual

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.services.emulator import Emulator, Fresh

_SCRIPT = Path(__file__).parents[2] / "cml_action" / "launch.py"


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended: `out` is what scripts read, `said` what people do."""

    code: int
    out: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """A folder with an environment, in which commands run.

    :param environ: all of it but PATH and HOME.
    """

    folder: Path
    environ: Mapping[str, str]

    def cml(self, *words: str, program: str = "cml", **more: str) -> Done:
        """Run a command with more variables, and wait for its end."""
        process = self.start(*words, program=program, **more)
        out, said = process.communicate(timeout=60)
        return Done(code=process.returncode, out=out, said=said)

    def cml_here(self, *words: str, **more: str) -> Done:
        """Run a command in this process: it starts in no time, and cannot be watched."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        gone = {name: None for name in os.environ if name not in kept}
        with _inside(self.folder):
            result = CliRunner().invoke(
                app, as_usual(words), prog_name="cml", env={**gone, **self.environ, **more}
            )
        return Done(code=result.exit_code, out=result.stdout, said=result.stderr)

    def start(self, *words: str, program: str = "cml", **more: str) -> subprocess.Popen[str]:
        """Start a command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", _SCRIPT, program, *words],
            cwd=self.folder,
            env={**kept, **self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def step_of(
    fresh: Fresh,
    emulator: Emulator,
    folder: Path,
    *,
    event: tuple[str, Mapping[str, Any]],
    url: str = "",
    token: str = "",
) -> Terminal:
    """Return what a runner gives to a `run:` step of a job in this repository.

    :param event: its name and payload.
    :param url: of the API, where a proxy stands in front of the emulator.
    :param token: REPO_TOKEN; the emulator's own where empty.
    """
    temporary, workspace = folder / "_temp", folder / "workspace"
    for made in (temporary, workspace):
        made.mkdir(parents=True)
    name, payload = event
    (temporary / "event.json").write_text(json.dumps(payload, default=str))
    return Terminal(
        folder=workspace,
        environ={
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": url or emulator.url,
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(temporary / "event.json"),
            "GITHUB_REF": "refs/heads/feature",
            "GITHUB_REPOSITORY": fresh.name,
            "GITHUB_RUN_ID": "100",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SHA": fresh.head_sha,
            "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
            "GITHUB_WORKFLOW": "train",
            "GITHUB_WORKSPACE": str(workspace),
            "REPO_TOKEN": token or emulator.token,
            "RUNNER_TEMP": str(temporary),
        },
    )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
