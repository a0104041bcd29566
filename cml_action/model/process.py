"""A model in a process of its own, and what can be asked of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.model import faults, onnxfile, pickles
from cml_action.model.exchange import number, read_arrays, size_bytes, text, write_arrays
from cml_action.model.pipe import Pipe
from cml_action.model.spec import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import numpy as np
    from typing_extensions import Self

    from cml_action.model.spec import ModelSpec, Place

#: Calls of one block at most.
MOST_CALLS = 100_000
#: What may pass on the clock here beside the calls: as much again, and this. A busy machine pauses for
#: seconds, so it finds gross lies only.
_SLACK_S = 5.0
#: An event of CUDA's is rounded to half a microsecond.
_ROUNDING = 1.01


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model that stands ready.

    :param kind: `torchscript`, `torch-export`, `torch`, `onnx`, `sklearn` or `callable`.
    :param seconds: from opening the file to a callable; the libraries were imported before.
    :param parameters: how many numbers were learned; None where that cannot be told.
    :param size_bytes: of the file, or of all files of the folder.
    :param inputs: name, shape and dtype of each input that it will be called with.
    :param method: what is called: `forward`, `predict`, `run`, `__call__`.
    :param batch: the rows of every call, where it takes no other number.
    """

    kind: str
    seconds: float
    parameters: int | None
    size_bytes: int
    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    method: str
    batch: int | None = None


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What it took until calls stopped becoming faster.

    :param stable: False where the time for it ran out first.
    :param median_s: median seconds of a call in the last window.
    """

    calls: int
    seconds: float
    stable: bool
    median_s: float


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of resident memory.

    :param baseline: with the libraries imported, before the file was opened.
    :param now: at this moment; `peak`: the most since the baseline.
    :param exact: False where the system could not forget the peak of the imports, and `peak` may be theirs.
    :param cuda_peak: the most that PyTorch's allocator held on the GPU; None without one.
    """

    baseline: int
    now: int
    peak: int
    exact: bool
    cuda_peak: int | None

    @property
    def over_baseline(self) -> int:
        """The peak over the baseline: what the model itself takes."""
        return max(0, self.peak - self.baseline)


