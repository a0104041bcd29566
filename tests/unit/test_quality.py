from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from cml_action.errors import UsageError
from cml_action.model import labelled
from cml_action.model.faults import ModelFault
from cml_action.model.predictions import labels
from cml_action.model.quality import compare, mcnemar, slices
from cml_action.policy.demands import HIGHER_IS_BETTER, LOWER_IS_BETTER, ModelPolicy

if TYPE_CHECKING:
    from pathlib import Path

CHANCE = np.random.default_rng(7)
TRUTH = CHANCE.integers(0, 4, 300)


def worse_by(share: float, seed: int) -> np.ndarray:
    """Predictions of which such a share is another class."""
    chance = np.random.default_rng(seed)
    wrong = chance.random(len(TRUTH)) < share
    return np.where(wrong, (TRUTH + chance.integers(1, 4, len(TRUTH))) % 4, TRUTH)


def test_metrics_of_classes_are_those_of_scikit_learn() -> None:
    predicted = worse_by(0.2, 1)
    found = {each.name: each.value for each in compare(TRUTH, predicted, None, "classification")}
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(TRUTH, predicted),
            "balanced-accuracy": metrics.balanced_accuracy_score(TRUTH, predicted),
            "f1": metrics.f1_score(TRUTH, predicted, average="macro"),
        }
    )


def test_metrics_of_numbers_are_those_of_scikit_learn() -> None:
    truth, predicted = TRUTH.astype(float), TRUTH + CHANCE.normal(0, 0.5, len(TRUTH))
    found = {each.name: each.value for each in compare(truth, predicted, None, "regression")}
    assert found == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(truth, predicted),
            "rmse": metrics.root_mean_squared_error(truth, predicted),
            "r2": metrics.r2_score(truth, predicted),
        }
    )


def test_gates_know_of_each_metric_which_way_is_better() -> None:
    found = compare(TRUTH, TRUTH, None, "classification") + compare(TRUTH, TRUTH, None, "regression")
    assert [each.name for each in found if each.higher_is_better] == list(HIGHER_IS_BETTER)
    assert [each.name for each in found if not each.higher_is_better] == list(LOWER_IS_BETTER)


@pytest.mark.parametrize(
    # The mid-p is the exact p less half the probability of what was seen. For 1 and 7 of 8 rows:
    # exact 2 * (1 + 8) / 256 = 0.0703, less 8 / 256.
    ("candidate", "production", "p"),
    [(1, 7, 0.0390625), (7, 1, 0.0390625), (0, 0, 1.0), (4, 4, 1 - 0.5 * 70 / 256), (0, 6, 1 / 64)],
)
def test_mcnemars_mid_p(candidate: int, production: int, p: float) -> None:
    assert mcnemar(candidate, production) == pytest.approx(p)


def test_a_model_that_is_worse_on_the_same_rows_is_found_and_one_by_chance_is_not() -> None:
    production = worse_by(0.05, 2)
    clearly = compare(TRUTH, worse_by(0.2, 3), production, "classification")
    assert all(each.difference and each.difference.worse for each in clearly)
    alike = compare(TRUTH, worse_by(0.05, 4), production, "classification")
    assert not any(each.difference and each.difference.worse for each in alike)


def test_a_larger_error_is_worse_for_numbers() -> None:
    truth = TRUTH.astype(float)
    good, bad = truth + CHANCE.normal(0, 0.3, 300), truth + CHANCE.normal(0, 0.6, 300)
    found = {each.name: each.difference for each in compare(truth, bad, good, "regression")}
    assert all(each and each.worse for each in found.values())
    assert found["mae"]
    assert found["mae"].value > 0
    better = compare(truth, good, bad, "regression")
    assert not any(each.difference and each.difference.worse for each in better)


@pytest.mark.parametrize("rows", [300, 12])
def test_an_interval_is_that_of_a_bootstrap_over_rows(rows: int) -> None:
    truth, predicted = TRUTH[:rows], worse_by(0.2, 1)[:rows]
    draws = np.random.default_rng(1).integers(rows, size=(1000, rows))
    drawn = [metrics.f1_score(truth[each], predicted[each], average="macro") for each in draws]
    f1 = compare(truth, predicted, None, "classification")[2]
    assert (f1.low, f1.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.3 / np.sqrt(rows))


def test_an_interval_stands_where_all_rows_are_right() -> None:
    accuracy = compare(TRUTH[:30], TRUTH[:30], None, "classification")[0]
    assert (accuracy.value, accuracy.high) == (1.0, 1.0)
    assert accuracy.low is not None
    assert 0.85 < accuracy.low < 0.95  # Wilson's interval, not a point


def test_a_slice_shows_where_the_candidate_is_worse() -> None:
    island = np.where(np.arange(300) < 200, "Biscoe", "Dream")
    candidate = np.where(island == "Dream", (TRUTH + 1) % 4, TRUTH)
    found = slices({"island": island}, TRUTH, candidate, TRUTH, "classification")
    assert [(each.value, each.rows, each.metric.value, each.metric.production) for each in found] == [
        ("Biscoe", 200, 1.0, 1.0),
        ("Dream", 100, 0.0, 1.0),
    ]


def test_scores_stand_for_the_class_with_the_highest() -> None:
    scores = np.eye(4, dtype=np.float32)[TRUTH]
    assert (labels({"output": scores}, TRUTH, "classification") == TRUTH).all()


