"""Models of every kind in a Python with PyTorch, ONNX Runtime and scikit-learn: loaded, called, measured."""

from __future__ import annotations

import os
import statistics
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cml_action.model import behaviour
from cml_action.model.faults import ModelFault, ModelSetupFault
from cml_action.model.process import Worker
from cml_action.model.spec import Limits, ModelSpec, TensorSpec
from cml_action.model.worker import system
from tests.services.models import PATIENT, loaded, make_models, place
from tests.services.user_python import user_python

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = (TensorSpec(shape=(1, 64)),)
#: Models whose inputs and outputs are more than one tensor.
RICH = """
import torch

class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = torch.nn.LSTM(4, 8, batch_first=True)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, rows):
        states, memory = self.cell(rows.unsqueeze(1))
        return self.head(states[:, -1]), memory

def recurrent(path):
    return Recurrent(), torch.rand(2, 4)

class Detector(torch.nn.Module):
    def forward(self, pictures):
        assert all(torch.is_tensor(each) for each in pictures)
        return [{"boxes": each.flatten(1), "scores": each.mean((1, 2))} for each in pictures]

def detector(path):
    return Detector(), [torch.rand(3, 8, 8), torch.rand(3, 8, 8)]

def sentiment(path):
    return lambda texts: [{"label": str("good" in each), "score": 0.5} for each in texts], ["good", "bad"]

class Rotary(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line, self.angles = torch.nn.Linear(64, 4), None

    def forward(self, rows):
        if self.angles is None:
            self.angles = torch.arange(4.0)
        return self.line(rows) * self.angles

def rotary(path):
    return Rotary(), torch.rand(2, 64)

class Single(torch.nn.Module):
    def forward(self, row):
        return row.view(1, 4) * 2

def single(path):
    return torch.jit.script(Single()), torch.rand(1, 4)

def quantized(path):
    from loaders import net
    return torch.ao.quantization.quantize_dynamic(net(), {torch.nn.Linear}), torch.rand(2, 64)
"""
#: A program that takes rows of any number and of any length.
OPEN = """
import torch

class Masked(torch.nn.Module):
    def forward(self, *, rows, mask):
        return rows * mask

given = {"rows": torch.ones(2, 7), "mask": torch.full((2, 7), 3)}
sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
program = torch.export.export(Masked(), (), given, dynamic_shapes={"rows": sizes, "mask": sizes})
torch.export.save(program, "open.pt2")
"""
#: A model that notes the processor that it is called on.
PLACES = """
import ctypes, os

at = []

def load(path):
    return lambda rows: at.append(ctypes.CDLL(None).sched_getcpu()) or rows

def seen(model):
    return {"at": at[-1], "free": len(os.sched_getaffinity(0))}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("models") / "project")


@pytest.fixture(scope="module")
def net(project: Path) -> Any:
    """One TorchScript model, loaded for several tests, with less memory than PyTorch takes addresses."""
    limits = Limits(memory_bytes=2**30)
    with loaded(project, "net.pt", limits=limits, inputs=PIXELS, threads=1) as worker:
        yield worker


def test_torchscript_is_loaded_and_described(project: Path, net: Worker) -> None:
    found = net.load()
    where = net.environment()
    assert (found.kind, found.method, found.parameters) == ("torchscript", "forward", 64 * 32 + 32 + 330)
    assert found.inputs == (("input", (1, 64), "float32"),)
    assert found.size_bytes == (project / "net.pt").stat().st_size
    assert 0 < found.seconds < 60
    assert where["torch"].startswith("2.13.0")
    assert where["threads"].startswith("1 in an operation")
    assert set(where) >= {"python", "system", "processor", "cores", "numpy"}


def test_a_block_gives_the_time_of_each_call(net: Worker) -> None:
    warm = net.warm_up()
    times = net.time_block(50, batch=4)
    assert len(times) == 50
    assert all(each > 0 for each in times)
    assert warm.calls > 3
    assert warm.median_s > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone lets a process choose")
def test_a_block_begins_on_the_processor_that_is_drawn_and_may_leave_it(project: Path) -> None:
    allowed = os.sched_getaffinity(0)
    near = system.near(frozenset(allowed))
    (project / "places.py").write_text(PLACES)
    with loaded(project, "net.pt", loader="places:load", inputs=PIXELS) as worker:
        hits = 0
        for draw in range(60):
            worker.time_block(1, draw)
            found = worker.evaluate("places:seen")
            assert found["free"] == len(allowed)
            hits += found["at"] == near[draw % len(near)]
    assert hits > 42  # by chance, of two processors, it would be so many once in a thousand times


def test_a_larger_batch_takes_longer(net: Worker) -> None:
    one, many = (statistics.median(net.time_block(30, batch=size)) for size in (1, 20_000))
    assert many > 3 * one


def test_warming_up_ends_in_time_and_says_whether_it_was_stable(net: Worker) -> None:
    assert not net.warm_up(most_s=0.0).stable
    assert net.warm_up(most_s=60.0).stable


def test_rows_are_predicted_in_batches_as_at_once(net: Worker) -> None:
    rows = np.random.default_rng(0).normal(size=(10, 64)).astype("float32")
    whole = net.predict({"input": rows})["output"]
    parts = net.predict({"input": rows}, batch=3)["output"]
    assert whole.shape == (10, 10)
    np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-6)


def test_the_example_has_as_many_rows_as_asked_and_is_the_same_each_time(net: Worker) -> None:
    first, again = net.example(5)["input"], net.example(5)["input"]
    assert first.shape == (5, 64)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)


def test_a_wrong_shape_is_told_with_the_models_own_words(net: Worker) -> None:
    with pytest.raises(ModelFault) as caught:
        net.predict({"input": np.zeros((2, 63), "float32")})
    assert caught.value.kind == "bad-shape"
    assert "does not take this input" in caught.value.what
    assert "63" in caught.value.what
    assert len(net.time_block(2)) == 2  # it lives on


def test_an_input_of_another_name_is_refused(net: Worker) -> None:
    with pytest.raises(ModelFault, match="it takes input, and was given pixels"):
        net.predict({"pixels": np.zeros((2, 64), "float32")})


def test_memory_is_told_over_the_libraries(net: Worker) -> None:
    memory = net.memory()
    assert memory.baseline > 50e6  # PyTorch itself
    assert memory.peak >= memory.now > 0
    assert 0 <= memory.over_baseline < memory.baseline


def test_the_libraries_that_a_pickle_names_are_no_part_of_its_memory_and_time(project: Path) -> None:
    spec = ModelSpec(path=project / "iris.joblib", allow_pickle=True)
    with Worker(spec, place(project, user_python()), PATIENT) as worker:
        assert worker.load().seconds < 0.3  # scikit-learn alone takes a second and 100 MB
        assert worker.memory().over_baseline < 30e6


def test_a_users_function_gives_metrics(net: Worker) -> None:
    found = net.evaluate("loaders:quality")
    assert found["rows"] == 1.0
    assert isinstance(found["mean"], float)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("return {'a': float('nan')}", "a is nan"),
        ("return {'a': 'high'}", "a is of type str"),
        ("return 0.9", "it returned float"),
        ("return {}", "it returned nothing"),
    ],
)
def test_metrics_that_are_no_numbers_are_refused(project: Path, net: Worker, source: str, said: str) -> None:
    name = f"metrics_{abs(hash(source))}"
    (project / f"{name}.py").write_text(f"def run(model):\n    {source}\n")
    with pytest.raises(ModelFault, match=said) as caught:
        net.evaluate(f"{name}:run")
    assert caught.value.kind == "bad-metrics"


def test_a_function_that_raises_or_is_not_there_is_named(project: Path, net: Worker) -> None:
    (project / "raises.py").write_text("def run(model):\n    raise KeyError('rows')\n")
    with pytest.raises(ModelFault, match=r"The function `raises:run` failed: `KeyError: 'rows'`"):
        net.evaluate("raises:run")
    with pytest.raises(ModelSetupFault, match="The function `raises:walk` was not found"):
        net.evaluate("raises:walk")


def test_an_exported_program_names_its_input_itself(project: Path, net: Worker) -> None:
    with loaded(project, "net.pt2") as worker:
        rows = worker.example(3)
        assert rows["input"].shape == (3, 64)
        np.testing.assert_allclose(
            worker.predict(rows)["output"], net.predict(rows)["output"], rtol=1e-4, atol=1e-5
        )
        assert len(worker.time_block(3, batch=2)) == 3


def test_an_exported_program_names_what_is_given_in_its_order(project: Path) -> None:
    with loaded(project, "masked.pt2", inputs=(*PIXELS, *PIXELS)) as worker:
        assert set(worker.example(1)) == {"input", "mask"}
        assert len(worker.time_block(2)) == 2


def test_an_exported_program_gets_its_keyword_arguments_by_name(project: Path) -> None:
    with loaded(project, "masked.pt2") as worker:
        rows = worker.example(1)
        assert set(rows) == {"input", "mask"}
        np.testing.assert_allclose(worker.predict(rows)["output"], rows["input"] * rows["mask"])


def test_an_exported_program_of_open_length_is_called_with_what_it_was_exported_with(project: Path) -> None:
    subprocess.run([user_python(), "-c", OPEN], cwd=project, check=True, capture_output=True)
    with loaded(project, "open.pt2") as worker:
        assert worker.load().inputs == (("rows", (1, 7), "float32"), ("mask", (1, 7), "int64"))
        assert worker.example(4)["mask"].tolist() == [[3] * 7] * 4


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("weights.pt", "loaders:weights"),
        ("last.ckpt", "loaders:lightning"),
        ("net.safetensors", "loaders:tensors"),
        ("four.pt2", "loaders:exported"),
    ],
)
def test_a_loader_gives_the_model_and_an_example_of_its_input(
    project: Path, net: Worker, name: str, loader: str
) -> None:
    with loaded(project, name, loader=loader) as worker:
        rows = {"input": np.ones((4, 64), "float32")}
        np.testing.assert_allclose(
            worker.predict(rows)["output"], net.predict(rows)["output"], rtol=1e-5, atol=1e-6
        )
        batch = 4 if name == "four.pt2" else 3  # a module of an exported program says that it takes no other
        assert worker.example(3)["input"].shape == (batch, 64)


def test_inputs_by_name_have_their_type_and_range(project: Path) -> None:
    inputs = (
        TensorSpec(name="ids", shape=(1, 8), dtype="int64", range=(5, 9)),
        TensorSpec(name="mask", shape=(1, 8), dtype="int64"),
    )
    with loaded(project, "weights.pt", loader="loaders:two", inputs=inputs) as worker:
        assert len(worker.time_block(2, batch=16)) == 2
        found = worker.predict(worker.example(16))
    assert {name: array.shape for name, array in found.items()} == {"sum": (16,), "mask": (16, 8)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weights.pt", "holds weights and no program: `it is of type OrderedDict`"),
        ("last.ckpt", "holds weights and no program: `it is a Lightning checkpoint`"),
        ("net.safetensors", "holds weights and no program"),
        ("whole.pth", "is a pickle, which can run any program"),
        ("iris.pkl", "is a pickle, which can run any program"),
        ("iris.joblib", "is a pickle, which can run any program"),
    ],
)
def test_what_is_no_program_or_a_pickle_is_not_loaded_unasked(project: Path, name: str, words: str) -> None:
    with pytest.raises(ModelSetupFault, match=words) as caught, loaded(project, name, inputs=PIXELS):
        pass
    assert caught.value.exit_code == 2
    assert caught.value.fix


@pytest.mark.parametrize(
    "name", ["whole.pth", "iris.pkl", "iris.joblib", "plain-joblib.pkl", "small-joblib.pickle"]
)
def test_a_harmless_pickle_is_loaded_where_it_is_allowed(project: Path, name: str) -> None:
    inputs = PIXELS if name == "whole.pth" else ()
    with loaded(project, name, allow_pickle=True, inputs=inputs) as worker:
        assert len(worker.time_block(2)) == 2


def test_a_class_of_the_script_that_saved_a_pickle_is_named(project: Path) -> None:
    (project / "script.pkl").write_bytes(b"c__main__\nMine\n.")
    with (
        pytest.raises(ModelSetupFault, match="not there: `Mine in the module __main__`") as caught,
        loaded(project, "script.pkl", allow_pickle=True),
    ):
        pass
    assert "Define it in a module of the project" in caught.value.fix


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("name", ["evil.pkl", "evil.joblib", "evil.pt", "evil-joblib.pkl", "evil-small.pkl"])
def test_a_pickle_that_calls_the_shell_never_runs(project: Path, name: str, *, allowed: bool) -> None:
    with pytest.raises(ModelFault) as caught, loaded(project, name, allow_pickle=allowed):
        pass
    if allowed:
        assert caught.value.what == (
            f"The pickle in `{name}` was not loaded, it names what a model does not need: `posix.system`."
        )
    assert not (project / "was-here").exists()


def test_onnx_says_what_it_takes_and_gives_its_outputs_names(project: Path) -> None:
    with loaded(project, "net.onnx", threads=1) as worker:
        found = worker.load()
        assert (found.kind, found.method, found.parameters) == ("onnx", "run", 64 * 32)
        assert found.inputs == (("pixels", (1, 64), "float32"),)
        assert len(worker.time_block(3, batch=7)) == 3
        assert worker.predict({"pixels": np.ones((5, 64), "float32")}, batch=2)["scores"].shape == (5, 32)


@pytest.mark.parametrize("sample", ["rows.json", "rows.csv", ""])
@pytest.mark.parametrize(("name", "dtype"), [("double.onnx", "float64"), ("whole.onnx", "int64")])
def test_numbers_become_the_type_that_an_onnx_model_takes(
    project: Path, name: str, dtype: str, sample: str
) -> None:
    with loaded(project, name, sample=project / sample if sample else None) as worker:
        assert len(worker.time_block(2)) == 2
        table = {name: np.array(values) for name, values in {"a": [1.0, 4], "b": [2, 5], "c": [3, 6]}.items()}
        found = worker.predict(table, table=True)["sums"]
        assert (found.dtype, found.tolist()) == (np.dtype(dtype), [[2, 4, 6], [8, 10, 12]])


def test_scikit_learn_takes_a_table_by_its_columns(project: Path) -> None:
    with loaded(project, "iris.skops", sample=project / "sample.csv") as worker:
        columns = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
        rows = dict(zip(columns, np.array([[5.1, 6.7], [3.5, 3.0], [1.4, 5.2], [0.2, 2.3]]), strict=True))
        assert worker.predict(rows, table=True)["output"].tolist() == ["setosa", "virginica"]
        assert worker.example(9)["input"].shape == (9, 4)
        assert "UserWarning" not in worker.tail


@pytest.mark.parametrize(
    ("name", "sample"), [("birds.joblib", "birds.csv"), ("gaps.joblib", "gaps.csv"), ("by-name.joblib", "")]
)
def test_a_pipeline_that_picks_columns_by_name_behaves_as_it_should(
    project: Path, name: str, sample: str
) -> None:
    words = {"sample": project / sample} if sample else {}
    with loaded(project, name, allow_pickle=True, **words) as worker:
        found = behaviour.checks(
            lambda given, batch: worker.predict(given, batch=batch), worker.example, None, None
        )
        assert {each.id: each.status for each in found} == {
            "model/behaviour/same-output": "pass",
            "model/behaviour/finite": "pass",
            "model/behaviour/batch": "pass",
        }
        assert "UserWarning" not in worker.tail


def test_a_pipeline_takes_its_columns_of_a_table_in_any_order(project: Path) -> None:
    rows = {"island": ["x", "y"], "sex": ["f", "m"], "mass": [3000.0, 5000.0]}
    table = {name: np.array(values) for name, values in rows.items()}
    with loaded(project, "birds.joblib", allow_pickle=True, sample=project / "birds.csv") as worker:
        assert worker.predict(table, table=True)["output"].tolist() == ["small", "large"]
        with pytest.raises(ModelFault, match="it takes the columns mass, sex, and is given none named mass"):
            worker.predict({"sex": table["sex"]}, table=True)


def test_a_pipeline_is_called_with_rows_of_the_data_where_nothing_else_says_what_it_takes(
    project: Path,
) -> None:
    table = pd.read_csv(project / "birds.csv")
    rows = {name: table[name].to_numpy() for name in ("sex", "mass")}
    spec = ModelSpec(path=project / "birds.joblib", allow_pickle=True)
    with Worker(spec, place(project, user_python()), PATIENT) as worker:
        assert [name for name, *_ in worker.load(rows).inputs] == ["input"]
        assert worker.example(8)["sex"].tolist() == table["sex"].tolist()
        assert len(worker.time_block(2)) == 2


def test_a_table_that_does_not_fit_the_input_says_which_columns_there_are(project: Path) -> None:
    table = {name: np.ones(3) for name in "abcd"}
    with (
        loaded(project, "net.pt", inputs=PIXELS) as worker,
        pytest.raises(
            ModelFault, match=r"a row of its input is 64 numbers, .* 4 columns: a, b, c, d"
        ) as caught,
    ):
        worker.predict(table, table=True)
    assert "Name the columns that it takes in `features`" in caught.value.fix


def test_one_column_of_texts_is_given_as_texts(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    with loaded(project, "net.pt", loader="rich:sentiment") as worker:
        texts = {"review": np.array(["so good", "so bad"], dtype=object)}
        found = worker.predict(texts, table=True)
        sliced = worker.predict({**texts, "year": np.array([1, 2])}, table=True, own=1)
    assert sliced.keys() == found.keys()
    assert {name: values.tolist() for name, values in found.items()} == {
        "label": ["True", "False"],
        "score": [0.5, 0.5],
    }


def test_a_model_that_takes_one_row_alone_is_given_the_data_row_by_row(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    with loaded(project, "net.pt", loader="rich:single") as worker:
        table = {name: np.arange(9.0) for name in "abcd"}
        assert worker.predict(table, batch=256, table=True)["output"][:, 0].tolist() == list(range(0, 18, 2))


def test_what_a_recurrent_network_remembers_does_not_spoil_its_predictions(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    with loaded(project, "net.pt", loader="rich:recurrent") as worker:
        table = {name: np.ones(300) for name in "abcd"}
        assert worker.predict(table, batch=256, table=True)["output_0"].shape == (300, 3)
        found = behaviour.checks(
            lambda given, batch: worker.predict(given, batch=batch), worker.example, None, None
        )
    assert [each.status for each in found] == ["pass", "pass", "pass"]


def test_a_detector_takes_pictures_and_gives_boxes(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    with loaded(project, "net.pt", loader="rich:detector") as worker:
        given = worker.example(2)
        assert given["input"].shape == (2, 3, 8, 8)
        found = worker.predict(given)
    assert found["output_1.boxes"].tolist() == given["input"][1].reshape(3, 64).tolist()


def test_what_a_model_kept_of_its_calls_does_not_spoil_a_function_that_calls_it(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    (project / "score.py").write_text(
        "import torch\ndef of(model):\n    return {'mean': model(torch.ones(1, 64)).mean()}\n"
    )
    with loaded(project, "net.pt", loader="rich:rotary") as worker:
        worker.time_block(2)
        assert worker.evaluate("score:of").keys() == {"mean"}


def test_parameters_that_were_quantized_are_not_counted_as_none(project: Path) -> None:
    (project / "rich.py").write_text(RICH)
    with loaded(project, "net.pt", loader="rich:quantized") as worker:
        assert worker.load().parameters is None


def test_what_is_missing_in_a_sample_is_missing_in_what_the_model_is_given(project: Path) -> None:
    with loaded(project, "gaps.joblib", allow_pickle=True, sample=project / "gaps.csv") as worker:
        given = worker.example(32)
    table = pd.read_csv(project / "gaps.csv")
    assert table.isna().sum().min() > 0
    pd.testing.assert_frame_equal(pd.DataFrame(given), table)


def test_a_skops_file_with_a_type_of_somebodys_is_not_made(project: Path) -> None:
    with (
        pytest.raises(ModelSetupFault, match=r"holds types that are not trusted: `scaling\.Scale`") as caught,
        loaded(project, "foreign.skops"),
    ):
        pass
    assert "`trusted`" in caught.value.fix


def test_a_sample_that_is_no_array_is_named(project: Path) -> None:
    (project / "sample.txt").write_text("1 2 3")
    with (
        pytest.raises(ModelSetupFault, match=r"The sample `sample.txt` cannot be used: `its type .txt"),
        loaded(project, "net.onnx", sample=project / "sample.txt"),
    ):
        pass


def test_a_sample_without_a_row_is_named(project: Path) -> None:
    (project / "header.csv").write_text("mass,sex\n")
    with (
        pytest.raises(ModelSetupFault, match="cannot be used: `it has no row below its header`"),
        loaded(project, "birds.joblib", allow_pickle=True, sample=project / "header.csv"),
    ):
        pass


def test_a_sample_of_numbers_is_the_input(project: Path) -> None:
    with loaded(project, "net.onnx", sample=project / "sample.npy") as worker:
        np.testing.assert_array_equal(worker.example(4)["pixels"], np.ones((4, 64), "float32"))


@pytest.mark.parametrize("name", ["net.pt", "net.pt2", "weights.pt", "net.onnx", "iris.skops"])
def test_a_file_that_is_cut_off_is_told(project: Path, name: str) -> None:
    content = (project / name).read_bytes()
    (project / f"cut-{name}").write_bytes(content[: len(content) // 2])
    with (
        pytest.raises(ModelFault, match=f"The model `cut-{name}` cannot be read") as caught,
        loaded(project, f"cut-{name}", inputs=PIXELS),
    ):
        pass
    assert "cut off" in caught.value.fix


def test_cuda_that_is_not_there_is_told(project: Path) -> None:
    with (
        pytest.raises(ModelSetupFault, match="`device` is cuda, and there is none here") as caught,
        loaded(project, "net.pt", device="cuda", inputs=PIXELS),
    ):
        pass
    assert "device: cpu" in caught.value.fix


def test_a_model_of_bfloat16_is_given_what_numpy_has_no_type_for(project: Path) -> None:
    with loaded(project, "weights.pt", loader="loaders:coarse") as worker:
        found = worker.load()
        assert found.inputs == (("input", (1, 64), "bfloat16"),)
        rows = worker.example(4)
        assert rows["input"].dtype == np.float32
        checks = behaviour.checks(
            lambda given, batch: worker.predict(given, batch=batch), worker.example, None, None
        )
        assert [each.status for each in checks] == ["pass", "pass", "pass"], checks
        table = {f"p{at}": rows["input"][:, at] for at in range(64)}
        np.testing.assert_array_equal(
            worker.predict(table, table=True)["output"], worker.predict(rows)["output"]
        )


def test_too_little_memory_of_a_gpu_is_no_fault_of_the_file_or_the_input(project: Path) -> None:
    source = """
