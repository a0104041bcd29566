"""From limits and measures to checks: what a user reads, and where it points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from cml_action.errors import UsageError
from cml_action.model import judge
from cml_action.model.demanded import demanded
from cml_action.model.describe import facts, sections
from cml_action.model.gate import Found
from cml_action.model.latency import Demand, Interval, Plan, Timings
from cml_action.model.process import Loaded, Memory
from cml_action.model.quality import Difference, Metric
from cml_action.policy import load
from cml_action.quantity import quantity
from cml_action.report import Check, Table

if TYPE_CHECKING:
    from pathlib import Path


def found(*metrics: Metric, beside: bool = True) -> Found:
    loaded = Loaded(kind="callable", seconds=0.1, parameters=None, size_bytes=60, inputs=(), method="call")
    sides: dict[Any, Loaded] = {"candidate": loaded, **({"production": loaded} if beside else {})}
    return Found(loaded=sides, metrics=metrics, timings=timings())


def timings(*judged: tuple[Demand, Interval, Any]) -> Timings:
    import numpy as np

    calls = np.full((4, 2), 0.005)
    return Timings(
        seconds={"candidate": calls, "production": calls},
        plan=Plan(calls=2, settling=0, looks=(4,)),
        demands=tuple(each[0] for each in judged),
        intervals=tuple(each[1] for each in judged),
        decisions=tuple(each[2] for each in judged),
        took_s=1.0,
        seed=0,
    )


def check(gates: str, what: Found) -> Check:
    limits = demanded(None, gates, "cml.yaml", beside=False).limits
    (one,) = judge.checks(limits, what)
    return one


def accuracy(value: float, before: float | None = None, *, worse: bool = False) -> Metric:
    difference = None
    if before is not None:
        difference = Difference(value=value - before, low=-0.1, high=0.1, worse=worse)
    return Metric(
        name="accuracy", value=value, production=before, difference=difference, share=True, rows=100
    )


def test_the_report_tells_of_a_gpus_memory_where_there_is_a_gpu() -> None:
    for peak, shown in ((None, False), (62_000_000, True)):
        what = found(beside=False)
        memory = Memory(baseline=5 * 10**8, now=6 * 10**8, peak=7 * 10**8, exact=True, cuda_peak=peak)
        what.memory = {"candidate": memory}
        rows = [
            str(row[0])
            for section in sections(what, ())
            for block in section.blocks
            if isinstance(block, Table)
            for row in block.rows
        ]
        assert "memory, peak over baseline" in rows
        assert ("GPU memory, peak of PyTorch's allocator" in rows) == shown
        assert facts(what)["candidate"]["gpu_memory_peak_bytes"] == peak  # type: ignore[index,call-overload]


DROP = "[{measure: accuracy, max-drop: 0.01}]"


def test_a_drop_beyond_its_limit_fails_where_it_is_more_than_chance_and_else_warns() -> None:
    assert check(DROP, found(accuracy(0.90, 0.95, worse=True))).status == "fail"
    doubtful = check(DROP, found(accuracy(0.90, 0.95)))
    assert doubtful.status == "warn"
    assert "may be chance" in doubtful.message
    assert check(DROP, found(accuracy(0.945, 0.95, worse=True))).status == "pass"


def test_one_row_is_one_row() -> None:
    few = accuracy(0.5, 0.9)
    one = check(DROP, found(replace(few, rows=1)))
    assert "On 1 row that may be chance" in one.message


def test_a_metric_that_comes_as_a_number_alone_is_held_against_its_limit_as_it_is() -> None:
    assert check(DROP, found(Metric(name="accuracy", value=0.9, production=0.95))).status == "fail"


def test_a_share_is_one_of_productions_value() -> None:
    gate = "[{measure: score, max-drop: 10%}]"
    assert check(gate, found(Metric(name="score", value=91, production=100))).status == "pass"
    assert check(gate, found(Metric(name="score", value=89, production=100))).status == "fail"


def test_without_production_what_compares_is_skipped() -> None:
    one = check(DROP, found(accuracy(0.9), beside=False))
    assert (one.status, one.message) == ("skip", "There is no production to compare with.")
    assert one.limit == 0.01
    relative = check("[{measure: accuracy, max-drop: 2.5%}]", found(accuracy(0.9), beside=False))
    assert relative.limit == "2.5%"


def test_what_production_does_not_have_is_not_passed_in_silence() -> None:
    one = check("[{measure: score, max-drop: 0.01}]", found(Metric(name="score", value=0.9)))
    assert (one.status, one.value) == ("warn", 0.9)
    assert "score was not compared: production has no such metric." in one.message


@pytest.mark.parametrize(
    ("gate", "limit"),
    [
        ("measure: size, max: 1 MB", "1\u202fMB"),
        ("measure: latency-p95, max: 100 ms", "100\u202fms"),
        ("measure: latency-p50, max-ratio: 3", "×\u202f3"),
    ],
)
def test_a_limit_that_nothing_was_held_against_reads_as_it_was_asked_for(gate: str, limit: str) -> None:
    one = check(f"[{{{gate}}}]", Found())
    assert quantity(cast("float", one.limit), one.unit or "number") == limit


def test_a_candidate_that_does_not_load_says_nothing_about_production() -> None:
    one = check(DROP, Found())
    assert (one.status, one.message) == ("skip", "accuracy is not known: the model did not get that far.")


@pytest.mark.parametrize(
    ("gate", "name"), [(DROP, "accuracy"), ("[{measure: latency-p50, max-ratio: 1.1}]", "latency p50")]
)
def test_what_compares_with_production_that_failed_is_an_error(gate: str, name: str) -> None:
    what = found(accuracy(0.9))
    what.checks.append(Check(id="model/production/runs", status="error", title="production runs"))
    one = check(gate, what)
    assert (one.status, one.message) == ("error", f"{name} was not compared with production's.")
    assert check("[{measure: accuracy, min: 0.9}]", what).status == "pass"


def test_an_absolute_limit_counts_the_number_itself() -> None:
    one = check("[{measure: accuracy, min: 0.95}]", found(accuracy(0.9)))
    assert one.status == "fail"
    assert "accuracy is 90\u202f%; allowed is at least 95" in one.message.replace("90.0", "90").replace(
        "95.0", "95"
    )


@pytest.mark.parametrize("limit", ["min: 0.9", "max: 0.9", "max-ratio: 1.1", "max-drop: 0.1"])
def test_what_is_no_number_is_within_no_limit(limit: str) -> None:
    broken = Metric(name="score", value=float("nan"), production=0.9)
    assert check(f"[{{measure: score, {limit}}}]", found(broken)).status == "fail"


def test_a_gate_may_only_warn() -> None:
    one = check("[{measure: accuracy, min: 0.95, severity: warn}]", found(accuracy(0.9)))
    assert one.status == "warn"


def test_a_measure_that_nobody_has_is_named_with_a_suggestion_and_loses_no_other_check() -> None:
    limits = demanded(
        None, "[{measure: acuracy, min: 0.9}, {measure: accuracy, min: 0.5}]", "c", beside=False
    )
    unknown, known = judge.checks(limits.limits, found(accuracy(0.9)))
    assert (unknown.status, known.status) == ("error", "pass")
    assert "There is no measure `acuracy`. Did you mean `accuracy`?" in unknown.message


CLASSES = "data: test.csv, task: classification, label: y"


@pytest.mark.parametrize(
    ("model", "gate", "said"),
    [
        (CLASSES, "measure: acuracy, min: 0.9", r"no measure `acuracy`\. Did you mean `accuracy`\?"),
        (
            CLASSES,
            "measure: rmse, max: 0.9",
            "Measured are: latency-p50, .*, accuracy, balanced-accuracy, f1",
        ),
        (
            "path: m.pt",
            "measure: accuracy, min: 0.9",
            "`data` with `task` and `label`, under `model` give more",
        ),
        (CLASSES, "measure: f1, min: 95", r"`min` of `f1` is 95, .* between 0 and 1\.\nWrite 0\.95 for 95 %"),
        (CLASSES, "measure: f1, max-drop: 1", r"`max-drop` of `f1` is 1, .*\nWrite 0\.01 for 1 %"),
    ],
)
def test_what_no_model_can_be_held_against_is_refused_before_one_runs(
    tmp_path: Path, model: str, gate: str, said: str
) -> None:
    path = tmp_path / "cml.yaml"
    path.write_text(f"model: {{{model}, gates: [{{{gate}}}]}}")
    policy = load(path, "cml.yaml", required=True)
    with pytest.raises(UsageError, match=said) as error:
        judge.check_limits(demanded(policy, "", "cml.yaml", beside=True).limits, policy.model)
    assert (error.value.path, error.value.line) == ("cml.yaml", 1)


@pytest.mark.parametrize(
    ("model", "gate"),
    [
        (CLASSES, "measure: accuracy, min: 1, max-drop: 5%"),
        ("data: test.csv, task: regression, label: y", "measure: rmse, max: 95"),
        ("evaluate: my:evaluate", "measure: accuracy, min: 95, max-drop: 1"),
    ],
)
def test_what_a_model_may_reach_is_allowed(tmp_path: Path, model: str, gate: str) -> None:
    path = tmp_path / "cml.yaml"
    path.write_text(f"model: {{{model}, gates: [{{{gate}}}]}}")
    policy = load(path, "cml.yaml", required=True)
    judge.check_limits(demanded(policy, "", "cml.yaml", beside=True).limits, policy.model)


@pytest.mark.parametrize(
    ("decision", "status", "words"),
    [
        ("pass", "pass", ""),
        ("fail", "fail", "at least"),
        ("unclear", "warn", "it cannot be told"),
    ],
)
def test_the_ratio_says_what_it_is_and_what_is_allowed(decision: str, status: str, words: str) -> None:
    demand = Demand(quantile="p50", limit=1.10, ratio=True)
    what = found()
    what.timings = timings((demand, Interval(estimate=1.15, low=1.12, high=1.18), decision))
    one = check("[{measure: latency-p50, max-ratio: 1.10}]", what)
    assert one.status == status
    assert words in one.message
    assert (one.value, one.limit, one.unit) == (1.15, 1.10, "ratio")
    assert one.details
    assert one.details["candidate_latency_p95_s"] == 0.005


def test_an_absolute_limit_on_latency_is_judged_on_the_lower_end() -> None:
    demand = Demand(quantile="p95", limit=0.1, ratio=False)
    what = found()
    what.timings = timings((demand, Interval(estimate=0.09, low=0.08, high=0.12), "unclear"))
    assert check("[{measure: latency-p95, max: 100 ms}]", what).status == "pass"
    what.timings = timings((demand, Interval(estimate=0.11, low=0.08, high=0.12), "unclear"))
    assert check("[{measure: latency-p95, max: 100 ms}]", what).status == "warn"


def test_each_limit_points_to_its_line_and_has_an_id_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "cml.yaml"
    path.write_text(
        "model:\n  gates:\n    - measure: size\n      max: 1 MB\n    - {measure: size, max: 2 MB}\n"
    )
    limits = demanded(
        load(path, "cml.yaml", required=True), "[{measure: size, max: 3 MB}]", "cml.yaml", beside=True
    )
    assert [(each.id, each.path, each.line) for each in limits.limits] == [
        ("model/size/max", "cml.yaml", 4),
        ("model/size/max#2", "cml.yaml", 5),
        ("model/size/max#3", None, None),
        ("model/latency-p50/max-ratio", None, None),  # nobody wrote it, and it only warns
    ]
    assert limits.limits[-1].gate.severity == "warn"
    assert len(limits.extra) == 1


def test_gates_that_are_wrong_are_named_with_their_line() -> None:
    with pytest.raises(UsageError, match=r"The input gates, line 2: model.gates\[1\].max is the number 100"):
        demanded(
            None, "- {measure: size, max: 1 MB}\n- {measure: size, max: 100}\n", "cml.yaml", beside=False
        )
