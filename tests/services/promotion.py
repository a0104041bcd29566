"""A registry, GitHub beside it, and steps that promote: what the tests of promotion share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cml_action.model.verdict import Evidence, policy_digest
from cml_action.policy import load
from cml_action.registry.fetch import fetch
from cml_action.registry.protocol import Kept
from tests.services.forked import forked_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.registry.protocol import Stage
    from tests.services.proxy import Proxy
    from tests.services.registries import World
    from tests.services.runner import Step

POLICY = """\
model:
  gates:
    - {measure: size, max: 50 MB}
"""
SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Promotion:
    """A world, and the GitHub whose job promotes in it."""

    world: World
    hub: Proxy
    runs: int = 100
    environ: Mapping[str, str] = field(default_factory=dict)
    event: tuple[str, Mapping[str, Any]] = ("workflow_dispatch", {"repository": {"default_branch": "main"}})

    def __post_init__(self) -> None:
        self.policy(POLICY)

    def policy(self, text: str) -> None:
        """Write `cml.yaml`."""
        (self.world.workspace / "cml.yaml").write_text(text)

    def version(self, text: str, verdict: str = "pass") -> str:
        """Register a version, and let a gate leave its verdict about it."""
        name = self.world.add({"model.bin": text})
        self.gate(name, verdict)
        return name

    def gate(self, name: str, verdict: str = "pass", **more: Any) -> Evidence:
        """Keep evidence beside a version, as `mode: gate` with a file as its `baseline` does."""
        registry = self.world.open()
        version = registry.find(self.world.collection, name)
        folder = self.world.workspace.parent / "gate"
        folder.mkdir(exist_ok=True)
        path = self.world.workspace / "cml.yaml"
        evidence = Evidence(
            verdict=verdict,  # type: ignore[arg-type]
            reference=version.reference,
            digest=fetch(registry, version, folder).digest,
            policy_digest=policy_digest(load(path, "cml.yaml", required=True).model, ()),
            run_url="https://github.com/o/r/actions/runs/99",
            **{"baseline": "models/baseline.bin", **more},
        )
        registry.keep_evidence(version, Kept(evidence=evidence, source_digest=version.digest))
        return evidence

    def variables(self) -> dict[str, str]:
        """Return what the runner of the next run sets."""
        return {
            **self.world.environ,
            "GITHUB_ACTOR": "ada",
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": str(self.runs),
            "GITHUB_SERVER_URL": getattr(self.world, "url", "https://github.com"),
            "GITHUB_SHA": SHA,
            **self.environ,
        }

    def inputs(self, mode: str, **inputs: str) -> dict[str, str]:
        """Return a step's inputs."""
        given = {"github-token": "test_token_admin", "comment": "false", **self.world.inputs}
        given["collection"] = self.world.collection
        return {**given, "mode": mode, **{name.replace("_", "-"): value for name, value in inputs.items()}}

    def step(self, mode: str, *, same_run: bool = False, **inputs: str) -> Step:
        """Run a step, each in a run of its own."""
        self.runs += 0 if same_run else 1
        given = self.inputs(mode, **inputs)
        return forked_step(self.world.workspace, given, event=self.event, environ=self.variables())

    def stage(self, alias: str = "production") -> Stage:
        """Return a stage as a new client sees it."""
        return replace(self.world.open().look(self.world.collection, alias), seen=None)

    def holder(self, alias: str = "production") -> str:
        """Return the version that holds a stage."""
        stage = self.stage(alias)
        return stage.holder.name if stage.holder else ""
