"""The gate on a GPU: needs one, and PyTorch for CUDA in the Python that GPU_PYTHON names (this one if none).

`make test-gpu GPU_PYTHON=…` runs these; `make test` leaves them out.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cml_action.model import behaviour
from cml_action.model.faults import ModelFault, ModelSetupFault
from cml_action.model.process import Worker
from cml_action.model.spec import Limits, ModelSpec, Place, TensorSpec
from tests.services.runner import run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from cml_action.model.spec import Device
    from tests.services.runner import Step

pytestmark = pytest.mark.gpu

PYTHON = Path(os.environ.get("GPU_PYTHON") or sys.executable).absolute()
#: Weights of the network below: six layers, with their biases.
PARAMETERS = 6 * (512 * 512 + 512)
MODELS = """
import torch


def net(layers=6):
    torch.manual_seed(0)
    return torch.nn.Sequential(*[torch.nn.Linear(512, 512) for _ in range(layers)]).eval()


def weights(path):
    model = net()
    model.load_state_dict(torch.load(path))
    return model, torch.rand(2, 512)


def exported(path):
    return torch.export.load(path).module()


def by_size(path):
    return net(int(open(path).read())), torch.rand(2, 512)


def brings_its_own_gpu(path):
    model, rows = net().cuda(), torch.rand(2, 512).cuda()

    def call(_):
        for _ in range(200):
            model(rows)
        return torch.zeros(1)

    return call, torch.rand(2, 512)


def the_same_here(path):
    model = net()

    class Repeated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, rows):
            for _ in range(200):
                found = self.model(rows)
            return found

    return Repeated(), torch.rand(2, 512)


def too_large(path):
    return torch.nn.Linear(1_000_000, 1_000_000, device="cuda")


def large_from_eight_rows_on(path):
    class Large(torch.nn.Module):
        def forward(self, rows):
            if len(rows) >= 8:
                torch.empty(10**13, dtype=torch.uint8, device=rows.device)
            return rows.sum(1, keepdim=True)

    return Large(), torch.rand(2, 512)


def beyond_the_table(path):
    table = torch.nn.Embedding(4, 8)
    return table, torch.tensor([[1, 2], [3, 9]])


def never_ends(path):
    class Sleeps(torch.nn.Module):
        def forward(self, rows):
            torch.cuda._sleep(10**14)
            return rows

    return Sleeps(), torch.rand(2, 512)


def coarse(path):
    return net().bfloat16(), torch.rand(2, 512).bfloat16()


def half(path):
    return net().half(), torch.rand(2, 512).half()


def pictures(path):
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.resnet18().eval(), torch.rand(2, 3, 96, 96)


def by_jax(path):
    import jax
    import jax.numpy as jnp

    weights = jax.random.normal(jax.random.key(0), (4096, 4096))

    @jax.jit
    def call(rows):
        for _ in range(8):
            rows = jnp.tanh(rows @ weights)
        return rows

    import numpy as np

    return lambda rows: call(rows), np.ones((4096, 4096), "float32")


if __name__ == "__main__":
    rows = torch.rand(2, 512)
    torch.save(net().state_dict(), "weights.pt")
    torch.jit.trace(net(), rows).save("net.pt")
    shapes = ({0: torch.export.Dim("batch")},)
    # Of a layer for which PyTorch fixes no number of rows while it exports.
    torch.export.save(torch.export.export(net(), (rows,), dynamic_shapes=shapes), "net.pt2")
    made = torch.export.export(net().cuda(), (rows.cuda(),), dynamic_shapes=shapes)
    torch.export.save(made, "made-on-the-gpu.pt2")
    torch.save(rows.cuda(), "rows-on-the-gpu.pt")
"""
POLICY = """\
model:
  path: net.pt
  device: cuda
  input: {shape: [1, 512], dtype: float32}
  gates:
    - {measure: latency-p50, max-ratio: 1.10}
    - {measure: latency-p95, max: 1 s}
