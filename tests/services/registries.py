"""Registries to test against, each with versions made as its users make them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from cml_action.log import Log
from cml_action.registry.open import Surroundings, open_registry
from tests.services.githttp import GitServer, git
from tests.services.projects import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cml_action.registry.protocol import Registry


class World(Protocol):
    """A registry of its own with one collection, and what its users and its administrators can do.

    :param inputs: what a step needs to find it: `registry`, `github-token`; `environ`: the variables.
    :param workspace: a checkout in which a step runs.
    """

    backend: str
    collection: str
    inputs: Mapping[str, str]
    environ: Mapping[str, str]
    workspace: Path

    def open(self) -> Registry:
        """Return a client that has asked for nothing yet."""

    def add(self, files: Mapping[str, str]) -> str:
        """Register a new version with these files, and return its name."""

    def delete(self, version: str) -> None:
        """Delete a version, as a user of the registry would."""

    def spoil(self, version: str) -> None:
        """Lose a version's files, and keep the version."""

    def move_by_hand(self, alias: str, version: str) -> None:
        """Let a version take an alias, as a user of the registry would, without this Action."""

    def edit_record(self, alias: str) -> None:
        """Write nonsense into the record of the next move, or into the last one's, by hand."""


@dataclass
class GitWorld:
    """Tags of a repository behind a Git server; the model is a file in Git."""

    server: GitServer
    folder: Path
    backend: str = "git"
    collection: str = "mnist"
    token: str = "ghs_write_token"
    url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.name = f"team/{uuid4().hex[:12]}"
        (self.server.root / "team").mkdir(exist_ok=True)
        self.bare = self.server.create(self.name)
        self.url = self.url or self.server.url
        self.workspace = self.folder / "workspace"
        self.workspace.mkdir()
        git(["init", "--quiet"], self.workspace)
        git(["remote", "add", "origin", f"{self.url}/{self.name}.git"], self.workspace)
        git(["remote", "add", "direct", str(self.bare)], self.workspace)

    @property
    def inputs(self) -> Mapping[str, str]:
        return {"registry": "git", "github-token": self.token}

    def open(self) -> Registry:
        private = self.folder / "private"
        private.mkdir(exist_ok=True)
        around = Surroundings(
            root=self.workspace,
            project=self.workspace,
            prefix="",
            private=private,
            model_path="",
            remote="",
            token=self.token,
            server_url=self.url,
            environ={},
            log=Log(runner=False),
        )
        return open_registry("git", around)

    def add(self, files: Mapping[str, str]) -> str:
        version = f"v{next(self._numbers)}.0.0"
        path = next(iter(files)) if len(files) == 1 else "model"
        described = {"artifacts.yaml": f"{self.collection}:\n  type: model\n  path: {path}\n"}
        git(["rm", "-rq", "--ignore-unmatch", "model", "model.bin"], self.workspace)
        at = {name if len(files) == 1 else f"model/{name}": text for name, text in files.items()}
        write(self.workspace, {**described, **at})
        git(["add", "--all"], self.workspace)
        git(["commit", "--quiet", "--allow-empty", "-m", f"Train {version}"], self.workspace)
        self.tag(f"{self.collection}@{version}", "HEAD")
        git(["push", "--quiet", "direct", "HEAD:main"], self.workspace)
        return version

    def commit(self, message: str) -> None:
        """Commit what lies in the workspace, on the server as well."""
        git(["add", "--all"], self.workspace)
        git(["commit", "--quiet", "-m", message], self.workspace)
        git(["push", "--quiet", "direct", "HEAD:main"], self.workspace)

    def tag(self, name: str, revision: str, *options: str, message: str = "By hand") -> None:
        """Make an annotated tag on the server, as `gto` and `git push` do."""
        git(["tag", "--force", "-a", "-m", message, name, revision], self.workspace)
        git(["push", "--quiet", *options, "direct", f"refs/tags/{name}"], self.workspace)
        git(["tag", "-d", name], self.workspace)

    def names(self) -> list[str]:
        """The references of the server."""
        return git(["for-each-ref", "--format=%(refname)"], self.bare).splitlines()

    def delete(self, version: str) -> None:
        self.tag(f"{self.collection}@{version}!#99", self._commit(version))

    def spoil(self, version: str) -> None:
        commit = self._commit(version)
        name = git(["show", f"{commit}:artifacts.yaml"], self.workspace).split("path: ")[1].strip()
        git(["checkout", "--quiet", commit], self.workspace)
        git(["rm", "-rq", name], self.workspace)
        git(["commit", "--quiet", "-m", "Lose the model"], self.workspace)
        self.tag(f"{self.collection}@{version}", "HEAD", "--force")
        git(["checkout", "--quiet", "-"], self.workspace)

    def move_by_hand(self, alias: str, version: str) -> None:
        tags = git(["ls-remote", "direct", f"refs/tags/{self.collection}#{alias}#*"], self.workspace)
        self.tag(f"{self.collection}#{alias}#{tags.count('refs/tags') + 7}", self._commit(version))

    def edit_record(self, alias: str) -> None:
        found = git(["ls-remote", "direct", f"refs/tags/{self.collection}#{alias}#*^{{}}"], self.workspace)
        commit, name = found.splitlines()[-1].split("\t")
        message = 'Promote\n\n{"number": "edited", "alias": 3}'
        self.tag(name.removeprefix("refs/tags/").removesuffix("^{}"), commit, "--force", message=message)

    def _commit(self, version: str) -> str:
        found = git(["ls-remote", "direct", f"refs/tags/{self.collection}@{version}^{{}}"], self.workspace)
        return found.split()[0]


@dataclass
class MlflowWorld:
    """A registered model on a real MLflow server."""

    url: str
    folder: Path
    backend: str = "mlflow"
    collection: str = field(default_factory=lambda: f"mnist-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        from mlflow import MlflowClient

        self.workspace = self.folder / "workspace"
        self.workspace.mkdir()
        git(["init", "--quiet"], self.workspace)
        git(["commit", "--quiet", "--allow-empty", "-m", "Begin"], self.workspace)
        self.inputs: Mapping[str, str] = {"registry": "mlflow"}
        self.environ: Mapping[str, str] = {"MLFLOW_TRACKING_URI": self.url}
        self.client = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        self.client.create_registered_model(self.collection)
        self.experiment = self.client.create_experiment(f"train {self.collection}")

    def open(self) -> Registry:
        from cml_action.registry.mlflow import open_mlflow

        return open_mlflow(self.environ)

    def add(self, files: Mapping[str, str]) -> str:
        run = self.client.create_run(self.experiment).info.run_id
        folder = self.folder / run
        write(folder, files)
        self.client.log_artifacts(run, str(folder), "model")
        made = self.client.create_model_version(self.collection, f"runs:/{run}/model", run_id=run)
        return str(made.version)

    def delete(self, version: str) -> None:
        self.client.delete_model_version(self.collection, version)

    def spoil(self, version: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        run = self.client.get_model_version(self.collection, version).run_id
        place = self.client.get_run(str(run)).info.artifact_uri
        get_artifact_repository(str(place), tracking_uri=self.url).delete_artifacts("model")

    def move_by_hand(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(self.collection, alias, version)

    def edit_record(self, alias: str) -> None:
        found = self.client.get_experiment_by_name(f"cml-action/{self.collection}")
        assert found
        run = found.tags["cml-action.record"]
        numbers = [
            int(key.rpartition(".")[2])
            for key in self.client.get_run(run).data.params
            if key.startswith(alias)
        ]
        self.client.log_param(run, f"{alias}.{max(numbers) + 1:06}", "edited by hand")
