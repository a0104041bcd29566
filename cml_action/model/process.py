"""The parent's side of the model's process: one question, one answer, and a fault for everything else.

Questions go down one pipe and answers come up another, each a line of JSON. Neither is standard input or
output, so what a model prints disturbs nothing. What this protects against, and what it does not:

- An answer counts only if it is the next whole line, is JSON, and repeats the random word (128 bits) of the
  question that was asked last. Anything else on the pipe, before or after a question, is a fault, and the
  process is stopped. So code that writes to all file descriptors, a fork that returns into the worker, or
  output that strays into the pipe never becomes a verdict.
- The process has no token or key in its environment, and no verdict is made there: limits, labels, file
  size, digest and the search of pickles stay on this side, and answers are checked as data from a stranger.
- The sum of the times in an answer may not exceed what passed on the clock here, nor be grossly below it.
- Code that is loaded into a process can read all of it: a model that *means* to can find the word, or answer
  well only when it is measured. It then lies about itself alone. It runs as the user who runs this step, and
  can read that user's files and processes. Who tests models of strangers does so in a job without secrets
  (and with `persist-credentials: false` in `actions/checkout`, which otherwise leaves a token in the clone).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.model import faults, pickles
from cml_action.model.child import Child
from cml_action.model.exchange import number, read_arrays, size_bytes, text, write_arrays
from cml_action.model.spec import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import numpy as np
    from typing_extensions import Self

    from cml_action.model.spec import ModelSpec, Place

_WORKER = Path(__file__).with_name("worker")
#: The longest answer: 100,000 times take 1 MB. Arrays travel as files.
_LONGEST_ANSWER = 32 * 2**20
#: Calls of one block at most.
MOST_CALLS = 100_000
#: What may pass on the clock here beside the calls: as much again, and this. A busy machine pauses for
#: seconds, so it finds gross lies only.
_SLACK_S = 5.0
#: How long a process may take from closing the pipe to its end, by which it is known why it closed it.
_LINGER_S = 5.0
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
    """

    kind: str
    seconds: float
    parameters: int | None
    size_bytes: int
    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    method: str


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
        self._place = place
        self._limits = limits or Limits()
        self._folder = Path(tempfile.mkdtemp(prefix="model-", dir=place.private))
        self._known = {
            "path": _shown(spec.path, place.project),
            "loader": spec.loader,
            "python": str(place.python),
            "sample": _shown(spec.sample, place.project) if spec.sample else "",
            "function": "",
        }
        self._buffer = bytearray()
        self._fault: faults.ModelFault | None = None
        self._questions, self._answers, self._child = self._start()
        self._ended = self._child.began + self._limits.total_s

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
        for descriptor in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._questions = self._answers = -1
        self._child.kill()

    @property
    def tail(self) -> str:
        """The last of what the model printed. Not ours: shown as code or not at all."""
        return self._child.tail

    def load(self) -> Loaded:
        """Load the model and one input for it; pickles are searched before."""
        spec = self.spec
        if not spec.path.exists():
            raise self._stop(faults.fault("missing", "", self._known))
        size = size_bytes(spec.path)
        try:
            pickles.search(spec.path, allow_pickle=spec.allow_pickle)
        except pickles.PickleError as error:
            raise self._stop(faults.fault(error.code, error.said, self._known)) from None
        found = self._ask(
            "load",
            "it was loaded",
            seconds=self._limits.load_s,
            path=str(spec.path),
            loader=spec.loader,
            inputs=[
                {"name": each.name, "shape": each.shape, "dtype": each.dtype, "range": each.range}
                for each in spec.inputs
            ],
            sample=str(spec.sample) if spec.sample else "",
            device=spec.device,
            threads=spec.threads,
            allow_pickle=spec.allow_pickle,
            trusted=list(spec.trusted),
        )
        with self._believed():
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
            )

    def warm_up(self, *, batch: int = 1, most_s: float = 5.0) -> WarmUp:
        """Call it until it stops becoming faster.

        Calls come in windows of about 50 ms (at least 3 calls). It is warm when three windows in a row have
        not lowered the least median so far by more than 2 %: noise makes calls slower, warming up faster.

        :param most_s: seconds after which it is measured as it is.
        """
        found = self._ask(
            "warm_up",
            "it was warmed up",
            seconds=max(self._limits.request_s, 3 * most_s),
            batch=batch,
            most_s=most_s,
        )
        with self._believed():
            return WarmUp(
                calls=int(found["calls"]),
                seconds=number(found["seconds"]),
                stable=bool(found["stable"]),
                median_s=number(found["median_s"]),
            )

    def time_block(self, calls: int, batch: int = 1) -> list[int]:
        """Call it so many times in a row and return the nanoseconds of each call.

        Python's garbage collector is off meanwhile. On the CPU a call lasts from the end of the one before
        to its own end; on CUDA it is what events before and behind it say, synchronised after each call.

        :param calls: 1 to 100,000.
        :raises ValueError: other numbers of calls.
        """
        if not 1 <= calls <= MOST_CALLS:
            raise ValueError(calls)
        began = time.perf_counter()
        found = self._ask("block", "it was measured", calls=calls, batch=batch)
        passed = time.perf_counter() - began
        with self._believed():
            times = [int(each) for each in found["ns"]]
            other = number(found["other_s"])
            if len(times) != calls or min(times) < 0:
                raise ValueError
        claimed = sum(times) / 1e9
        if claimed + other > _ROUNDING * passed or passed > 2 * claimed + other + _SLACK_S:
            raise self._stop(faults.time_fault(claimed, passed, self._known))
        return times

    def memory(self) -> Memory:
        """Return the memory as it is and the peak since the baseline."""
        found = self._ask("memory", "its memory was read")
        with self._believed():
            cuda = found["cuda_peak"]
            return Memory(
                baseline=int(found["baseline"]),
                now=int(found["now"]),
                peak=int(found["peak"]),
                exact=bool(found["exact"]),
                cuda_peak=None if cuda is None else int(cuda),
            )

    def environment(self) -> dict[str, str]:
        """Return where it runs: versions, processor, threads, GPU with its clocks; words for people."""
        found = self._ask("environment", "it was asked about its environment")
        with self._believed():
            return {text(name): text(value) for name, value in found["environment"].items()}

    def example(self, batch: int = 1) -> dict[str, np.ndarray[Any, Any]]:
        """Return the inputs that it is timed with, by name; a nameless one is `input` or `input_0`, …."""
        folder = self._new_folder()
        self._ask("example", "its input was made", batch=batch, folder=str(folder))
        with self._believed():
            return read_arrays(folder)

    def predict(
        self,
        inputs: Mapping[str, np.ndarray[Any, Any]],
        *,
        batch: int | None = None,
        table: bool = False,
        seconds: float | None = None,
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Call it on rows and return its outputs, joined along the first dimension.

        :param inputs: arrays of n rows by the inputs' names as `example` gives them; or columns.
        :param batch: rows of one call; all at once where None.
        :param table: `inputs` are n values each, the columns of a table. A model that was fitted on named
            columns (scikit-learn) gets a DataFrame where pandas is installed; others a matrix of float32.
        :param seconds: the limit of time.
        :return: arrays by name: `output`, `output_0`, …, or the keys of what it returns.
        """
        folder, results = self._new_folder(), self._new_folder()
        order = write_arrays(folder, inputs)
        self._ask(
            "predict",
            "it was called",
            seconds=seconds,
            folder=str(folder),
            results=str(results),
            order=order,
            batch=batch,
            table=table,
        )
        with self._believed():
            return read_arrays(results)

    def evaluate(self, function: str, *, seconds: float | None = None) -> dict[str, float]:
        """Run the user's function on the loaded model and return its metrics, all of them finite.

        :param function: `package.module:function`.
        """
        self._known["function"] = function
        found = self._ask("evaluate", f"`{function}` ran", seconds=seconds, function=function)
        with self._believed():
            return {text(name): number(value) for name, value in found["metrics"].items()}

    def _start(self) -> tuple[int, int, Child]:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        threads = str(self.spec.threads) if self.spec.threads else None
        extra = {f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS") if threads}
        if not self.spec.allow_pickle:  # also for a `torch.load` in a loader (PyTorch's documented variable)
            extra["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
        try:
            child = Child(
                # `-u`: what was printed before a crash is there to be read.
                [self._place.python, "-u", _WORKER / "__main__.py", str(down_read), str(up_write)],
                folder=self._place.project,
                environ=self._place.environ,
                extra={
                    **extra,
                    "MODEL_PATH": str(self.spec.path),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONFAULTHANDLER": "1",
                },
                memory_bytes=self._limits.memory_bytes,
                pass_fds=(down_read, up_write),
            )
        except BaseException:
            os.close(down_write)
            os.close(up_read)
            raise
        finally:
            os.close(down_read)
            os.close(up_write)
        os.set_blocking(up_read, False)
        return down_write, up_read, child

    def _ask(self, what: str, doing: str, *, seconds: float | None = None, **words: Any) -> dict[str, Any]:
        """Ask one question and return the answer.

        :raises ModelFault: for whatever comes instead of one.
        """
        if self._fault:  # it is gone
            raise self._fault
        limit, left = seconds or self._limits.request_s, self._ended - time.monotonic()
        until = time.monotonic() + min(limit, left)
        if left < limit:
            limit = self._limits.total_s
        if self._buffer or self._has_spoken():  # nobody asked
            raise self._stop(faults.pipe_fault(self._known, tail=self.tail))
        word = secrets.token_hex(16)
        line = json.dumps({"do": what, "word": word, **words}).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            os.write(self._questions, line)
        answer = self._answer(until, limit, doing)
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("word") != word or self._buffer:
            raise self._stop(faults.pipe_fault(self._known, tail=self.tail))
        if "fault" in found:
            raise faults.fault(str(found["fault"]), str(found.get("said", "")), self._known, tail=self.tail)
        return found

    def _answer(self, until: float, limit: float, doing: str) -> bytes:
        """Read one line."""
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                raise self._stop(faults.hang_fault(limit, doing, self._known, tail=self.tail))
            ready, _, _ = select.select([self._answers], [], [], left)
            if not ready:
                continue
            chunk = os.read(self._answers, 2**20)
            self._buffer += chunk
            if not chunk:
                raise self._stop(self._gone(doing))
            if len(self._buffer) > _LONGEST_ANSWER:
                raise self._stop(faults.pipe_fault(self._known, tail=self.tail))
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    def _has_spoken(self) -> bool:
        """Whether something came up the pipe by itself. Its end is no word: the next question meets it."""
        try:
            self._buffer += os.read(self._answers, 2**16)
        except BlockingIOError:
            return False
        return bool(self._buffer)

    def _gone(self, doing: str) -> faults.ModelFault:
        """Return why the pipe was closed."""
        code = self._child.wait(_LINGER_S)
        self.close()  # the tail is whole then
        if "cml-action runs models in Python 3.8 or later" in self.tail:
            return faults.fault("old-python", self.tail.rpartition(" ")[2], self._known)
        if self._child.overrun:
            used, limit = self._child.overrun, self._child.memory_limit
            return faults.memory_fault(used, limit, doing, self._known, tail=self.tail)
        return faults.ended_fault(code, doing, self._known, tail=self.tail)

    def _stop(self, fault: faults.ModelFault) -> faults.ModelFault:
        self.close()
        self._fault = fault
        return fault

    @contextlib.contextmanager
    def _believed(self) -> Any:
        """Take an answer apart; one that does not fit was not written by the worker."""
        try:
            yield
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, OSError):
            raise self._stop(faults.pipe_fault(self._known, tail=self.tail)) from None

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


def _shown(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