"""
PIXELS = (TensorSpec(shape=(1, 512)),)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(MODELS)
    subprocess.run([PYTHON, "nets.py"], cwd=folder, check=True)
    (folder / "any.txt").write_text("")
    (folder / "cml.yaml").write_text(POLICY)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.fixture
def worker(models: Path, tmp_path: Path) -> Any:
    """Starts a model's process: by a loader of the module above, or a file."""
    started: list[Worker] = []

    def start(loader: str = "", name: str = "any.txt", *, device: Device = "cuda", **words: Any) -> Worker:
        spec = ModelSpec(
            path=models / name,
            loader=f"nets:{loader}" if loader else "",
            device=device,
            inputs=words.pop("inputs", ()),
            sample=words.pop("sample", None),
        )
        environ = {**os.environ, **words.pop("environ", {})}
        place = Place(python=PYTHON, project=models, private=tmp_path, environ=environ)
        made = Worker(spec, place, words.pop("limits", Limits(load_s=120, request_s=60, total_s=240)))
        started.append(made)
        return made

    yield start
    for each in started:
        each.close()


def gate(models: Path, **inputs: str) -> Step:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    return run_step(models, {"mode": "gate", "python": str(PYTHON), **given}, limit_s=200)


def gate_by(models: Path, loader: str, more: str = "", **inputs: str) -> Step:
    """Gate what a loader of the module above makes; the policy is this, and more."""
    policy = f"path: any.txt, loader: 'nets:{loader}', device: cuda{more}"
    (models / f"{loader}.yaml").write_text(f"model: {{{policy}}}\n")
    return gate(models, config=f"{loader}.yaml", **inputs)


def statuses(step: Step) -> dict[str, str]:
    return {each["id"]: each["status"] for each in step.result["checks"]}


def test_a_model_beside_itself_passes_and_the_report_names_the_gpu_its_clocks_and_its_memory(
    models: Path,
) -> None:
    step = gate(models, baseline="net.pt")
    assert (step.code, step.outputs["verdict"]) in {(0, "pass"), (0, "warn")}, step.log
    found = statuses(step)
    assert found["model/latency-p50/max-ratio"] in {"pass", "warn"}
    for name in ("same-output", "finite", "batch"):
        assert found[f"model/behaviour/{name}"] == "pass", step.report
    facts = step.result["gate"]
    where = facts["environment"]
    assert set(where) >= {"gpu", "driver", "cuda", "torch", "gpu clocks", "gpu throttled"}
    clock, most = map(int, re.findall(r"(\d+) MHz of at most (\d+) MHz", where["gpu clocks"])[0])
    assert clock > most / 3, where  # it is at work
    assert not where["gpu throttled"].startswith("0x")
    assert where["gpu"] in step.report
    assert "GPU memory, peak of PyTorch's allocator" in step.report
    for side in ("candidate", "production"):
        assert 4 * PARAMETERS <= facts[side]["gpu_memory_peak_bytes"] < 10**9


def test_a_slower_model_fails(models: Path) -> None:
    for layers in ("20", "26"):
        (models / f"{layers}.txt").write_text(layers)
    more = ", gates: [{measure: latency-p50, max-ratio: 1.10}]"
    step = gate_by(models, "by_size", more, model="26.txt", baseline="20.txt")
    assert step.code == 1, step.log
    assert statuses(step)["model/latency-p50/max-ratio"] == "fail"
    assert 1.2 < next(each for each in step.result["checks"] if "max-ratio" in each["id"])["value"] < 1.4


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        ("", "net.pt"),
        ("", "net.pt2"),
        ("", "made-on-the-gpu.pt2"),
        ("weights", "weights.pt"),
    ],
)
def test_each_kind_of_file_answers_on_the_gpu_as_on_the_cpu(
    worker: Callable[..., Worker], loader: str, name: str
) -> None:
    found = []
    devices: tuple[Device, ...] = ("cuda", "cpu")
    for device in devices:
        model = worker(loader, name, device=device, inputs=PIXELS)
        assert model.load().parameters == PARAMETERS
        found.append(model.predict(model.example(8))["output"])
        if device == "cuda":
            assert 4 * PARAMETERS <= (model.memory().cuda_peak or 0) < 10**9
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-4)


