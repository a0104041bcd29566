"""Models by the type of their file, and what a user's loader returns."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import sys
import zipfile
from time import perf_counter
from typing import Any, Callable, Sequence

from .refusal import Refusal, attempt, refused, words
from .system import Memory

_PICKLES = (".pkl", ".pickle", ".joblib")
_TORCH = (".pt", ".pth", ".pt2", ".ckpt", ".bin", ".ts", ".torchscript")
#: ONNX Runtime's names of element types that differ from numpy's.
_ONNX_TYPES = {"float": "float32", "double": "float64"}


class Model:
    """A model that is ready to be called.

    :param native: what a user's `evaluate` is given.
    :param call: what is timed; `form`: which arrays it takes (`torch`, `numpy`, `list`).
    :param signature: its inputs as far as it says them itself: name, shape (0 where open), dtype.
    :param example: an input that the loader gave, None where it gave none.
    :param names: of its outputs, where it has some; `columns`: those that it was fitted on.
    """

    def __init__(self, kind: str, native: Any, call: Callable[..., Any], method: str, form: str) -> None:
        self.kind = kind
        self.native = native
        self.call = call
        self.method = method
        self.form = form
        self.signature: list[dict[str, Any]] = []
        self.example: Any = None
        self.names: list[str] = []
        self.columns: list[str] = []
        self.parameters: int | None = None
        self.seconds = 0.0


def load(asked: dict[str, Any]) -> tuple[Model, Memory]:
    """Load a model; its time and the memory's baseline begin when the libraries have been imported."""
    path, device = asked["path"], asked["device"]
    if asked["loader"]:
        make = _by_loader(asked)
        function(asked["loader"], "loader-missing")
    else:
        make = _by_type(asked)
        attempt("unreadable", _import_library, asked)
    # Before the baseline: to count them, the file is read a second time.
    parameters = attempt("unreadable", _onnx_parameters, path) if path.endswith(".onnx") else None
    _set_threads(asked["threads"])
    _need_cuda(device)
    memory = Memory()
    began = perf_counter()
    model = make()
    if device == "cuda" and "torch" in sys.modules:
        sys.modules["torch"].cuda.synchronize()
    model.seconds = perf_counter() - began
    model.parameters = model.parameters if parameters is None else parameters
    return model, memory


def _by_type(asked: dict[str, Any]) -> Callable[[], Model]:
    path = asked["path"]
    suffix = os.path.splitext(path)[1].lower()
    # What is refused without a library is refused before one is imported.
    if suffix in _PICKLES and not asked["allow_pickle"]:
        raise Refusal("pickle", "`allow-pickle` is not set")
    if suffix in _TORCH:
        _torch_kind(path)
    if suffix == ".skops" and not zipfile.is_zipfile(path):
        raise Refusal("unreadable", "it is no archive, as skops writes it")
    kinds = {
        ".onnx": _onnx,
        ".skops": _skops,
        **dict.fromkeys(_PICKLES, _pickle),
        **dict.fromkeys(_TORCH, _torch),
    }
    if suffix in kinds:
        return lambda: kinds[suffix](asked)
    if suffix == ".safetensors":
        raise Refusal("loader-needed", "safetensors files hold tensors alone")
    if os.path.isdir(path):
        raise Refusal("unknown-type", "a folder with no .onnx file, or with several")
    raise Refusal("unknown-type", "a file ending in {}".format(suffix or "nothing"))


def _import_library(asked: dict[str, Any]) -> None:
    suffix = os.path.splitext(asked["path"])[1].lower()
    names = {".onnx": ("onnxruntime",), ".skops": ("sklearn", "skops.io")}
    library = ("joblib",) if asked["joblib"] else names.get(suffix, ("torch",) if suffix in _TORCH else ())
    for name in library:
        importlib.import_module(name)
    if suffix in _PICKLES:  # they were searched, and loading imports the same
        for name in asked["modules"]:
            with contextlib.suppress(Exception):  # loading will tell
                importlib.import_module(name)


