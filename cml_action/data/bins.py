"""Edges of histograms, and quantiles from exact counts between narrow edges: arithmetic on a few numbers.

Quantiles need no sketch that depends on the order in which threads finish: the quantiles of a fixed sample
are taken as edges, all rows are counted between them, and a quantile lies between two edges for certain.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BINS = 20
#: Edges at the sample's quantiles: about 0.4 % of the rows between two.
_RANKS = 256
#: The bin of a constant reaches so far to each side of it, as a part of it: float32 rounds by less.
_NEAR = 1e-6
#: Beyond so many interquartile ranges from the quartiles lies an outlier (Tukey's outer fence).
_FENCE = 3


def edges(low: float, high: float, sample: Mapping[float, int], *, integers: bool) -> tuple[float, ...]:
    """Give the edges of about `BINS` bins of equal width that hold all but outliers.

    :param low, high: the exact range.
    :param sample: values with their counts.
    :param integers: bins hold as many integers each, and their edges lie halfway between two.
    """
    if low == high:
        half = min(abs(low) * _NEAR or _NEAR, 0.5)
        return (low - half, low + half) if low - half < low else (math.nextafter(low, -math.inf), low)
    first, third = (_of_sample(sample, share) for share in (0.25, 0.75))
    if third > first:
        low, high = max(low, first - _FENCE * (third - first)), min(high, third + _FENCE * (third - first))
    if integers and high < 2**52:
        low, high = math.floor(low), math.ceil(high)
        width = math.ceil((high - low + 1) / BINS)
        return tuple(low - 0.5 + width * i for i in range(math.ceil((high - low + 1) / width) + 1))
    # Each is divided before the difference is taken: a range may be wider than the largest double.
    inner = (low + (high / BINS - low / BINS) * i for i in range(1, BINS))
    return tuple(sorted({low, *(edge for edge in inner if low < edge < high), high}))


def grid(
    low: float, high: float, shown: Sequence[float], sample: Mapping[float, int], heavy: Iterable[float]
) -> tuple[float, ...]:
    """Give all edges to count between.

    :param shown: the edges of the histogram.
    :param heavy: frequent values; each gets a bin for itself alone.
    """
    # The first bin of the histogram includes its lower edge.
    found = {low, high, *shown, math.nextafter(shown[0], -math.inf)}
    ordered = sorted(sample)
    total, passed, step = sum(sample.values()), 0, 1
    for value in ordered:
        passed += sample[value]
        if passed * _RANKS >= step * total:
            found.add(float(value))
            step = passed * _RANKS // total + 1
    for value in heavy:
        found |= {float(value), math.nextafter(value, -math.inf)}
    return tuple(sorted(edge for edge in found if math.isfinite(edge)))


def cumulated(edges: Sequence[float], counts: Mapping[float, int]) -> tuple[int, ...]:
    """Give how many values are at most each edge, and last how many there are.

    :param counts: by the upper edge of their bin; infinity holds what is above all edges.
    """
    passed, found = 0, []
    for edge in (*edges, math.inf):
        passed += counts.get(edge, 0)
        found.append(passed)
    return tuple(found)


def alone(edges: Sequence[float], cumulated: Sequence[int], value: float) -> int:
    """Give how many values equal one that has a bin for itself."""
    place = bisect.bisect_left(edges, value)
    return cumulated[place] - (cumulated[place - 1] if place else 0)


def quantile(edges: Sequence[float], cumulated: Sequence[int], share: float) -> tuple[float, float]:
    """Give a quantile, and how far its rank may be off at most, as a share of the values.

    Values are taken as evenly spread between two edges. The definition is numpy's default (type 7 of Hyndman
    and Fan, 1996): rank (n - 1) * share, counted from 0.
    """
    total = cumulated[-1]
    rank = (total - 1) * share
    place = bisect.bisect_right(cumulated, rank)
    if place == 0:
        return edges[0], 0.0
    place = min(place, len(edges) - 1)
    inside = cumulated[place] - cumulated[place - 1]
    part = min(1.0, (rank - cumulated[place - 1] + 0.5) / inside) if inside else 1.0
    below, above = edges[place - 1], edges[place]
    if above == math.nextafter(below, math.inf):
        return above, 0.0
    return below * (1 - part) + above * part, inside / total


def histogram(grid: Sequence[float], cumulated: Sequence[int], shown: Sequence[float]) -> dict[str, Any]:
    """Add the counts between narrow edges up to those of a histogram; the fields of `Histogram`."""
    at = [cumulated[bisect.bisect_left(grid, edge)] for edge in shown]
    below = cumulated[bisect.bisect_left(grid, math.nextafter(shown[0], -math.inf))]
    counts = [high - low for low, high in zip([below, *at[1:]], at[1:], strict=False)]
    return {"edges": tuple(shown), "counts": tuple(counts), "below": below, "above": cumulated[-1] - at[-1]}


def _of_sample(sample: Mapping[float, int], share: float) -> float:
    """Give the smallest value up to which a share of the sample lies."""
    rest = sum(sample.values()) * share
    for value in sorted(sample):
        rest -= sample[value]
        if rest <= 0:
            break
    return float(value)
