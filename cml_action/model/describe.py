"""What the gate found, as a report's sections: a table of measures, figures of latency, the rest folded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cml_action.model.latency import ALPHA, Demand
from cml_action.quantity import counted, quantity
from cml_action.report import Code, Figure, Panel, Quantity, Section, Series, Table, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cml_action.model.demanded import Limit
    from cml_action.model.gate import Found
    from cml_action.model.latency import Interval, Quantile, Side, Timings
    from cml_action.model.quality import Metric
    from cml_action.report import Block, Inline, Json, Unit

    _Row = tuple[Inline | tuple[Inline, ...], ...]

_BINS = 40
#: What lies beyond this quantile of both sides, or so many medians, is drawn in the last bin.
_DRAWN, _WIDEST = 0.99, 2
_COLUMNS = ("measure", "candidate", "production", "difference", "limit")
_QUANTILES: tuple[Quantile, ...] = ("p50", "p95", "p99")


def sections(found: Found, limits: Sequence[Limit]) -> tuple[Section, ...]:
    """Return the measures, open, and what only some readers want, folded."""
    blocks: list[Block] = []
    rows = [*_metric_rows(found, limits), *_latency_rows(found, limits), *_size_row(found, limits)]
    if rows:
        beside = "production" in found.loaded
        shown = tuple(row if beside else (row[0], row[1], row[4]) for row in rows)
        columns = _COLUMNS if beside else (_COLUMNS[0], _COLUMNS[1], _COLUMNS[4])
        blocks.append(Table(columns=columns, rows=shown, right=frozenset(range(1, len(columns)))))
    if found.timings is not None:
        blocks.append(Text.of(_how(found)))
        blocks += _figures(found.timings)
    kept = [Section(title=Text.of("Measured"), blocks=tuple(blocks))] if blocks else []
    if found.slices:
        kept.append(Section(title=Text.of("By slice"), blocks=(_slices(found),), folded=True))
    more = _more(found)
    if more:
        kept.append(Section(title=Text.of("Throughput, memory, loading"), blocks=(more,), folded=True))
    if found.environment:
        table = Table(
            columns=("environment", "value"),
            rows=tuple((name, Code(value)) for name, value in found.environment.items()),
        )
        kept.append(Section(title=Text.of("Where it was measured"), blocks=(table,), folded=True))
    return tuple(kept)


def facts(found: Found) -> dict[str, Json]:
    """Return the same for `result.json`; lengths of time are seconds, sizes are bytes."""
    kept: dict[str, Json] = {"environment": dict(found.environment)}
    for side, loaded in found.loaded.items():
        memory = found.memory.get(side)
        kept[side] = {
            "kind": loaded.kind,
            "load_s": loaded.seconds,
            "size_bytes": loaded.size_bytes,
            "parameters": loaded.parameters,
            "memory_peak_over_baseline_bytes": memory.over_baseline if memory else None,
            "gpu_memory_peak_bytes": memory.cuda_peak if memory else None,
            **(_quantiles(found.timings, side) if found.timings and side in found.timings.seconds else {}),
        }
    if found.timings is not None:
        timings = found.timings
        kept["latency"] = {
            "rounds": timings.rounds,
            "most_rounds": timings.plan.looks[-1],
            "calls_per_block": timings.plan.calls,
            "level": timings.level,
            "noise": timings.noise,
            "seconds": timings.took_s,
            "seed": timings.seed,
        }
    kept["throughput"] = [
        {"batch": each.batch, **{f"{side}_rows_per_s": rate for side, rate in each.rows_per_s.items()}}
        for each in found.throughput
    ]
    kept["metrics"] = {each.name: each.value for each in found.metrics}
    return kept


def _quantiles(timings: Timings, side: Side) -> dict[str, Json]:
    return {f"latency_{name}_s": timings.quantile(side, name) for name in _QUANTILES}


def _metric_rows(found: Found, limits: Sequence[Limit]) -> list[_Row]:
    rows: list[_Row] = []
    for metric in found.metrics:
        unit: Unit = "share" if metric.share else "number"
        name = f" ({counted(metric.rows, 'row')})" if metric.rows else ""
        rows.append(
            (
                (Code(metric.name), name),
                _with_interval(metric, unit),
                Quantity(metric.production, unit),
                _difference(metric),
                _limits_of(metric.name, limits, unit),
            )
        )
    return rows


def _with_interval(metric: Metric, unit: Unit) -> tuple[Inline, ...]:
    if metric.low is None or metric.high is None:
        return (Quantity(metric.value, unit),)
    ends = f" ({quantity(metric.low, unit)} to {quantity(metric.high, unit)})"
    return (Quantity(metric.value, unit), ends)


def _difference(metric: Metric) -> tuple[Inline, ...]:
    if metric.production is None:
        return (None,)
    unit: Unit = "points" if metric.share else "number"
    change = metric.value - metric.production
    if metric.difference is None:
        return (Quantity(change, unit, signed=True),)
    low, high = (
        quantity(each, unit, signed=True).removesuffix(" points")
        for each in (metric.difference.low, metric.difference.high)
    )
    apart = metric.difference.low > 0 or metric.difference.high < 0
    better = " better" if apart and (change > 0) == metric.higher_is_better else ""
    word = " worse" if metric.difference.worse else better
    return (Quantity(change, unit, signed=True), f"{word} (95{chr(0x202F)}%: {low} to {high})")


def _latency_rows(found: Found, limits: Sequence[Limit]) -> list[_Row]:
    timings = found.timings
    if timings is None:
        return []
    rows: list[_Row] = []
    for name in _QUANTILES:
        measure = f"latency-{name}"
        ratio: tuple[Inline, ...] = (None,)
        if "production" in timings.seconds:
            ratio = _ratio(timings, name)
        rows.append(
            (
                f"latency {name}, batch {found.batch}",
                Quantity(timings.quantile("candidate", name), "seconds"),
                Quantity(timings.quantile("production", name), "seconds") if ratio != (None,) else None,
                ratio,
                _limits_of(measure, limits, "seconds"),
            )
        )
    return rows


def _ratio(timings: Timings, name: Quantile) -> tuple[Inline, ...]:
    if name == "p99":
        value = timings.quantile("candidate", name) / timings.quantile("production", name)
        return (Quantity(value, "ratio"),)
    shown = _ratio_interval(timings, name)
    return (Quantity(shown.estimate, "ratio"), f" ({quantity(shown.low)} to {quantity(shown.high)})")


def _ratio_interval(timings: Timings, name: Quantile) -> Interval:
    for demand, shown in zip(timings.demands, timings.intervals, strict=True):
        if demand.ratio and demand.quantile == name:
            return shown
    return timings.interval(Demand(quantile=name, limit=math.inf, ratio=True))


def _size_row(found: Found, limits: Sequence[Limit]) -> list[_Row]:
    if "candidate" not in found.loaded:
        return []
    size = found.loaded["candidate"].size_bytes
    before = found.loaded["production"].size_bytes if "production" in found.loaded else None
    change = Quantity(size - before, "bytes", signed=True) if before is not None and size != before else None
    return [
        (
            "size",
            Quantity(size, "bytes"),
            Quantity(before, "bytes"),
            change,
            _limits_of("size", limits, "bytes"),
        )
    ]


def _limits_of(measure: str, limits: Sequence[Limit], unit: Unit) -> tuple[Inline, ...]:
    """Return all limits of one measure, as people read them."""
    words = []
    for limit in limits:
        if limit.gate.measure != measure:
            continue
        gate = limit.gate
        if limit.key == "max-ratio":
            words.append(f"≤ {quantity(gate.max_ratio, 'ratio')}")
        elif limit.key == "max-drop":
            drop = getattr(gate.max_drop, "value", None)
            relative: Unit = "share" if drop is not None else "points" if unit == "share" else "number"
            shown = quantity(drop if drop is not None else gate.max_drop, relative)  # type: ignore[arg-type]
            words.append(f"≥ −{shown}")
        elif limit.key == "max":
            words.append(f"≤ {quantity(gate.max, unit)}")
        else:
            words.append(f"≥ {quantity(gate.min, unit)}")
    return (", ".join(words) or None,)


def _how(found: Found) -> str:
    timings = found.timings
    assert timings is not None  # noqa: S101 -- the caller's question
    turns = "candidate and production in turns" if "production" in timings.seconds else "the candidate alone"
    rounds = f"{timings.rounds} of at most {timings.plan.looks[-1]} rounds"
    ranges = (
        " The range beside a ratio is its confidence interval, so wide that all looks at the data together"
        f" err in at most {quantity(ALPHA, 'share')} of cases."
        if "production" in timings.seconds
        else ""
    )
    warm = "" if found.stable else " Calls were still becoming faster when the time for warming up was over."
    return (
        f"Latency: {turns}, {rounds}, {counted(timings.plan.calls, 'call')} a block,"
        f" {quantity(timings.took_s, 'seconds')}. Blocks of the same model spread by"
        f" ± {quantity(timings.noise, 'share')} on this machine (middle 90{chr(0x202F)}%).{ranges}{warm}"
    )


def _figures(timings: Timings) -> list[Figure]:
    figures = [_distributions(timings)]
    if "production" in timings.seconds:
        figures.append(_estimates(timings))
    return figures


def _distributions(timings: Timings) -> Figure:
    """Draw both sides' calls in the same bins, as shares of their calls."""
    sides = [side for side in ("production", "candidate") if side in timings.seconds]
    calls = {side: timings.seconds[side].ravel() for side in sides}  # type: ignore[index]
    low = min(float(each.min()) for each in calls.values())
    high = max(float(np.quantile(each, _DRAWN)) for each in calls.values())
    high = min(high, _WIDEST * max(float(np.median(each)) for each in calls.values()))
    edges = np.linspace(low, max(high, low * 1.001), _BINS + 1)
    medians = {side: timings.quantile(side, "p50") for side in sides}  # type: ignore[arg-type]
    answer = f"Half of the candidate's calls take less than {quantity(medians['candidate'], 'seconds')}"
    if "production" in medians:
        answer += f", of production's less than {quantity(medians['production'], 'seconds')}"
    return Figure(
        title=answer,
        alt=f"{answer}. The slowest calls are all in the last bin.",
        panels=(
            Panel(
                title="time of a call; the slowest are all in the last bar",
                series=tuple(Series(name=side, values=_shares(calls[side], edges)) for side in sides),
                edges=tuple(map(float, edges)),
                unit="seconds",
            ),
        ),
    )


