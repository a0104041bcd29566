"""Arrays in the forms that models take: NumPy's, PyTorch's, or plain lists where there is neither."""

from __future__ import annotations

import array
import ast
import ctypes
import json
import os
import random
import struct
import sys
from typing import Any, Awaitable, Iterator, Mapping, Sequence

from .refusal import Refusal, words

#: numpy's letter of each element type, for files; and the `array` module's.
_LETTERS = {
    "bool": ("|b1", "B"), "uint8": ("|u1", "B"), "int8": ("|i1", "b"), "int16": ("<i2", "h"),
    "int32": ("<i4", "i"), "int64": ("<i8", "q"), "float16": ("<f2", ""), "float32": ("<f4", "f"),
    "float64": ("<f8", "d"),
}  # fmt: skip
_NAMES = {letter.lstrip("<|"): name for name, (letter, _) in _LETTERS.items()}
_MAGIC = b"\x93NUMPY"


def numpy() -> Any:
    """Return NumPy, or None where it is not installed."""
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def is_tensor(value: Any) -> bool:
    """Whether it is PyTorch's."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_rows(value: Any) -> bool:
    """Whether it has a first dimension that counts rows: an array, a tensor, a DataFrame, a list."""
    if isinstance(value, (list, str, bytes)):
        return isinstance(value, list) and bool(value)
    return hasattr(value, "shape") and len(value.shape) > 0


def count(value: Any) -> int:
    """Return how many rows there are."""
    return len(value) if isinstance(value, list) else int(value.shape[0])


def shape_of(value: Any) -> list[int]:
    """Return the dimensions."""
    if hasattr(value, "shape"):
        return [int(each) for each in value.shape]
    found = []
    while isinstance(value, (list, tuple)):
        found.append(len(value))
        value = value[0] if value else None
    return found


def dtype_of(value: Any) -> str:
    """Return the name of the element type."""
    if hasattr(value, "dtype"):
        return str(value.dtype).replace("torch.", "")
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return type(value).__name__


def take(value: Any, start: int, rows: int) -> Any:
    """Return so many rows from one on; from the end it goes on at the beginning."""
    total = count(value)
    if start + rows <= total:
        return value.iloc[start : start + rows] if hasattr(value, "iloc") else value[start : start + rows]
    places = [(start + each) % total for each in range(rows)]
    if isinstance(value, list):
        return [value[each] for each in places]
    return value.iloc[places] if hasattr(value, "iloc") else value[places]


def made(spec: Mapping[str, Any], form: str, rows: int) -> Any:
    """Return random values of a shape and type, the same in every run.

    Floating point numbers lie in 0 to 1, whole numbers are 0 or 1, unless a range is given (both ends in it).
    """
    shape = [rows, *spec["shape"][1:]]
    low, high = spec["range"] or (0, 1)
    dtype = spec["dtype"]
    whole = not dtype.startswith("float")
    np = numpy()
    if np is not None:
        draw = np.random.default_rng(0)
        values = draw.integers(int(low), int(high) + 1, shape) if whole else draw.uniform(low, high, shape)
        return as_form(values.astype(dtype), form)
    if form == "torch":
        torch = sys.modules["torch"]
        source = torch.Generator().manual_seed(0)
        values = torch.rand(shape, generator=source, dtype=torch.float64) * (high - low + whole) + low
        return (values.floor() if whole else values).to(getattr(torch, dtype))
    plain = random.Random(0)  # noqa: S311 -- values, not secrets
    size = 1
    for each in shape:
        size *= each
    return _nested(
        [plain.randint(int(low), int(high)) if whole else plain.uniform(low, high) for _ in range(size)],
        shape,
    )


def as_form(value: Any, form: str) -> Any:
    """Return an array as a model takes it: `torch`, `numpy` or `list`."""
    if form == "torch" and not is_tensor(value) and hasattr(value, "dtype"):
        torch = sys.modules["torch"]
        if value.dtype.kind not in "biuf":
            raise Refusal("bad-shape", f"a tensor holds numbers, and {value.dtype} is none")
        return torch.from_numpy(value)
    if form == "numpy" and is_tensor(value):
        return _exchanged(value).numpy()
    if form == "list" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _exchanged(tensor: Any) -> Any:
    """Return a tensor on the CPU, of a type that NumPy has: bfloat16 and float8 become float32, exactly."""
    tensor = tensor.detach().cpu()
    return tensor.float() if dtype_of(tensor).startswith(("bfloat16", "float8")) else tensor


def typed_as(given: Any, value: Any) -> Any:
    """Return a tensor as the type of another one that NumPy does not have."""
    has = not is_tensor(given) or not is_tensor(value) or dtype_of(given) in _LETTERS
    return value if has else value.to(given.dtype)


def outputs(value: Any) -> list[tuple[str, Any]]:
    """Return the arrays that a model returned, with their names; `state.0` is the first in `state`.

    Behind the first one, what is no array (a cache of keys and values) is left out.
    """
    if value is None or isinstance(value, (Iterator, Awaitable)):  # whose work would be done later, or never
        raise Refusal("no-answer", type(value).__name__)
    found: list[tuple[str, Any]] = []
    for name, each in _leaves("", value):
        try:
            found.append((name or "output", _array(each)))
        except Refusal:  # noqa: PERF203 -- a value may be anybody's
            if not found:
                raise
    if not found:
        raise Refusal("bad-output", f"nothing in a value of type {type(value).__name__}")
    return found


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Go down into mappings and sequences, to what is an array or nothing that we know."""
    parts = _parts(name, value)
    if parts is None:
        yield name, value
    else:
        for way, each in parts.items():
            if each is not None:
                yield from _leaves(way, each)


