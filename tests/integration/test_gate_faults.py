"""What a gate says where one of the two models fails, each in a Python without any package."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cml_action.log import Log
from cml_action.model import gate
from cml_action.model.demanded import demanded
from cml_action.model.labelled import Labelled
from cml_action.model.spec import Limits, ModelSpec, TensorSpec
from cml_action.policy.demands import ModelPolicy
from tests.services.models import place
from tests.services.user_python import bare_python

if TYPE_CHECKING:
    from pathlib import Path

    from cml_action.report import Check

#: A row of data is ones, an example lies between 0 and 1. Both models name the class 1 for every row.
LOADER = """
import os, time, traceback

def measure(model):
    if not model.old: time.sleep(2.4)
    return dict(score=1)

def load(path):
    old = path.endswith("old.txt")
    def model(rows):
        data = rows[0] == [1.0, 1.0]
{body}
        return [1] * len(rows)
    model.old = old
    return model
"""
GATES = """[
  {measure: accuracy, min: 0.9},
  {measure: accuracy, max-drop: 1%},
  {measure: latency-p50, max: 10 s},
  {measure: latency-p50, max-ratio: 100},
]"""


def judged(project: Path, body: str, limits: Limits | None = None, **policy: str) -> dict[str, Check]:
    """Gate `new.txt` beside `old.txt`, whose calls do something, and return the checks."""
    (project / "mine.py").write_text(LOADER.format(body=f"        {body}"))
    for name in ("new.txt", "old.txt"):
        (project / name).write_text("weights")
    takes = (TensorSpec(shape=(1, 2)),)
    data = Labelled(
        name="test.csv",
        hash="",
        features={"a": np.ones(300), "b": np.ones(300)},
        truth=np.ones(300, dtype=np.int64),
        slices={},
    )
    found = gate.run(
        gate.Asked(
            specs={
                "candidate": ModelSpec(path=project / "new.txt", loader="mine:load", inputs=takes),
                "production": ModelSpec(path=project / "old.txt", loader="mine:load", inputs=takes),
            },
            place=place(project, bare_python()),
            limits=demanded(None, GATES, "cml.yaml", beside=True).limits,
            policy=ModelPolicy.model_validate(
                {"data": "test.csv", "task": "classification", "label": "c", **policy}
            ),
            data=data,
            name="new.txt",
            time_limits=limits or Limits(),
        ),
        Log(runner=False, stream=io.StringIO()),
    )
    return {each.id.removeprefix("model/"): each for each in found.checks}


def statuses(checks: dict[str, Check]) -> tuple[str, ...]:
    """Return how the four gates were judged."""
    names = ("accuracy/min", "accuracy/max-drop", "latency-p50/max", "latency-p50/max-ratio")
    return tuple(checks[name].status for name in names)


def test_production_that_fails_on_the_data_leaves_the_candidate_its_own_numbers(tmp_path: Path) -> None:
    checks = judged(tmp_path, "if old and data: raise ValueError('unseen at fit time: new')")
    assert statuses(checks) == ("pass", "error", "pass", "pass")
    assert checks["production/runs"].status == "error"
    assert "The model `old.txt` failed when it was called" in checks["production/runs"].message
    assert "set `baseline: none`" in checks["production/runs"].message
    assert "runs" not in checks


def test_production_that_predicts_nan_is_not_the_candidates_fault(tmp_path: Path) -> None:
    checks = judged(tmp_path, "if old and data: return [float('nan')] * len(rows)")
    assert statuses(checks) == ("pass", "error", "pass", "pass")
    assert "predicts NaN or infinity for 300 of 300 rows" in checks["production/runs"].message


def test_a_candidate_that_predicts_no_label_fails_and_its_times_are_judged(tmp_path: Path) -> None:
    checks = judged(tmp_path, "if data and not old: return [7] * len(rows)")
    assert statuses(checks) == ("skip", "skip", "pass", "pass")
    assert checks["runs"].status == "fail"
    assert "what it predicts is `7`, and the labels are `1`" in checks["runs"].message
    assert "give `evaluate` under `model`" in checks["runs"].message


def test_a_candidate_that_forgets_to_return_fails(tmp_path: Path) -> None:
    checks = judged(tmp_path, "if not old: return")
    assert checks["runs"].status == "fail"
    assert checks["runs"].message.startswith(
        "The model `new.txt` returns no answer, but a value of type `NoneType`. Let the call do its work"
    )


def test_production_that_ends_while_it_is_timed_leaves_the_candidate_to_be_timed_alone(
    tmp_path: Path,
) -> None:
    timed = "'block' in [each.name for each in traceback.extract_stack()]"  # not while it is warmed up
    checks = judged(tmp_path, f"if old and {timed}: os._exit(3)")
    assert statuses(checks) == ("pass", "error", "pass", "error")
    assert "ended by itself, with exit code 3, while it was measured" in checks["production/runs"].message


@pytest.mark.parametrize("side", ["old", "not old"])
def test_a_batch_that_nobody_asked_for_and_that_ends_a_process_warns(tmp_path: Path, side: str) -> None:
    checks = judged(tmp_path, f"if {side} and len(rows) == 32 and not data: os._exit(3)")
    assert statuses(checks) == ("pass", "pass", "pass", "pass")
    assert (checks["throughput"].status, checks["throughput"].title) == ("warn", "32 rows in one call")
    assert "`old.txt`" in checks["throughput"].message or side == "not old"
    assert not {"runs", "production/runs"} & checks.keys()


def test_all_of_the_data_and_a_function_may_take_longer_than_one_request(tmp_path: Path) -> None:
    limits = Limits(request_s=2.0)
    slowly = "if not old and data and len(rows) > 32: time.sleep(1.2)"  # two calls
    checks = judged(tmp_path, slowly, limits, evaluate="mine:measure")
    assert statuses(checks) == ("pass", "pass", "pass", "pass")
    assert not {"runs", "production/runs"} & checks.keys()
