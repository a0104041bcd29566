"""How good a model's predictions are on labelled rows, and whether production's were better on the same rows.

**Classification**: `accuracy`; `balanced-accuracy`, the mean of the classes' recalls; `f1`, the mean of
the classes' F1. **Regression**: `mae`, `rmse` and `r2`. Each has a percentile bootstrap interval over
rows (Efron and Tibshirani, 1993, chapter 13); the share of correct rows has Wilson's, which holds where
all are correct.

**Against production.** Both models see the same rows, so what is tested is the difference of each row.
Where the rows are right or wrong: McNemar's test, with the mid-p value (Fagerland, Lydersen and Laake,
*BMC Medical Research Methodology* 13:91, 2013), which needs no least number of rows. Elsewhere: the
paired bootstrap interval of the difference; a model is worse where all of it lies on the worse side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cml_action.model.predictions import Task, alike

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    _Terms: TypeAlias = Callable[[Array, Array], Any]

LEVEL = 0.95
_RESAMPLES = 2000
_SEED = 20
#: Values of a slice's column that are shown: those with most rows.
MOST_VALUES = 12
_TWO_SIDES = 2
#: Groups of rows pay where they are so many times fewer: a multinomial count costs more than a drawn row.
_SAVING = 4
#: Counts of rows that are held at once.
_MOST_WEIGHTS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Candidate less production, with its 95 % interval.

    :param worse: whether the candidate is worse beyond what chance explains.
    :param p_value: McNemar's mid-p, where rows are right or wrong.
    """

    value: float
    low: float
    high: float
    worse: bool
    p_value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number that says how good a model is.

    :param low, high: its 95 % interval; None where only the number is known.
    :param share: it lies between 0 and 1 and reads as a percentage.
    :param rows: on how many rows; None where only the number is known.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    production: float | None = None
    difference: Difference | None = None
    higher_is_better: bool = True
    share: bool = False
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows with one value of a column, and the first metric on them."""

    column: str
    value: str
    rows: int
    metric: Metric


def compare(
    truth: Array, candidate: Array, production: Array | None, task: Task, *, seed: int = _SEED
) -> tuple[Metric, ...]:
    """Return the task's metrics of the candidate, beside production's on the same rows where there is one."""
    sides = alike(truth, [candidate] if production is None else [candidate, production], task)
    return _metrics(task, NAMES[task], sides, seed)


def slices(
    columns: Mapping[str, Array], truth: Array, candidate: Array, production: Array | None, task: Task
) -> tuple[Slice, ...]:
    """Return the task's first metric for each value of each column, the most frequent values first."""
    sides = alike(truth, [candidate] if production is None else [candidate, production], task)
    found = []
    for column, values in columns.items():
        texts = np.asarray(values).astype(str)
        known, counts = np.unique(texts, return_counts=True)
        for at in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
            rows = texts == known[at]
            (metric,) = _metrics(task, NAMES[task][:1], [each[rows] for each in sides], _SEED)
            found.append(Slice(column=column, value=str(known[at]), rows=int(counts[at]), metric=metric))
    return tuple(found)


def mcnemar(only_candidate: int, only_production: int) -> float:
    """Return the two-sided mid-p value of McNemar's test.

    :param only_candidate: rows that the candidate alone has right; `only_production`: those production has.
    """
    from scipy.stats import binom

    few, n = min(only_candidate, only_production), only_candidate + only_production
    if n == 0:
        return 1.0
    if only_candidate == only_production:
        return float(1 - 0.5 * binom.pmf(few, n, 0.5))
    return float(2 * binom.cdf(few - 1, n, 0.5) + binom.pmf(few, n, 0.5))


def _metrics(task: Task, names: Sequence[str], sides: Sequence[Array], seed: int) -> tuple[Metric, ...]:
    """Return metrics, all of the same resamples.

    :param sides: the truth, the candidate's predictions, and production's where there are some.
    """
    first, counts = _same_rows(sides)
    terms = [_TERMS[task](sides[0][first], each[first]) for each in sides[1:]]
    sums = _weighted(terms, counts.reshape(1, -1))
    drawn = _resampled(terms, counts, seed)
    return tuple(_metric(name, sides, sums, drawn) for name in names)


def _metric(name: str, sides: Sequence[Array], sums: Sequence[Array], resampled: Sequence[Array]) -> Metric:
    """Return one metric.

    :param sums: of the terms of each side's rows, 1 by terms; `resampled`: resamples by terms.
    """
    measure, n = _METRICS[name], len(sides[0])
    truth, candidate = sides[:2]
    values = [float(measure.score(each, n)[0]) for each in sums]
    drawn = [measure.score(each, n) for each in resampled]
    low, high = _wilson(truth, candidate) if name == "accuracy" else _ends(drawn[0])
    difference = None
    if len(values) == _TWO_SIDES:
        ends, p = _ends(drawn[0] - drawn[1]), None
        if name == "accuracy":
            right, was_right = candidate == truth, sides[2] == truth
            p = mcnemar(int((right & ~was_right).sum()), int((was_right & ~right).sum()))
            worse = values[0] < values[1] and p < 1 - LEVEL
        else:
            worse = ends[1] < 0 if measure.higher else ends[0] > 0
        difference = Difference(
            value=values[0] - values[1], low=ends[0], high=ends[1], worse=worse, p_value=p
        )
    return Metric(
        name=name,
        value=values[0],
        low=low,
        high=high,
        production=values[1] if len(values) == _TWO_SIDES else None,
        difference=difference,
        higher_is_better=measure.higher,
        share=measure.share,
        rows=len(truth),
    )


