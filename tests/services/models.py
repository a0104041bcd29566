"""Models as users have them, made in the Python of tests/services/user_python.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cml_action.model.process import Worker
from cml_action.model.spec import Limits, ModelSpec, Place
from tests.services.user_python import bare_python, made_once, user_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Long enough for a loaded machine to import PyTorch, short enough for a test that hangs.
PATIENT = Limits(load_s=120, request_s=60, total_s=240)

#: A loader of a guess that needs no library.
DARK = """
def load(path):
    return lambda rows: (rows.sum(axis=1) // 10).astype(int) % 10
"""

_MAKE = """
import os, pickle, sys
import joblib, numpy as np, onnx, pandas as pd, safetensors.torch, skops.io, torch
import sklearn.datasets, sklearn.linear_model
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, ".")
import loaders

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).eval()
torch.jit.script(net).save("net.pt")
program = torch.export.export(net, (torch.randn(2, 64),), dynamic_shapes=({0: torch.export.Dim("batch")},))
torch.export.save(program, "net.pt2")
program = torch.export.export(loaders.Masked(), (torch.ones(1, 64),), {"mask": torch.ones(1, 64)})
torch.export.save(program, "masked.pt2")
torch.save(net.state_dict(), "weights.pt")
torch.save({"state_dict": net.state_dict(), "pytorch-lightning_version": "2.5.0", "epoch": 3}, "last.ckpt")
torch.save(net, "whole.pth")
safetensors.torch.save_file(net.state_dict(), "net.safetensors")

weights = [numpy_helper.from_array(net[0].weight.detach().numpy().T.copy(), "w")]
graph = helper.make_graph(
    [helper.make_node("MatMul", ["pixels", "w"], ["scores"])],
    "net",
    [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 32])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.save(model, "net.onnx")
for name, dtype in {"double": TensorProto.DOUBLE, "whole": TensorProto.INT64}.items():
    rows, sums = (helper.make_tensor_value_info(each, dtype, ["batch", 3]) for each in ("rows", "sums"))
    graph = helper.make_graph([helper.make_node("Add", ["rows", "rows"], ["sums"])], name, [rows], [sums])
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(other, name + ".onnx")
open("rows.json", "w").write("[[1, 2, 3], [4, 5, 6]]")
open("rows.csv", "w").write("a,b,c\\n1,2,3\\n4,5,6\\n")
for rows, name in ((8, "eight.onnx"), (4, "four.onnx")):
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = rows
    onnx.save(model, name)
torch.export.save(torch.export.export(net, (torch.randn(4, 64),)), "four.pt2")
torch.jit.script(loaders.Neighbours()).save("neighbours.pt")
tensor, values = model.graph.initializer[0], model.graph.initializer[0].raw_data
for folder, place in {
    "apart": "net.onnx.data", "up": "../apart/net.onnx.data", "whole": os.path.abspath("apart/net.onnx.data"),
}.items():
    os.mkdir(folder)
    tensor.raw_data = values
    set_external_data(tensor, place)
    tensor.ClearField("raw_data")
    open(folder + "/net.onnx", "wb").write(model.SerializeToString())
open("apart/net.onnx.data", "wb").write(values)


def elsewhere(location):
    tensor = numpy_helper.from_array(np.ones(3, "float32"), location)
    set_external_data(tensor, location)
    return tensor


def graph_of(location):
    return helper.make_graph([], location, [], [], [elsewhere(location)])


# A tensor in each place that ONNX has for one.
model = helper.make_model(graph_of("initializer"))
model.graph.node.append(helper.make_node("Constant", [], ["c"], value=elsewhere("attribute")))
model.graph.node.append(helper.make_node("Own", [], ["o"], values=[elsewhere("attributes")]))
model.graph.node.append(helper.make_node("If", ["c"], ["i"], then_branch=graph_of("branch")))
model.graph.node.append(helper.make_node("Own", ["c"], ["i"], graphs=[graph_of("branches")]))
model.graph.sparse_initializer.add().values.CopyFrom(elsewhere("sparse"))
model.functions.add().node.append(helper.make_node("Constant", [], ["f"], value=elsewhere("function")))
model.training_info.add().algorithm.CopyFrom(graph_of("training"))
open("places.onnx", "wb").write(model.SerializeToString())

frame, labels = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
names = np.array(["setosa", "versicolor", "virginica"])[labels]
flower = sklearn.linear_model.LogisticRegression(max_iter=500).fit(frame, names)
skops.io.dump(flower, "iris.skops")
joblib.dump(flower, "iris.joblib")
pickle.dump(flower, open("iris.pkl", "wb"))
joblib.dump(flower, "plain-joblib.pkl")
joblib.dump(flower, "small-joblib.pickle", compress=3)
frame.head(7).to_csv("sample.csv", index=False)

