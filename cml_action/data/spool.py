"""Files as bytes: through their compression, and as temporary copies where the engine cannot read them."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import shutil
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.ipc

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyarrow.dataset import Dataset

    from cml_action.data.tables import DataSet

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_ARROW_MAGIC = b"ARROW1"


def plain(file: Path) -> IO[bytes]:
    """Open a file for reading what is inside its compression, as a stream."""
    suffix = file.suffix.lower()
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(file))
    if suffix == ".bz2":
        return cast("IO[bytes]", bz2.open(file))
    if suffix == ".xz":
        return cast("IO[bytes]", lzma.open(file))
    if suffix == ".zst":
        return cast("IO[bytes]", io.BufferedReader(_Stream(pa.input_stream(str(file), compression="zstd"))))
    return file.open("rb")


class _Stream(io.RawIOBase):
    """Arrow's decompressing stream as Python's; its own `readinto` is missing for compressed input."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def readable(dataset: DataSet, scratch: Path) -> tuple[Path, ...]:
    """Give files that DuckDB reads: bzip2, xz and UTF-16 become temporary plain UTF-8, the rest stays."""
    return tuple(_readable(file, scratch / f"{number}.txt") for number, file in enumerate(dataset.files))


def _readable(file: Path, copy: Path) -> Path:
    with plain(file) as stream:
        start = stream.read(2)
        encoding = _UTF16.get(start)
        if encoding is None and file.suffix.lower() not in (".bz2", ".xz"):
            return file
    with plain(file) as stream, copy.open("wb") as out:
        if encoding is None:
            shutil.copyfileobj(stream, out, 1 << 20)
        else:
            text = io.TextIOWrapper(stream, encoding=encoding, newline="")
            for piece in iter(lambda: text.read(1 << 20), ""):
                out.write(piece.encode())
    return copy


def arrow(dataset: DataSet, scratch: Path) -> Dataset:
    """Open Arrow IPC files as one data set that is read by record batches.

    The streaming format, which can be read only once, is first written as a file, batch by batch.

    :raises UsageError: the columns of two files differ.
    """
    from pyarrow.dataset import dataset as opened  # which brings pandas: half a second and 50 MB

    files = [_arrow_file(file, scratch / f"{number}.arrow") for number, file in enumerate(dataset.files)]
    schemas = [pyarrow.ipc.open_file(str(file)).schema for file in files]
    same_columns(dataset, [schema.names for schema in schemas])
    schema = _known(pa.unify_schemas(schemas, promote_options="permissive"))
    return opened([str(file) for file in files], format="ipc", schema=schema)


def _known(schema: pa.Schema) -> pa.Schema:
    """Widen the numbers of 16 bits, which DuckDB does not take from Arrow."""
    return pa.schema(
        [each.with_type(pa.float32()) if pa.types.is_float16(each.type) else each for each in schema]
    )


def _arrow_file(file: Path, copy: Path) -> Path:
    with file.open("rb") as stream:
        if stream.read(len(_ARROW_MAGIC)) == _ARROW_MAGIC:
            return file
    with (
        pyarrow.ipc.open_stream(str(file)) as reader,
        pyarrow.ipc.new_file(str(copy), reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)
    return copy


def same_columns(dataset: DataSet, columns: Sequence[Sequence[str]]) -> None:
    """Require that all files of a data set have the same columns, in whatever order.

    :param columns: the names in each of the files.
    :raises UsageError: naming the first file that differs, and how.
    """
    expected = set(columns[0])
    for file, names in zip(dataset.files, columns, strict=True):
        missing, extra = sorted(expected - set(names)), sorted(set(names) - expected)
        if missing or extra:
            lacks = f"lacks {_named(missing)}" if missing else ""
            has = f"has {_named(extra)} besides" if extra else ""
            raise UsageError(
                f"`{dataset.shown(file)}` {' and '.join(filter(None, (lacks, has)))}, compared with "
                f"`{dataset.shown(dataset.files[0])}`: the files of `{dataset.name}` have different columns.",
                "Give all files of a data set the same columns, or name them as separate data sets.",
                path=dataset.shown(file),
            )


def _named(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
