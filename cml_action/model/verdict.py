"""`verdict.json`: the evidence that a gate leaves, bound to the model that it tested and to its policy."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.policy.demands import ModelGate, ModelPolicy

SHA256 = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, StringConstraints(pattern=SHA256)]


class Evidence(BaseModel):
    """What a gate found about exactly one model.

    :param verdict: `pass`, `warn` or `fail`, as the gate's report says.
    :param reference: how the model was named; `digest`: what it is, see `cml_action.model.digest`.
    :param policy_digest: of all that was demanded, see `policy_digest`.
    :param revision: the commit of the code, empty outside of a repository.
    :param data: hash of each data set that the model was evaluated on, by its path.
    :param environment: versions, processor, threads: what measurements depend on.
    :param checks: each check as `result.json` holds it, with the summary of its samples.
    :param started: UTC, ISO 8601; `seconds`: how long the gate took.
    :param run_url: the run's page, empty on a laptop.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_: Literal[1] = Field(1, alias="schema")
    verdict: Literal["pass", "warn", "fail"]
    reference: str
    digest: Digest
    policy_digest: Digest
    revision: str = ""
    baseline: str = ""
    baseline_digest: str = ""
    data: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    checks: tuple[dict[str, Any], ...] = ()
    started: str = ""
    seconds: float = 0.0
    run_url: str = ""

    def to_json(self) -> str:
        """Write the evidence as JSON with sorted keys, from which `read` makes an equal one."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, sort_keys=True) + "\n"


def read(text: str, *, shown_as: str) -> Evidence:
    """Read evidence that somebody else kept.

    :raises UsageError: it is no evidence, or of another version.
    """
    try:
        return Evidence.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the whole of it"
        raise UsageError(
            f"`{shown_as}` is not a gate's verdict: {where}: {fault['msg']}.",
            "Run `mode: gate` for this model again.",
        ) from None


def policy_digest(policy: ModelPolicy | None, gates: Sequence[ModelGate]) -> str:
    """Return `sha256:` and 64 digits of what is demanded of a model, whatever its file's layout and comments.

    :param policy: the section `model` of `cml.yaml`. Its `path` says where a model lies, and demands nothing.
    :param gates: those of the input `gates`, on top of the policy's.
    """
    demanded = policy.model_dump(mode="json", by_alias=True, exclude_none=True) if policy else {}
    demanded.pop("path", None)
    demanded["gates"] = [
        *demanded.get("gates", ()),
        *(gate.model_dump(mode="json", by_alias=True, exclude_none=True) for gate in gates),
    ]
    text = json.dumps(demanded, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
