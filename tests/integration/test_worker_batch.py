"""Models that take one number of rows and no other, and inputs whose first dimension is no batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cml_action.log import Log
from cml_action.model import behaviour, describe, gate
from cml_action.model.demanded import demanded
from cml_action.model.spec import ModelSpec, TensorSpec
from cml_action.policy.demands import Behaviour
from cml_action.report import Table
from tests.services.models import loaded, make_models, place

if TYPE_CHECKING:
    from cml_action.model.process import Worker


PIXELS = (TensorSpec(shape=(1, 64)),)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models") / "project")


def statuses(worker: Worker) -> dict[str, str]:
    found = behaviour.checks(
        lambda given, batch: worker.predict(given, batch=batch),
        worker.example,
        Behaviour.model_validate({"max-flips": "100%"}),
        None,
    )
    return {each.id.rpartition("/")[2]: each.status for each in found}


def question(project: Path, gates: str, **models: str) -> gate.Asked:
    specs = {side: ModelSpec(path=project / name, threads=1) for side, name in models.items()}
    return gate.Asked(
        specs=specs,  # type: ignore[arg-type]
        place=place(project, Path(sys.executable)),
        limits=demanded(None, gates, "cml.yaml", beside="production" in models).limits,
        policy=None,
        data=None,
        name=models["candidate"],
    )


@pytest.mark.parametrize(("name", "other"), [("four.onnx", "net.onnx"), ("four.pt2", "net.pt")])
def test_a_model_of_a_fixed_batch_is_called_with_it(project: Path, name: str, other: str) -> None:
    table = np.random.default_rng(0).normal(size=(10, 64)).astype("float32")
    with loaded(project, name) as worker, loaded(project, other, inputs=PIXELS) as free:
        (rows,) = worker.example(1).values()
        assert rows.shape == (4, 64)
        assert len(worker.time_block(3, batch=1)) == 3
        assert set(statuses(worker).values()) == {"pass"}
        columns = {f"p{at}": column for at, column in enumerate(table.T)}
        (found,), (wanted,) = (
            each.predict(columns, batch=256, table=True).values() for each in (worker, free)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_report_names_the_batch_that_was_measured(project: Path) -> None:
    asked = question(project, "[{measure: latency-p50, max: 9 s}]", candidate="four.onnx")
    found = gate.run(asked, Log(runner=True))
    assert not [each for each in found.checks if each.status in {"fail", "error"}]
    assert [each.batch for each in found.throughput] == [4]
    (table, *_) = describe.sections(found, asked.limits)[0].blocks
    assert isinstance(table, Table)
    assert table.rows[0][0] == "latency p50, batch 4"


def test_production_of_another_fixed_batch_is_no_measure_of_the_candidate(project: Path) -> None:
    gates = "[{measure: latency-p50, max: 9 s}, {measure: latency-p50, max-ratio: 9}]"
    asked = question(project, gates, candidate="four.onnx", production="eight.onnx")
    found = gate.run(asked, Log(runner=True))
    checks = {each.id.removeprefix("model/"): each for each in found.checks}
    assert (checks["latency-p50/max"].status, checks["latency-p50/max-ratio"].status) == ("pass", "error")
    said = "Every call of the candidate has 4 rows, and every call of production 8."
    assert said in checks["production/fits"].message
    assert [list(each.rows_per_s) for each in found.throughput] == [["candidate"]]


def test_inputs_that_differ_in_their_first_dimension_are_given_as_they_are(project: Path) -> None:
    nodes = TensorSpec(shape=(10, 8))
    edges = TensorSpec(shape=(2, 30), dtype="int64", range=(0, 9))
    with loaded(project, "neighbours.pt", inputs=(nodes, edges)) as worker:
        assert worker.load().batch == 10
        given = worker.example(1)
        assert [each.shape for each in given.values()] == [(10, 8), (2, 30)]
        assert worker.predict(given, batch=256)["output"].shape == (10, 8)
        assert len(worker.time_block(3)) == 3
        assert statuses(worker)["batch"] == "skip"