def _shares(calls: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, ...]:
    counts, _ = np.histogram(np.minimum(calls, edges[-1]), edges)
    return tuple(map(float, counts / len(calls)))


def _estimates(timings: Timings) -> Figure:
    """Draw the ratios with their intervals, and the limits."""
    names: tuple[Quantile, ...] = ("p50", "p95")
    shown = [_ratio_interval(timings, name) for name in names]
    limits = {each.quantile: each.limit for each in timings.demands if each.ratio}
    first = shown[0]
    if first.low > 1:
        answer = f"The candidate is slower: {_times(first)} production's p50"
    elif first.high < 1:
        answer = f"The candidate is faster: {_times(first)} production's p50"
    else:
        answer = f"No difference in p50 can be seen: {_times(first)} production's"
    return Figure(
        title=answer,
        alt="; ".join(
            f"{name}: {_times(each)} production's, {quantity(each.low)} to {quantity(each.high)}"
            + (f", limit {quantity(limits[name])}" if name in limits else "")
            for name, each in zip(names, shown, strict=True)
        ),
        panels=(
            Panel(
                title="candidate's latency ÷ production's",
                series=(
                    Series(
                        name="candidate",
                        values=tuple(each.estimate for each in shown),
                        low=tuple(each.low for each in shown),
                        high=tuple(each.high for each in shown),
                    ),
                ),
                rows=names,
                limits=tuple(limits.get(name, math.nan) for name in names),
                unit="ratio",
            ),
        ),
    )


