"""`setup`: `cml`, `cml-action` and `dvc` on the PATH of later steps, from the private environment."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import OutsideError, UsageError
from cml_action.publish.outputs import append
from cml_action.report import Report

if TYPE_CHECKING:
    from cml_action.job import Job

#: What CML's package put on the PATH, its old names too, and what else is wanted there.
PROGRAMS = (
    "cml",
    "cml-pr",
    "cml-publish",
    "cml-runner",
    "cml-send-comment",
    "cml-send-github-check",
    "cml-tensorboard-dev",
    "cml-action",
    "dvc",
)


def run(job: Job) -> Report:
    """Write the launchers, name their folder to the runner, and say nothing in a report."""
    home = Path(sys.prefix).parent
    if not job.path_file or not home.is_relative_to(job.private.parent.resolve()):
        raise UsageError(
            "`mode: setup` puts programs on the PATH of a job's later steps, and this is no step that could.",
            "Use it as `uses: org/cml-action@v1`; on a laptop, `pip install cml-action` brings `cml`.",
        )
    folder = write_launchers(home / "launchers", Path(sys.executable), windows=os.name == "nt")
    append(str(job.path_file), f"{folder}\n")
    job.log.line(f"On the PATH of later steps: {', '.join(PROGRAMS)} ({folder}).")
    return Report()


def write_launchers(folder: Path, python: Path, *, windows: bool) -> Path:
    """Write a launcher for each program, and return their folder.

    :param windows: also `.cmd` files, for cmd and PowerShell; Git's bash takes the scripts there as well.
    """
    script = Path(__file__).resolve().parents[1] / "launch.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for program in PROGRAMS:
            command = [python.as_posix(), "-I", "-X", "utf8", script.as_posix(), program]
            path = folder / program
            path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8", newline="\n")
            path.chmod(0o755)
            if windows:
                command[0], command[4] = str(python), str(script)
                text = f"@echo off\r\n{subprocess.list2cmdline(command)} %*\r\n"
                path.with_suffix(".cmd").write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OutsideError(
            f"The launchers could not be written to {folder}: {error.strerror}.", "Free some disk space."
        ) from None
    return folder
