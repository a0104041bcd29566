"""Tables in files of every kind, and their profiles, for tests."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from cml_action.data.profile import Profile, profile
from cml_action.data.tables import find

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, content: str | bytes | pa.Table) -> Path:
    """Write a table; a name that ends in a compression's suffix is compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        _write_table(path, content)
        return path
    data = content.encode() if isinstance(content, str) else content
    packers: dict[str, Any] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda plain: pa.compress(plain, codec="zstd", asbytes=True),
    }
    path.write_bytes(packers.get(path.suffix, bytes)(data))
    return path


def _write_table(path: Path, table: pa.Table) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    begin = pa.ipc.new_stream if path.suffix == ".ipc" else pa.ipc.new_file
    with begin(str(path), table.schema) as writer:
        writer.write_table(table)


def profiled(root: Path, name: str, content: str | bytes | pa.Table | None = None, **options: Any) -> Profile:
    """Write a table below a folder, where a content is given, and profile it."""
    if content is not None:
        written(root / name, content)
    return profile(find(name, root), temporary=root / ".scratch", **options)
