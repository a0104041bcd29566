"""Open the registry that was asked for. Each backend's client is imported only where it is used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cml_action import git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cml_action.log import Log
    from cml_action.registry.protocol import Registry


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a backend may need to know of where it is used.

    :param root: of the checkout; `project`: the folder in it; `prefix`: the same, ending in `/`.
    :param private: a folder of this run's own.
    :param model_path: where the project's model lies, as `cml.yaml` says; empty where it does not.
    :param token: for the repository's own remote, at `server_url`; empty on a laptop.
    :param environ: where the other registries' addresses and keys are.
    """

    root: Path
    project: Path
    prefix: str
    private: Path
    model_path: str
    remote: str
    token: str
    server_url: str
    environ: Mapping[str, str]
    log: Log


def open_registry(backend: str, around: Surroundings) -> Registry:
    """Return the registry; nothing is asked of it yet.

    :param backend: `git`, `mlflow` or `wandb`.
    :raises UsageError: what it needs to be found is missing (an address, a remote).
    """
    if backend == "mlflow":
        from cml_action.registry.mlflow import open_mlflow

        return open_mlflow(around.environ)
    if backend == "wandb":
        from cml_action.registry.wandb import open_wandb

        return open_wandb(around.environ, around.private)
    return _git(around)


def _git(around: Surroundings) -> Registry:
    from tempfile import mkdtemp

    from cml_action.registry.git import GitRegistry
    from cml_action.registry.gitfiles import Files, pull_with
    from cml_action.registry.gitremote import open_remote

    def pull(commit: str, path: str, folder: Path) -> None:
        from cml_action.data import dvc

        dvc.read_base(around.project, commit, path, folder, remote=around.remote or None, log=around.log)

    fetch = partial(git.fetch_commit, around.root, token=around.token, server_url=around.server_url)
    remote = open_remote(
        around.root,
        around.private.__class__(mkdtemp(prefix="registry-", dir=around.private)) / "clone.git",
        token=around.token,
        server_url=around.server_url,
    )
    files = Files(prefix=around.prefix, path=around.model_path, pull=pull_with(around.root, pull, fetch))
    return GitRegistry(remote=remote, files=files)