def _resampled(terms: Sequence[Any], counts: Array, seed: int) -> list[Array]:
    """Return the sums of each side's terms for each resample of the rows, the same resamples for all.

    What is drawn is how often each row counts; a metric is made of sums over rows, so that one product of
    matrices gives them for many resamples. Rows that are the same on all sides count together: how often they
    are drawn is multinomial, and classes leave few of them, however many rows there are.

    :param terms: of each side, groups of rows by terms; `counts`: the rows of each group.
    """
    chance, n, k = np.random.default_rng(seed), int(counts.sum()), len(counts)
    found: list[list[Array]] = []
    at_once = max(1, min(_RESAMPLES, _MOST_WEIGHTS // k))
    for start in range(0, _RESAMPLES, at_once):
        size = min(at_once, _RESAMPLES - start)
        if k == n:
            weights = np.stack([np.bincount(chance.integers(n, size=n), minlength=n) for _ in range(size)])
        else:
            weights = chance.multinomial(n, counts / n, size=size)
        found.append(_weighted(terms, weights))
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _weighted(terms: Sequence[Any], weights: Array) -> list[Array]:
    """Return the sums of each side's terms, weights by terms, where each group counts so many times."""
    return [np.asarray((each.T @ weights.T).T) for each in terms]


def _same_rows(sides: Sequence[Array]) -> tuple[Array, Array]:
    """Return the first of the rows that are the same on all sides, and how many there are of each.

    Where rows are seldom the same (numbers), each is its own: to draw the counts of many groups one by one
    takes longer than to draw rows.
    """
    n = len(sides[0])
    if all(each.dtype.kind in "iu" for each in sides):
        base = int(max(each.max() for each in sides)) + 1
        if base ** len(sides) <= np.iinfo(np.int64).max:
            codes = np.zeros(n, dtype=np.int64)
            for each in sides:
                codes = codes * base + each
            _, first, counts = np.unique(codes, return_index=True, return_counts=True)
            if len(first) <= n / _SAVING:
                return first, counts
    return np.arange(n), np.ones(n, dtype=np.int64)


def _ends(drawn: Array) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _wilson(truth: Array, predicted: Array) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(int((truth == predicted).sum()), len(truth)).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def _class_terms(truth: Array, predicted: Array) -> Any:
    """Return for each row and class: both, truth, prediction, each 0 or 1 (rows by 3 k, sparse)."""
    from scipy.sparse import csr_array

    k, n = int(max(truth.max(), predicted.max())) + 1, len(truth)
    right = truth == predicted
    rows = np.concatenate([np.flatnonzero(right), np.arange(n), np.arange(n)])
    columns = np.concatenate([truth[right], truth + k, predicted + 2 * k])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, 3 * k))


def _number_terms(truth: Array, predicted: Array) -> Any:
    """Return for each row: absolute and squared error, truth and squared truth (less the mean's offset)."""
    error, about = truth - predicted, truth - truth.mean()
    return np.stack([np.abs(error), error**2, about, about**2], axis=1)


def _accuracy(sums: Array, n: int) -> Array:
    return np.asarray(np.split(sums, 3, axis=1)[0].sum(axis=1) / n)


def _recalls(sums: Array, _: int) -> Array:
    both, truth, _predicted = np.split(sums, 3, axis=1)
    return _mean_of(both, truth)


def _f1(sums: Array, _: int) -> Array:
    both, truth, predicted = np.split(sums, 3, axis=1)
    return _mean_of(2 * both, truth + predicted)


def _mean_of(parts: Array, wholes: Array) -> Array:
    """Return the mean share of the classes that were drawn at all."""
    there = wholes > 0
    shares = np.divide(parts, wholes, out=np.zeros_like(parts, dtype=np.float64), where=there)
    return np.asarray(shares.sum(axis=1) / there.sum(axis=1))


def _r2(sums: Array, n: int) -> Array:
    spread = sums[:, 3] - sums[:, 2] ** 2 / n
    return 1 - np.divide(sums[:, 1], spread, out=np.ones_like(spread), where=spread > 0)


@dataclass(frozen=True)
class _Measure:
    """A metric as a function of sums over rows.

    :param score: of sums (resamples by terms) and the number of rows.
    """

    score: Callable[[Array, int], Array]
    higher: bool
    share: bool


#: What is summed over rows: rows by terms, of the truth and one side's predictions.
_TERMS: dict[Task, _Terms] = {"classification": _class_terms, "regression": _number_terms}
_METRICS = {
    "accuracy": _Measure(_accuracy, higher=True, share=True),
    "balanced-accuracy": _Measure(_recalls, higher=True, share=True),
    "f1": _Measure(_f1, higher=True, share=True),
    "mae": _Measure(lambda sums, n: sums[:, 0] / n, higher=False, share=False),
    "rmse": _Measure(lambda sums, n: np.sqrt(sums[:, 1] / n), higher=False, share=False),
    "r2": _Measure(_r2, higher=True, share=False),
}
#: The metrics of each task; those of the first are shares, from 0 to 1.
NAMES: dict[Task, Sequence[str]] = {
    "classification": ("accuracy", "balanced-accuracy", "f1"),
    "regression": ("mae", "rmse", "r2"),
}
