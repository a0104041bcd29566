"""From what was found out to checks: each limit is held against its measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cml_action.errors import UsageError, suggestion
from cml_action.model import quality
from cml_action.model.faults import quoted
from cml_action.model.latency import QUANTILES
from cml_action.policy.units import Share
from cml_action.quantity import counted, quantity
from cml_action.report import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.model.demanded import Limit
    from cml_action.model.faults import ModelFault
    from cml_action.model.gate import Found
    from cml_action.model.latency import Demand, Interval, Timings
    from cml_action.model.quality import Metric
    from cml_action.policy.demands import ModelPolicy
    from cml_action.report import Json, Status, Unit

_MEASURED = ("latency-p50", "latency-p95", "size")
_LONGEST_TAIL = 400


def fault_check(name: str, title: str, fault: ModelFault) -> Check:
    """Return the check that a model's fault fails, with the last words of its process."""
    said = f" It printed last: {quoted(fault.tail[-_LONGEST_TAIL:])}." if fault.tail else ""
    return Check(id=name, status="fail", title=title, message=f"{fault.what} {fault.fix}{said}".strip())


def check_limits(limits: Sequence[Limit], policy: ModelPolicy | None) -> None:
    """Refuse, before anything runs, a limit that no model can be held against.

    What `evaluate` returns is known once it ran; without it the metrics are those of `task`.

    :raises UsageError: a limit is on a metric that nobody will measure, or beyond what a share can be.
    """
    if policy and policy.evaluate:
        return
    task = policy.task if policy else None
    names = (*_MEASURED, *(quality.NAMES[task] if task else ()))
    for limit in limits:
        measure = limit.gate.measure
        if measure not in names:
            raise _no_measure(limit, names)
        value = getattr(limit.gate, limit.key.replace("-", "_"))
        if task != "classification" or measure in _MEASURED or isinstance(value, Share):
            continue
        if value > 1 or (limit.key == "max-drop" and value == 1):
            raise UsageError(
                f"`{limit.key}` of `{measure}` is {value:g}, and `{measure}` lies between 0 and 1.",
                f"Write {value / 100:g} for {value:g} %.",
                path=limit.path,
                line=limit.line,
            )


def checks(limits: Sequence[Limit], found: Found) -> list[Check]:
    """Return one check for each limit; one on a metric that `evaluate` does not return is an error."""
    return [_check(limit, found) for limit in limits]


def _check(limit: Limit, found: Found) -> Check:
    if "candidate" not in found.loaded:
        return _made(limit, "skip", _not_so_far(limit))
    if limit.beside and "production" not in found.loaded:
        return _not_held(limit, found, "There is no production to compare with.")
    if limit.gate.measure == "size":
        return _size(limit, found)
    if limit.demand is not None:
        return _latency(limit, limit.demand, found)
    metric = next((each for each in found.metrics if each.name == limit.gate.measure), None)
    return _metric(limit, metric, found) if metric is not None else _unknown(limit, found)


def _unknown(limit: Limit, found: Found) -> Check:
    """Return the check of a limit without a number: the model did not come so far, or nobody measures it."""
    if found.timings is None or any(check.id == "model/runs" for check in found.checks):
        return _made(limit, "skip", _not_so_far(limit))
    unknown = _no_measure(limit, (*_MEASURED, *(each.name for each in found.metrics)))
    return _made(limit, "error", f"{unknown.what} {unknown.fix}")


def _no_measure(limit: Limit, names: Sequence[str]) -> UsageError:
    return UsageError(
        f"There is no measure `{limit.gate.measure}`.{suggestion(limit.gate.measure, names)}",
        f"Measured are: {', '.join(names)}. `evaluate`, or `data` with `task` and `label`, under `model` give"
        " more.",
        path=limit.path,
        line=limit.line,
    )


def _not_held(limit: Limit, found: Found, why: str, *, status: Status = "skip", **shown: Any) -> Check:
    """Return the check of a limit that cannot be held: an error where that is production's fault."""
    broken = limit.beside and any(check.id.startswith("model/production/") for check in found.checks)
    return _made(
        limit,
        "error" if broken else status,
        f"{_name(limit)} was not compared with production's." if broken else why,
        **shown,
    )


def _latency(limit: Limit, demand: Demand, found: Found) -> Check:
    timings = found.timings
    if timings is None or demand not in timings.demands:
        return _not_held(limit, found, _not_so_far(limit))
    at = timings.demands.index(demand)
    shown, decision = timings.intervals[at], timings.decisions[at]
    if decision == "unclear" and not demand.ratio and shown.estimate <= demand.limit:
        decision = "pass"  # an absolute limit is judged on the lower end alone
    ends = f"{_number(shown.low, demand)} to {_number(shown.high, demand)}"
    name = _name(limit)
    if decision == "pass":
        message = ""
    elif decision == "fail":
        than = " production's" if demand.ratio else ""
        message = (
            f"{name} is {_number(shown.estimate, demand)}{than}, at least {_number(shown.low, demand)};"
            f" allowed is {_number(demand.limit, demand)}. Profile the model, or raise the limit."
        )
    else:
        message = (
            f"After {timings.rounds} rounds {name} lies somewhere from {ends}, the limit is"
            f" {_number(demand.limit, demand)}: it cannot be told. Use a quieter machine, or move the limit."
        )
    status: Status = "warn" if decision == "unclear" else decision
    return _made(
        limit,
        status,
        message,
        value=shown.estimate,
        limit=demand.limit,
        unit="ratio" if demand.ratio else "seconds",
        baseline=None if demand.ratio or "production" not in timings.seconds
        else timings.quantile("production", demand.quantile),
        details=_details(timings, shown),
    )  # fmt: skip


