"""The inputs that a model is called with: as demanded, from a sample, from its signature or its loader."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple

from . import arrays
from .refusal import Refusal, attempt

if TYPE_CHECKING:
    from .load import Model

#: Arguments by position and by name.
Call = Tuple[Tuple[Any, ...], Dict[str, Any]]


class Inputs:
    """What a model is called with, for any number of rows, or for the one that it takes.

    :param fixed: the rows of every call, where the model's signature says so, or where what was given differs
        in its first dimensions (a graph's nodes and edges): then it is no batch, and is given as it is.
    """

    def __init__(self, model: Model, asked: dict[str, Any]) -> None:
        self._model = model
        self._device = asked["device"]
        self._specs: list[dict[str, Any]] = []
        self._given: Call = ((), {})
        #: Whether anything says what the model takes.
        self.known = True
        self._made: dict[int, Call] = {}
        firsts = [each["shape"][0] for each in model.signature if each["shape"]]
        self.fixed: int | None = firsts[0] if firsts and all(firsts) else None
        if asked["inputs"]:
            self._specs = asked["inputs"]
        elif asked["sample"]:
            self._given = _arguments(attempt("bad-sample", _sample, asked["sample"], model))
        elif model.example is not None:
            self._given = _arguments(model.example)
        elif asked["columns"] and model.columns and set(model.columns) <= set(asked["columns"]):
            self._given = (_rows_of_data(model, asked),), {}
        elif model.signature and all(_is_known(each) for each in model.signature):
            self._specs = [{**each, "range": None} for each in model.signature]
        else:
            self.known = False
        given = [each["shape"][0] for each in asked["inputs"]] or [
            arrays.count(each) for _, each in _with_names(self._given) if arrays.is_rows(each)
        ]
        self._whole = len(set(given)) > 1
        if self._whole:
            self.fixed = given[0]
        elif asked["inputs"]:
            self._specs = [{**each, "shape": [0, *each["shape"][1:]]} for each in self._specs]
        self._name_all()

    def _name_all(self) -> None:
        """Give nameless inputs the model's names, in its order: ONNX Runtime and keywords go by them."""
        names = [each["name"] for each in self._model.signature]
        for spec, name in zip(self._specs, names):
            spec["name"] = spec["name"] or name
        if self._model.kind == "onnx":
            positional, named = self._given
            self._given = ((), {**dict(zip(names, positional)), **named})

    def call(self, rows: int) -> Call:
        """Return the arguments of a call with so many rows, or with those that it always has; made once."""
        if not self.known:
            raise Refusal("no-input")
        rows = self.fixed or rows
        if rows not in self._made:
            self._made[rows] = self._on_device(self._filled(rows))
        return self._made[rows]

    def named(self, rows: int) -> list[tuple[str, Any]]:
        """Return the same with a name for each: `input`, or `input_0`, … by position."""
        return _with_names(self.call(rows))

    def written(self, rows: int) -> list[tuple[str, Any]]:
        """Return the same as arrays: of a table with more than numbers in it one for each column."""
        table = self._table()
        if table is None or _is_matrix(table):
            return self.named(rows)
        (_, value), *_ = self.named(rows)
        return [(str(name), value[name].to_numpy()) for name in value.columns]

    def from_named(self, values: dict[str, Any]) -> Call:
        """Return the arguments of a call from arrays under the names of `written`."""
        table = self._table()
        if table is not None and not _is_matrix(table):
            return self.from_table(list(values), list(values.values()))
        positional, named = self.call(1)
        places = _places(len(positional))
        missing = [name for name in (*places, *named) if name not in values]
        extra = [name for name in values if name not in places and name not in named]
        if missing or extra:
            raise Refusal(
                "bad-shape",
                "it takes {}, and was given {}".format(", ".join((*places, *named)), ", ".join(values)),
            )
        ready = {name: _like(each, values[name]) for name, each in _with_names((positional, named))}
        return self._on_device((tuple(ready[name] for name in places), {name: ready[name] for name in named}))

    def from_table(self, names: Sequence[str], columns: Sequence[Any], own: int | None = None) -> Call:
        """Return the arguments of a call from the columns of a table.

        :param own: how many columns, the first, a model gets that has no names for them; all where None.
        """
        table = self._table()
        wanted = self._model.columns or ([] if table is None else [str(name) for name in table.columns])
        missing = [name for name in wanted if name not in names]
        if missing:
            raise Refusal(
                "bad-table",
                "it takes the columns {}, and is given none named {}".format(
                    ", ".join(wanted), ", ".join(missing)
                ),
            )
        if wanted:
            names, columns = wanted, [columns[names.index(name)] for name in wanted]
        alone = self._model.columns and self._table() is None  # nothing but its names says what it takes
        positional, named = ((None,), {}) if alone else self.call(1)
        if len(positional) + len(named) != 1:
            raise Refusal("bad-table", "a table is one input, and the model takes several")
        given = (*positional, *named.values())[0]
        if wanted:
            value = _categories_as(given, arrays.columns(names, columns, frame=True))
        else:
            value = self._matrix(given, names[:own], columns[:own])
        return self._on_device(((value,), {}) if positional else ((), dict.fromkeys(named, value)))

    def _matrix(self, given: Any, names: Sequence[str], columns: Sequence[Any]) -> Any:
        """Return the columns of a table in the form of the argument that is given elsewhere."""
        row = arrays.shape_of(given)[1:]
        if not row and len(columns) == 1:  # texts, such as a vectorizer takes
            return _like(given, arrays.column(columns[0]))
        if row != [len(columns)]:
            wanted = "one value" if not row else "{} numbers".format(" x ".join(map(str, row)))
            raise Refusal(
                "bad-table",
                "a row of its input is {}, and a row of the data has {} columns: {}".format(
                    wanted, len(columns), ", ".join(names)
                ),
            )
        value = arrays.columns(names, columns, frame=False, dtype=arrays.dtype_of(given))
        return arrays.typed_as(given, arrays.as_form(value, self._model.form))

    def _table(self) -> Any:
        """Return the one argument of a call where that is a DataFrame, else None."""
        if not self.known:
            return None
        values = [value for _, value in self.named(1)]
        return values[0] if len(values) == 1 and _is_table(values[0]) else None

    def _filled(self, rows: int) -> Call:
        if self._specs:
            form = self._model.form
            if form == "numpy" and arrays.numpy() is None:
                form = "list"
            made = [
                (each["name"], self._framed(arrays.made(each, form, each["shape"][0] or rows)))
                for each in self._specs
            ]
            return tuple(each for name, each in made if not name), {name: each for name, each in made if name}
        positional, named = self._given
        return (
            tuple(self._rows(each, rows) for each in positional),
            {name: self._rows(each, rows) for name, each in named.items()},
        )

    def _framed(self, value: Any) -> Any:
        """Return a matrix as the DataFrame that a model was fitted on."""
        columns = self._model.columns
        if not columns or arrays.shape_of(value)[1:] != [len(columns)]:
            return value
        import pandas as pd

        return pd.DataFrame(value, columns=columns)

    def _rows(self, value: Any, rows: int) -> Any:
        if self._whole or not arrays.is_rows(value) or not arrays.count(value):
            return value
        return arrays.take(value, 0, rows)

    def _on_device(self, call: Call) -> Call:
        if self._device == "cpu":
            return call
        positional, named = call

        def moved(value: Any) -> Any:
            if isinstance(value, list):
                return [moved(each) for each in value]
            return value.to(self._device) if arrays.is_tensor(value) else value

        return tuple(moved(each) for each in positional), {name: moved(each) for name, each in named.items()}


def rows_of(call: Call) -> int:
    """Return how many rows the arguments have: those of the first that has any."""
    for value in (*call[0], *call[1].values()):
        if arrays.is_rows(value):
            return arrays.count(value)
    return 1


def part(call: Call, start: int, rows: int) -> Call:
    """Return some rows of the arguments."""
    positional, named = call
    return (
        tuple(arrays.take(each, start, rows) if arrays.is_rows(each) else each for each in positional),
        {
            name: arrays.take(each, start, rows) if arrays.is_rows(each) else each
            for name, each in named.items()
        },
    )


def first(outputs: list[tuple[str, Any]], rows: int, of: int) -> list[tuple[str, Any]]:
    """Return the first rows of those outputs that have a row for each of the input's."""
    if rows == of:
        return outputs
    return [
        (name, arrays.take(each, 0, rows) if arrays.is_rows(each) and arrays.count(each) == of else each)
        for name, each in outputs
    ]


def _places(number: int) -> list[str]:
    return ["input"] if number == 1 else [f"input_{at}" for at in range(number)]


def _with_names(call: Call) -> list[tuple[str, Any]]:
    positional, named = call
    return [*zip(_places(len(positional)), positional), *named.items()]


def _is_table(value: Any) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "columns")