def _parts(name: str, value: Any) -> dict[str, Any] | None:
    """Return what a mapping or a sequence holds, by name; None where it is one array, or none of the two."""
    if isinstance(value, Mapping):
        return {f"{name}.{key}" if name else str(key): each for key, each in value.items()}
    if not isinstance(value, (tuple, list)) or not value or _is_plain(value):
        return None
    cells = _cells(value)
    if cells:
        has_text = any(isinstance(each, str) for each in cells)
        return {str(key): [row[key] for row in value] for key in value[0]} if has_text else None
    if isinstance(value, list) and all(is_tensor(each) and not each.shape for each in value):
        return {name: sys.modules["torch"].stack(value)}  # a number for each row
    if len(value) == 1:
        return {name: value[0]}
    return {f"{name}.{at}" if name else f"output_{at}": each for at, each in enumerate(value)}


def _cells(rows: Sequence[Any]) -> list[Any]:
    """Return what the mappings of a list, one for each row, hold; nothing where it is no such list."""
    if not all(isinstance(each, Mapping) and each.keys() == rows[0].keys() for each in rows):
        return []
    cells = [each for row in rows for each in row.values()]
    return cells if all(_is_plain(each) for each in cells) else []


def joined(parts: Sequence[list[tuple[str, Any]]]) -> list[tuple[str, Any]]:
    """Return the outputs of several calls in one, along their first dimension.

    What does not fit together is left out: the state of an LSTM has its rows in the second dimension.
    """
    if len(parts) == 1:
        return parts[0]
    found = []
    for name, _ in parts[0]:
        pieces = [each for part in parts for other, each in part if other == name]
        shapes = [shape_of(each)[1:] for each in pieces]
        if len(pieces) == len(parts) and all(shape == shapes[0] for shape in shapes):
            found.append((name, _concatenated(pieces)))
        elif not found:
            raise Refusal("bad-output", f"{name} has another shape, beyond its rows, in another call")
    return found


def _concatenated(pieces: Sequence[Any]) -> Any:
    if is_tensor(pieces[0]):
        return sys.modules["torch"].cat(list(pieces))
    np = numpy()
    if np is not None:
        return np.concatenate([np.atleast_1d(each) for each in pieces])
    return [row for piece in pieces for row in piece]


def write_all(folder: str, named: Sequence[tuple[str, Any]]) -> None:
    """Write arrays as `0.npy`, `1.npy`, … and their names; a column of objects as its cells, `0.json`."""
    for at, (_, value) in enumerate(named):
        if str(getattr(value, "dtype", "")) == "object" and len(value.shape) == 1:
            with open(os.path.join(folder, f"{at}.json"), "w", encoding="utf-8") as file:
                json.dump([_cell(each) for each in value], file)
        else:
            write(os.path.join(folder, f"{at}.npy"), value)
    with open(os.path.join(folder, "names.json"), "w", encoding="utf-8") as file:
        json.dump([name for name, _ in named], file)


def _cell(value: Any) -> Any:
    """Return a table's cell as JSON has it, NaN included."""
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def write(path: str, value: Any) -> None:
    """Write an array as `.npy` (NumPy's format, version 1.0)."""
    np = numpy()
    if np is not None:
        plain = np.asarray(as_form(value, "numpy"))
        np.save(path, plain.astype(str) if plain.dtype == object else plain, allow_pickle=False)
    else:
        write_plain(path, value)


def write_plain(path: str, value: Any) -> None:
    """Write a tensor or nested lists as `.npy`, without NumPy."""
    if is_tensor(value):
        value = _exchanged(value).contiguous()
        letter = _LETTERS[dtype_of(value)][0]
        data = ctypes.string_at(value.data_ptr(), value.numel() * value.element_size())
    else:
        letter, data = _packed(_flat(value))
    shape = "({})".format("".join(f"{each}, " for each in shape_of(value)))
    header = f"{{'descr': '{letter}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(_MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin-1") + data)


