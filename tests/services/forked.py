"""Steps in processes of their own that start at once: forked from one that has imported everything.

A registry's client takes seconds to import, and a test of promotion runs many steps. Each of these
processes is otherwise what `run_step` starts: its own environment, working directory and output, and it
can be killed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from tests.services.runner import Step, read_step, step_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.process import BaseProcess

_LIMIT_S = 180
_PRELOADED = [
    "cml_action.action",
    "cml_action.github",
    "cml_action.modes.promote",
    "cml_action.modes.rollback",
    "cml_action.promotion.deployment",
    "cml_action.publish.publisher",
    "cml_action.registry.git",
    "gto.tag",
    "gto.versions",
    "tests.services.forked",
]
_CLIENTS = {"mlflow": ["mlflow", "mlflow.artifacts"], "wandb": ["wandb"]}


def start_step(given: Mapping[str, str]) -> tuple[BaseProcess, Path]:
    """Start a step and return its process, which leads a group of its own, and the folder of its output."""
    context = multiprocessing.get_context("forkserver")
    registry = json.loads(given["CML_ACTION_INPUTS"]).get("registry", "")
    # The first call decides: a server that runs is not told what else to import.
    context.set_forkserver_preload([*_PRELOADED, *_CLIENTS.get(registry, [])])
    folder = Path(mkdtemp(dir=given["RUNNER_TEMP"]))
    process = context.Process(target=_run, args=(dict(given), str(folder)))
    process.start()
    return process, folder


def forked_step(workspace: Path, inputs: Mapping[str, str], **options: Any) -> Step:
    """Run a step as `run_step` does."""
    given = step_environment(workspace, inputs, **options)
    process, folder = start_step(given)
    process.join(_LIMIT_S)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"The step did not end:\n{(folder / 'out').read_text()}")
    return read_step(given, process.exitcode, (folder / "out").read_text(), (folder / "err").read_text())


def _run(given: dict[str, str], folder: str) -> None:
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(given)
    os.chdir(given["GITHUB_WORKSPACE"])
    from cml_action.action import main

    sys.exit(main(os.environ))
