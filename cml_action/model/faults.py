"""What can go wrong with a model, as sentences. The model's process sends a code; the words are ours.

What the model itself said (an exception's text) is not: it stands in backticks, on one line, cut.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from cml_action.errors import CmlActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SAID = 300


class UnloadedError(Exception):
    """A model's file that is not loaded, for what was found in it: a key of the tables below, and that."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said


class ModelFault(CmlActionError):  # noqa: N818 -- a fault is an answer; the gate's checks speak of it
    """A model that cannot be loaded, run or believed. A gate makes a Check of it.

    :param kind: what happened, a key of the tables below, `crash`, `hang`, `memory`, `end` or `pipe`.
    :param tail: the last of what the model printed; not ours.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, kind: str, what: str, fix: str = "", *, tail: str = "") -> None:
        super().__init__(what, fix)
        self.kind = kind
        self.tail = tail


class ModelSetupFault(ModelFault):
    """The model is not to blame: something it needs is missing, or was asked for wrongly."""

    exit_code: ClassVar[int] = 2


#: By code: what happened and what to do. `{said}` is what the model's side adds, the rest is known here.
_SETUP = {
    "missing": (
        "The model `{path}` is not there.",
        "An earlier step has to write it; `mode: pull, gate` fetches what DVC tracks.",
    ),
    "no-module": (
        "The model `{path}` needs the module {said}, which is not installed in `{python}`.",
        "Install it in a step before this one, or name another interpreter in the input `python`.",
    ),
    "no-class": (
        "The model `{path}` needs a class or function that is not there: {said}.",
        (
            "Define it in a module of the project, not in the script that saves the model (there it is in"
            " `__main__`), and save the model again; or install the version of the library that saved it."
        ),
    ),
    "old-python": (
        "`{python}` is too old: {said}.",
        "Name Python 3.8 or later in the input `python`.",
    ),
    "loader-missing": (
        "The loader `{loader}` was not found: {said}.",
        (
            "Correct `loader` under `model` in cml.yaml, or the input `model-loader`; modules are looked for"
            " in the project's folder and in what is installed."
        ),
    ),
    "loader-needed": (
        "The model `{path}` holds weights and no program: {said}.",
        "Name a function in `model-loader` that is given the path and returns a callable.",
    ),
    "no-callable": (
        "What was loaded from `{path}` cannot be called: {said}.",
        "Let `model-loader` return a callable, or a pair of a callable and an example of its input.",
    ),
    "unknown-type": (
        "The type of `{path}` is not known: {said}.",
        "Name a function in `model-loader` that is given the path and returns a callable.",
    ),
    "weights-beside": (
        "The model `{path}` keeps weights in another file: {said}. A verdict about it would leave them out.",
        (
            "Name the folder that holds both (`model: models/net/`), or save all in one file"
            " (`torch.onnx.export` with `external_data=False`)."
        ),
    ),
    "pickle": (
        "The model `{path}` is a pickle, which can run any program when it is loaded: {said}.",
        (
            "Save it as TorchScript, `.pt2`, ONNX, safetensors or skops; or, where you trust its origin, set"
            " `allow-pickle: true` under `model` in cml.yaml."
        ),
    ),
    "untrusted": (
        "The skops file `{path}` holds types that are not trusted: {said}.",
        "Look at them, and list those that are meant under `trusted` of `model` in cml.yaml.",
    ),
    "no-input": (
        "Nothing says what `{path}` takes.",
        (
            "Give `input` under `model` in cml.yaml (shape and dtype, or a sample file), or let the loader"
            " return an example as its second value."
        ),
    ),
    "bad-sample": (
        "The sample `{sample}` cannot be used: {said}.",
        (
            "Give arrays of numbers with the batch as their first dimension, as .npy, .npz, .json, .csv, .pt"
            " or .safetensors."
        ),
    ),
    "no-cuda": (
        "`device` is cuda, and there is none here: {said}.",
        "Run the job on a runner with a GPU and its driver, install a CUDA build, or set `device: cpu`.",
    ),
    "no-function": (
        "The function `{function}` was not found: {said}.",
        "Correct its name; modules are looked for in the project's folder and in what is installed.",
    ),
    "no-pytest": (
        "The tests in `{tests}` need pytest, which is not installed in `{python}`.",
        "Install pytest in a step before this one.",
    ),
    "no-tests": (
        "pytest found no test in `{tests}`.",
        "Name a file or folder with tests in `tests` under `model` in cml.yaml.",
    ),
}
_MODEL = {
    "unreadable": (
        "The model `{path}` cannot be read: {said}.",
        "It may be cut off or of another kind than its name says: write it again, and fetch all of it.",
    ),
    "weights-outside": (
        "The model `{path}` keeps weights in what is no file of its folder: {said}.",
        "Put all of its files into one folder, and let the `.onnx` file name them by their paths in there.",
    ),
    "dangerous": (
        "The pickle in `{path}` was not loaded, it names what a model does not need: {said}.",
        "Find out where the file comes from. If it is yours, save the weights alone, or use another format.",
    ),
    "unscannable": (
        "The pickle in `{path}` was not loaded, it could not be searched for dangerous calls: {said}.",
        "Write it again; a file that is cut off cannot be searched.",
    ),
    "loader-raised": (
        "The loader `{loader}` failed: {said}.",
        "Call it with the model's path in the same Python to see why.",
    ),
    "raised": (
        "The model `{path}` failed when it was called: {said}.",
        (
            "Compare `input` with what the model takes (text needs a file with rows, `input: rows.csv`), and"
            " call it once in the same Python."
        ),
    ),
    "gpu-memory": (
        "The GPU's memory is not enough for the model `{path}`: {said}.",
        "Use a GPU with more memory, or a smaller batch. With a `baseline` it holds both models.",
    ),
    "function-raised": (
        "The function `{function}` failed: {said}.",
        "Call it with the loaded model in the same Python to see why.",
    ),
    "bad-metrics": (
        "The function `{function}` returned no usable metrics: {said}.",
        "Return a dict from names to finite numbers.",
    ),
    "bad-output": (
        "What the model `{path}` returns cannot be read as arrays: {said}.",
        "Return an array, a tensor, or a list, tuple or dict of them.",
    ),
    "no-answer": (
        "The model `{path}` returns no answer, but a value of type {said}.",
        "Let the call do its work and return the result: no generator or coroutine, and not nothing.",
    ),
    "tests-broken": (
        "The tests in `{tests}` gave no result that can be used: {said}.",
        "Run `python -m pytest {tests}` with MODEL_PATH and MODEL_NAME set, in the same Python.",
    ),
    "bad-table": (
        "The model `{path}` cannot be given the rows of `data`: {said}.",
        (
            "Name the columns that it takes in `features` under `model` in cml.yaml, in its order, or give"
            " `evaluate` instead of `data`."
        ),
    ),
    "bad-shape": (
        "The model `{path}` does not take this input: {said}.",
        (
            "Correct `input` under `model` in cml.yaml. If it is about a column of `data`, list those that"
            " the model takes in `features`."
        ),
    ),
}


def fault(code: str, said: str, known: Mapping[str, str], *, tail: str = "") -> ModelFault:
    """Return the fault that the model's side named.

    :param said: its own words, which may be anything.
    :param known: what the sentences name: `path`, `loader`, `python`, `sample`, `function`, `tests`.
    """
    kind = ModelSetupFault if code in _SETUP else ModelFault
    sentences = _SETUP.get(code) or _MODEL.get(code)
    if sentences is None:
        return pipe_fault(known, tail=tail)
    words = {"said": quoted(said) if said else "no reason was given", **known}
    return kind(code, sentences[0].format_map(words), sentences[1].format_map(words), tail=tail)


def quoted(said: str) -> str:
    """Return words that are not ours as one short code span."""
    line = " ".join(said.replace("`", "'").split())
    return f"`{line[:_LONGEST_SAID]}{'…' if len(line) > _LONGEST_SAID else ''}`"


def ended_fault(code: int | None, doing: str, known: Mapping[str, str], *, tail: str = "") -> ModelFault:
    """Return what it means that the process ended while something was asked of it.

    :param code: its exit code, negative for a signal; None where it is still there and closed the pipe.
    :param doing: what was asked, in words: `it was loaded`.
    """
    name = known["path"]
    if code is None:
        return pipe_fault(known, tail=tail)
    if code == -signal.SIGKILL:
        return ModelFault(
            "killed",
            f"The process of the model `{name}` was killed from outside while {doing}, most likely because"
            " the machine ran out of memory.",
            "Use a runner with more memory, or a smaller batch.",
            tail=tail,
        )
    if code < 0:
        return ModelFault(
            "crash",
            f"The model `{name}` crashed its Python interpreter while {doing} ({_signal(-code)}).",
            "A library that it uses is broken or does not suit this machine: run it in the same Python, and"
            " look at the native traceback.",
            tail=tail,
        )
    return ModelFault(
        "end",
        f"The process of the model `{name}` ended by itself, with exit code {code}, while {doing}.",
        "A model must return, not exit: nothing that it said before is taken for an answer.",
        tail=tail,
    )


def hang_fault(
    seconds: float,
    doing: str,
    known: Mapping[str, str],
    *,
    whole: bool = False,
    ours: bool = False,
    tail: str = "",
) -> ModelFault:
    """Return what it means that there was no answer in time.

    :param whole: whether the time of the process as a whole was over.
    :param ours: whether `time-limit` says nothing about this limit.
    """
    within = f"before all its {seconds:.0f} seconds were over" if whole else f"within {seconds:.0f} seconds"
    more = "" if ours else ", or raise `time-limit` under `model` in cml.yaml"
    return ModelFault(
        "hang",
        f"The model `{known['path']}` gave no answer {within} while {doing}, and was stopped.",
        f"Look for what it waits for: input, a lock, the network; or make it faster{more}.",
        tail=tail,
    )


def memory_fault(
    used: int, limit: int, doing: str, known: Mapping[str, str], *, tail: str = ""
) -> ModelFault:
    """Return what it means that the process grew beyond its limit (bytes)."""
    return ModelFault(
        "memory",
        f"The model `{known['path']}` used {used / 1e9:.2f} GB while {doing}, more than the {limit / 1e9:.2f}"
        " GB that it may, and was stopped.",
        "Use a smaller batch, or a runner with more memory; if it grows with each call, something is kept.",
        tail=tail,
    )


def pipe_fault(known: Mapping[str, str], *, tail: str = "") -> ModelFault:
    """Return what it means that something else than an answer came through the pipe for answers."""
    return ModelFault(
        "pipe",
        f"The answers of the model `{known['path']}` cannot be believed: its code wrote to, or closed, the"
        " pipe that the answers come through.",
        "Write to standard output or to files; close only what you opened.",
        tail=tail,
    )


def time_fault(claimed_s: float, passed_s: float, known: Mapping[str, str]) -> ModelFault:
    """Return what it means that the times measured inside contradict the clock outside."""
    return ModelFault(
        "pipe",
        f"The times of the model `{known['path']}` cannot be believed: its process says that calls took"
        f" {claimed_s:.3g} seconds, of {passed_s:.3g} that passed here.",
        "Look for code in the model that changes clocks or answers in the worker's place.",
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