def _details(timings: Timings, shown: Interval) -> dict[str, Json]:
    """Return the summary of the samples; lengths of time are seconds."""
    found: dict[str, Json] = {
        "low": shown.low,
        "high": shown.high,
        "level": timings.level,
        "rounds": timings.rounds,
        "calls_per_block": timings.plan.calls,
        "noise": timings.noise,
        "seed": timings.seed,
    }
    for side in timings.seconds:
        for name in QUANTILES:
            found[f"{side}_latency_{name}_s"] = timings.quantile(side, name)
    return found


def _size(limit: Limit, found: Found) -> Check:
    size = found.loaded["candidate"].size_bytes
    before = found.loaded["production"].size_bytes if "production" in found.loaded else None
    most = limit.gate.max
    if limit.key == "max-ratio" and before is not None and limit.gate.max_ratio is not None:
        most = before * limit.gate.max_ratio
    assert most is not None  # noqa: S101 -- a limit has the key that it is named by
    over = size > most
    message = (
        f"The model has {quantity(size, 'bytes')}; allowed are {quantity(most, 'bytes')}." if over else ""
    )
    return _made(
        limit,
        "fail" if over else "pass",
        f"{message} Quantise or prune it, or raise the limit." if over else "",
        value=size,
        limit=most,
        baseline=before,
        unit="bytes",
    )


def _metric(limit: Limit, metric: Metric, found: Found) -> Check:
    """Hold a metric against a limit.

    `min` and `max` are held against the number itself: on these rows it is what it is. What is beyond a limit
    beside production fails where the candidate is worse beyond what chance explains, else it warns.
    """
    value, before = metric.value, metric.production
    unit: Unit = "share" if metric.share else "number"
    if limit.beside and before is None:
        why = (
            f"{_name(limit)} was not compared: production has no such metric. Let `evaluate` give it to both."
        )
        return _not_held(limit, found, why, status="warn", value=value, unit=unit)
    edge = _edge(limit, before)
    # Said so that NaN, which compares with nothing, is beyond any limit.
    beyond = not (value >= edge if limit.key in {"min", "max-drop"} else value <= edge)
    worse = metric.difference is None or metric.difference.worse
    status: Status = "pass" if not beyond else "fail" if worse or not limit.beside else "warn"
    return _made(
        limit,
        status,
        _metric_message(limit, metric, edge, status, unit) if beyond else "",
        value=value,
        limit=edge,
        baseline=before,
        unit=unit,
        details=_metric_details(metric),
    )


def _metric_message(limit: Limit, metric: Metric, edge: float, status: Status, unit: Unit) -> str:
    name, side = metric.name, "least" if limit.key in {"min", "max-drop"} else "most"
    found = f"{name} is {quantity(metric.value, unit)}; allowed is at {side} {quantity(edge, unit)}"
    if not limit.beside or metric.production is None:
        return f"{found}. Look at which rows it gets wrong."
    found += f", production has {quantity(metric.production, unit)}"
    if metric.difference is None:
        return f"{found}."
    rows = counted(metric.rows or 0, "row")
    if status == "warn":
        return f"{found}. On {rows} that may be chance: more rows would tell."
    return f"{found}; on {rows} that is more than chance. Look at which rows it gets wrong."


def _metric_details(metric: Metric) -> dict[str, Json]:
    found: dict[str, Json] = {"low": metric.low, "high": metric.high, "rows": metric.rows}
    if metric.difference is not None:
        found |= {
            "difference": metric.difference.value,
            "difference_low": metric.difference.low,
            "difference_high": metric.difference.high,
            "p_value": metric.difference.p_value,
        }
    return found


def _edge(limit: Limit, before: float | None) -> float:
    """Return the value beyond which the limit is exceeded; a drop or ratio is one of production's value."""
    gate = limit.gate
    if limit.key == "min" and gate.min is not None:
        return gate.min
    if limit.key == "max" and gate.max is not None:
        return gate.max
    assert before is not None  # noqa: S101 -- asked for beside production only
    if limit.key == "max-ratio" and gate.max_ratio is not None:
        return before * gate.max_ratio
    assert gate.max_drop is not None  # noqa: S101 -- a limit has the key that it is named by
    drop = gate.max_drop.value * abs(before) if isinstance(gate.max_drop, Share) else gate.max_drop
    return before - drop


def _name(limit: Limit) -> str:
    return limit.gate.measure.replace("-", " ")


def _not_so_far(limit: Limit) -> str:
    return f"{_name(limit)} is not known: the model did not get that far."


def _number(value: float, demand: Demand) -> str:
    return quantity(value, "ratio" if demand.ratio else "seconds")


def _made(asked: Limit, status: Status, message: str, **shown: Any) -> Check:
    status = "warn" if status == "fail" and asked.gate.severity == "warn" else status
    return Check(
        id=asked.id,
        status=status,
        title=f"{_name(asked)}, {_KEYS[asked.key]}",
        message=message,
        path=asked.path,
        line=asked.line,
        **{"limit": _asked(asked), "unit": _unit(asked), **shown},
    )


def _unit(limit: Limit) -> Unit | None:
    """Return the unit of a limit as it was asked for; a metric's own is known once it was measured."""
    if limit.gate.measure == "size" and limit.key == "max":
        return "bytes"
    return "ratio" if limit.key == "max-ratio" else "seconds" if limit.demand else None


def _asked(limit: Limit) -> Json:
    found = getattr(limit.gate, limit.key.replace("-", "_"))
    return f"{100 * found.value:g}%" if isinstance(found, Share) else found  # as it is written in cml.yaml


_KEYS = {"min": "lowest", "max": "highest", "max-ratio": "beside production", "max-drop": "beside production"}