draw = np.random.default_rng(0)
birds = pd.DataFrame({"mass": draw.normal(4000, 500, 200), "sex": draw.choice(["f", "m"], 200)})
kinds = np.where(birds.mass + 500 * (birds.sex == "m") > 4200, "large", "small")
parts = make_column_transformer((OneHotEncoder(), ["sex"]), (StandardScaler(), ["mass"]))
joblib.dump(make_pipeline(parts, sklearn.linear_model.LogisticRegression()).fit(birds, kinds), "birds.joblib")
birds.head(8).to_csv("birds.csv", index=False)
gaps = birds.mask(draw.random(birds.shape) < 0.2)
parts = make_column_transformer((OneHotEncoder(), ["sex"]), (SimpleImputer(), ["mass"]))
joblib.dump(make_pipeline(parts, sklearn.linear_model.LogisticRegression()).fit(gaps, kinds), "gaps.joblib")
gaps.head(32).to_csv("gaps.csv", index=False)
by_name = make_pipeline(make_column_transformer((StandardScaler(), list(frame))), flower)
joblib.dump(by_name.fit(frame, names), "by-name.joblib")
np.save("sample.npy", np.ones((3, 64), "float32"))

import scaling

skops.io.dump(scaling.Scale(), "foreign.skops")


class Evil:
    def __reduce__(self):
        return os.system, ("touch was-here",)


pickle.dump(Evil(), open("evil.pkl", "wb"))
joblib.dump([np.ones(9), Evil()], "evil.joblib")
joblib.dump([np.ones(9), Evil()], "evil-joblib.pkl")
joblib.dump([np.ones(9), Evil()], "evil-small.pkl", compress=3)
torch.save({"weights": Evil()}, "evil.pt")
"""

_SCALING = """
import sklearn.base


class Scale(sklearn.base.BaseEstimator):
    def predict(self, rows):
        return rows
"""

_LOADERS = """
import safetensors.torch
import torch


def net():
    return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))


def weights(path):
    model = net()
    model.load_state_dict(torch.load(path))
    return model, torch.ones(2, 64)


def lightning(path):
    model = net()
    model.load_state_dict(torch.load(path)["state_dict"])
    model.example_input = torch.ones(2, 64)
    return model


def tensors(path):
    model = net()
    model.load_state_dict(safetensors.torch.load_file(path))
    return model, torch.ones(1, 64)


class Masked(torch.nn.Module):
    def forward(self, rows, *, mask):
        return rows * mask


class Neighbours(torch.nn.Module):
    def forward(self, nodes, edges):
        return nodes.index_add(0, edges[1], nodes[edges[0]])


def coarse(path):
    return net().bfloat16(), torch.rand(2, 64).bfloat16()


def session(path):
    import onnxruntime

    return onnxruntime.InferenceSession(path), {"pixels": torch.ones(1, 64).numpy()}


def exported(path):
    return torch.export.load(path).module()


def two(path):
    def call(ids, mask):
        assert ids.dtype == torch.int64 and ids.max() <= 9 and ids.min() >= 5
        return {"sum": (ids * mask).sum(1), "mask": mask}

    return call


def quality(model):
    with torch.no_grad():
        return {"mean": model(torch.zeros(1, 64)).mean(), "rows": 1}
"""


def make_models(folder: Path) -> Path:
    """Fill a new project's folder with a model of every kind, and the loaders that some of them need."""
    sources = f"{_MAKE}{_LOADERS}{_SCALING}".encode()
    shutil.copytree(made_once("models", sources, _make), folder)
    return folder


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "loaders.py").write_text(_LOADERS)
    (folder / "scaling.py").write_text(_SCALING)
    subprocess.run([user_python(), "-c", _MAKE], cwd=folder, check=True, capture_output=True)


@contextmanager
def loaded(project: Path, name: str, *, limits: Limits = PATIENT, **words: Any) -> Iterator[Worker]:
    """Start a worker in the user's Python and load a model of the project's."""
    with Worker(ModelSpec(path=project / name, **words), place(project, user_python()), limits) as worker:
        worker.load()
        yield worker


@contextmanager
def bare(project: Path, source: str, *, limits: Limits = PATIENT, **environ: str) -> Iterator[Worker]:
    """Start a worker in a Python without any package, on a loader of the given source, and load nothing yet.

    The loader's module is `mine`, its function `load`.
    """
    (project / "mine.py").write_text(source)
    (project / "model.txt").write_text("weights")
    spec = ModelSpec(path=project / "model.txt", loader="mine:load")
    with Worker(spec, place(project, bare_python(), environ), limits) as worker:
        yield worker


def place(project: Path, python: Path, environ: Mapping[str, str] | None = None) -> Place:
    """Return where a model runs."""
    private = project.parent / f"{project.name}-private"
    private.mkdir(exist_ok=True)
    return Place(python=python, project=project, private=private, environ={**os.environ, **(environ or {})})
