"""What a model's output predicts for each row of labelled data, in the words of the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cml_action.model.faults import ModelFault, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

Task: TypeAlias = Literal["classification", "regression"]

_TWO_DIMENSIONS = 2
#: A number that can still be squared and summed: what a model predicts beyond it is as good as infinity.
_LARGEST = 1e150
#: Labels that a message names.
_MOST_NAMED = 5


def labels(outputs: Mapping[str, Array], truth: Array, task: Task) -> Array:
    """Return one prediction for each row: of a model's first output, the class or the number.

    A row of scores stands for the class with the highest, counted from 0.

    :raises ModelFault: where the output does not say so by itself, or in other words than the labels; or
        where it is no number: NaN is neither above nor below a limit, and no class at all.
    """
    found = next(iter(outputs.values()))
    if found.shape[:1] != truth.shape:
        raise ModelFault(
            "no-prediction",
            f"The model returned {found.shape[0] if found.ndim else 1:,} rows for {len(truth):,} of data.",
            "Let it return one prediction for each row, or give `evaluate` under `model` in cml.yaml.",
        )
    if found.ndim == _TWO_DIMENSIONS and found.shape[1] == 1:
        found = found[:, 0]
    if task == "regression":
        if found.ndim != 1 or found.dtype.kind not in "biuf":
            raise _unclear(found, "one number for each row")
        numbers = found.astype(np.float64)
        _refuse_nan(np.where(np.abs(numbers) > _LARGEST, np.inf, numbers))
        return numbers
    return _highest(found, truth) if found.ndim == _TWO_DIMENSIONS else _named(found, truth)


def alike(truth: Array, predicted: Sequence[Array], task: Task) -> list[Array]:
    """Return all in one form: numbers, or classes as 0, 1, …, whether written as numbers or as text."""
    sides = [truth, *predicted]
    if task == "regression":
        return [each.astype(np.float64) for each in sides]
    if any(each.dtype.kind not in "biuf" for each in sides):
        sides = [each.astype(str) for each in sides]
    _, codes = np.unique(np.concatenate(sides), return_inverse=True)
    return np.split(codes, len(sides))


def _highest(scores: Array, truth: Array) -> Array:
    """Return the class of each row of scores."""
    if scores.dtype.kind not in "biuf" or truth.dtype.kind not in "biu":
        raise _unclear(scores, "one class for each row, as the label column names it")
    classes = range(scores.shape[1])
    if truth.min() not in classes or truth.max() not in classes:
        raise _unclear(
            scores,
            "one class for each row, as the label column names it: scores stand for the classes 0 to"
            f" {len(classes) - 1}, and the labels are {_some(truth)}",
        )
    _refuse_nan(scores.max(axis=1))  # the highest score alone: a class may be ruled out with `-inf`
    return np.asarray(scores.argmax(axis=1))


def _named(classes: Array, truth: Array) -> Array:
    """Return classes, of which the labels have one at least."""
    _refuse_nan(classes)
    if classes.ndim != 1 or (classes.dtype.kind == "f" and not np.array_equal(classes, np.round(classes))):
        raise _unclear(classes, "one class, or a score for each class, for each row")
    there, named = alike(truth, [classes], "classification")
    if not np.isin(named, there).any():
        raise _unclear(
            classes,
            "one class for each row, as the label column names it: what it predicts is"
            f" {_some(classes)}, and the labels are {_some(truth)}",
        )
    return classes


def _refuse_nan(values: Array) -> None:
    """Let through what is finite, or text."""
    broken = int((~np.isfinite(values)).sum()) if values.dtype.kind in "fc" else 0
    if broken:
        raise ModelFault(
            "not-finite",
            f"The model predicts NaN or infinity for {broken:,} of {len(values):,} rows of the data.",
            "Look at those rows for values that are missing or extreme, and in the model for a division, a"
            " logarithm or `exp`.",
        )


def _some(values: Array) -> str:
    """Return the first few values that there are; they are not ours."""
    known = [quoted(str(each)) for each in np.unique(values)[: _MOST_NAMED + 1]]
    return ", ".join([*known[:_MOST_NAMED], *(["…"] if len(known) > _MOST_NAMED else [])])


def _unclear(found: Array, wanted: str) -> ModelFault:
    shape = " x ".join(map(str, found.shape))
    return ModelFault(
        "no-prediction",
        f"The model returned {shape} values of {found.dtype}; needed is {wanted}.",
        "Let it return that, or give `evaluate` under `model` in cml.yaml instead of `data`.",
    )
