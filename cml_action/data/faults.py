"""Why a table could not be read: an engine's error becomes one sentence with file, line and remedy.

The files are read once more, as a stream and only after a failure, to find the place.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import lzma
import re
import zlib
from collections import deque
from typing import TYPE_CHECKING, NoReturn

import duckdb
import pyarrow as pa

from cml_action.data import csvfile, spool
from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cml_action.data.tables import DataSet

_MAX_FIELD = 2**31 - 1
_SHOWN = 60


class MisjudgedTypesError(UsageError):
    """A value does not fit the type that a sample of its file suggested; all rows must be looked at."""


@contextlib.contextmanager
def explained(dataset: DataSet) -> Iterator[None]:
    """Turn what an engine raises while it reads a data set into errors for people.

    :raises MisjudgedTypesError: a type was taken from a sample and does not hold.
    """
    try:
        yield
    except (
        duckdb.Error,
        pa.ArrowException,
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        UnicodeError,
    ) as error:
        _tell(error, dataset)


def _tell(error: Exception, dataset: DataSet) -> NoReturn:
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) and "max_temp_directory_size" not in text:
        raise OutsideError(
            f"`{dataset.name}` could not be profiled within the memory limit.", "Raise the memory limit."
        ) from error
    if _no_space(error, text):
        raise OutsideError(
            f"The disk is full: no room is left for the temporary files that `{dataset.name}` needs.",
            "Free some space, or choose a temporary folder on a larger disk.",
        ) from error
    if isinstance(error, PermissionError) or "Permission denied" in text:
        raise UsageError(
            f"`{dataset.name}` may not be read.", "Give this user the right to read it."
        ) from error
    for file in dataset.files:
        if dataset.kind == "parquet":
            _check_parquet(file, dataset, error)
        elif dataset.kind == "arrow":
            _check_arrow(file, dataset, error)
        else:
            _check_packed(file, dataset, error)
            _check_text(file, dataset, error)
    if "onver" in text and dataset.kind in ("csv", "tsv"):
        raise MisjudgedTypesError(
            f"A value of `{dataset.name}` does not fit its column: {_first(text)}", path=dataset.name
        ) from error
    raise UsageError(
        f"`{dataset.name}` cannot be read as {dataset.kind}: {_first(text)}",
        "Check that the file is what its name says.",
        path=dataset.shown(dataset.files[0]),
    ) from error


def _no_space(error: Exception, text: str) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or any(
        words in text
        for words in ("No space left", "File too large", "Disk quota", "max_temp_directory_size")
    )


def _check_parquet(file: Path, dataset: DataSet, error: Exception) -> None:
    with file.open("rb") as stream:
        head = stream.read(4)
        stream.seek(-min(4, file.stat().st_size), 2)
        tail = stream.read(4)
    if head != b"PAR1" or tail != b"PAR1":
        what = "is cut short: its end is missing" if head == b"PAR1" else "is not a Parquet file"
        raise _file_error(file, dataset, what, "Write or pull the file again.") from error


def _check_arrow(file: Path, dataset: DataSet, error: Exception) -> None:
    try:
        with pa.OSFile(str(file)) as opened:
            pa.ipc.open_file(opened) if opened.read(6) == b"ARROW1" else pa.ipc.open_stream(
                str(file)
            ).read_all()
    except (pa.ArrowException, OSError):
        raise _file_error(
            file, dataset, "is cut short or not an Arrow file", "Write or pull the file again."
        ) from error


def _check_packed(file: Path, dataset: DataSet, error: Exception) -> None:
    try:
        with spool.plain(file) as stream:
            while stream.read(1 << 20):
                pass
    except (EOFError, OSError, zlib.error, lzma.LZMAError):
        raise _file_error(
            file,
            dataset,
            f"is cut short or damaged inside its compression ({file.suffix})",
            "Write or pull the file again.",
        ) from error


def _check_text(file: Path, dataset: DataSet, error: Exception) -> None:
    with spool.plain(file) as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return
    offset = 0
    with spool.plain(file) as stream:
        for line, raw in enumerate(stream, start=1):
            try:
                text = raw.decode()
            except UnicodeDecodeError as wrong:
                what = (
                    f"is not UTF-8: byte {offset + wrong.start:,} (0x{raw[wrong.start]:02x}) in line {line:,}"
                )
                raise _file_error(
                    file,
                    dataset,
                    what,
                    "Save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8`, if it is Latin-1).",
                    line,
                ) from error
            offset += len(raw)
            if dataset.kind == "jsonl" and text.strip():
                _check_json(text, line, file, dataset)
    if dataset.kind != "jsonl":
        _check_rows(file, dataset, error)


def _check_json(text: str, line: int, file: Path, dataset: DataSet) -> None:
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        what = f"holds something else than one JSON object in line {line:,}: {_clip(text)}"
        raise _file_error(file, dataset, what, "Write one object a line.", line)


def _check_rows(file: Path, dataset: DataSet, error: Exception) -> None:
    """Find the first row that has more or fewer fields than the header, or a quote that never ends."""
    delimiter, names = csvfile.header(file, dataset)
    csv.field_size_limit(_MAX_FIELD)
    endings: set[str] = set()  # of rows; inside of quotes a line may end as it likes
    latest: deque[str] = deque(maxlen=1)
    with spool.plain(file) as stream:
        reader = csv.reader(_noting(stream, latest), delimiter=delimiter, strict=True)
        start = 1
        try:
            for row in reader:
                endings.update(latest)
                if row and len(row) != len(names):
                    what = (
                        f"has {len(row)} fields in line {start:,}, but the header has {len(names)}: "
                        f"{_clip(delimiter.join(row))}"
                    )
                    fix = (
                        "Repair that row; a field that holds the delimiter or a line break goes between "
                        "double quotes."
                    )
                    raise _file_error(file, dataset, what, fix, start)
                start = reader.line_num + 1
        except csv.Error:
            what = f"has a quoted field that goes wrong, in the row that begins in line {start:,}"
            raise _file_error(
                file, dataset, what, 'Double a quote inside of a field (`""`), and close each.', start
            ) from error
    if len(endings - {""}) > 1:
        raise _file_error(
            file,
            dataset,
            "mixes line endings (`\\n` and `\\r\\n`)",
            "Write it with one kind, as `dos2unix` does.",
        ) from error


def _noting(lines: Iterable[bytes], latest: deque[str]) -> Iterator[str]:
    for raw in lines:
        line = raw.decode()
        latest.append(_ending(line))
        yield line


def _ending(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def _file_error(file: Path, dataset: DataSet, what: str, fix: str, line: int | None = None) -> UsageError:
    shown = dataset.shown(file)
    return UsageError(f"`{shown}` {what}.", fix, path=shown, line=line)


def _first(text: str) -> str:
    """Return the first line of an engine's message, without the engine's own paths."""
    return re.sub(r"\S*/profile-\w+/", "", text.splitlines()[0] if text else "no reason given")


def _clip(text: str) -> str:
    text = text.strip()
    return f"`{text[:_SHOWN]}…`" if len(text) > _SHOWN else f"`{text}`"
