"""A W&B registry to test against (the stand-in), with versions made as runs and people make them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cml_action.registry.wandb import WandbRegistry, mark, open_wandb
from cml_action.registry.wandbdoor import Door

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.services.wandb_server import WandbServer
    from tests.services.wandb_server.state import Artifact


@dataclass
class WandbWorld:
    """A collection of the registry `model`, for one test.

    Each version comes from a collection of its own in the team's project, as models of several projects do:
    so the same files may be there twice, as two versions.
    """

    server: WandbServer
    folder: Path
    backend: str = "wandb"
    name: str = field(default_factory=lambda: f"mnist-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.collection = f"wandb-registry-model/{self.name}"
        with self.server.state.lock:  # as a person makes one, before anything is linked into it
            self.server.state.collection(self.server.registry, self.name, "PORTFOLIO", "model")
        self.workspace = self.folder / "workspace"
        self.workspace.mkdir()
        self.inputs: Mapping[str, str] = {"registry": "wandb"}
        self.environ: Mapping[str, str] = self.server.environ

    def open(self, *, key: str = "", patience_s: int = 0) -> WandbRegistry:
        environ = {**self.environ, **({"WANDB_API_KEY": key} if key else {})}
        if patience_s:
            return WandbRegistry(door=Door(environ=environ, private=self.folder, patience_s=patience_s))
        return open_wandb(environ, self.folder)

    def add(self, files: Mapping[str, str]) -> str:
        contents = {path: text.encode() for path, text in files.items()}
        made = self.server.publish(f"train-{uuid4().hex[:8]}", contents, link=self.name)
        return f"v{made.memberships[-1].number}"

    def artifact(self, version: str) -> Artifact:
        return self.server.collection(self.name).members[int(version[1:])].artifact

    def delete(self, version: str) -> None:
        with self.server.state.lock:
            self.server.state.delete(self.artifact(version), with_aliases=True)

    def spoil(self, version: str) -> None:
        with self.server.state.lock:
            for file in self.artifact(version).files.values():
                del self.server.state.files[file.id]

    def move_by_hand(self, alias: str, version: str) -> None:
        with self.server.state.lock:
            collection = self.server.collection(self.name)
            self.server.state.move_alias(collection, alias, self.artifact(version))

    def edit_record(self, alias: str) -> None:
        """Overwrite the last move in the metadata of the version that carries the record."""
        marked = self.artifact(self.server.holder(self.name, mark(alias)))
        metadata = json.loads(marked.metadata or "{}")
        metadata["cml-action"]["stages"][f"acme-org/{self.collection}:{alias}"]["moves"][-1] = "edited"
        marked.metadata = json.dumps(metadata)

    def holder(self, alias: str) -> str:
        return self.server.holder(self.name, alias)

    def automation(self, alias: str) -> dict[str, str]:
        """Return what W&B's automation says when an alias is added, by the payload in docs/wandb.md."""
        project = self.server.registry
        return {
            "event_type": "ADD_ARTIFACT_ALIAS",
            "event_author": "grace",
            "artifact_version": f"wandb-artifact://_id/{self.artifact(self.holder(alias)).id}",
            "artifact_version_string": f"{project.entity}/{project.name}/{self.name}:{alias}",
            "artifact_collection_name": self.name,
            "project_name": project.name,
            "entity_name": project.entity,
        }

    def metadata(self, version: str) -> Any:
        return json.loads(self.artifact(version).metadata or "{}")

    @property
    def claims(self) -> list[str]:
        """The collections of the registry that decide moves of this one's or of others'."""
        return [each for each in self.server.registry.collections if each.startswith("cml-action-claim-")]
