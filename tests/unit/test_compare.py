from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from cml_action.data.compare import psi, psi_noise


def test_the_index_is_the_sum_over_the_bins_of_its_definition() -> None:
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5)

    assert psi([50, 50], [120, 80]) == pytest.approx(expected)
    assert psi([50, 50], [500, 500]) == 0


def test_a_class_that_is_new_or_gone_counts_as_half_a_row() -> None:
    assert psi([100, 0], [50, 50]) == pytest.approx(
        -0.5 * math.log(0.5) + (0.5 - 0.005) * math.log(0.5 / 0.005)
    )
    assert psi([], []) == 0
    assert psi([0, 0], [1, 2]) == 0


@pytest.mark.parametrize("bins", [3, 5, 10])
def test_chance_alone_exceeds_its_noise_once_in_a_hundred_times(bins: int) -> None:
    chance = random.Random(bins)  # noqa: S311 -- data for a test
    n, m, trials = 400, 300, 4000

    def counts(total: int) -> list[int]:
        found = [0] * bins
        for each in chance.choices(range(bins), k=total):
            found[each] += 1
        return found

    beyond = 0
    for _ in range(trials):
        base, head = counts(n), counts(m)
        beyond += psi(base, head) > psi_noise(base, head)

    assert 10 <= beyond <= 70  # 40 are expected


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 50])
def test_the_noise_is_the_quantile_of_chi_squared(degrees: int) -> None:
    base = head = [100] * (degrees + 1)
    total = sum(base)

    assert psi_noise(base, head) == pytest.approx(stats.chi2.ppf(0.99, degrees) * 2 / total, rel=0.02)
