"""What differs between two profiles of one data set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.data.profile import Column, Profile

#: A population stability index below 0.1 is read as no shift, from 0.25 as a large one (Siddiqi, *Credit Risk
#: Scorecards*, 2006, ch. 8).
MODERATE_PSI, LARGE_PSI = 0.1, 0.25
#: A change of a share of all rows (of nulls, of a class) that is worth naming.
NOTABLE = 0.01
#: Empty bins would make the logarithm infinite; half a row stands in them.
_HALF_A_ROW = 0.5
#: Bins are joined to about so many for the index: with more of them, noise adds up.
_PSI_BINS = 10
#: Two samples of one population exceed what is called noise with this probability.
_FALSE_ALARM = 0.01


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How one column differs.

    :param base: None where the column was added; `head`: None where it was removed.
    :param nulls: the share of nulls at the base and at the head, 0 to 1.
    :param psi: the population stability index of its histogram or classes; None where they do not compare.
    :param noise: what two samples of these sizes out of one population hardly ever exceed.
    """

    name: str
    base: Column | None
    head: Column | None
    nulls: tuple[float, float] = (0.0, 0.0)
    psi: float | None = None
    noise: float = 0.0

    @property
    def shifted(self) -> bool:
        """Whether its distribution moved by more than chance would move it, and by enough to matter."""
        return (self.psi or 0) >= max(MODERATE_PSI, self.noise)

    @property
    def worth_a_row(self) -> bool:
        """Whether a reader should see it without unfolding anything."""
        if self.base is None or self.head is None or self.base.type != self.head.type:
            return True
        return abs(self.nulls[1] - self.nulls[0]) >= NOTABLE or self.shifted


def shifts(base: Profile, head: Profile) -> list[Shift]:
    """Return how each column differs, in the head's order, removed columns last."""
    before = {column.name: column for column in base.columns}
    after = {column.name: column for column in head.columns}
    found = []
    for name, column in after.items():
        old = before.get(name)
        if old is None:
            found.append(Shift(name=name, base=None, head=column))
            continue
        nulls = (old.nulls / max(base.rows, 1), column.nulls / max(head.rows, 1))
        bins = _compared(old, column)
        found.append(
            Shift(
                name=name,
                base=old,
                head=column,
                nulls=nulls,
                psi=psi(*bins) if bins else None,
                noise=psi_noise(*bins) if bins else 0.0,
            )
        )
    found += [
        Shift(name=name, base=column, head=None) for name, column in before.items() if name not in after
    ]
    return found


def _compared(base: Column, head: Column) -> tuple[Sequence[int], Sequence[int]] | None:
    """Return the counts of a column's two sides in the same bins; None where the sides do not compare.

    Numbers and moments compare by their histograms, which need the same edges; other values by their
    frequencies, where both sides list all of them.
    """
    if base.numbers and head.numbers:
        before, after = base.numbers.histogram, head.numbers.histogram
        return _joined(before.folded, after.folded) if before.edges == after.edges else None
    if base.complete and head.complete and base.top and head.top:
        old = {each.value: each.count for each in base.top}
        new = {each.value: each.count for each in head.top}
        names = list({**old, **new})
        return [old.get(name, 0) for name in names], [new.get(name, 0) for name in names]
    return None


def psi(base: Sequence[float], head: Sequence[float]) -> float:
    """Return the population stability index, Σ (hᵢ - bᵢ) ln(hᵢ / bᵢ) over the shares of n bins.

    It is the symmetric Kullback-Leibler divergence (Jeffreys, 1946); an empty bin counts as half a row.
    """
    total_base, total_head = sum(base), sum(head)
    if not total_base or not total_head:
        return 0.0
    index = 0.0
    for before, after in zip(base, head, strict=True):
        if not before and not after:
            continue
        share_base = max(before, _HALF_A_ROW) / total_base
        share_head = max(after, _HALF_A_ROW) / total_head
        index += (share_head - share_base) * math.log(share_head / share_base)
    return float(index)


def psi_noise(base: Sequence[float], head: Sequence[float]) -> float:
    """Return the index that two samples out of one population exceed once in a hundred times.

    With n and m values in b bins, the index over (1/n + 1/m) then follows a chi-squared distribution with
    b - 1 degrees of freedom (Yurdakul, *Statistical Properties of Population Stability Index*, 2018). Its
    quantile is that of Wilson and Hilferty (*PNAS* 17, 1931), which is off by 2 % at most.
    """
    sides = sum(base), sum(head)
    degrees = sum(1 for before, after in zip(base, head, strict=True) if before or after) - 1
    if degrees < 1 or not all(sides):
        return 0.0
    normal = NormalDist().inv_cdf(1 - _FALSE_ALARM)
    spread = 2 / (9 * degrees)
    quantile = degrees * (1 - spread + normal * math.sqrt(spread)) ** 3
    return float(quantile * (1 / sides[0] + 1 / sides[1]))


def _joined(base: Sequence[int], head: Sequence[int]) -> tuple[list[int], list[int]]:
    """Join neighbouring bins until each holds about a tenth of the base, as deciles would.

    A bin that holds so much by itself is joined to none before it: it would hide what these few become.
    """
    wanted = sum(base) / _PSI_BINS
    joined: tuple[list[int], list[int]] = ([0], [0])
    for before, after in zip(base, head, strict=True):
        if joined[0][-1] >= wanted or before >= wanted:
            joined[0].append(0)
            joined[1].append(0)
        joined[0][-1] += before
        joined[1][-1] += after
    return joined
