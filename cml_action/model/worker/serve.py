"""Questions in, answers out: one line of JSON each."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable

from . import arrays, clock, example, load, system
from .refusal import Refusal, attempt, refused, words

if TYPE_CHECKING:
    from .example import Call, Inputs
    from .load import Model


class Worker:
    """A loaded model and what is asked of it."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._inputs: Inputs | None = None
        self._memory: system.Memory | None = None
        self._device = "cpu"

    def load(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._device = asked["device"]
        system.begin_on(0)
        self._model, self._memory = load.load(asked)
        self._inputs = example.Inputs(self._model, asked)
        named = self._inputs.named(1) if self._inputs.known else []
        return {
            "kind": self._model.kind,
            "seconds": self._model.seconds,
            "parameters": self._model.parameters,
            "method": self._model.method,
            "batch": self._inputs.fixed,
            "inputs": [[name, arrays.shape_of(each), arrays.dtype_of(each)] for name, each in named],
        }

    def warm_up(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self._calling(), clock.uncollected():
            return clock.warm_up(lambda calls: self._times(calls, asked["batch"]), asked["most_s"])

    def block(self, asked: dict[str, Any]) -> dict[str, Any]:
        began = perf_counter()
        if asked["draw"] is not None:
            system.begin_on(asked["draw"])
        self.inputs.call(asked["batch"])
        with self._calling(), clock.uncollected():
            times = self._times(asked["calls"], asked["batch"])
        return {"ns": times, "other_s": perf_counter() - began - sum(times) / 1e9}

    def memory(self, _: dict[str, Any]) -> dict[str, Any]:
        found = (self._memory or system.Memory()).now()
        if self._model is not None and self._model.kind == "onnx":  # which has an allocator of its own
            found["cuda_peak"] = None
        return found

    def environment(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not asked["busy"]:
            return {"environment": system.environment(self._device)}
        given, named = self.inputs.call(1)
        call = load.waited_for(self.model)
        with self._calling():
            return {"environment": system.environment(self._device, lambda: call(*given, **named))}

    def example(self, asked: dict[str, Any]) -> dict[str, Any]:
        arrays.write_all(asked["folder"], self.inputs.written(asked["batch"]))
        return {}

    def predict(self, asked: dict[str, Any]) -> dict[str, Any]:
        order = asked["order"]
        form = "numpy" if arrays.numpy() is not None else self.model.form
        values = [arrays.read_sent(asked["folder"], at, form) for at in range(len(order))]
        if asked["table"]:
            call = self.inputs.from_table(order, values, asked["own"])
        else:
            call = self.inputs.from_named(dict(zip(order, values)))
        total = example.rows_of(call)
        step = self.inputs.fixed or min(asked["batch"] or total, total) or 1
        try:
            parts = self._parts(call, total, step)
        except Refusal as refusal:
            if refusal.code != "bad-shape" or not asked["table"] or self.inputs.fixed:
                raise
            parts = self._parts(call, total, 1)  # some models have the sizes of one row in them
        arrays.write_all(asked["results"], arrays.joined(parts))
        return {}

    def _parts(self, call: Call, total: int, step: int) -> list[Any]:
        """Return the outputs of calls with so many rows each."""
        fixed, parts = self.inputs.fixed, []
        with self._calling():
            for start in range(0, max(1, total), step):
                rows = min(step, total - start)
                size = fixed or rows  # of a fixed batch, the last is filled with rows from the beginning
                given, named = call if size == total else example.part(call, start, size)
                found = self._outputs(self.model.call(*given, **named))
                parts.append(example.first(found, rows, size))
        return parts

    def evaluate(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = load.function(asked["function"], "no-function")
        try:
            found = attempt("function-raised", run, self.model.native)
        except Refusal as refusal:
            if "inference tensor" not in refusal.said.lower():
                raise
            with _without_gradients():  # what the model kept of the calls before was made in this mode
                found = attempt("function-raised", run, self.model.native)
        return {"metrics": metrics(found)}

    @property
    def model(self) -> Model:
        if self._model is None:
            raise Refusal("raised", "it was not loaded")
        return self._model

    @property
    def inputs(self) -> Inputs:
        if self._inputs is None:
            raise Refusal("raised", "it was not loaded")
        return self._inputs

    def _times(self, calls: int, batch: int) -> list[int]:
        given, named = self.inputs.call(batch)
        return self._clock()(load.waited_for(self.model), given, named, calls)

    def _clock(self) -> clock.Clock:
        torch = sys.modules.get("torch")
        # A loader may have brought a model to the GPU that nobody asked for: there a call is over before its
        # work is. ONNX Runtime returns when its outputs lie in the memory of the CPU, on a stream of its own.
        if torch is not None and torch.cuda.is_initialized() and self.model.kind != "onnx":
            return clock.on_cuda(torch)
        return clock.on_cpu

    def _outputs(self, value: Any) -> Any:
        names = self.model.names
        return arrays.outputs(dict(zip(names, value)) if names else value)

    @contextlib.contextmanager
    def _calling(self) -> Any:
        """Call the model: without gradients, and with its exceptions as refusals."""
        try:
            with _without_gradients():
                yield
        except Refusal:
            raise
        except BaseException as error:
            shape = isinstance(error, (ValueError, RuntimeError)) and "shape" in str(error).lower()
            raise refused("bad-shape" if shape else "raised", error) from error


def _without_gradients() -> Any:
    torch = sys.modules.get("torch")
    return torch.inference_mode() if torch is not None else contextlib.nullcontext()


def metrics(found: Any) -> dict[str, float]:
    """Return a user's metrics: text to finite numbers, NumPy's and PyTorch's scalars included."""
    if not hasattr(found, "items") or not found:
        raise Refusal("bad-metrics", "it returned {}".format(type(found).__name__ if found else "nothing"))
    result = {}
    for name, value in found.items():
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise Refusal("bad-metrics", f"{name} is of type {type(value).__name__}") from None
        if not math.isfinite(number):
            raise Refusal("bad-metrics", f"{name} is {number}")
        result[str(name)] = number
    return result


def serve(questions: int, answers: int) -> None:
    """Answer until the pipe is closed."""
    own = os.getpid()
    for descriptor in (questions, answers):  # a program that the model starts does not get them
        os.set_inheritable(descriptor, False)
    _prefer_as_victim()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _close(questions, answers))
    worker = Worker()
    known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        name: getattr(worker, name)
        for name in ("load", "warm_up", "block", "memory", "environment", "example", "predict", "evaluate")
    }
    with os.fdopen(questions, "rb") as lines:
        for line in lines:
            asked = json.loads(line)
            try:
                answer = known[asked["do"]](asked)
            except Refusal as refusal:
                answer = {"fault": refusal.code, "said": refusal.said}
            except BaseException as error:  # noqa: BLE001 -- ours or the model's: it is an answer, not an end
                answer = {"fault": "raised", "said": words(error)}
            if os.getpid() != own:  # a fork in the model that came back here: it has nothing to say
                os._exit(0)
            _write(answers, json.dumps({"word": asked["word"], **answer}).encode() + b"\n")


def _write(answers: int, data: bytes) -> None:
    while data:
        data = data[os.write(answers, data) :]


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _prefer_as_victim() -> None:
    """Where memory runs out, the kernel stops this process and not the runner (proc_pid_oom_score_adj(5))."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
