"""What the model's process adds to a call, whether it measures as PyTorch's timer does, and a gate's time.

`python -m benchmarks.worker`: the first two in one run each, since two runs on a shared machine differ by
more. The gate is a default one of a model of about 5 ms, alone and beside production, as a step runs it once
its environment is made: its `cml.yaml` names the model and its loader.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from cml_action.model.process import Worker
from cml_action.model.spec import ModelSpec, Place
from tests.services.runner import run_step
from tests.services.user_python import user_python

#: The bars: seconds that a call may cost more, and how far the medians may lie apart.
MOST_OVERHEAD_S, MOST_APART = 2e-6, 0.03
#: The bar of a whole gate, and the seconds of a call that it is held for.
MOST_GATE_S, GATED_CALL_S = 30, 5e-3
ROUNDS = 30
#: Rounds beside PyTorch's timer, calls of one round, those of one block, and of a cold start. Timer tells the
#: median of the means of blocks (of 100 calls, for a model like this one), and a mean carries the slow calls
#: that a median leaves out: so ours is cut into the same blocks.
TURNS, CALLS, BLOCK, FIRST = 80, 300, 100, 20

_MODELS = '''
import statistics
import timeit
import torch
from torch.utils.benchmark import Timer

ROWS = torch.rand(1, 512, generator=torch.Generator().manual_seed(0))


def empty(path):
    return (lambda: None), ()


def network(path):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(512, 512) for _ in range(4)]
    return torch.nn.Sequential(*layers), ROWS


def deep(path):
    """A network of as many layers as the file says."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(512, 512) for _ in range(int(open(path).read()))]
    return torch.nn.Sequential(*layers), ROWS


def plain(model):
    """The least time of an empty call, as `timeit` has it: the loop and the call itself."""
    return {"s": min(timeit.repeat(model, number=10_000, repeat=20)) / 10_000}


def timer(model):
    """The median over blocks of so many calls, after a few that find the caches cold."""
    with torch.inference_mode():
        one = Timer("model(rows)", globals={"model": model, "rows": ROWS}, num_threads=1)
        one.timeit(FIRST)
        return {"s": statistics.median(one.timeit(BLOCK).median for _ in range(CALLS // BLOCK))}
'''


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        sizes = f"BLOCK, CALLS, FIRST = {BLOCK}, {CALLS}, {FIRST}\n"
        (project / "bench_models.py").write_text(sizes + _MODELS)
        (project / "model.txt").write_text("")
        overhead = _overhead(project)
        print(f"overhead of a call: {overhead * 1e6:.3f} µs, × {overhead / MOST_OVERHEAD_S:.2f} of the bar")
        ratio, single, times = _agreement(project)
        print(
            f"median beside torch.utils.benchmark.Timer: × {ratio:.4f} (bar: within 3 %), both of blocks of"
            f" {BLOCK} calls; × {single:.4f} for our median of single calls"
        )
        print(f"{times * 1e3:.3f} ms a call, {TURNS} rounds each")
        call_s, alone_s, beside_s = _gate(project)
        print(
            f"a whole gate of a model of {call_s * 1e3:.1f} ms: {alone_s:.1f} s alone,"
            f" {beside_s:.1f} s beside production (bar: {MOST_GATE_S} s)"
        )
        assert overhead < MOST_OVERHEAD_S
        assert abs(ratio - 1) < MOST_APART
        assert max(alone_s, beside_s) < MOST_GATE_S


def _overhead(project: Path) -> float:
    """Return what a measured call costs beside the same call in `timeit`, in seconds."""
    with _worker(project, "empty") as worker:
        worker.load()
        worker.warm_up()
        found = []
        for _ in range(ROUNDS):
            measured = statistics.median(worker.time_block(10_000)) / 1e9
            found.append(measured - worker.evaluate("bench_models:plain")["s"])
    return statistics.median(found)


def _agreement(project: Path) -> tuple[float, float, float]:
    """Return the median ratios to PyTorch's timer, of blocks and of single calls, and a call's seconds.

    The two take turns in one process, a few hundredths of a second each: a busy machine changes little
    in that.
    """
    with _worker(project, "network") as worker:
        worker.load()
        worker.warm_up(batch=1)
        ratios, singles, times = [], [], []
        for _ in range(TURNS):
            calls = [each / 1e9 for each in worker.time_block(FIRST + CALLS, batch=1)[FIRST:]]
            theirs = worker.evaluate("bench_models:timer")["s"]
            blocks = [statistics.mean(calls[at : at + BLOCK]) for at in range(0, CALLS, BLOCK)]
            ratios.append(statistics.median(blocks) / theirs)
            singles.append(statistics.median(calls) / theirs)
            times.append(theirs)
    return statistics.median(ratios), statistics.median(singles), statistics.median(times)


def _gate(project: Path) -> tuple[float, float, float]:
    """Return the seconds of a call, of a gate of that model, and of one beside production."""
    (project / "model.txt").write_text("20")
    with _worker(project, "deep") as worker:
        worker.load()
        layers = round(20 * GATED_CALL_S / worker.warm_up().median_s)
    workspace = project / "workspace"
    workspace.mkdir()
    (workspace / "bench_models.py").write_bytes((project / "bench_models.py").read_bytes())
    (workspace / "cml.yaml").write_text("model: {path: net.txt, loader: 'bench_models:deep', threads: 1}\n")
    (workspace / "net.txt").write_text(str(layers))
    subprocess.run(["git", "init", "--quiet"], cwd=workspace, check=True)
    taken = []
    for more in ({}, {"baseline": "net.txt"}):
        began = time.monotonic()
        step = run_step(workspace, {"mode": "gate", "python": str(user_python()), **more})
        taken.append(time.monotonic() - began)
        assert step.code == 0, step.log
        call_s = step.result["gate"]["candidate"]["latency_p50_s"]
    return call_s, *taken


def _worker(project: Path, loader: str) -> Worker:
    spec = ModelSpec(path=project / "model.txt", loader=f"bench_models:{loader}", threads=1)
    return Worker(spec, Place(python=user_python(), project=project, private=project, environ=os.environ))


if __name__ == "__main__":
    main()
