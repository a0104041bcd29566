"""What is demanded of a model: by `cml.yaml`, by the input `gates`, and where nobody says anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.model.latency import Demand
from cml_action.policy import read_gates
from cml_action.policy.demands import ModelGate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.model.latency import Quantile
    from cml_action.policy import Policy

_LATENCIES: dict[str, Quantile] = {"latency-p50": "p50", "latency-p95": "p95"}
#: Beside production, where no gate speaks of latency: worth a warning, never a failure that nobody asked for.
_DEFAULT = ModelGate.model_validate({"measure": "latency-p50", "max-ratio": 1.10, "severity": "warn"})


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit of one gate.

    :param id: of its check, `model/latency-p50/max-ratio`; no two are alike.
    :param key: `min`, `max`, `max-ratio` or `max-drop`.
    :param path, line: where it stands; None for one of the input `gates`, or that nobody wrote.
    """

    id: str
    gate: ModelGate
    key: str
    path: str | None = None
    line: int | None = None

    @property
    def beside(self) -> bool:
        """Whether it compares with production."""
        return self.key in {"max-ratio", "max-drop"}

    @property
    def demand(self) -> Demand | None:
        """The same for measured times; None where it is about something else."""
        quantile = _LATENCIES.get(self.gate.measure)
        if quantile is None:
            return None
        limit = self.gate.max_ratio if self.key == "max-ratio" else self.gate.max
        assert limit is not None  # noqa: S101 -- `limits` made it of a key that is there
        return Demand(quantile=quantile, limit=float(limit), ratio=self.key == "max-ratio")


@dataclass(frozen=True, kw_only=True)
class Demanded:
    """All limits, and the gates of the input alone, which the policy does not hold."""

    limits: tuple[Limit, ...]
    extra: tuple[ModelGate, ...]


def demanded(policy: Policy | None, given: str, shown_as: str, *, beside: bool) -> Demanded:
    """Return what is demanded.

    :param given: the input `gates`, YAML.
    :param shown_as: the policy's file, relative to the project.
    :param beside: whether there is a production to compare with.
    """
    extra = read_gates(given, "The input gates")
    written = (policy.model.gates if policy and policy.model else None) or ()
    found: list[Limit] = []
    for at, gate in enumerate(written):
        found += _limits(gate, found, policy, shown_as, at)
    for gate in extra:
        found += _limits(gate, found)
    if beside and not any(each.gate.measure in _LATENCIES and each.beside for each in found):
        found += _limits(_DEFAULT, found)
    return Demanded(limits=tuple(found), extra=extra)


def _limits(
    gate: ModelGate,
    before: Sequence[Limit],
    policy: Policy | None = None,
    path: str | None = None,
    at: int = 0,
) -> list[Limit]:
    found: list[Limit] = []
    for key in ("min", "max", "max-ratio", "max-drop"):
        if getattr(gate, key.replace("-", "_")) is None:
            continue
        name = f"model/{gate.measure}/{key}"
        same = sum(each.id.partition("#")[0] == name for each in before)
        found.append(
            Limit(
                id=f"{name}#{same + 1}" if same else name,
                gate=gate,
                key=key,
                path=path,
                line=policy.line_of("model", "gates", at, key) if policy else None,
            )
        )
    return found