def read_sent(folder: str, at: int, form: str) -> Any:
    """Read what was sent: an array, or the cells of a table's column, None or NaN where one is missing."""
    cells = os.path.join(folder, f"{at}.json")
    if os.path.exists(cells):
        with open(cells, encoding="utf-8") as file:
            return json.load(file)
    return read(os.path.join(folder, f"{at}.npy"), form)


def read(path: str, form: str) -> Any:
    """Read a `.npy` file."""
    np = numpy()
    return read_plain(path, form) if np is None else as_form(np.load(path, allow_pickle=False), form)


def read_plain(path: str, form: str) -> Any:
    """Read a `.npy` file as a tensor or nested lists, without NumPy."""
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(_MAGIC + b"\x01"):
        raise Refusal("bad-sample", "it is no .npy file of version 1.0")
    start = 10 + struct.unpack("<H", content[8:10])[0]
    header = ast.literal_eval(content[10:start].decode("latin-1"))
    name, shape = _NAMES.get(header["descr"].lstrip("<|")), list(header["shape"])
    if name is None or header["fortran_order"]:
        raise Refusal("bad-sample", "its element type or order needs NumPy")
    if form == "torch":
        torch = sys.modules["torch"]
        return torch.frombuffer(bytearray(content[start:]), dtype=getattr(torch, name)).reshape(shape)
    values = array.array(_LETTERS[name][1])
    values.frombytes(content[start:])
    return _nested(values.tolist(), shape)


def _array(value: Any) -> Any:
    """Return one output as a NumPy array, a tensor, or nested lists of numbers."""
    if is_tensor(value):
        value = _exchanged(value)
        return value.numpy() if numpy() is not None else value
    if hasattr(value, "toarray"):  # SciPy's sparse matrices
        value = value.toarray()
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        # scikit-learn's classifiers in ONNX return a mapping from class to probability for each row
        value = [[row[key] for key in value[0]] for row in value]
    np = numpy()
    if np is None:
        if not _is_plain(value):
            raise Refusal("bad-output", f"a value of type {type(value).__name__}")
        return value
    return _plain_array(np, value)


def _plain_array(np: Any, value: Any) -> Any:
    """Return numbers or text as NumPy's, of a type that NumPy can write."""
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise Refusal("bad-output", words(error)) from error
    if found.dtype == object:
        strange = [type(each).__name__ for each in found.ravel()[:1000] if not isinstance(each, str)]
        if strange:
            raise Refusal("bad-output", f"a value of type {strange[0]}")
        found = found.astype(str)
    if found.dtype.name.startswith(("bfloat16", "float8")):  # of JAX's, which NumPy cannot write
        found = found.astype("float32")
    return found


def _is_plain(value: Any) -> bool:
    """Whether it is a number, text, or nested lists of them."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return is_scalar or isinstance(value, (bool, int, float, str))


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value]
    return [each for part in value for each in _flat(part)]


def _packed(flat: list[Any]) -> tuple[str, bytes]:
    """Return numbers, or texts (UTF-32, all of one width), as `.npy` holds them."""
    if any(isinstance(each, str) for each in flat):
        width = max(1, *(len(each) for each in flat))
        return f"<U{width}", b"".join(each.ljust(width, "\0").encode("utf-32-le") for each in flat)
    letter, code = _LETTERS["int64" if all(isinstance(each, int) for each in flat) else "float64"]
    return letter, array.array(code, flat).tobytes()


def _nested(flat: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]


def as_type(value: Any, dtype: str) -> Any:
    """Return numbers (NumPy's) as a type; as float32 where it is none of numbers, or would cut them."""
    turned = value.astype(dtype if dtype in _LETTERS else "float32")
    exact = turned.dtype.kind == "f" or bool((turned == value).all())
    return turned if exact else value.astype("float32")


def column(values: Any) -> Any:
    """Return one column of a table as an array, or as a list where there is no NumPy."""
    np = numpy()
    return values if np is None else np.asarray(values)


def columns(names: Sequence[str], values: Sequence[Any], *, frame: bool, dtype: str = "float32") -> Any:
    """Return the columns of a table as a DataFrame, or as a matrix of numbers of a type."""
    if frame:
        import pandas as pd

        return pd.DataFrame(dict(zip(names, values)))
    np = numpy()
    if np is None:
        return [list(row) for row in zip(*values)]
    for name, column in zip(names, values):
        if np.asarray(column).dtype.kind not in "biuf":
            raise Refusal("bad-table", f"the column {name} holds no numbers")
    return as_type(np.column_stack([np.asarray(each) for each in values]), dtype)
