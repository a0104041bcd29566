"""The times of a model on a GPU beside CUDA events written by hand, and what the gate makes of slower ones.

    python -m benchmarks.gpu [PYTHON] [--trials 20]

PYTHON is the interpreter that holds PyTorch for CUDA and NumPy, by default this one; nothing else needs to
be installed. Events by hand and ours are read in turns in one process; the sizes are chosen so that a call is
bound by its launches, by neither, and by arithmetic. Before that, what PyTorch's two formats of files answer
on the GPU is held against the CPU.

Then copies with more layers are measured beside one and the same model as the gate does it, at `max-ratio:
1.10`, a trial each; their processes stay the same ones.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError
from cml_action.model.latency import Demand, measure, plan
from cml_action.model.process import Worker
from cml_action.model.spec import ModelSpec, Place, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cml_action.model.latency import Side, Timings
    from cml_action.model.spec import Device

#: How far the medians may lie apart, and the outputs of the two devices in parts of the largest.
MOST_APART, MOST_UNLIKE = 0.03, 1e-2
ROUNDS, CALLS = 40, 50
#: Width, layers and rows of the networks.
SIZES = {"launches": (256, 8, 1), "between": (2048, 8, 256), "arithmetic": (4096, 8, 2048)}
#: Of the models that are gated; 28 layers are 12 % more than 25, and 30 are 20 %.
LAYERS, GATED = 25, {"launches": (256, 1), "arithmetic": (4096, 512)}
#: Layers of the candidate, what is counted, and the bar in percent.
BARS = {25: ("at most", 1), 28: ("at least", 80), 30: ("at least", 99)}

_MODELS = '''
import json
import statistics
import sys
import torch


def network(path):
    width, layers, rows = json.loads(open(path).read())
    torch.manual_seed(0)
    made = torch.nn.Sequential(*[torch.nn.Linear(width, width) for _ in range(layers)])
    made.register_buffer("rows", torch.rand(rows, width))
    return made, made.rows


def by_hand(model):
    """The median of so many calls, in seconds."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    with torch.inference_mode():
        model(model.rows)
        for _ in range(CALLS):
            torch.cuda.synchronize()
            start.record()
            model(model.rows)
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
    return {"s": statistics.median(times)}


def save(folder):
    layers = torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8)
    made, rows = torch.nn.Sequential(*layers).eval(), torch.rand(4, 64)
    torch.jit.trace(made, rows).save(folder + "/traced.pt")
    torch.export.save(torch.export.export(made, (rows,)), folder + "/exported.pt2")


if __name__ == "__main__":
    save(sys.argv[1])
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", nargs="?", type=Path, default=Path(sys.executable))
    parser.add_argument("--trials", type=int, default=20, help="trials of each model and speed")
    asked = parser.parse_args()
    python = asked.python.absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench_models.py").write_text(f"CALLS = {CALLS}\n{_MODELS}")
        try:
            missed = [*_measure(folder, python), *_gate(folder, python, asked.trials)]
        except CmlActionError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print("missed:", ", ".join(missed) or "nothing")
    return bool(missed)


def _measure(folder: Path, python: Path) -> list[str]:
    missed = []
    subprocess.run([python, folder / "bench_models.py", folder], check=True)
    for path in (folder / "traced.pt", folder / "exported.pt2"):
        unlike = _unlike(folder, python, path)
        print(f"{path.name}: outputs {unlike:.2e} apart from the CPU's, in parts of the largest")
        missed += [path.name] * (unlike > MOST_UNLIKE)
    for name, size in SIZES.items():
        ratio, seconds, about = _agreement(folder, python, size)
        what = ", ".join(f"{key} {value}" for key, value in about.items())
        print(f"{name}: p50 × {ratio:.4f} of CUDA events by hand (bar: within 3 %), {seconds * 1e3:.4f} ms")
        print(f"    {what}")
        missed += [name] * (abs(ratio - 1) > MOST_APART)
    return missed


