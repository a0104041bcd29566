"""The column that holds the class: what is wrong with the one that was named."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from cml_action.data.profile import NoLabelError
from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.data.tables import DataSet

MOST_CLASSES = 1000
#: So many columns are named in a message.
_NAMED = 20


def nested_label(label: str, dataset: DataSet) -> UsageError:
    """Return the error of a column that holds no values to be classes."""
    return UsageError(
        f"Column `{label}` of `{dataset.name}`, which `label` names, holds lists, objects or bytes: "
        "they are no classes.",
        "Name a column of text, numbers, truth values or dates.",
        path=dataset.name,
    )


def no_label(label: str, names: Sequence[str], dataset: DataSet) -> NoLabelError:
    """Return the error of a column that is not there, with those that are."""
    near = difflib.get_close_matches(label, names, n=1, cutoff=0.5)
    shown = ", ".join(f"`{name}`" for name in names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
    meant = f"Did you mean `{near[0]}`? " if near else ""
    return NoLabelError(
        f"`{dataset.name}` has no column `{label}`, which `label` names.",
        f"{meant}Its columns are: {shown}.",
        path=dataset.name,
    )


def check_classes(classes: int, label: str, dataset: DataSet) -> None:
    """Refuse a column with more values than classes have.

    :raises UsageError: there are too many.
    """
    if classes > MOST_CLASSES:
        raise UsageError(
            f"Column `{label}` of `{dataset.name}`, which `label` names, has more than {MOST_CLASSES:,} "
            "different values: it looks like an identifier or a continuous value, not like a class.",
            "Name the column that holds the class.",
            path=dataset.name,
        )
