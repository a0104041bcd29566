"""How a table is measured: two aggregate queries in Ibis, and the profile that follows from their answers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ibis

from cml_action.data import bins as binning
from cml_action.data import duck
from cml_action.data.faults import MisjudgedTypesError
from cml_action.data.fields import (
    EXACT_INTEGER,
    MAX_TEXT,
    TRUTHS,
    Field,
    field_of,
    judged,
    suggested,
    unlike,
)
from cml_action.data.label import check_classes, nested_label, no_label
from cml_action.data.profile import (
    QUANTILES,
    Column,
    Frequency,
    Histogram,
    Numbers,
    Profile,
    Quantile,
    Type,
    Value,
    moment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from cml_action.data.csvfile import Look
    from cml_action.data.tables import DataSet
    from cml_action.log import Bar

#: Up to so many rows, and so many cells in all, every figure is exact: they fit into memory.
EXACT_ROWS, EXACT_CELLS = 100_000, 5_000_000
SAMPLE_ROWS = 4096
#: So many values at most are counted of a column; all of them are told where they are all there is.
MOST_COUNTED = 256
TOP = 20
#: Under these values DuckDB counts all that is not asked for, by the type.
_OTHERS = ("", 2**63 - 1, 2**64 - 1)
#: Each of the two reads is so many percent of the work.
_HALF = 50.0
_YEAR_9999_S = 253_402_300_800


def measure(  # noqa: PLR0913 - the arguments of `profile`
    dataset: DataSet,
    *,
    temporary: Path,
    label: str | None,
    memory_limit_bytes: int | None,
    edges: Profile | None,
    progress: Bar | None,
    look: Look,
) -> Profile:
    """Profile a data set; see `profile`.

    :param look: at how much of a CSV, to tell its types.
    :raises MisjudgedTypesError: more is needed.
    """
    with duck.opened(
        dataset, memory_limit_bytes=memory_limit_bytes, temporary=temporary, look=look
    ) as opened:
        names = opened.table.columns
        if label is not None and label not in names:
            raise no_label(label, names, dataset)
        # Names of our own: a table's may be anything, ours among them.
        table = opened.table.select(**{f"c{i}": opened.table[name] for i, name in enumerate(names)})
        fields = [
            field_of(table[f"c{i}"], name, suggested(name, opened.source)) for i, name in enumerate(names)
        ]
        if label is not None and fields[names.index(label)].value is None:
            raise nested_label(label, dataset)
        with duck.followed(opened, progress, _HALF):
            first = _look(table, fields, opened.source.words)
        rows = first["rows"]
        if label is not None:
            check_classes(first[f"distinct{names.index(label)}"] // 2, label, dataset)
        sample = _Sample.of(first["sample"], weights=None)
        if sample.distinct < min(SAMPLE_ROWS // 4, first["distinct"]) and first["distinct"] <= EXACT_ROWS:
            sample = _distinct_sample(table, fields)
        try:
            found = [judged(field, i, first) for i, field in enumerate(fields)]
        except MisjudgedTypesError:
            if progress is not None:
                progress.advance(-_HALF)  # all is read again
            raise
        plan = [
            _plan(field, i, first, sample, edges.column(field.name) if edges else None)
            for i, field in enumerate(found)
        ]
        exact = rows <= EXACT_ROWS and rows * len(names) <= EXACT_CELLS
        place = names.index(label) if label is not None else None
        counted: dict[str, Any] = {}
        together = duck.distinct_together(opened) if exact else len(found)
        groups = [range(at, min(at + together, len(found))) for at in range(0, len(found), together)]
        for group in groups:
            with duck.followed(opened, progress, _HALF / len(groups)):
                counted |= _count(table, found, plan, group, exact=exact, label=place)
    columns = tuple(_column(field, i, first, plan[i], counted) for i, field in enumerate(found))
    classes = _frequencies(counted["classes"], found[place].type) if place is not None else ()
    if label is not None:
        check_classes(len(classes), label, dataset)
    return Profile(
        name=dataset.name,
        kind=dataset.kind,
        files=len(dataset.files),
        size_bytes=dataset.size_bytes,
        rows=rows,
        duplicates=rows - first["distinct"],
        columns=columns,
        label=label,
        classes=classes,
    )


def _look(table: ir.Table, fields: Sequence[Field], words: Iterable[str]) -> dict[str, Any]:
    """Ask what the first read tells: {name and number of the column: figure}.

    :param words: that are nulls, where a column of text holds any.
    """
    # Equal rows have equal hashes.
    key = ibis.struct({f"c{i}": field.raw for i, field in enumerate(fields)}).hash()
    row = ibis.struct({"key": key} | {f"c{i}": f.value for i, f in enumerate(fields) if f.value is not None})
    asked: dict[str, Any] = {
        "rows": table.count(),
        "distinct": key.nunique(),
        "sample": duck.smallest(row, key, SAMPLE_ROWS, None),
    }
    for i, field in enumerate(fields):
        asked[f"held{i}"] = field.raw.count()
        asked[f"distinct{i}"] = field.raw.approx_nunique()
        if field.told is not None:
            smallest, largest = field.told.min(), field.told.max()
            if field.type not in ("integer", "number"):
                smallest, largest = smallest.cast("string")[:MAX_TEXT], largest.cast("string")[:MAX_TEXT]
            asked |= {f"min{i}": smallest, f"max{i}": largest}
        if field.axis is not None:
            asked |= {f"mean{i}": field.axis.mean(), f"deviation{i}": field.axis.std(how="sample")}
            if field.type == "number":
                asked[f"finite{i}"] = field.axis.count()
            if field.type in ("date", "datetime"):
                asked |= {
                    f"low{i}": field.axis.min(),
                    f"high{i}": field.axis.max(),
                    f"finite{i}": field.axis.count(),
                }
        others = unlike(field)
        if others is not None:
            asked[f"fractions{i}"] = others.sum()
        if words and field.raw.type().is_string():
            asked[f"words{i}"] = duck.counts(field.raw, sorted(words))
    return duck.answer(table.aggregate(**asked))[0]


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """Rows with the smallest hashes, each with how often it stands for itself.

    :param rows: values by the number of their column.
    """

    rows: tuple[Mapping[str, Any], ...]
    weights: tuple[int, ...]
    distinct: int

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]] | None, weights: Sequence[int] | None) -> _Sample:
        rows = rows or ()
        return cls(
            rows=tuple(rows),
            weights=tuple(weights or [1] * len(rows)),
            distinct=len({row["key"] for row in rows}),
        )

    def values(self, i: int) -> Counter[Any]:
        """How often each value of a column is in the sample."""
        found: Counter[Any] = Counter()
        for row, weight in zip(self.rows, self.weights, strict=True):
            value = row.get(f"c{i}")
            if value is not None:
                found[_json(value)] += weight
        return found


def _distinct_sample(table: ir.Table, fields: Sequence[Field]) -> _Sample:
    """Sample distinct rows with their counts; where rows repeat much, one row would fill the other sample."""
    key = ibis.struct({f"c{i}": field.raw for i, field in enumerate(fields)}).hash()
    values = {f"c{i}": field.value for i, field in enumerate(fields) if field.value is not None}
    grouped = table.select(key=key, **values).group_by("key")
    rows = grouped.agg(weight=ibis._.count(), **{name: ibis._[name].arbitrary() for name in values})
    found = duck.answer(rows.order_by("key").limit(SAMPLE_ROWS))
    return _Sample.of(found, [row["weight"] for row in found])


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What the second read counts of a column.

    :param edges: of the histogram, n + 1; empty where there is none.
    :param grid: all edges to count between, those of the histogram among them.
    :param values: counted one by one.
    :param binned: each of the values is alone in a bin of the grid, which counts it.
    """

    edges: tuple[float, ...]
    grid: tuple[float, ...]
    values: tuple[Any, ...]
    binned: bool


