"""The columns of a table as they are measured, by their types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

from cml_action.data.faults import MisjudgedTypesError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from cml_action.data.csvfile import Source
    from cml_action.data.profile import Type

#: Longer texts are told by their beginning, and not counted.
MAX_TEXT = 256
_MAX_FLOAT = 1.7976931348623157e308
#: Whole numbers above are not exact as doubles.
EXACT_INTEGER = 2**53
#: What is a truth value in a text file, in whatever case.
TRUTHS = ("true", "false")
_DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column as it is measured.

    :param value: what is counted: a number, a boolean, text, or a moment's seconds; None for nested values.
    :param axis: finite doubles, seconds for moments; None where there is no such thing.
    :param told: what minimum and maximum are told of.
    :param maybe: what a CSV's sample said and the values have to confirm; `string`, that there are none.
    """

    name: str
    type: Type
    raw: ir.Column
    value: ir.Column | None
    axis: ir.Column | None
    told: ir.Column | None
    maybe: Type | None = None


def suggested(name: str, source: Source) -> Type | None:
    """Return the type that a CSV's sample suggests and the values have to confirm."""
    if name in source.whole:
        return "integer"
    if name in source.days:
        return "date"
    if name in source.unseen:
        return "string"
    return "boolean" if name in source.flags else None


def field_of(column: ir.Column, name: str, maybe: Type | None) -> Field:
    """Tell how a column is measured by its type."""
    kind = column.type()
    if isinstance(kind, (dt.Boolean, dt.Integer)):
        integer = isinstance(kind, dt.Integer)
        axis = column.cast("float64") if integer else None
        told = column if integer else None
        return Field(
            name=name,
            type="integer" if integer else "boolean",
            raw=column,
            # DuckDB counts what is not asked for under the largest value of the type, which is common in
            # small types: 255 in the bytes of pictures.
            value=column.cast("int64") if integer and not isinstance(kind, dt.UInt64) else column,
            axis=axis,
            told=told,
        )
    if isinstance(kind, (dt.Floating, dt.Decimal)):
        number = column.cast("float64")
        axis = number.between(-_MAX_FLOAT, _MAX_FLOAT).ifelse(number, ibis.null())
        raw = number.isnan().ifelse(ibis.null(), number) if isinstance(kind, dt.Floating) else number
        return Field(name=name, type="number", raw=raw, value=axis, axis=axis, told=axis, maybe=maybe)
    if isinstance(kind, (dt.Timestamp, dt.Date)):
        seconds = column.cast("timestamp").epoch_seconds().cast("float64")
        axis = seconds.between(-_MAX_FLOAT, _MAX_FLOAT).ifelse(seconds, ibis.null())
        date = isinstance(kind, dt.Date)
        return Field(
            name=name,
            type="date" if date else "datetime",
            raw=column,
            value=axis,
            axis=axis,
            told=column,
            maybe=maybe,
        )
    if isinstance(kind, (dt.String, dt.UUID, dt.Time)):
        text = column.cast("string")
        listed = (text.length() <= MAX_TEXT).ifelse(text, ibis.null())
        kind_name: Type = "time" if isinstance(kind, dt.Time) else "string"
        return Field(name=name, type=kind_name, raw=column, value=listed, axis=None, told=column, maybe=maybe)
    return Field(name=name, type="other", raw=column, value=None, axis=None, told=None)


def unlike(field: Field) -> ir.BooleanColumn | None:
    """Return which values are not of the type that a CSV's sample suggests."""
    if field.maybe == "boolean":
        return ~folded(field.raw).isin(TRUTHS)
    if field.axis is None or field.maybe is None:
        return None
    return field.axis != field.axis.floor() if field.maybe == "integer" else field.axis % _DAY_S != 0


def judged(field: Field, i: int, look: Mapping[str, Any]) -> Field:
    """Settle the type that the values of a CSV had to confirm.

    :raises MisjudgedTypesError: there are words for nulls, integers beyond the exact range of doubles, or
        values where the sample held none.
    """
    if any(count for word, count in look.get(f"words{i}") or () if word):
        raise MisjudgedTypesError(f"Column `{field.name}` holds words for missing values.")
    held = look[f"held{i}"]
    if field.maybe == "string" and held:
        raise MisjudgedTypesError(f"Column `{field.name}` holds values that no type was told from.")
    if (
        field.maybe in (None, "string")
        or look[f"fractions{i}"]
        or (field.maybe == "integer" and held != look[f"finite{i}"])
    ):
        return field
    if field.maybe == "integer" and held and max(-look[f"min{i}"], look[f"max{i}"]) > EXACT_INTEGER:
        raise MisjudgedTypesError(f"Column `{field.name}` holds integers of more than 53 bits.")
    if field.maybe == "boolean":
        truth = folded(field.raw) == TRUTHS[0]
        return replace(field, type="boolean", raw=truth, value=truth, told=None)
    return replace(field, type=field.maybe)


def folded(text: ir.Column) -> Any:
    """Return text in lower case, as truth values are compared."""
    return text.cast("string").lower()