def _gate(folder: Path, python: Path, trials: int) -> list[str]:
    """Measure each copy beside the model so many times, and return the bars that are missed."""
    missed = []
    demand = Demand(quantile="p50", limit=1.10, ratio=True)
    for name, (width, rows) in GATED.items() if trials else ():
        for layers, (word, bar) in BARS.items():
            with contextlib.ExitStack() as stack:
                sides: dict[Side, Worker] = {}
                warm = []
                for side, size in (("production", LAYERS), ("candidate", layers)):
                    path = folder / f"{side}.json"
                    path.write_text(str([width, size, rows]))
                    spec = ModelSpec(path=path, loader="bench_models:network", device="cuda")
                    sides[side] = stack.enter_context(Worker(spec, _place(folder, python)))
                    sides[side].load()
                    warm.append(sides[side].warm_up(batch=rows).median_s)
                blocks = {side: partial(each.time_block, batch=rows) for side, each in sides.items()}
                found = [measure(blocks, plan(max(warm), 2), [demand], seed=at) for at in range(trials)]
            caught = sum(each.decisions[0] == "fail" for each in found)
            print(f"{name}, {layers} layers beside {LAYERS}: {_told(found)} (bar: {word} {bar} % fail)")
            share = 100 * caught / trials
            missed += [f"{name} {layers}"] * (share > bar if word == "at most" else share < bar)
    return missed


def _told(found: Sequence[Timings]) -> str:
    ratios = sorted(each.intervals[0].estimate for each in found)
    failed, unclear = (sum(each.decisions[0] == said for each in found) for said in ("fail", "unclear"))
    mean_s = statistics.mean(each.took_s for each in found)
    return (
        f"of {len(found)} {failed} fail, {unclear} cannot be told; ratio {ratios[0]:.3f} to {ratios[-1]:.3f},"
        f" {found[0].quantile('production', 'p50') * 1e3:.3f} ms a call, {mean_s:.1f} s a trial"
    )


def _unlike(folder: Path, python: Path, path: Path) -> float:
    """Return how far the outputs of a file lie apart on the two devices."""
    found = []
    devices: tuple[Device, ...] = ("cuda", "cpu")
    for device in devices:
        spec = ModelSpec(path=path, inputs=(TensorSpec(shape=(4, 64)),), device=device)
        with Worker(spec, _place(folder, python)) as worker:
            worker.load()
            rows = worker.example(batch=4)
            (outputs,) = worker.predict(rows).values()
            found.append(outputs)
    gpu, cpu = found
    return float(abs(gpu - cpu).max() / abs(cpu).max())


def _agreement(
    folder: Path, python: Path, size: tuple[int, int, int]
) -> tuple[float, float, Mapping[str, str]]:
    """Return the median ratio to the events by hand, seconds of a call, and the GPU in words."""
    path = folder / "size.json"
    path.write_text(str(list(size)))
    spec = ModelSpec(path=path, loader="bench_models:network", device="cuda")
    with Worker(spec, _place(folder, python)) as worker:
        worker.load()
        worker.warm_up(batch=size[2])
        ratios, times = [], []
        for _ in range(ROUNDS):
            theirs = worker.evaluate("bench_models:by_hand")["s"]
            ours = statistics.median(worker.time_block(CALLS, batch=size[2])) / 1e9
            ratios.append(ours / theirs)
            times.append(ours)
        said = worker.environment(busy=True)
        peak = worker.memory().cuda_peak or 0
    about = {key: value for key, value in said.items() if key.startswith(("gpu", "cuda", "torch"))}
    return statistics.median(ratios), statistics.median(times), about | {"peak": f"{peak / 1e6:,.0f} MB"}


def _place(folder: Path, python: Path) -> Place:
    return Place(python=python, project=folder, private=folder, environ=os.environ)


if __name__ == "__main__":
    sys.exit(main())
