"""How good a model's predictions are on labelled rows, and whether production's were better on the same rows.

**Classification**: `accuracy`; `balanced-accuracy`, the mean of the classes' recalls; `f1`, the mean of the
classes' F1. **Regression**: `mae`, `rmse` and `r2`. Each has a percentile bootstrap interval over rows
(`scipy.stats.bootstrap`); the share of correct rows has Wilson's, which holds where none or all are
correct.

**Against production.** Both models see the same rows, so what is tested is the difference of each row.
Where the rows are right or wrong: McNemar's test, with the mid-p value (Fagerland, Lydersen and Laake, *BMC
Medical Research Methodology* 13:91, 2013), which needs no table of at least so many rows. Elsewhere: the
paired bootstrap interval of the difference; a model is worse where all of it lies on the worse side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Score: TypeAlias = Callable[[Array, Array], float]

Task: TypeAlias = Literal["classification", "regression"]

LEVEL = 0.95
_RESAMPLES = 2000
_SEED = 20
#: Values of a slice's column that are shown: those with most rows.
MOST_VALUES = 12
_TWO_DIMENSIONS = 2


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


def labels(outputs: Mapping[str, Array], truth: Array, task: Task) -> Array:
    """Return one prediction for each row: of a model's first output, the class or the number.

    A row of scores stands for the class with the highest, counted from 0.

    :raises UsageError: where the output does not say so by itself.
    """
    found = next(iter(outputs.values()))
    if found.shape[:1] != truth.shape:
        raise UsageError(
            f"The model returned {found.shape[0] if found.ndim else 1:,} rows for {len(truth):,} of data.",
            "Let it return one prediction for each row, or give `evaluate` under `model` in cml.yaml.",
        )
    if found.ndim == _TWO_DIMENSIONS and found.shape[1] == 1:
        found = found[:, 0]
    if task == "regression":
        if found.ndim != 1 or found.dtype.kind not in "biuf":
            raise _unclear(found, "one number for each row")
        return found.astype(np.float64)
    if found.ndim == _TWO_DIMENSIONS:
        if truth.dtype.kind not in "biu":
            raise _unclear(
                found, "one class for each row, as the label column has it: its labels are no numbers"
            )
        return np.asarray(found.argmax(axis=1))
    if found.ndim != 1 or (found.dtype.kind == "f" and not np.array_equal(found, np.round(found))):
        raise _unclear(found, "one class, or a score for each class, for each row")
    return found


def compare(
    truth: Array, candidate: Array, production: Array | None, task: Task, *, seed: int = _SEED
) -> tuple[Metric, ...]:
    """Return the task's metrics of the candidate, beside production's on the same rows where there is one."""
    if task == "classification":
        truth, candidate = _alike(truth, candidate)
        if production is not None:
            truth, production = _alike(truth, production)
            truth, candidate = _alike(truth, candidate)
    return tuple(_metric(name, truth, candidate, production, seed) for name in _NAMES[task])


def slices(
    columns: Mapping[str, Array], truth: Array, candidate: Array, production: Array | None, task: Task
) -> tuple[Slice, ...]:
    """Return the task's first metric for each value of each column, the most frequent values first."""
    name, found = _NAMES[task][0], []
    if task == "classification":
        truth, candidate = _alike(truth, candidate)
        production = None if production is None else _alike(truth, production)[1]
    for column, values in columns.items():
        texts = np.asarray(values).astype(str)
        known, counts = np.unique(texts, return_counts=True)
        for at in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
            rows = texts == known[at]
            metric = _metric(
                name, truth[rows], candidate[rows], None if production is None else production[rows], _SEED
            )
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


def _metric(name: str, truth: Array, candidate: Array, production: Array | None, seed: int) -> Metric:
    score, higher, share = _METRICS[name]
    value = score(truth, candidate)
    low, high = _wilson(truth, candidate) if name == "accuracy" else _interval(
        lambda rows: score(truth[rows], candidate[rows]), len(truth), seed
    )  # fmt: skip
    before = None if production is None else score(truth, production)
    difference = None
    if production is not None and before is not None:
        kept: Array = production
        ends = _interval(
            lambda rows: score(truth[rows], candidate[rows]) - score(truth[rows], kept[rows]),
            len(truth),
            seed,
        )
        if name == "accuracy":
            right, was_right = candidate == truth, production == truth
            p = mcnemar(int((right & ~was_right).sum()), int((was_right & ~right).sum()))
            worse = value < before and p < 1 - LEVEL
        else:
            p, worse = None, ends[1] < 0 if higher else ends[0] > 0
        difference = Difference(value=value - before, low=ends[0], high=ends[1], worse=bool(worse), p_value=p)
    return Metric(
        name=name,
        value=value,
        low=low,
        high=high,
        production=before,
        difference=difference,
        higher_is_better=higher,
        share=share,
        rows=len(truth),
    )


def _interval(statistic: Callable[[Array], float], n: int, seed: int) -> tuple[float, float]:
    from scipy.stats import bootstrap

    if n < _TWO_DIMENSIONS:
        value = statistic(np.arange(n))
        return value, value
    found = bootstrap(
        (np.arange(n),),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=False,
        method="percentile",
        confidence_level=LEVEL,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _wilson(truth: Array, predicted: Array) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(int((truth == predicted).sum()), len(truth)).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def _alike(truth: Array, predicted: Array) -> tuple[Array, Array]:
    """Return both as numbers, or both as text: a label may be written either way."""
    numbers = "biuf"
    if truth.dtype.kind in numbers and predicted.dtype.kind in numbers:
        return truth, predicted
    return truth.astype(str), predicted.astype(str)


def _unclear(found: Array, wanted: str) -> UsageError:
    shape = " x ".join(map(str, found.shape))
    return UsageError(
        f"The model returned {shape} values of {found.dtype}; needed is {wanted}.",
        "Let it return that, or give `evaluate` under `model` in cml.yaml instead of `data`.",
    )


def _accuracy(truth: Array, predicted: Array) -> float:
    return float(np.mean(truth == predicted))


def _recalls(truth: Array, predicted: Array) -> float:
    return float(np.mean([np.mean(predicted[truth == each] == each) for each in np.unique(truth)]))


def _f1(truth: Array, predicted: Array) -> float:
    scores = []
    for each in np.union1d(truth, predicted):
        both = np.sum((truth == each) & (predicted == each))
        scores.append(2 * both / (np.sum(truth == each) + np.sum(predicted == each)))
    return float(np.mean(scores))


def _mae(truth: Array, predicted: Array) -> float:
    return float(np.mean(np.abs(truth - predicted)))


def _rmse(truth: Array, predicted: Array) -> float:
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


def _r2(truth: Array, predicted: Array) -> float:
    spread = np.sum((truth - np.mean(truth)) ** 2)
    return float(1 - np.sum((truth - predicted) ** 2) / spread) if spread else 0.0


#: Each metric's function, whether more is better, and whether it reads as a percentage.
_METRICS: dict[str, tuple[Score, bool, bool]] = {
    "accuracy": (_accuracy, True, True),
    "balanced-accuracy": (_recalls, True, True),
    "f1": (_f1, True, True),
    "mae": (_mae, False, False),
    "rmse": (_rmse, False, False),
    "r2": (_r2, True, False),
}
_NAMES: dict[Task, Sequence[str]] = {
    "classification": ("accuracy", "balanced-accuracy", "f1"),
    "regression": ("mae", "rmse", "r2"),
}
