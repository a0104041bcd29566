"""What the model's process adds to a call, and whether it measures what PyTorch's own timer does.

`python -m benchmarks.worker`: both in one run each, since two runs on a shared machine differ by more.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from cml_action.model.process import Worker
from cml_action.model.spec import ModelSpec, Place
from tests.services.user_python import user_python

#: The bars: seconds that a call may cost more, and how far the medians may lie apart.
MOST_OVERHEAD_S, MOST_APART = 2e-6, 0.03
ROUNDS = 30
#: Rows of one call, and seconds of one round: short ones, in which a busy machine changes little.
ROWS, ROUND_S = 1, 0.05

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


def plain(model):
    """The least time of an empty call, as `timeit` has it: the loop and the call itself."""
    return {"s": min(timeit.repeat(model, number=10_000, repeat=20)) / 10_000}


def timer(model):
    """The median over blocks; a single call of it would find the caches cold."""
    with torch.inference_mode():
        one = Timer("model(rows)", globals={"model": model, "rows": ROWS}, num_threads=1)
        return {"s": one.blocked_autorange(min_run_time=0.1).median}
'''


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "bench_models.py").write_text(_MODELS)
        (project / "model.txt").write_text("")
        overhead = _overhead(project)
        print(f"overhead of a call: {overhead * 1e6:.3f} µs, × {overhead / MOST_OVERHEAD_S:.2f} of the bar")
        ratio, times = _agreement(project)
        print(
            f"median beside torch.utils.benchmark.Timer: × {ratio:.4f} (bar: within 3 %),"
            f" {times * 1e3:.3f} ms a call, {ROUNDS} rounds each"
        )
        assert overhead < MOST_OVERHEAD_S
        assert abs(ratio - 1) < MOST_APART


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


def _agreement(project: Path) -> tuple[float, float]:
    """Return the median ratio to PyTorch's timer, taken in turn in one process, and a call's seconds."""
    with _worker(project, "network") as worker:
        worker.load()
        calls = max(10, round(ROUND_S / worker.warm_up(batch=ROWS).median_s))
        ratios, times = [], []
        for _ in range(ROUNDS):
            ours = statistics.median(worker.time_block(calls, batch=ROWS)) / 1e9
            ratios.append(ours / worker.evaluate("bench_models:timer")["s"])
            times.append(ours)
    return statistics.median(ratios), statistics.median(times)


def _worker(project: Path, loader: str) -> Worker:
    spec = ModelSpec(path=project / "model.txt", loader=f"bench_models:{loader}", threads=1)
    return Worker(spec, Place(python=user_python(), project=project, private=project, environ=os.environ))


if __name__ == "__main__":
    main()
