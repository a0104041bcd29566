"""The gate: a model is loaded, measured beside the one in production, and judged."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from cml_action.model import behaviour, judge, latency, predictions, quality, suite
from cml_action.model.faults import ModelFault, ModelSetupFault, quoted
from cml_action.model.process import Worker
from cml_action.model.spec import Limits
from cml_action.report import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cml_action.log import Log
    from cml_action.model.demanded import Limit
    from cml_action.model.labelled import Labelled
    from cml_action.model.latency import Side, Timings
    from cml_action.model.process import Loaded, Memory
    from cml_action.model.quality import Metric, Slice
    from cml_action.model.spec import ModelSpec, Place
    from cml_action.policy.demands import ModelPolicy

    Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]

_P = ParamSpec("_P")
_T = TypeVar("_T")
#: Batches whose throughput is shown, seconds for each, and the turns that they are spent in.
_BATCHES, _BATCH_S, _TURNS = (1, 8, 32), 0.3, 5
#: A model whose calls of one row take longer is not tried with more.
_TOO_SLOW_S = 0.5
_SEED = 20
#: Rows of one call on a labelled data set.
_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Rows a second with batches of so many rows."""

    batch: int
    rows_per_s: Mapping[Side, float]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the gate is asked.

    :param specs: the candidate, and production where there is one.
    :param name: what the candidate is called; `tests`: the user's own, a path, empty where there are none.
    :param theirs: the user's own Python, which runs the tests; the one that the model runs in where None.
    """

    specs: Mapping[Side, ModelSpec]
    place: Place
    limits: tuple[Limit, ...]
    policy: ModelPolicy | None
    data: Labelled | None
    name: str
    tests: str = ""
    theirs: Path | None = None
    time_limits: Limits = field(default_factory=Limits)


@dataclass
class Found:
    """What the gate found out, as far as it came."""

    checks: list[Check] = field(default_factory=list)
    loaded: dict[Side, Loaded] = field(default_factory=dict)
    memory: dict[Side, Memory] = field(default_factory=dict)
    timings: Timings | None = None
    stable: bool = True
    throughput: list[Throughput] = field(default_factory=list)
    metrics: tuple[Metric, ...] = ()
    slices: tuple[Slice, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Rows of the calls whose latency is measured: one, or those of a side that takes no other number."""
        return next((each.batch for each in self.loaded.values() if each.batch), 1)


def run(asked: Asked, log: Log) -> Found:
    """Load, measure and judge. A model's fault is a check; what could not be found out after it is skipped.

    :raises ModelSetupFault: something that the model needs is missing, or was asked for wrongly.
    """
    found = Found()
    with contextlib.ExitStack() as stack:
        try:
            workers = _load(asked, found, stack, log)
            candidate = workers["candidate"]
            found.environment = candidate.environment()
            _behave(asked, found, candidate)
            _measure(asked, found, workers, log)
            _evaluate(asked, found, workers, log)
            _measure_batches(found, workers)
        except ModelSetupFault:
            raise
        except ModelFault as fault:
            found.checks.append(judge.fault_check("model/runs", "the model runs", fault))
    if asked.tests and "candidate" in found.loaded:
        log.line(f"Running the tests in {asked.tests} on the model.")
        found.checks += _test(asked)
    found.checks += judge.checks(asked.limits, found)
    return found


def _test(asked: Asked) -> list[Check]:
    place = replace(asked.place, python=asked.theirs or asked.place.python)
    try:
        results = suite.run_tests(
            asked.tests, asked.specs["candidate"].path, asked.name, place, asked.time_limits
        )
    except ModelSetupFault:
        raise
    except ModelFault as fault:
        return [judge.fault_check("model/tests", f"the tests in `{asked.tests}` run", fault)]
    return [
        Check(
            id=f"model/tests/{each.name}",
            status=each.outcome,
            title=f"test `{each.name.replace('`', '')}`",
            message=f"pytest says: {quoted(each.message)}." if each.message else "",
            details={"seconds": each.seconds},
        )
        for each in results
    ]


