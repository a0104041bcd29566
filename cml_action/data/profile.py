"""The profile of a table: what a person must know of its rows and columns, and what later runs compare."""

from __future__ import annotations

import contextlib
import functools
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cml_action.data.tables import DataSet
    from cml_action.log import Bar

Type: TypeAlias = Literal["integer", "number", "string", "boolean", "datetime", "date", "time", "other"]
#: A value as JSON writes it. Whatever JSON has no type for (dates, times) is text as the engine writes it.
Value: TypeAlias = bool | int | float | str

#: Quantiles that are told of each column of numbers or moments.
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class NoLabelError(UsageError):
    """The column that holds the class is not there."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Frequency(_Model):
    """A value and the exact number of rows that hold it."""

    value: Value
    count: int


class Quantile(_Model):
    """The value below which a share of the values lies.

    :param share: 0 to 1.
    :param value: in the column's unit, or seconds since 1970-01-01 UTC.
    """

    share: float
    value: float


class Histogram(_Model):
    """Exact counts in bins of equal width.

    Bin i holds the values above `edges[i]` up to and including `edges[i + 1]`; the first bin includes
    `edges[0]`. Outliers lie outside of the edges.

    :param edges: n + 1 rising edges, in the column's unit, or seconds since 1970-01-01 UTC.
    :param counts: n counts.
    :param below: rows below the first edge, and `above` the last.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int
    above: int

    @property
    def folded(self) -> tuple[int, ...]:
        """The counts with what lies outside put into the outer bins: they add up to all finite values.

        What lies outside of a single bin, which held a constant, is no outlier: it gets a bin at each side.
        """
        if len(self.counts) == 1:
            return (self.below, *self.counts, self.above)
        return (self.counts[0] + self.below, *self.counts[1:-1], self.counts[-1] + self.above)


class Numbers(_Model):
    """What can be told of numbers and moments only, over the finite values.

    :param mean: in the column's unit, or seconds since 1970-01-01 UTC.
    :param deviation: standard deviation of a sample (n - 1); seconds for moments; None for fewer than two.
    :param quantiles: of `QUANTILES`, interpolated linearly between neighbours as numpy does by default.
    :param rank_error: how far the true rank of a quantile may lie from its share, at most; 0 is exact.
    :param infinite: rows with a positive or negative infinity.
    """

    mean: float
    deviation: float | None
    quantiles: tuple[Quantile, ...]
    rank_error: float
    histogram: Histogram
    infinite: int

    def quantile(self, share: float) -> float:
        """Give the quantile of that share, one of `QUANTILES`."""
        return next(quantile.value for quantile in self.quantiles if quantile.share == share)


class Column(_Model):
    """What is told of one column.

    :param nulls: rows without a value; NaN is none, as in pandas.
    :param distinct: how many different values; exact or approximate as `distinct_exact` says. The approximate
        one is DuckDB's HyperLogLog: it was within 5 % in all of our measurements, most often within 2 %.
    :param min, max: the smallest and largest finite value; text is clipped to 256 characters; None where
        there is none, or no order that means something (booleans, nested values).
    :param top: the most frequent values, most frequent first, ties in the order of the values. Counts are
        exact. A value that holds 1 % of the rows or more is missing with a probability below 1e-17.
        Text of more than 256 characters is never among them.
    :param complete: `top` holds every value there is.
    :param numbers: for integers, numbers, dates and datetimes with at least one finite value.
    """

    name: str
    type: Type
    nulls: int
    distinct: int
    distinct_exact: bool
    min: Value | None
    max: Value | None
    top: tuple[Frequency, ...]
    complete: bool
    numbers: Numbers | None


class Profile(_Model):
    """What is told of a data set. The same files give the same profile, but for the last digits of means.

    :param name: the data set's, as it was asked for.
    :param kind: of its files.
    :param size_bytes: on disk.
    :param duplicates: rows that are equal in every column to an earlier row (rows less distinct rows), by a
        hash of 64 bits: among a billion rows one pair is taken for equal wrongly with a probability of 3 %.
    :param label: name of the column that holds the class, and `classes` every class with its count, most
        frequent first; rows without a label are the column's nulls.
    """

    version: Literal[1] = 1
    name: str
    kind: str
    files: int
    size_bytes: int
    rows: int
    duplicates: int
    columns: tuple[Column, ...]
    label: str | None = None
    classes: tuple[Frequency, ...] = ()

    def column(self, name: str) -> Column | None:
        """Give the column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def to_json(self) -> str:
        """Write the profile as JSON, from which `from_json` makes an equal one."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Read a profile.

        :raises ValueError: the text is not a profile, or one of another version.
        """
        return cls.model_validate_json(text)


def moment(seconds: float) -> str:
    """Write seconds since 1970-01-01 UTC as a date and time, the way quantiles of moments are read.

    Outside of the years 1 to 9999, which Python's dates end at, it stays a number.
    """
    try:
        when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds:.0f} s"
    text = when.replace(tzinfo=None).isoformat(sep=" ")
    return text.rstrip("0") if when.microsecond else text


def profile(
    dataset: DataSet,
    *,
    temporary: Path,
    label: str | None = None,
    memory_limit_bytes: int | None = None,
    edges: Profile | None = None,
    progress: Bar | None = None,
) -> Profile:
    """Profile a data set in two streaming reads, whatever its size.

    The first read tells rows, nulls, means, ranges and a sample of 4,096 rows (those with the smallest
    hashes, so the same on every run); the second counts exactly: into the bins of histograms whose edges
    follow from the first, into narrow bins between the sample's quantiles, and the sample's most frequent
    values.
    Up to 100,000 rows, quantiles and distinct values are exact as well.

    :param temporary: a folder for what does not fit into memory; nothing is left there.
    :param label: the column that holds the class.
    :param memory_limit_bytes: of the engine; Python and read buffers take about 200 MB besides. By default
        224 MiB, more for hundreds of columns.
    :param edges: count the histograms into the bins of this profile, to compare the two.
    :param progress: advanced by 100 in all, as the engine tells how far its two reads have come.
    :raises UsageError: a file cannot be read (file and line are named), the label is not there, or has more
        than 1,000 classes.
    :raises OutsideError: the disk is full, or the memory limit too small.
    """
    # DuckDB and Ibis take a second to import: whoever only reads stored profiles does without.
    from cml_action.data.csvfile import LOOKS
    from cml_action.data.faults import MisjudgedTypesError
    from cml_action.data.measure import measure

    measured = functools.partial(
        measure,
        dataset,
        temporary=temporary,
        label=label,
        memory_limit_bytes=memory_limit_bytes,
        edges=edges,
        progress=progress,
    )
    *quick, thorough = LOOKS
    for look in quick:
        with contextlib.suppress(MisjudgedTypesError):
            return measured(look=look)
    return measured(look=thorough)