class Worker:
    """A model in a process of its own. Use it in a `with`: at its end nothing of the process is left.

    Every method may raise a `ModelFault` (`cml_action/model/faults.py`); then the process is gone, except
    after faults of kinds that the model's code raised (`raised`, `bad-shape`, …), after which it lives on.
    """

    def __init__(self, spec: ModelSpec, place: Place, limits: Limits | None = None) -> None:
        self.spec = spec
        self._folder = Path(tempfile.mkdtemp(prefix="model-", dir=place.private))
        self._pipe = Pipe(spec, place, limits or Limits())

    def __enter__(self) -> Self:
        """Return the same."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, and remove its folder."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """End the process and everything that it started."""
        self._pipe.close()

    @property
    def tail(self) -> str:
        """The last of what the model printed. Not ours: shown as code or not at all."""
        return self._pipe.tail

    def load(self, rows: Mapping[str, np.ndarray[Any, Any]] | None = None) -> Loaded:
        """Load the model and one input for it; pickles and ONNX files are searched before.

        :param rows: columns of a table, a few values each: the input of a model that was fitted on columns of
            these names, where nothing else says what it takes.
        """
        spec = self.spec
        if not spec.path.exists():
            raise self._pipe.stop(faults.fault("missing", "", self._pipe.known))
        size = size_bytes(spec.path)
        try:
            pickle = pickles.search(spec.path, allow_pickle=spec.allow_pickle)
            onnxfile.search(spec.path, loader=bool(spec.loader))
        except faults.UnloadedError as error:
            raise self._pipe.stop(faults.fault(error.code, error.said, self._pipe.known)) from None
        folder = self._new_folder()
        columns = write_arrays(folder, rows or {})
        found = self._pipe.ask(
            "load",
            "it was loaded",
            seconds=self._pipe.limits.load_s,
            path=str(spec.path if spec.loader else onnxfile.gathered(spec.path, self._new_folder())),
            loader=spec.loader,
            inputs=[
                {"name": each.name, "shape": each.shape, "dtype": each.dtype, "range": each.range}
                for each in spec.inputs
            ],
            sample=str(spec.sample) if spec.sample else "",
            rows=str(folder),
            columns=columns,
            device=spec.device,
            threads=spec.threads,
            allow_pickle=spec.allow_pickle,
            joblib=pickle.by_joblib,
            modules=list(pickle.modules),
            trusted=list(spec.trusted),
        )
        with self._pipe.believed():
            return Loaded(
                kind=text(found["kind"]),
                seconds=number(found["seconds"]),
                parameters=None if found["parameters"] is None else int(found["parameters"]),
                size_bytes=size,
                inputs=tuple(
                    (text(name), tuple(int(each) for each in shape), text(dtype))
                    for name, shape, dtype in found["inputs"]
                ),
                method=text(found["method"]),
                batch=None if found["batch"] is None else int(found["batch"]),
            )

    def warm_up(self, *, batch: int = 1, most_s: float = 5.0) -> WarmUp:
        """Call it until it stops becoming faster.

        Calls come in windows of about 50 ms (at least 3 calls). It is warm when three windows in a row have
        not lowered the least median so far by more than 2 %: noise makes calls slower, warming up faster.

        :param most_s: seconds after which it is measured as it is.
        """
        found = self._pipe.ask(
            "warm_up",
            "it was warmed up",
            seconds=max(self._pipe.limits.request_s, 3 * most_s),
            batch=batch,
            most_s=most_s,
        )
        with self._pipe.believed():
            return WarmUp(
                calls=int(found["calls"]),
                seconds=number(found["seconds"]),
                stable=bool(found["stable"]),
                median_s=number(found["median_s"]),
            )

    def time_block(self, calls: int, draw: int | None = None, *, batch: int = 1) -> list[int]:
        """Call it so many times in a row and return the nanoseconds of each call.

        Python's garbage collector is off meanwhile. On the CPU a call lasts from the end of the one before
        to its own end; on CUDA it is what events before and behind it say, synchronised after each call.

        :param calls: 1 to 100,000.
        :param draw: a number that draws the processor to begin on, of those that the process may use (Linux
            alone); where None, it begins where the system has it.
        :raises ValueError: other numbers of calls.
        """
        if not 1 <= calls <= MOST_CALLS:
            raise ValueError(calls)
        began = time.perf_counter()
        found = self._pipe.ask("block", "it was measured", calls=calls, batch=batch, draw=draw)
        passed = time.perf_counter() - began
        with self._pipe.believed():
            times = [int(each) for each in found["ns"]]
            other = number(found["other_s"])
            if len(times) != calls or min(times) < 0:
                raise ValueError
        claimed = sum(times) / 1e9
        if claimed + other > _ROUNDING * passed or passed > 2 * claimed + other + _SLACK_S:
            raise self._pipe.stop(faults.time_fault(claimed, passed, self._pipe.known))
        return times

    def memory(self) -> Memory:
        """Return the memory as it is and the peak since the baseline."""
        found = self._pipe.ask("memory", "its memory was read")
        with self._pipe.believed():
            cuda = found["cuda_peak"]
            return Memory(
                baseline=int(found["baseline"]),
                now=int(found["now"]),
                peak=int(found["peak"]),
                exact=bool(found["exact"]),
                cuda_peak=None if cuda is None else int(cuda),
            )

    def environment(self, *, busy: bool = False) -> dict[str, str]:
        """Return where it runs: versions, processor, threads, GPU; words for people.

        :param busy: call it meanwhile, and return a GPU's clocks too: those of an idle one say nothing.
        """
        found = self._pipe.ask("environment", "it was asked about its environment", busy=busy)
        with self._pipe.believed():
            return {text(name): text(value) for name, value in found["environment"].items()}

    def example(self, batch: int = 1) -> dict[str, np.ndarray[Any, Any]]:
        """Return the inputs that it is timed with, by name; a nameless one is `input` or `input_0`, …."""
        folder = self._new_folder()
        self._pipe.ask("example", "its input was made", batch=batch, folder=str(folder))
        with self._pipe.believed():
            return read_arrays(folder)

    def predict(
        self,
        inputs: Mapping[str, np.ndarray[Any, Any]],
        *,
        batch: int | None = None,
        table: bool = False,
        own: int | None = None,
        seconds: float | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Call it on rows and return its outputs, joined along the first dimension.

        :param inputs: arrays of n rows by the inputs' names as `example` gives them; or columns.
        :param batch: rows of one call; all at once where None, or as many as the model always takes.
        :param table: `inputs` are n values each, the columns of a table. A model that was fitted on named
            columns (scikit-learn) gets a DataFrame where pandas is installed; others a matrix of the type of
            their input.
        :param own: how many columns, the first, a model gets that has no names for them; all where None.
        :param seconds: the limit of time.
        :return: arrays by name: `output`, `output_0`, …, or the keys of what it returns.
        """
        folder, results = self._new_folder(), self._new_folder()
        order = write_arrays(folder, inputs)
        self._pipe.ask(
            "predict",
            "it was called",
            seconds=seconds,
            folder=str(folder),
            results=str(results),
            order=order,
            batch=batch,
            table=table,
            own=own,
        )
        with self._pipe.believed():
            return read_arrays(results)

    def evaluate(self, function: str, *, seconds: float | None = None) -> dict[str, float]:
        """Run the user's function on the loaded model and return its metrics, all of them finite.

        :param function: `package.module:function`.
        """
        self._pipe.known["function"] = function
        found = self._pipe.ask("evaluate", f"`{function}` ran", seconds=seconds, function=function)
        with self._pipe.believed():
            return {text(name): number(value) for name, value in found["metrics"].items()}

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))
