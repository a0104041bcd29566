from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from scipy import stats

from cml_action.data.compare import Shift, psi, psi_noise, shifts
from cml_action.data.describe import Compared, sections
from cml_action.publish.figures import png
from cml_action.report import Code, Figure, Quantity, Table, Text
from tests.services.tables import profiled

if TYPE_CHECKING:
    from pathlib import Path


def shift_of(tmp_path: Path, base: dict[str, int], head: dict[str, int]) -> Shift:
    """Compare two tables of one column, of which each value is given with its number of rows."""

    def text(values: dict[str, int]) -> str:
        return "a\n" + "".join(f"{value}\n" * count for value, count in values.items())

    before = profiled(tmp_path, "base.csv", text(base))
    (shift,) = shifts(before, profiled(tmp_path, "head.csv", text(head), edges=before))
    return shift


def test_classes_that_became_doubles_are_the_same_classes(tmp_path: Path) -> None:
    base = profiled(tmp_path, "base.parquet", pa.table({"y": [0, 1] * 50}), label="y")
    labels = pa.array([0.0, 1.0] * 50 + [None])
    head = profiled(tmp_path, "head.parquet", pa.table({"y": labels}), label="y", edges=base)

    shown = sections(Compared(head=head, base=base))
    (table,) = (block for each in shown if each.title == Text.of("Classes in ", Code("y"))
                for block in each.blocks if isinstance(block, Table))  # fmt: skip

    assert [(row[0], row[3]) for row in table.rows] == [
        (Code(name), Quantity(0, "count", signed=True)) for name in ("0", "1")
    ]


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


@pytest.mark.parametrize(("few", "most"), [("0", "1"), ("1", "0")])
def test_a_value_that_few_rows_had_and_most_have_is_a_large_shift(
    tmp_path: Path, few: str, most: str
) -> None:
    shift = shift_of(tmp_path, {few: 50, most: 950}, {few: 950, most: 50})

    assert shift.psi == pytest.approx(psi([50, 950], [950, 50]))
    assert shift.worth_a_row


@pytest.mark.parametrize(
    ("constant", "other"),
    [("7", "8"), ("7", "6"), ("0.5", "0.6"), ("0.0", "0.1"), ("2024-01-01", "2024-01-02"), ("7", "7.5")],
)
def test_a_constant_that_becomes_another_is_a_large_shift(tmp_path: Path, constant: str, other: str) -> None:
    shift = shift_of(tmp_path, {constant: 100}, {other: 100})

    assert shift.psi == pytest.approx(psi([100, 0], [0, 100]))
    assert shift.shifted
    assert not shift_of(tmp_path, {constant: 100}, {constant: 90}).psi


@pytest.mark.parametrize(
    ("constant", "others", "written"),
    [
        ("7", "900", ("", "7", "more")),
        ("7", "6", ("less", "7", "")),
        ("2024-01-02", "", ("", "2024-01-02", "")),
    ],
)
def test_a_constant_is_drawn_beside_what_is_less_and_more_which_is_no_scale(
    tmp_path: Path, constant: str, others: str, written: tuple[str, ...]
) -> None:
    base = profiled(tmp_path, "base.csv", f"a,b\n{constant},1\n" + f"{constant},2\n" * 9)
    head = profiled(tmp_path, "head.csv", "a,b\n" + f"{others or constant},2\n" * 9, edges=base)

    (figure, *_) = (
        block for each in sections(Compared(head=head, base=base)) for block in each.blocks
        if isinstance(block, Figure) and block.panels[0].title == "a"
    )  # fmt: skip

    assert figure.panels[0].bins == written
    assert png(figure).startswith(b"\x89PNG")
