"""Scalars out of TensorBoard's event files, without TensorBoard.

An event file is a row of records (`tensorflow/core/lib/io/record_writer.h`): length (8 bytes, little-endian),
checksum (4), content, checksum (4). The content is an `Event` (`tensorflow/core/util/event.proto`) in the
encoding of Protocol Buffers, of which four field numbers are needed here. A scalar is a `simple_value`, as
PyTorch writes it, or a `tensor` of one number, as TensorFlow 2 does.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Values by step, in the order of the steps.
Curve: TypeAlias = "dict[int, float]"
MOST_BYTES = 200_000_000
_VARINT, _WIDE, _BYTES, _SHORT = 0, 1, 2, 5
_HEAD, _FOOT = 12, 4
#: A tensor's `dtype`: how a number is packed, and the field that holds it where `tensor_content` does not.
_KINDS = {1: ("<f", 5), 2: ("<d", 6)}


def curves(folder: Path) -> Mapping[str, Mapping[str, Curve]]:
    """Return the curves of all runs below a folder: by their tag, then by the run's folder.

    A file that is still being written, or broken, counts as far as it can be read.
    """
    found: dict[str, dict[str, Curve]] = {}
    left = MOST_BYTES
    for path in sorted(folder.rglob("*tfevents*")):
        if path.is_symlink() or not path.is_file():
            continue
        left -= path.stat().st_size
        if left < 0:
            break
        run = path.parent.relative_to(folder).as_posix()
        for tag, step, value in _scalars(path.read_bytes()):
            found.setdefault(tag, {}).setdefault(run, {})[step] = value
    return {
        tag: {run: dict(sorted(curve.items())) for run, curve in runs.items()} for tag, runs in found.items()
    }


def _scalars(data: bytes) -> Iterator[tuple[str, int, float]]:
    try:
        for record in _records(data):
            event = _fields(record)
            for summary in event.get(5, []):
                for value in _fields(summary).get(1, []):
                    parts = _fields(value)
                    number = _number(parts)
                    if number is not None and math.isfinite(number):
                        yield parts[1][0].decode(errors="replace"), int(event.get(2, [0])[0]), number
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, struct.error):
        return  # the file is not what its name says


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if at + _HEAD + length + _FOOT > len(data):
            return
        yield data[at + _HEAD : at + _HEAD + length]
        at += _HEAD + length + _FOOT


def _number(value: Mapping[int, list[Any]]) -> float | None:
    """Return the one number of a summary's value; None for a histogram, a picture and the like."""
    if 2 in value:  # noqa: PLR2004 -- `simple_value`
        return float(struct.unpack("<f", value[2][0])[0])
    if 8 not in value:  # noqa: PLR2004 -- `tensor`
        return None
    tensor = _fields(value[8][0])
    form, field = _KINDS.get(tensor.get(1, [0])[0], ("", 0))
    content = tensor.get(4) or tensor.get(field)
    if not content or not form or len(content[0]) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, content[0])[0])


def _fields(data: bytes) -> dict[int, list[Any]]:
    """Return a message's fields by their numbers ("Encoding", Protocol Buffers)."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: Any
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            if kind == _BYTES:
                length, at = _varint(data, at)
            elif kind in {_WIDE, _SHORT}:
                length = 8 if kind == _WIDE else 4
            else:
                raise ValueError(kind)
            if at + length > len(data):
                raise ValueError(length)
            value, at = data[at : at + length], at + length
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 -- the highest bit says that more follows
            return value, at