def test_a_sample_that_was_written_on_the_gpu_is_read_for_either(
    models: Path, worker: Callable[..., Worker]
) -> None:
    for device in ("cpu", "cuda"):
        model = worker("", "net.pt", device=device, sample=models / "rows-on-the-gpu.pt")
        model.load()
        assert model.example(2)["input"].shape == (2, 512)
        assert len(model.time_block(3)) == 3


def test_loading_does_not_count_the_start_of_the_driver(worker: Callable[..., Worker]) -> None:
    model = worker("", "net.pt", inputs=PIXELS)
    loaded = model.load()
    assert loaded.seconds < 1.0
    assert model.memory().over_baseline < 500e6


def test_a_model_that_a_loader_brought_to_the_gpu_unasked_is_waited_for(
    worker: Callable[..., Worker],
) -> None:
    medians = []
    for loader, device in (("the_same_here", "cuda"), ("brings_its_own_gpu", "cpu")):
        model = worker(loader, device=device)
        model.load()
        model.warm_up()
        medians.append(statistics.median(model.time_block(40)))
    assert medians[1] == pytest.approx(medians[0], rel=0.2)


def test_a_model_of_jaxs_is_waited_for(worker: Callable[..., Worker]) -> None:
    model = worker("by_jax", device="cpu", environ={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})
    model.load()
    model.warm_up(batch=4096)
    taken = statistics.median(model.time_block(20, batch=4096))
    assert taken > 1.1e12 / 1.0e15 * 1e9  # no GPU does a thousand TFLOP a second in single precision


def test_too_little_memory_of_the_gpu_is_named_and_is_no_unreadable_file(
    worker: Callable[..., Worker],
) -> None:
    with pytest.raises(ModelFault) as caught:
        worker("too_large").load()
    assert caught.value.kind == "gpu-memory"
    assert "The GPU's memory is not enough for the model" in caught.value.what


def test_a_batch_that_nobody_asked_for_and_the_gpu_cannot_hold_is_a_warning(models: Path) -> None:
    step = gate_by(models, "large_from_eight_rows_on")
    assert step.code == 0, step.log
    assert statuses(step)["model/throughput"] == "warn"
    assert "The GPU's memory is not enough" in step.report


def test_an_index_beyond_a_table_fails_the_gate_with_cudas_own_words(models: Path) -> None:
    step = gate_by(models, "beyond_the_table")
    assert step.code == 1, step.log
    assert statuses(step)["model/runs"] == "fail"
    assert "device-side assert" in step.report
    assert "Traceback" not in step.log


def test_a_kernel_that_never_ends_is_stopped_at_its_limit(worker: Callable[..., Worker]) -> None:
    model = worker("never_ends", limits=Limits(load_s=120, request_s=5, total_s=100))
    model.load()
    with pytest.raises(ModelFault) as caught:
        model.time_block(2)
    assert caught.value.kind == "hang"
    other = worker("", "net.pt", inputs=PIXELS)
    other.load()
    other.warm_up()
    assert statistics.median(other.time_block(20)) < 50e6  # the GPU is free again


def test_without_a_visible_gpu_it_says_so(worker: Callable[..., Worker]) -> None:
    with pytest.raises(ModelSetupFault) as caught:
        worker("", "net.pt", inputs=PIXELS, environ={"CUDA_VISIBLE_DEVICES": ""}).load()
    assert "no GPU was found" in caught.value.what


@pytest.mark.parametrize("loader", ["weights", "half", "coarse", "pictures"])
def test_a_good_model_behaves_in_every_precision(worker: Callable[..., Worker], loader: str) -> None:
    model = worker(loader, "weights.pt" if loader == "weights" else "any.txt")
    model.load()
    found = behaviour.checks(
        lambda given, batch: model.predict(given, batch=batch), model.example, None, None, device="cuda"
    )
    assert [each.status for each in found] == ["pass"] * len(found), [each.message for each in found]