def _categories_as(given: Any, table: Any) -> Any:
    """Return a DataFrame with the categories of another one, as XGBoost and LightGBM need them."""
    if not _is_table(given):
        return table
    types = {name: kind for name, kind in given.dtypes.items() if kind.name == "category"}
    return table.astype({name: kind for name, kind in types.items() if name in table.columns})


def _is_matrix(table: Any) -> bool:
    """Whether all columns of a DataFrame are numbers."""
    return all(each.kind in "biuf" for each in table.dtypes)


def _like(given: Any, value: Any) -> Any:
    """Return an array in the form of the argument that was given in its place."""
    if _is_table(given):
        fits = arrays.shape_of(value)[1:] == [len(given.columns)]
        return type(given)(value, columns=given.columns) if fits else value
    if isinstance(given, list) and given and hasattr(given[0], "shape"):  # pictures, as detectors take them
        return [_like(given[0], each) for each in value]
    if arrays.is_tensor(given):
        return arrays.typed_as(given, arrays.as_form(value, "torch"))
    return arrays.as_form(value, "numpy" if hasattr(given, "shape") else "list")


def _is_known(spec: dict[str, Any]) -> bool:
    """Whether a signature says enough: every dimension but the first, and a type that arrays have."""
    numbers = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
    return all(spec["shape"][1:]) and bool(spec["shape"]) and spec["dtype"] in numbers