def _load(asked: Asked, found: Found, stack: contextlib.ExitStack, log: Log) -> dict[Side, Worker]:
    workers: dict[Side, Worker] = {}
    few = {name: values[: _BATCHES[-1]] for name, values in asked.data.given.items()} if asked.data else {}
    for side, spec in asked.specs.items():
        log.line(f"Loading the {side} {spec.path.name}.")
        try:
            worker = stack.enter_context(Worker(spec, asked.place, asked.time_limits))
            found.loaded[side] = worker.load(few)
        except ModelFault as fault:
            if side == "candidate":
                raise
            found.checks.append(_broken("loads", fault))
            continue
        workers[side] = worker
    return workers


class _ProductionFault(Exception):  # noqa: N818 -- a fault of production is none of the candidate's
    def __init__(self, fault: ModelFault) -> None:
        self.fault = fault


def _of(side: Side, ask: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return the same question, whose fault is known to be production's where it is."""
    if side == "candidate":
        return ask

    def asked(*args: _P.args, **options: _P.kwargs) -> _T:
        try:
            return ask(*args, **options)
        except ModelFault as fault:
            raise _ProductionFault(fault) from None

    return asked


def _each(workers: dict[Side, Worker], found: Found, ask: Callable[[Worker], _T]) -> dict[Side, _T]:
    """Return the answer of each side. Production that has none is told of, and asked nothing more."""
    answers: dict[Side, _T] = {}
    for side, worker in list(workers.items()):
        try:
            answers[side] = _of(side, ask)(worker)
        except _ProductionFault as fault:  # noqa: PERF203 -- a model answers in between
            found.checks.append(_broken("runs", fault.fault))
            del workers[side]
    return answers


def _broken(what: str, fault: ModelFault) -> Check:
    return Check(
        id=f"model/production/{what}",
        status="error",
        title=f"production {what}",
        message=f"Production cannot be compared. {fault.what} {fault.fix} Until then set `baseline: none` to"
        " gate without it.",
    )


def _other_batch(rows: int, production: int | None) -> ModelFault:
    return ModelFault(
        "other-batch",
        f"Every call of the candidate has {rows} rows, and every call of production {production}.",
        "Export both with the same batch, or one with an open one (`dynamic_shapes`, `dynamic_axes`).",
    )


def _behave(asked: Asked, found: Found, candidate: Worker) -> None:
    rows: Arrays | None = None
    if asked.data is not None:
        rows = {name: values[:_ROWS] for name, values in asked.data.given.items()}
    table, own = rows is not None, len(asked.data.features) if asked.data else None

    def predict(given: Arrays, batch: int | None) -> Any:
        real = rows is not None and given.keys() == rows.keys()
        # A model that hangs is found by its first call, of a few rows; noise may take its time.
        seconds = asked.time_limits.total_s if batch == behaviour.NOISY_BATCH else None
        return candidate.predict(given, batch=batch, table=table and real, own=own, seconds=seconds)

    policy = asked.policy.behaviour if asked.policy else None
    found.checks += behaviour.checks(
        predict, candidate.example, policy, rows, device=asked.specs["candidate"].device
    )
    found.checks.append(
        Check(id="model/loads", status="pass", title="the model loads and answers", message="")
    )


def _measure(asked: Asked, found: Found, workers: dict[Side, Worker], log: Log) -> None:
    """Warm all sides up, then measure them in turns."""
    rows = found.batch
    if "production" in workers and found.loaded["production"].batch not in {None, rows}:
        found.checks.append(_broken("fits", _other_batch(rows, found.loaded["production"].batch)))
        del workers["production"]
    warm = _each(workers, found, lambda worker: worker.warm_up(batch=rows))
    found.stable = all(each.stable for each in warm.values())
    call_s = max(each.median_s for each in warm.values())
    try:
        found.timings = _latency(asked, workers, call_s, rows, log)
    except _ProductionFault as fault:
        found.checks.append(_broken("runs", fault.fault))
        del workers["production"]
        found.timings = _latency(asked, workers, call_s, rows, log)
    found.memory = _each(workers, found, lambda worker: worker.memory())
    if asked.specs["candidate"].device == "cuda":
        found.environment = workers["candidate"].environment(busy=True)


def _latency(asked: Asked, workers: Mapping[Side, Worker], call_s: float, rows: int, log: Log) -> Timings:
    plan = latency.plan(call_s, len(workers))
    alone = "production" not in workers
    demands = [
        each.demand for each in asked.limits if each.demand is not None and not (alone and each.beside)
    ]
    with log.progress("Measuring latency", total=plan.looks[-1], unit="rounds") as bar:
        return latency.measure(
            {side: _of(side, partial(worker.time_block, batch=rows)) for side, worker in workers.items()},
            plan,
            demands,
            seed=_SEED,
            advance=bar.advance,
        )


def _measure_batches(found: Found, workers: Mapping[Side, Worker]) -> None:
    """Measure throughput, last: nobody asked for these batches, and one that is too large ends a process."""
    timings = found.timings
    assert timings is not None  # noqa: S101 -- latency comes first
    call_s = max(timings.quantile(side, "p50") for side in timings.seconds)
    fixed = any(each.batch for each in found.loaded.values())
    for batch in (found.batch,) if fixed else _BATCHES if call_s < _TOO_SLOW_S else _BATCHES[:1]:
        try:
            found.throughput.append(_throughput(workers, batch))
        except ModelFault as fault:  # noqa: PERF203 -- a model answers in between
            if fault.kind in {"bad-shape", "raised"}:  # some models take one size only
                continue
            message = f"{fault.what} Nobody asked for this, and all else was measured before."
            title = f"{batch} rows in one call"
            found.checks.append(Check(id="model/throughput", status="warn", title=title, message=message))
            return


def _throughput(workers: Mapping[Side, Worker], batch: int) -> Throughput:
    """Measure each side in a few turns, so that a slow moment of the machine is not one side's own."""
    first = {side: min(worker.time_block(2, batch=batch)) / 1e9 for side, worker in workers.items()}
    calls = {side: max(1, min(500, int(_BATCH_S / max(each, 1e-6)))) for side, each in first.items()}
    turns = min(_TURNS, *calls.values())
    rates: dict[Side, list[float]] = {side: [] for side in workers}
    for _ in range(turns):
        for side, worker in workers.items():
            times = worker.time_block(calls[side] // turns, batch=batch)
            rates[side].append(batch * len(times) / (sum(times) / 1e9))
    return Throughput(batch=batch, rows_per_s={side: median(each) for side, each in rates.items()})


def _evaluate(asked: Asked, found: Found, workers: dict[Side, Worker], log: Log) -> None:
    policy, seconds = asked.policy, asked.time_limits.total_s
    if policy and policy.evaluate:
        function = policy.evaluate
        log.line(f"Evaluating with {function}.")
        values = _each(workers, found, lambda worker: worker.evaluate(function, seconds=seconds))
        before = values.get("production", {})
        found.metrics += tuple(
            quality.Metric(name=name, value=value, production=before.get(name))
            for name, value in values["candidate"].items()
        )
    if policy and policy.task and asked.data is not None:
        data, task = asked.data, policy.task
        log.line(f"Evaluating on {data.name}: {len(data.truth):,} rows.")
        predicted = _each(workers, found, lambda worker: _predicted(worker, data, task, seconds))
        sides: Sequence[Any] = (predicted["candidate"], predicted.get("production"))
        found.metrics += quality.compare(data.truth, sides[0], sides[1], task)
        found.slices = quality.slices(data.slices, data.truth, sides[0], sides[1], task)


def _predicted(worker: Worker, data: Labelled, task: predictions.Task, seconds: float) -> NDArray[Any]:
    own = len(data.features)
    outputs = worker.predict(data.given, batch=_ROWS, table=True, own=own, seconds=seconds)
    return predictions.labels(outputs, data.truth, task)