import torch
def load(path):
    if path.endswith("net.pt"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 40.00 GiB.")
    def call(rows):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return call, torch.ones(1, 64)
"""
    (project / "greedy.py").write_text(source)
    with (
        pytest.raises(
            ModelFault, match=r"The GPU's memory is not enough for the model `net.pt`: .*40\.00 GiB"
        ),
        loaded(project, "net.pt", loader="greedy:load"),
    ):
        pass
    with loaded(project, "net.pt2", loader="greedy:load") as worker:
        with pytest.raises(ModelFault, match=r"not enough for the model `net.pt2`: .*2\.00 GiB") as caught:
            worker.time_block(1)
        assert "smaller batch" in caught.value.fix
        assert worker.environment()["python"]  # it lives on


def test_a_loader_cannot_unpickle_more_than_weights_unasked(project: Path) -> None:
    (project / "careless.py").write_text(
        "import torch\ndef load(path): return torch.load(path, weights_only=False), torch.ones(1, 64)\n"
    )
    with (
        pytest.raises(ModelFault, match="The loader `careless:load` failed: `UnpicklingError"),
        loaded(project, "whole.pth", loader="careless:load"),
    ):
        pass
    with loaded(project, "whole.pth", loader="careless:load", allow_pickle=True) as worker:
        assert len(worker.time_block(1)) == 1