def test_text_and_numbers_are_the_same_labels() -> None:
    (accuracy, *_) = compare(TRUTH, TRUTH.astype(str), None, "classification")
    assert accuracy.value == 1.0


@pytest.mark.parametrize(
    ("output", "truth", "task", "words"),
    [
        (np.zeros(299), TRUTH, "classification", "299 rows for 300"),
        (np.full(300, 0.3), TRUTH, "classification", "a score for each class"),
        (np.zeros((300, 4)), TRUTH.astype(str), "classification", "as the label column names it"),
        (np.zeros((300, 4)), TRUTH + 1, "classification", "the classes 0 to 3, and the labels are `1`, `2`,"),
        (np.zeros((300, 4)), TRUTH - 1, "classification", "0 to 3, and the labels are `-1`, `0`, `1`, `2`"),
        (np.zeros((300, 0)), TRUTH, "classification", "the labels are"),
        (TRUTH, np.array(list("abcd"))[TRUTH], "classification", "is `0`, `1`, `2`, `3`, and .* `a`,"),
        (TRUTH + 10, TRUTH, "classification", "is `10`, `11`, `12`, `13`, and the labels are `0`,"),
        (np.full((300, 4), "a"), TRUTH, "classification", "as the label column names it"),
        (np.zeros((300, 4)), TRUTH, "regression", "one number for each row"),
    ],
)
def test_an_output_that_is_no_prediction_is_explained(
    output: np.ndarray, truth: np.ndarray, task: str, words: str
) -> None:
    with pytest.raises(ModelFault, match=words):
        labels({"output": output}, truth, task)  # type: ignore[arg-type]


NAN = np.where(np.arange(300) == 3, np.nan, 1.0)


@pytest.mark.parametrize(
    ("output", "task", "broken"),
    [
        (NAN, "regression", 1),
        (NAN[:, None].astype(np.float32), "regression", 1),
        (NAN * np.inf, "regression", 300),
        (np.where(np.arange(300) < 2, -1e200, 1.0), "regression", 2),
        (NAN, "classification", 1),
        (np.full((300, 4), np.nan), "classification", 300),
        (np.eye(4)[TRUTH] * NAN[:, None], "classification", 1),
    ],
)
def test_a_model_that_predicts_nan_is_broken_and_no_number_is_made_of_it(
    output: np.ndarray, task: str, broken: int
) -> None:
    with pytest.raises(ModelFault, match=f"predicts NaN or infinity for {broken} of 300 rows"):
        labels({"output": output}, TRUTH, task)  # type: ignore[arg-type]


def test_a_class_that_is_ruled_out_by_its_score_is_none_of_it() -> None:
    with np.errstate(divide="ignore"):
        scores = np.log(np.eye(4)[TRUTH])
    assert (labels({"output": scores}, TRUTH, "classification") == TRUTH).all()


def policy(**keys: object) -> ModelPolicy:
    return ModelPolicy.model_validate(
        {"data": "test.csv", "task": "classification", "label": "species", **keys}
    )


def test_a_labelled_table_is_read_without_its_truth(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mass,species,island\n1.5,Gentoo,Dream\n2.5,Adelie,Biscoe\n")
    found = labelled.read(policy(slices=("island",)), tmp_path)
    assert list(found.features) == ["mass"]
    assert found.truth.tolist() == ["Gentoo", "Adelie"]
    assert found.slices["island"].tolist() == ["Dream", "Biscoe"]
    assert list(found.given) == ["mass", "island"]
    assert found.hash.startswith("sha256:")


def test_a_slice_by_the_truth_gives_it_to_no_model(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mass,species\n1.5,Gentoo\n")
    found = labelled.read(policy(slices=("species",)), tmp_path)
    assert (list(found.slices), list(found.given)) == (["species"], ["mass"])


def test_columns_that_are_named_by_numbers_are_found(tmp_path: Path) -> None:
    pd.DataFrame([[1.5, 0], [2.5, 1]]).to_parquet(tmp_path / "test.parquet")
    found = labelled.read(policy(data="test.parquet", label="1"), tmp_path)
    assert (list(found.features), found.truth.tolist()) == (["0"], [0, 1])


def test_scores_find_their_classes_where_labels_are_written_as_1_0(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mass,species\n1,1.0\n2,0.0\n3,2.0\n")
    found = labelled.read(policy(), tmp_path)
    scores = np.eye(3)[[1, 0, 0]]
    assert (labels({"output": scores}, found.truth, "classification") == [1, 0, 0]).all()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("a\nb\n", "`species` of `test.csv` holds no numbers: `a`, and `task` is regression"),
        ("1.5\ninf\n", "`species` of `test.csv` is infinite in 1 rows"),
    ],
)
def test_a_label_that_is_no_number_is_named_where_the_task_is_regression(
    tmp_path: Path, column: str, words: str
) -> None:
    (tmp_path / "test.csv").write_text(f"species\n{column}")
    with pytest.raises(UsageError, match=words):
        labelled.read(policy(task="regression"), tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mass,specie\n1,a\n", "has no column `species`.*Did you mean `specie`"),
        ("mass,species\n1,a\n2,\n", "1 rows of `test.csv` have no `species`"),
        ("mass,species\n", "has no rows with no `species`|has no rows"),
        ('mass,species\n1,a\n"', "cannot be read as csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        labelled.read(policy(), tmp_path)
