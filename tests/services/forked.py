"""Steps, and DVC's command line, in processes that start at once: forked from one that imported everything.

DVC, matplotlib or a registry's client take seconds to import, and tests run hundreds of steps. Each of these
processes is otherwise what `run_step` starts: its own environment, working directory and output, and it can
be killed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any

from tests.services.runner import Step, read_step, step_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.process import BaseProcess

#: What steps import, by what they do.
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
_ON_DATA = [
    "cml_action.action",
    "cml_action.data.measure",
    "cml_action.data.pull",
    "cml_action.github",
    "cml_action.model.quality",
    "cml_action.modes.gate",
    "cml_action.modes.stats",
    "cml_action.publish.figures",
    "cml_action.publish.publisher",
    "dvc.api",
    "dvc.cli.parser",
    "dvc.data_cloud",
    "dvc.repo.artifacts",
    "ibis.backends.duckdb",
    "pandas",
    "pyarrow.parquet",
    "pygit2",
    "scipy.stats",
    "tests.services.forked",
]
_CLIENTS = {"mlflow": ["mlflow", "mlflow.artifacts"], "wandb": ["wandb"]}
_servers: dict[str, forkserver.ForkServer] = {}
_starting = threading.Lock()


def start_step(given: Mapping[str, str], file_bytes: int | None = None) -> tuple[BaseProcess, Path]:
    """Start a step and return its process, which leads a group of its own, and the folder of its output.

    :param file_bytes: how large a file may become: the same error path as a full disk, without filling one.
    """
    inputs = json.loads(given["CML_ACTION_INPUTS"])
    client = inputs.get("registry", "") if inputs.get("registry") in _CLIENTS else ""
    on_data = not client and {"gate", "pull", "stats"}.intersection(re.split(r"[,\s]+", inputs["mode"]))
    folder = Path(mkdtemp(dir=given["RUNNER_TEMP"]))
    process = _start(
        "data" if on_data else client,
        _step,
        (dict(given), Path(given["GITHUB_WORKSPACE"]), folder, file_bytes),
    )
    return process, folder


def forked_step(
    workspace: Path,
    inputs: Mapping[str, str],
    *,
    limit_s: float = 180,
    file_bytes: int | None = None,
    **options: Any,
) -> Step:
    """Run a step as `run_step` does."""
    given = step_environment(workspace, inputs, **options)
    process, folder = start_step(given, file_bytes)
    process.join(limit_s)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"The step did not end:\n{(folder / 'out').read_text()}")
    return read_step(given, process.exitcode, (folder / "out").read_text(), (folder / "err").read_text())


def forked_dvc(words: Sequence[str], workspace: Path, environ: Mapping[str, str]) -> str:
    """Run DVC's command line, which has to succeed, and return what it prints."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        process = _start("data", _dvc, (dict(environ), workspace, folder, tuple(words)))
        process.join()
        out, err = (folder / "out").read_text(), (folder / "err").read_text()
        if process.exitcode:
            raise AssertionError(f"dvc {words} failed:\n{out}{err}")
        return out


def _start(server: str, target: Callable[..., None], given: tuple[Any, ...]) -> BaseProcess:
    with _starting:
        if server not in _servers:
            _servers[server] = forkserver.ForkServer()
            _servers[server].set_forkserver_preload(
                _ON_DATA if server == "data" else [*_PRELOADED, *_CLIENTS.get(server, [])]
            )
        # `multiprocessing` has one server, and one that has imported everything would be late for each test.
        forkserver.connect_to_new_process = _servers[server].connect_to_new_process
        process = multiprocessing.get_context("forkserver").Process(target=target, args=given)
        process.start()
    return process


def _step(environ: dict[str, str], workspace: Path, folder: Path, file_bytes: int | None) -> None:
    _enter(environ, workspace, folder)
    if file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    from cml_action.action import main

    sys.exit(main(os.environ))


def _dvc(environ: dict[str, str], workspace: Path, folder: Path, words: tuple[str, ...]) -> None:
    _enter(environ, workspace, folder)
    from dvc.cli import main

    sys.exit(main(list(words)))


def _enter(environ: dict[str, str], workspace: Path, folder: Path) -> None:
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(workspace)
