"""The pipe to the model's process: one question, one answer, and a fault for everything else.

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
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.model import faults
from cml_action.model.child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cml_action.model.spec import Limits, ModelSpec, Place

_WORKER = Path(__file__).with_name("worker")
#: The longest answer: 100,000 times take 1 MB. Arrays travel as files.
_LONGEST_ANSWER = 32 * 2**20
#: How long a process may take from closing the pipe to its end, by which it is known why it closed it.
_LINGER_S = 5.0


class Pipe:
    """The process of a model, and the pipe to it.

    :param known: what messages name: see `faults.fault`.
    """

    def __init__(self, spec: ModelSpec, place: Place, limits: Limits) -> None:
        self.limits = limits
        self.known = {
            "path": _shown(spec.path, place.project),
            "loader": spec.loader,
            "python": str(place.python),
            "sample": _shown(spec.sample, place.project) if spec.sample else "",
            "function": "",
        }
        self._buffer = bytearray()
        self._fault: faults.ModelFault | None = None
        self._questions, self._answers, self._child = _start(spec, place, limits)
        self._ended = self._child.began + limits.total_s

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

    def ask(self, what: str, doing: str, *, seconds: float | None = None, **words: Any) -> dict[str, Any]:
        """Ask one question and return the answer.

        :raises ModelFault: for whatever comes instead of one.
        """
        if self._fault:  # it is gone
            raise self._fault
        limit, left = seconds or self.limits.request_s, self._ended - time.monotonic()
        until = time.monotonic() + min(limit, left)
        if left < limit:
            limit = self.limits.total_s
        if self._buffer or self._has_spoken():  # nobody asked
            raise self.stop(faults.pipe_fault(self.known, tail=self.tail))
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
            raise self.stop(faults.pipe_fault(self.known, tail=self.tail))
        if "fault" in found:
            raise faults.fault(str(found["fault"]), str(found.get("said", "")), self.known, tail=self.tail)
        return found

    def stop(self, fault: faults.ModelFault) -> faults.ModelFault:
        """End the process for a fault, which every later question meets, and return it to be raised."""
        self.close()
        self._fault = fault
        return fault

    @contextlib.contextmanager
    def believed(self) -> Iterator[None]:
        """Take an answer apart; one that does not fit was not written by the worker."""
        try:
            yield
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, OSError):
            raise self.stop(faults.pipe_fault(self.known, tail=self.tail)) from None

    def _answer(self, until: float, limit: float, doing: str) -> bytes:
        """Read one line."""
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                whole = limit == self.limits.total_s
                ours = limit == self.limits.request_s and not whole
                raise self.stop(
                    faults.hang_fault(limit, doing, self.known, whole=whole, ours=ours, tail=self.tail)
                )
            ready, _, _ = select.select([self._answers], [], [], left)
            if not ready:
                continue
            chunk = os.read(self._answers, 2**20)
            self._buffer += chunk
            if not chunk:
                raise self.stop(self._gone(doing))
            if len(self._buffer) > _LONGEST_ANSWER:
                raise self.stop(faults.pipe_fault(self.known, tail=self.tail))
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
            return faults.fault("old-python", self.tail.rpartition(" ")[2], self.known)
        if self._child.overrun:
            used, limit = self._child.overrun, self._child.memory_limit
            return faults.memory_fault(used, limit, doing, self.known, tail=self.tail)
        return faults.ended_fault(code, doing, self.known, tail=self.tail)


def _start(spec: ModelSpec, place: Place, limits: Limits) -> tuple[int, int, Child]:
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    threads = str(spec.threads) if spec.threads else None
    extra = {f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS") if threads}
    if not spec.allow_pickle:  # also for a `torch.load` in a loader (PyTorch's documented variable)
        extra["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        child = Child(
            # `-u`: what was printed before a crash is there to be read.
            [place.python, "-u", _WORKER / "__main__.py", str(down_read), str(up_write)],
            folder=place.project,
            environ=place.environ,
            extra={
                **extra,
                "MODEL_PATH": str(spec.path),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONFAULTHANDLER": "1",
            },
            memory_bytes=limits.memory_bytes,
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


def _shown(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