def function(name: str, missing: str) -> Callable[..., Any]:
    """Return what `package.module:function` names, imported from the project or from what is installed."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise Refusal(missing, f"there is no module {error.name}") from error
        raise Refusal("no-module", error.name or words(error)) from error
    except BaseException as error:
        raise Refusal(missing, f"importing {module_name} raised {words(error)}") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        has = "is no function" if hasattr(module, attribute) else "does not exist"
        raise Refusal(missing, f"{attribute} {has} in {module_name}")
    return found  # type: ignore[no-any-return]


def _by_loader(asked: dict[str, Any]) -> Callable[[], Model]:
    def make() -> Model:
        loader = function(asked["loader"], "loader-missing")
        found = attempt("loader-raised", loader, asked["path"])
        example = None
        if isinstance(found, tuple) and len(found) == 2:  # noqa: PLR2004 -- a model and its input
            found, example = found
        model = _wrapped(found, asked)
        model.example = example if example is not None else getattr(found, "example_input", None)
        return model

    return make


def _wrapped(found: Any, asked: dict[str, Any]) -> Model:
    """Return what a loader or a pickle gave as a model."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(found, torch.nn.Module):
        return _module("torch", found, asked)
    runtime = sys.modules.get("onnxruntime")
    if runtime is not None and isinstance(found, runtime.InferenceSession):
        return _session(found)
    if callable(found) and not hasattr(found, "predict"):
        form = "torch" if torch is not None else "numpy"
        return Model("callable", found, found, "__call__", form)
    for method in ("predict", "transform"):
        if callable(getattr(found, method, None)):
            return _estimator(found, method)
    raise Refusal("no-callable", f"it is of type {type(found).__name__}")


def waited_for(model: Model) -> Callable[..., Any]:
    """Return what is called, and lasts until its work is done: JAX's functions end before, on the CPU too.

    To be asked for when the model is called, for its first call may be what imports JAX.
    """
    jax, call = sys.modules.get("jax"), model.call
    if jax is None or model.kind not in ("callable", "sklearn"):
        return call
    return lambda *given, **named: jax.block_until_ready(call(*given, **named))


def _module(kind: str, module: Any, asked: dict[str, Any]) -> Model:
    if kind != "torch-export":  # which was fixed in its mode, and on its device, when it was made
        module = attempt("loader-raised", _settled, module, asked["device"])
    model = Model(kind, module, module, "forward", "torch")
    # What is quantized or frozen has its weights elsewhere: none is as good as unknown.
    model.parameters = sum(each.numel() for each in module.parameters()) or None
    if isinstance(module, sys.modules["torch"].fx.GraphModule):
        model.signature = _graph_inputs(module.graph)
    return model


def _settled(module: Any, device: str) -> Any:
    with contextlib.suppress(NotImplementedError):  # of an exported program's module, which a loader returns
        module.eval()
    return module.to(device)


def _torch(asked: dict[str, Any]) -> Model:
    import torch

    path, device = asked["path"], asked["device"]
    kind = _torch_kind(path)
    if kind == "torchscript":
        return _module(kind, attempt("unreadable", torch.jit.load, path, map_location=device), asked)
    if kind == "torch-export":
        return _exported(torch, path, device)
    try:
        found = torch.load(path, map_location=device, weights_only=not asked["allow_pickle"])
    except pickle.UnpicklingError as error:
        if asked["allow_pickle"] or "weights" not in str(error).lower():
            raise Refusal("unreadable", words(error)) from error
        raise Refusal("pickle", "it holds more than weights") from error
    except BaseException as error:
        raise refused("unreadable", error) from error
    if isinstance(found, torch.nn.Module):
        return _module("torch", found, asked)
    what = "a Lightning checkpoint" if _is_lightning(found) else f"of type {type(found).__name__}"
    raise Refusal("loader-needed", "it is " + what)


def _is_lightning(found: Any) -> bool:
    return isinstance(found, dict) and "state_dict" in found and "pytorch-lightning_version" in found


def _torch_kind(path: str) -> str:
    """Tell PyTorch's archives apart by what lies in them: code, an exported program, or a pickle alone."""
    with open(path, "rb") as file:
        head = file.read(16)
    if not head.startswith(b"PK"):
        if head.startswith(b"\x80"):  # as written before PyTorch 1.6
            return "pickle"
        raise Refusal("unreadable", "it does not begin as a file of PyTorch's does")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise Refusal("unreadable", words(error)) from error
    inner = [name.partition("/")[2] for name in names]
    if any(name.startswith("code/") for name in inner) and "constants.pkl" in inner:
        return "torchscript"
    exported = ("serialized_exported_program.json", "archive_format")
    if any(name.endswith(exported) for name in names):
        return "torch-export"
    return "pickle"


def _exported(torch: Any, path: str, device: str) -> Model:
    program = attempt("unreadable", torch.export.load, path)
    held = (*program.state_dict.values(), *getattr(program, "constants", {}).values())  # from PyTorch 2.3 on
    if device == "cuda" or any(getattr(each, "is_cuda", False) for each in held):
        passes = attempt("unreadable", importlib.import_module, "torch.export.passes")  # from 2.6 on
        program = attempt("unreadable", passes.move_to_device_pass, program, device)
    model = _module("torch-export", attempt("unreadable", program.module), {"device": device})
    example = program.example_inputs
    if example and isinstance(example[-1], dict):
        given, named = example
        model.signature = _graph_inputs(model.native.graph, [*("" for _ in given), *named])
        is_open = any(0 in each["shape"][1:] for each in model.signature)  # beyond its rows
        tensors = all(isinstance(each, torch.Tensor) for each in (*given, *named.values()))
        if is_open and tensors and not (given and named):
            model.example = named or given
    return model