def _plan(field: Field, i: int, look: Mapping[str, Any], sample: _Sample, base: Column | None) -> _Plan:
    common = sample.values(i) if field.value is not None else Counter()
    if field.type == "boolean" and field.maybe is not None:
        truths: Counter[Any] = Counter()
        for text, count in common.items():
            truths[text.lower() == TRUTHS[0]] += count
        common = truths
    values: list[Any]
    if len(common) <= MOST_COUNTED:
        values = list(common)
    else:
        values = [value for value, count in _ranked(common)[: 3 * TOP] if count > 1]
    edges: tuple[float, ...] = ()
    grid: tuple[float, ...] = ()
    span = _span(field, i, look)
    if span is not None:
        if base is not None and base.numbers is not None and field.axis is not None:
            edges = base.numbers.histogram.edges
        else:
            edges = binning.edges(*span, common, integers=field.type == "integer")
        grid = binning.grid(*span, edges, common, values)
    # Larger integers share their double with a neighbour. What is no integer is counted on its axis anyway.
    exact = field.type != "integer" or all(abs(value) < EXACT_INTEGER for value in values)
    return _Plan(edges=edges, grid=grid, values=tuple(values), binned=bool(grid) and exact)


def _span(field: Field, i: int, look: Mapping[str, Any]) -> tuple[float, float] | None:
    """Give the range of the finite values on the axis; None without any."""
    if field.axis is None:
        return None
    low = look[f"low{i}"] if f"low{i}" in look else look[f"min{i}"]
    high = look[f"high{i}"] if f"high{i}" in look else look[f"max{i}"]
    return None if low is None or high is None else (float(low), float(high))


