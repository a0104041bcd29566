"""How often the gate is wrong about latency: false alarms of A against A, and what it catches.

    python benchmarks/gate.py --trials 200

Each trial is a gate's measuring from its start: two new processes, loading, warming up, and rounds until
the ratio is decided at `max-ratio: 1.10`. The model multiplies small matrices, so many times that a call
takes 0.2, 5 or 50 ms; a slower one multiplies so much more. Another process keeps one core busy all the
while (`--neighbours` says how many do: they want a `--file` of their own).

Trials are kept in a file, one line each, as they end: the next run with the same file goes on from there.
They come in turns of all models and speeds, so that a part of them is a fair part.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import binomtest

from cml_action.model.latency import Demand, measure, plan
from cml_action.model.process import Worker
from cml_action.model.spec import ModelSpec, Place, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cml_action.model.latency import Side

MAX_RATIO = 1.10
#: Products of a model that the cost of one is read from.
_MANY = 10_000
LOADER = """
import numpy as np

def load(path):
    times = int(open(path).read())
    matrix = np.eye(16, dtype="float32")

    def call(x):
        for _ in range(times):
            matrix @ matrix
        return x

    return call
"""
#: By how much the candidate is slower, what is counted, and the project's own bar in percent.
BARS = {1.0: ("fail", "at most", 1), 1.12: ("fail", "at least", 80), 1.20: ("fail", "at least", 99)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, help="trials of each model and speed")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many; a later run goes on")
    parser.add_argument(
        "--models", type=float, nargs="+", default=[0.2, 5.0, 50.0], help="milliseconds of a call"
    )
    parser.add_argument("--slower", type=float, nargs="+", default=list(BARS), help="1 is A against A")
    parser.add_argument("--file", type=Path, default=Path("build/gate-trials.jsonl"))
    parser.add_argument("--neighbours", type=int, default=1, help="processes that keep a core busy")
    asked = parser.parse_args()
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "multiplies.py").write_text(LOADER)
        for _ in range(asked.neighbours):
            stack.enter_context(busy_core())
        cost = calibrated(folder)
        for at in range(asked.trials):
            for call_ms in asked.models:
                for slower in asked.slower:
                    if done(asked.file, call_ms, slower) <= at and time.monotonic() < until:
                        found = trial(folder, call_ms, slower, cost, seed=at)
                        with asked.file.open("a") as file:
                            file.write(json.dumps({"call_ms": call_ms, "slower": slower, **found}) + "\n")
    print(table(kept(asked.file)))


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def calibrated(folder: Path) -> tuple[float, float]:
    """Return the nanoseconds of a call without products, and of one product, by the fastest calls.

    Beside a busy neighbour even the fastest calls are not equally lucky: two short ones tell nothing.
    """
    fastest = []
    for count in (0, _MANY):
        write(folder, "probe", count)
        with worker(folder, "probe") as probe:
            probe.load()
            probe.warm_up()
            fastest.append(min(probe.time_block(200)))
    return fastest[0], max(1.0, (fastest[1] - fastest[0]) / _MANY)


def trial(
    folder: Path, call_ms: float, slower: float, cost: tuple[float, float], *, seed: int
) -> dict[str, Any]:
    """Measure once, as the gate does."""
    began = time.monotonic()
    for name, times in (
        ("candidate", slower),
        ("production", 1.0),
    ):  # the whole call is slower, not its products
        write(folder, name, max(1, round((times * call_ms * 1e6 - cost[0]) / cost[1])))
    with worker(folder, "candidate") as candidate, worker(folder, "production") as production:
        sides: dict[Side, Worker] = {"candidate": candidate, "production": production}
        warm = []
        for each in sides.values():
            each.load()
            warm.append(each.warm_up().median_s)
        demand = Demand(quantile="p50", limit=MAX_RATIO, ratio=True)
        timings = measure(
            {side: each.time_block for side, each in sides.items()}, plan(max(warm), 2), [demand], seed=seed
        )
    found = timings.intervals[0]
    return {
        "decision": timings.decisions[0],
        "ratio": round(found.estimate, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "rounds": timings.rounds,
        "noise": round(timings.noise, 4),
        "call_s": timings.quantile("production", "p50"),
        "seconds": round(time.monotonic() - began, 2),
    }


def worker(folder: Path, name: str) -> Worker:
    spec = ModelSpec(
        path=folder / name, loader="multiplies:load", inputs=(TensorSpec(shape=(1, 4)),), threads=1
    )
    place = Place(python=Path(sys.executable), project=folder, private=folder, environ=os.environ)
    return Worker(spec, place)


def write(folder: Path, name: str, count: int) -> None:
    (folder / name).write_text(str(count))


def kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def done(path: Path, call_ms: float, slower: float) -> int:
    return sum(each["call_ms"] == call_ms and each["slower"] == slower for each in kept(path))


def table(trials: list[dict[str, Any]]) -> str:
    """Return the table as Markdown; `ratio found` is the middle 90 % of the estimates."""
    lines = [
        "| model | candidate | trials | failed (95 %) | cannot tell | bar | ratio found | rounds | s |",
        "|--:|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    for call_ms, slower in sorted({(each["call_ms"], each["slower"]) for each in trials}):
        some = [each for each in trials if (each["call_ms"], each["slower"]) == (call_ms, slower)]
        n, failed = len(some), sum(each["decision"] == "fail" for each in some)
        ends = binomtest(failed, n).proportion_ci(method="wilson")
        unclear = sum(each["decision"] == "unclear" for each in some)
        ratios = sorted(each["ratio"] for each in some)
        _, word, bar = BARS.get(slower, ("", "", ""))
        lines.append(
            f"| {call_ms:g} ms | × {slower:.2f} | {n} | {100 * failed / n:.1f} % ({100 * ends.low:.1f} …"
            f" {100 * ends.high:.1f}) | {100 * unclear / n:.1f} % | {word} {bar} % |"
            f" {ratios[n * 5 // 100]:.3f} … {ratios[min(n - 1, n * 95 // 100)]:.3f} |"
            f" {mean(some, 'rounds'):.0f} | {mean(some, 'seconds'):.1f} |"
        )
    return "\n".join(lines)


def mean(trials: list[dict[str, Any]], key: str) -> float:
    return float(sum(each[key] for each in trials) / len(trials))


if __name__ == "__main__":
    main()