def _graph_inputs(graph: Any, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read the inputs off the placeholders of an exported program's module; an open dimension is 0.

    The graph has them in one line; which of them are given by name, the example that it was made with tells.
    """
    places = [node for node in graph.nodes if node.op == "placeholder"]
    known = names if len(names) == len(places) else [""] * len(places)
    found = []
    for name, node in zip(known, places):
        value = node.meta.get("val")  # a traced module has none
        if hasattr(value, "shape"):
            shape = [each if isinstance(each, int) else 0 for each in value.shape]
            found.append({"name": name, "shape": shape, "dtype": str(value.dtype).replace("torch.", "")})
    return found


def _onnx(asked: dict[str, Any]) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if asked["threads"]:
        options.intra_op_num_threads = asked["threads"]
    wanted = ["CPUExecutionProvider"]
    if asked["device"] == "cuda":
        wanted.insert(0, "CUDAExecutionProvider")
        if wanted[0] not in onnxruntime.get_available_providers():
            raise Refusal("no-cuda", "this onnxruntime has no CUDAExecutionProvider")
    session = attempt(
        "unreadable", onnxruntime.InferenceSession, asked["path"], sess_options=options, providers=wanted
    )
    if session.get_providers()[0] != wanted[0]:  # it falls back in silence
        raise Refusal("no-cuda", f"onnxruntime could not start its {wanted[0]}")
    return _session(session)


def _session(session: Any) -> Model:
    outputs = [each.name for each in session.get_outputs()]
    model = Model("onnx", session, lambda **feed: session.run(None, feed), "run", "numpy")
    model.names = outputs
    for each in session.get_inputs():
        dtype = each.type.partition("(")[2].rstrip(")")
        shape = [size if isinstance(size, int) and size > 0 else 0 for size in each.shape]
        model.signature.append({"name": each.name, "shape": shape, "dtype": _ONNX_TYPES.get(dtype, dtype)})
    return model


def _onnx_parameters(path: str) -> int | None:
    try:
        import onnx
    except ImportError:
        return None
    graph = onnx.load(path, load_external_data=False).graph
    total = 0
    for tensor in graph.initializer:
        size = 1
        for each in tensor.dims:
            size *= each
        total += size
    return total or None  # those of trees are attributes


def _skops(asked: dict[str, Any]) -> Model:
    import skops.io

    path, trusted = asked["path"], list(asked["trusted"])
    found = attempt("unreadable", skops.io.get_untrusted_types, file=path)
    foreign = sorted(set(found) - set(trusted))
    if foreign:
        raise Refusal("untrusted", ", ".join(foreign))
    return _wrapped(attempt("unreadable", skops.io.load, path, trusted=trusted), asked)


def _pickle(asked: dict[str, Any]) -> Model:
    path = asked["path"]
    if asked["joblib"]:  # as the search read it: the other reader would take an array's bytes for a program
        import joblib

        return _wrapped(attempt("unreadable", joblib.load, path), asked)
    with open(path, "rb") as file:
        return _wrapped(attempt("unreadable", pickle.load, file), asked)


def _estimator(found: Any, method: str) -> Model:
    model = Model("sklearn", found, getattr(found, method), method, "numpy")
    features = getattr(found, "n_features_in_", None)
    model.columns = [str(each) for each in getattr(found, "feature_names_in_", [])]
    if isinstance(features, int):
        model.signature = [{"name": "", "shape": [0, features], "dtype": "float64"}]
    return model


def _set_threads(threads: int | None) -> None:
    if threads and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _need_cuda(device: str) -> None:
    if device != "cuda" or ("torch" not in sys.modules and "onnxruntime" in sys.modules):
        return
    try:
        import torch
    except ImportError:
        raise Refusal("no-cuda", "PyTorch, by which it is found, is not installed") from None
    if not torch.cuda.is_available():
        built = torch.version.cuda or getattr(torch.version, "hip", None)
        raise Refusal("no-cuda", "no GPU was found" if built else "this PyTorch is a build for the CPU")
    attempt("no-cuda", _start_cuda, torch)


def _start_cuda(torch: Any) -> None:
    """Start the driver's part of this process: seconds and hundreds of megabytes that are not the model's."""
    torch.zeros(1, device="cuda")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