def _times(shown: Interval) -> str:
    return quantity(shown.estimate, "ratio")


def _slices(found: Found) -> Table:
    first = found.slices[0].metric
    unit: Unit = "share" if first.share else "number"
    return Table(
        columns=("slice", "rows", f"{first.name}, candidate", "production", "difference"),
        rows=tuple(
            (
                (Code(each.column), " = ", Code(each.value)),
                Quantity(each.rows, "count"),
                _with_interval(each.metric, unit),
                Quantity(each.metric.production, unit),
                _difference(each.metric),
            )
            for each in found.slices
        ),
        right=frozenset({1, 2, 3, 4}),
    )


def _more(found: Found) -> Table | None:
    sides = list(found.loaded)
    rows: list[_Row] = [
        (
            f"rows a second, batch {each.batch}",
            *(Quantity(each.rows_per_s.get(side)) for side in sides),
        )
        for each in found.throughput
    ]
    for name, what in (
        ("over_baseline", "memory, peak over baseline"),
        ("cuda_peak", "GPU memory, peak of PyTorch's allocator"),
    ):
        peaks = [getattr(found.memory.get(side), name, None) for side in sides]
        if any(peak is not None for peak in peaks):
            rows.append((what, *(Quantity(peak, "bytes") for peak in peaks)))
    for name, unit in (("seconds", "seconds"), ("parameters", "count")):
        values = [getattr(found.loaded[side], name) for side in sides]
        if any(value is not None for value in values):
            shown = "load time" if name == "seconds" else name
            rows.append((shown, *(Quantity(value, unit) for value in values)))  # type: ignore[arg-type]
    if not rows:
        return None
    return Table(columns=("measure", *sides), rows=tuple(rows), right=frozenset(range(1, len(sides) + 1)))