def _rows_of_data(model: Model, asked: dict[str, Any]) -> Any:
    """Return the first rows of the labelled data as the DataFrame that a model was fitted on."""
    order = asked["columns"]
    values = [arrays.read_sent(asked["rows"], order.index(name), "numpy") for name in model.columns]
    return arrays.columns(model.columns, values, frame=True)


def _arguments(example: Any) -> Call:
    """Return an example as arguments: a tuple by position, a mapping by name, else it is the only one."""
    if isinstance(example, tuple):
        return example, {}
    if hasattr(example, "items") and not hasattr(example, "shape"):
        return (), {str(name): value for name, value in example.items()}
    return (example,), {}


def _sample(path: str, model: Model) -> Any:
    suffix = os.path.splitext(path)[1].lower()
    form = "list" if model.form == "numpy" and arrays.numpy() is None else model.form
    if suffix == ".npy":
        return arrays.read(path, form)
    if suffix == ".npz":
        import numpy as np

        with np.load(path, allow_pickle=False) as found:
            return {name: arrays.as_form(found[name], form) for name in found.files}
    if suffix == ".json":
        with open(path, encoding="utf-8") as file:
            return _from_json(json.load(file), form, model)
    if suffix == ".csv":
        return _from_csv(path, model, form)
    if suffix in (".pt", ".pth"):
        import torch

        return torch.load(path, map_location="cpu", weights_only=True)
    if suffix == ".safetensors":
        if form == "torch":
            from safetensors.torch import load_file
        else:
            from safetensors.numpy import load_file
        return load_file(path)
    raise Refusal("bad-sample", "its type {} is not known".format(suffix or "(none)"))


def _from_json(found: Any, form: str, model: Model, name: str = "") -> Any:
    if isinstance(found, dict):
        return {name: _from_json(value, form, model, name) for name, value in found.items()}
    if form == "list":
        return found
    import numpy as np

    value = np.asarray(found)
    dtype = _dtype(model, name)
    if value.dtype.kind in "biuf" and (dtype or value.dtype == np.float64):  # JSON knows one kind of number
        value = arrays.as_type(value, dtype)
    return arrays.as_form(value, form)


def _dtype(model: Model, name: str = "") -> str:
    """Return the type that the signature gives an input, of that name or the only one; nothing elsewhere."""
    specs = [each for each in model.signature if each["name"] == name] or model.signature
    return str(specs[0]["dtype"]) if len(specs) == 1 else ""


def _from_csv(path: str, model: Model, form: str) -> Any:
    with open(path, encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file))
    if not rows:
        raise Refusal("bad-sample", "it has no row below its header")
    if model.columns:  # a DataFrame, read as `data` is: what is missing is NaN
        import pandas as pd

        return pd.read_csv(path)[model.columns]
    values = [_numbers(column) for column in zip(*rows)]
    try:
        table = arrays.columns(header, values, frame=False, dtype=_dtype(model))
    except Refusal as refusal:
        raise Refusal("bad-sample", refusal.said) from None
    return arrays.as_form(table, form)


def _numbers(column: Sequence[str]) -> list[Any]:
    """Return numbers where all of a column are, NaN for an empty cell, else its texts."""
    try:
        return [float(each or "nan") for each in column]
    except ValueError:
        return list(column)