def _count(
    table: ir.Table,
    fields: Sequence[Field],
    plan: Sequence[_Plan],
    group: range,
    *,
    exact: bool,
    label: int | None,
) -> dict[str, Any]:
    """Ask what the second read tells of some columns."""
    asked: dict[str, Any] = {"rows": table.count()}
    for i in group:
        field = fields[i]
        if i == label:
            asked["classes"] = duck.tally(field.value)
        if plan[i].grid and field.axis is not None:
            asked[f"bins{i}"] = duck.bins(field.axis, plan[i].grid)
            if exact:
                asked[f"quantiles{i}"] = field.axis.quantile(list(QUANTILES))
        if exact and field.type != "other":
            asked[f"distinct{i}"] = field.raw.nunique()
        if plan[i].values and field.value is not None and not plan[i].binned:
            apart = [value for value in plan[i].values if value in _OTHERS]
            asked[f"counts{i}"] = duck.counts(field.value, [v for v in plan[i].values if v not in apart])
            for value in apart:
                same = field.value == ibis.literal(value, type=field.value.type())
                asked[f"apart{i}:{value}"] = same.sum()
    return duck.answer(table.aggregate(**asked))[0]


def _column(field: Field, i: int, look: Mapping[str, Any], plan: _Plan, counted: Mapping[str, Any]) -> Column:
    rows, held = look["rows"], look[f"held{i}"]
    if plan.binned:
        cumulated = binning.cumulated(plan.grid, dict(counted[f"bins{i}"]))
        tallies = {value: binning.alone(plan.grid, cumulated, value) for value in plan.values}
    else:
        found = dict(counted.get(f"counts{i}") or ())
        tallies = {value: found.get(value, 0) for value in plan.values}
    for value in tallies:
        if f"apart{i}:{value}" in counted:
            tallies[value] = counted[f"apart{i}:{value}"] or 0
    top = _frequencies(tallies, field.type)
    complete = sum(tallies.values()) == held
    distinct = counted.get(f"distinct{i}", len(top) if complete else min(look[f"distinct{i}"], held))
    return Column(
        name=field.name,
        type=field.type,
        nulls=rows - held,
        distinct=distinct,
        distinct_exact=complete or f"distinct{i}" in counted,
        min=_told(look.get(f"min{i}"), field.type) if field.told is not None else None,
        max=_told(look.get(f"max{i}"), field.type) if field.told is not None else None,
        top=top if complete else top[:TOP],
        complete=complete,
        numbers=_numbers(i, look, plan, counted) if plan.grid else None,
    )


def _numbers(i: int, look: Mapping[str, Any], plan: _Plan, counted: Mapping[str, Any]) -> Numbers:
    cumulated = binning.cumulated(plan.grid, dict(counted[f"bins{i}"]))
    exact = counted.get(f"quantiles{i}")
    found = [binning.quantile(plan.grid, cumulated, share) for share in QUANTILES]
    values = exact or [value for value, _ in found]
    deviation = look[f"deviation{i}"]
    return Numbers(
        mean=look[f"mean{i}"],
        deviation=None if deviation is None or not math.isfinite(deviation) else deviation,
        quantiles=tuple(Quantile(share=s, value=v) for s, v in zip(QUANTILES, values, strict=True)),
        rank_error=0.0 if exact else max(error for _, error in found),
        histogram=Histogram(**binning.histogram(plan.grid, cumulated, plan.edges)),
        infinite=look[f"held{i}"] - look.get(f"finite{i}", look[f"held{i}"]),
    )


def _frequencies(
    tallies: Mapping[Any, int] | Sequence[tuple[Any, int]] | None, kind: Type
) -> tuple[Frequency, ...]:
    """Most frequent first, what does not occur left out."""
    found = [(_json(value), count) for value, count in dict(tallies or ()).items() if count]
    return tuple(Frequency(value=_shown(value, kind), count=count) for value, count in _ranked(dict(found)))


def _ranked(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    """Most frequent first, ties in the order of the values."""
    return sorted(sorted(counts.items()), key=lambda item: -item[1])


def _shown(value: Any, kind: Type) -> Value:
    if kind == "date":
        return moment(value)[:10] if abs(value) < _YEAR_9999_S else moment(value)
    if kind == "datetime":
        return moment(value)
    return int(value) if kind == "integer" else value


def _told(value: Any, kind: Type) -> Value | None:
    if value is None:
        return None
    value = _json(value)
    if kind == "integer":
        return int(value)
    return str(value)[:10] if kind == "date" and str(value).endswith(" 00:00:00") else value


def _json(value: Any) -> Any:
    """Give a value as JSON writes it; zero has no sign."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return 0.0 if isinstance(value, float) and value == 0 else value
