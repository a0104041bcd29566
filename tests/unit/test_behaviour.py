from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cml_action.model import behaviour
from cml_action.model.faults import ModelFault
from cml_action.policy.demands import Behaviour

if TYPE_CHECKING:
    from collections.abc import Callable

CHANCE = np.random.default_rng(3)


def example(rows: int) -> dict[str, np.ndarray]:
    return {"input": np.random.default_rng(0).random((rows, 5), dtype=np.float32)}


def statuses(
    model: Callable[[np.ndarray], np.ndarray], rows: Any = None, **asked: Any
) -> dict[str, tuple[str, str]]:
    def predict(given: Any, batch: int | None) -> Any:
        values = given["input"]
        parts = [values] if batch is None else np.array_split(values, len(values))
        return {"output": np.concatenate([model(part) for part in parts])}

    found = behaviour.checks(predict, example, Behaviour.model_validate(asked), rows)
    return {each.id.rpartition("/")[2]: (each.status, each.message) for each in found}


def test_a_sound_model_passes() -> None:
    found = statuses(lambda x: x @ np.ones((5, 2), dtype=np.float32))
    assert {name: status for name, (status, _) in found.items()} == {
        "same-output": "pass",
        "finite": "pass",
        "batch": "pass",
    }


def test_dropout_in_service_is_found() -> None:
    status, message = statuses(lambda x: x * (CHANCE.random(x.shape) > 0.5))["same-output"]
    assert status == "warn"
    assert ".eval()" in message


def test_nan_on_extreme_input_names_the_input() -> None:
    with np.errstate(invalid="ignore"):
        status, message = statuses(lambda x: x / x.sum(axis=1, keepdims=True), finite="fail")["finite"]
    assert status == "fail"
    assert "where all inputs are 0." in message


@pytest.mark.parametrize(
    ("device", "off", "status"),
    [("cpu", 5e-4, "warn"), ("cuda", 5e-4, "pass"), ("cuda", 0.1, "warn")],
)
def test_on_a_gpu_single_precision_may_differ_as_its_convolutions_do(
    device: Any, off: float, status: str
) -> None:
    """By 5e-4 the outputs of a ResNet differed on an H100."""

    def predict(given: Any, batch: int | None) -> Any:
        return {"output": given["input"] + np.float32(0 if batch is None else off)}

    found = {each.title: each for each in behaviour.checks(predict, example, None, None, device=device)}
    assert found["a batch of one gives what a row of a batch gives"].status == status


@pytest.mark.parametrize(("steps", "status"), [(3, "pass"), (40, "warn")])
def test_bfloat16_may_differ_by_a_few_of_its_steps(steps: int, status: str) -> None:
    step = 2.0**-8  # of bfloat16, between 0.5 and 1

    def predict(given: Any, batch: int | None) -> Any:
        rows = np.full((len(given["input"]), 2), 0.75, dtype=np.float32)
        return {"output": rows if batch is None else rows - np.float32(steps * step)}

    found = {each.id: each for each in behaviour.checks(predict, example, None, None)}
    assert found["model/behaviour/batch"].status == status


def test_normalising_over_the_batch_is_found() -> None:
    status, message = statuses(lambda x: x - x.mean(axis=0))["batch"]
    assert status == "warn"
    assert "Batch normalisation" in message


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_state_whose_rows_are_in_its_second_dimension_is_no_difference(layers: int) -> None:
    """An LSTM returns what it remembers as layers by rows by numbers."""

    def predict(given: Any, batch: int | None) -> Any:
        rows = given["input"]
        state = np.repeat(rows[None], layers, axis=0)
        singly = np.concatenate(np.split(state, len(rows), axis=1))
        return {"output": rows, "state": state if batch is None else singly}

    found = {each.id: each for each in behaviour.checks(predict, example, None, None)}
    assert found["model/behaviour/batch"].status == "pass"


def test_outputs_without_rows_cannot_be_compared_by_row() -> None:
    def predict(given: Any, batch: int | None) -> Any:
        return {"output": given["input"].mean() if batch is None else given["input"].mean(axis=1)}

    found = {each.id: each for each in behaviour.checks(predict, example, None, None)}
    assert found["model/behaviour/batch"].status == "skip"


def test_a_squeeze_that_drops_a_batch_of_one_is_found() -> None:
    status, message = statuses(lambda x: x.squeeze())["batch"]
    assert status == "warn"
    assert "another shape" in message
    assert "`squeeze`" in message


def test_another_order_of_sums_is_no_difference() -> None:
    weights = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    order = np.random.default_rng(1).permutation(5)

    def model(x: np.ndarray) -> np.ndarray:
        return x @ weights if len(x) > 1 else x[:, order] @ weights[order]

    assert statuses(model)["batch"][0] == "pass"


def test_a_batch_of_fixed_size_is_skipped() -> None:
    def model(x: np.ndarray) -> np.ndarray:
        if len(x) != 4:
            raise ModelFault("bad-shape", "It takes four rows.")
        return x

    found = statuses(model)
    assert found["batch"][0] == "skip"


def test_what_is_off_is_not_checked() -> None:
    assert set(statuses(lambda x: x, finite="off", batch="off")) == {"same-output"}


@pytest.mark.parametrize(("most", "status"), [("2%", "fail"), ("60%", "pass")])
def test_noise_that_flips_predictions_is_held_against_its_limit(most: str, status: str) -> None:
    rows = {"input": np.random.default_rng(5).normal(0, 1, (400, 5)).astype(np.float32)}
    policy = Behaviour.model_validate({"noise": 0.5, "max-flips": most})
    checks = behaviour.checks(
        lambda given, _: {"output": (given["input"][:, 0] > 0).astype(np.int64)}, example, policy, rows
    )
    (noise,) = [each for each in checks if each.id.endswith("noise")]
    assert noise.status == status
    assert isinstance(noise.value, float)
    assert 0.05 < noise.value < 0.3


def test_noise_spares_what_is_missing_and_flips_nothing_for_it() -> None:
    rows = {
        "mass": np.array([1.0, 2.0, np.nan, 4.0] * 50),
        "none": np.full(200, np.nan),
        "endless": np.full(200, np.inf),
    }

    def imputed(given: Any, _: int | None) -> Any:
        assert np.isnan(given["none"]).all()
        assert np.isinf(given["endless"]).all()
        return {"output": np.where(np.isnan(given["mass"]), 3.0, given["mass"]) > 2.5}

    alone = Behaviour.model_validate({"same-output": "off", "finite": "off", "batch": "off"})
    found = behaviour.checks(imputed, example, alone, rows)
    assert [(each.id, each.status, each.value) for each in found] == [("model/behaviour/noise", "pass", 0.0)]


def test_many_noisy_rows_are_given_a_few_at_a_time() -> None:
    asked: list[tuple[int, int | None]] = []

    def predict(given: Any, batch: int | None) -> Any:
        asked.append((len(given["input"]), batch))
        return {"output": given["input"] > 0.5}

    alone = {"max-flips": "5%", "same-output": "off", "finite": "off", "batch": "off"}
    behaviour.checks(predict, example, Behaviour.model_validate(alone), None)
    assert asked == [(256, 32), (256, 32)]
