"""ONNX models that keep weights in other files (`external_data`), looked for before anything is loaded.

ONNX Runtime reads such a file wherever the model says it lies; up to 1.23 that may be outside of its folder.
A verdict is about the bytes that were digested: a file has to hold all of its weights, a folder all of its
files.

What is read here is protobuf's wire format (https://protobuf.dev/programming-guides/encoding), by the numbers
that `onnx.proto` gives its fields.
"""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from cml_action.model.faults import UnloadedError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: By message, the fields that may hold a tensor, and the message that each is.
_FIELDS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
_KEY, _VALUE = 1, 2
#: Wire types: a number, eight bytes, a length and so many bytes, the ends of a group, four bytes.
_NUMBER, _EIGHT, _LENGTH, _GROUP, _END, _FOUR = range(6)
#: Bytes of a number at most.
_LONGEST = 10
_MOST_NAMED = 3


def main_file(model: Path) -> Path:
    """Return the file that a model is loaded from: the one `.onnx` file of a folder, else what was named."""
    inside = model.iterdir() if model.is_dir() else ()
    found = [each for each in inside if each.suffix.lower() == ".onnx" and each.is_file()]
    return found[0] if len(found) == 1 else model


def search(model: Path, *, loader: bool) -> None:
    """Search an ONNX model, a file or a folder with one, for weights that lie elsewhere.

    :param loader: whether the user's code loads it: it may know a file that is no ONNX here, and what it
        reads of a folder is its own affair.
    :raises UnloadedError: there are some, or it cannot be searched.
    """
    file = model if loader else main_file(model)
    if file.suffix.lower() != ".onnx" or not file.is_file():
        return
    try:
        found = sorted(locations(file))
    except ValueError:
        if loader:
            return
        raise UnloadedError("unreadable", "it is no ONNX, or is cut off") from None
    if file == model and found:
        raise UnloadedError("weights-beside", _listed(found))
    outside = [each for each in found if not _is_inside(each, model)]
    if outside:
        raise UnloadedError("weights-outside", _listed(outside))


def gathered(model: Path, private: Path) -> Path:
    """Return the file that is loaded, of a folder of links (DVC's) a copy, with its weights beside it.

    ONNX Runtime follows no link to weights out of the folder (1.24 on).

    :param private: an empty folder for copies.
    """
    file = main_file(model)
    names = [] if file == model else [file.name, *locations(file)]
    if not any((model / name).is_symlink() for name in names):
        return file
    for name in names:
        (private / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, private / name)
    return private / file.name


def locations(file: Path) -> set[str]:
    """Return the files, by the names that an ONNX file gives them, in which it keeps weights.

    :raises ValueError: it is no protobuf.
    """
    found: set[str] = set()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        left = [("Model", 0, len(content))]
        while left:
            kind, start, end = left.pop()
            if kind == "Entry":
                found |= _location(content, start, end)
            elif kind:
                fields = _FIELDS[kind]
                parts = _parts(content, start, end)
                left += [(fields.get(number, ""), first, last) for number, first, last in parts]
    return found


def _location(content: mmap.mmap, start: int, end: int) -> set[str]:
    """Return the values of an entry of a key and a value, where the key is `location`."""
    parts = [(number, content[first:last]) for number, first, last in _parts(content, start, end)]
    if (_KEY, b"location") not in parts:
        return set()
    return {os.fsdecode(value) for number, value in parts if number == _VALUE}


def _parts(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Return the fields of a message that have a length: their numbers, and where they begin and end."""
    while at < end:
        key, at = _number(content, at, end)
        wire = key & 7
        if wire == _NUMBER:
            _, at = _number(content, at, end)
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        elif wire == _LENGTH:
            size, at = _number(content, at, end)
            if at + size <= end:
                yield (key & 0xFFFFFFFF) >> 3, at, at + size
            at += size
        elif wire not in (_GROUP, _END):
            raise ValueError
    if at != end:
        raise ValueError


def _number(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """Return a number that is written in sevens of bits, the lowest first, and where it ends."""
    value = 0
    for place in range(_LONGEST):
        if at >= end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 -- the eighth bit says that more follows
            return value, at
    raise ValueError


def _is_inside(location: str, folder: Path) -> bool:
    """Whether it names a file of the folder by its plain path below it."""
    path = PurePath(location)
    if path.is_absolute() or ".." in path.parts or "\0" in location:
        return False
    return (folder / path).is_file()


def _listed(names: list[str]) -> str:
    more = ", …" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
