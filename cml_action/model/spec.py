"""What is to be loaded, what it takes, and how long and how large it may become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cml_action.policy.demands import InputShape, ModelPolicy

Device: TypeAlias = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input of a model.

    :param name: the argument's name; empty where the model takes it by position.
    :param shape: its dimensions, the batch first.
    :param dtype: numpy's name of the element type.
    :param range: lowest and highest value, both included; the worker's choice where None.
    """

    name: str = ""
    shape: tuple[int, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """How a model is loaded and what it is given.

    :param path: the file or folder, absolute.
    :param loader: `package.module:function`, empty where the file's type decides.
    :param inputs: what it takes; empty where a sample, its signature or its loader says so.
    :param sample: a file with one input: `.npy`, `.npz`, `.json`, `.csv`, `.pt`, `.safetensors`.
    :param threads: threads of one operation; the library's own choice where None.
    :param allow_pickle: whether a pickle may be loaded, after a scan. It also lifts `weights_only`.
    :param trusted: types of a skops file that may be made, besides those that skops trusts itself.
    """

    path: Path
    loader: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    sample: Path | None = None
    device: Device = "cpu"
    threads: int | None = None
    allow_pickle: bool = False
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how large the model's process may become.

    :param load_s: seconds for the interpreter to start and the model to load, each.
    :param request_s: seconds for any other request, where the request does not say.
    :param total_s: seconds from the start to the end of the process. What asks for all of a data set, or for
        a function of the user's, takes what is left of it.
    :param memory_bytes: resident memory of the process and its children; where None, what is free on the
        machine (or in its control group) at the start, less a reserve.
    """

    load_s: float = 120.0
    request_s: float = 60.0
    total_s: float = 900.0
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a model runs.

    :param python: the interpreter, as `cml_action.model.python.find` returns it.
    :param project: the working directory, and the folder that loaders are imported from.
    :param private: a folder for arrays and results, this run's own.
    :param environ: the environment of this program; what may pass is chosen from it.
    """

    python: Path
    project: Path
    private: Path
    environ: Mapping[str, str] = field(repr=False)


def from_policy(policy: ModelPolicy | None, path: Path, project: Path, *, loader: str = "") -> ModelSpec:
    """Return how a model is loaded, as `cml.yaml` and the input `model-loader` say.

    :param path: the model, absolute; it may be another than the policy's (the one in production).
    :param loader: the input, which goes before the policy's.
    """
    if policy is None:
        return ModelSpec(path=path, loader=loader)
    given = policy.input
    tensors = (
        given if isinstance(given, tuple) else () if given is None or isinstance(given, str) else (given,)
    )
    return ModelSpec(
        path=path,
        loader=loader or policy.loader or "",
        inputs=tuple(_tensor(each) for each in tensors),
        sample=project / given if isinstance(given, str) else None,
        device=policy.device,
        threads=policy.threads,
        allow_pickle=policy.allow_pickle,
        trusted=policy.trusted or (),
    )


def limits(policy: ModelPolicy | None) -> Limits:
    """Return how long and how large a model's process may become, as `cml.yaml` says."""
    if policy is None or policy.time_limit is None:
        return Limits()
    return Limits(load_s=policy.time_limit, total_s=policy.time_limit)


def _tensor(shape: InputShape) -> TensorSpec:
    return TensorSpec(
        name=shape.name or "",
        shape=shape.shape,
        dtype=shape.dtype,
        range=(shape.range[0], shape.range[1]) if shape.range else None,
    )
