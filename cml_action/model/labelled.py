"""A labelled data set: a table read into columns, the truth apart from what the model is given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cml_action.data.tables import find
from cml_action.errors import UsageError, suggestion
from cml_action.model.digest import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from cml_action.data.tables import DataSet
    from cml_action.policy.demands import ModelPolicy

    Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """n rows.

    :param features: what the model is given, n values each, by the column's name.
    :param truth: n labels; `slices`: n values each.
    :param beside: columns of slices, the truth not among them, for a model that was fitted on their names.
    :param hash: what the bytes are known by: DVC's hash, else `sha256:…`.
    """

    name: str
    hash: str
    features: dict[str, Array]
    truth: Array
    slices: dict[str, Array]
    beside: dict[str, Array] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, Array]:
        """All that a model is given: the features, and behind them what some models take too."""
        return {**self.features, **self.beside}


def read(policy: ModelPolicy, project: Path, *, allowed: Sequence[Path] = (), known: str = "") -> Labelled:
    """Read the data set that a policy names.

    :param allowed: folders outside of the project that a link may lead to: DVC's cache.
    :param known: the data set's hash, where DVC has one.
    :raises UsageError: it is not there, is no table, or lacks a column or a label.
    """
    assert policy.data is not None  # noqa: S101 -- the caller's question
    found = find(policy.data, project, allowed=allowed)
    frame = _frame(found)
    label, sliced = policy.label or "", policy.slices or ()
    wanted = policy.features or tuple(
        name for name in map(str, frame.columns) if name not in (label, *sliced)
    )
    for key, names in (("label", (label,)), ("features", wanted), ("slices", sliced)):
        for name in names:
            if name not in frame.columns:
                raise UsageError(
                    f"`{policy.data}` has no column `{name}` (`{key}` under `model`)."
                    f"{suggestion(name, map(str, frame.columns))}",
                    "Correct the name in cml.yaml.",
                )
    missing = int(frame[label].isna().sum())
    if missing or frame.empty:
        rows = f"{missing:,} rows of `{policy.data}` have" if missing else f"`{policy.data}` has no rows with"
        raise UsageError(f"{rows} no `{label}`.", "Evaluate on rows whose truth is known.", path=policy.data)
    truth = _plain(frame[label])
    if policy.task == "regression":
        _refuse_no_numbers(truth, policy.data, label)
    elif truth.dtype.kind == "f" and np.array_equal(truth, np.trunc(np.clip(truth, -(2**53), 2**53))):
        truth = truth.astype(np.int64)  # so scores find their classes, and text its digits
    return Labelled(
        name=policy.data,
        hash=known or _hash(found),
        features={name: frame[name].to_numpy() for name in wanted},
        truth=truth,
        slices={name: frame[name].to_numpy() for name in sliced},
        beside={name: frame[name].to_numpy() for name in sliced if name not in (label, *wanted)},
    )


def _refuse_no_numbers(truth: Array, data: str, label: str) -> None:
    numbers = truth.dtype.kind in "biuf"
    endless = int(np.isinf(truth.astype(np.float64)).sum()) if numbers else 0
    if endless or not numbers:
        has = f"is infinite in {endless:,} rows" if numbers else f"holds no numbers: `{truth[0]!s:.60}`"
        raise UsageError(
            f"`{label}` of `{data}` {has}, and `task` is regression.",
            "Correct the rows, or `label` or `task` under `model` in cml.yaml.",
            path=data,
        )


def _hash(found: DataSet) -> str:
    """Return the SHA-256 of the file, or of those of all files in their order."""
    each = [digest(file.resolve()) for file in found.files]
    return each[0] if len(each) == 1 else f"sha256:{hashlib.sha256(chr(10).join(each).encode()).hexdigest()}"


def _plain(column: pd.Series[Any]) -> Array:
    """Return labels as numbers or as text, not as objects."""
    values = column.to_numpy()
    return values.astype(str) if values.dtype.kind not in "biuf" else values


def _frame(found: DataSet) -> pd.DataFrame:
    import pandas as pd

    readers: dict[str, Any] = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "parquet": pd.read_parquet,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "arrow": pd.read_feather,
    }
    parts = []
    for file in found.files:
        try:
            parts.append(readers[found.kind](file))
        except (ValueError, OSError, UnicodeError) as error:  # noqa: PERF203 -- a file is read in between
            words = " ".join(str(error).replace("`", "'").split())[:200]
            raise UsageError(
                f"`{found.shown(file)}` cannot be read as {found.kind}: `{words}`.",
                "Correct the file, or pull it again.",
                path=found.shown(file),
            ) from None
    whole: pd.DataFrame = pd.concat(parts, ignore_index=True)
    whole.columns = whole.columns.map(str)  # a number's name, as pandas writes a matrix to Parquet
    return whole
