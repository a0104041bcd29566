"""CSV and TSV as DuckDB's `read_csv` shall read them, with nothing guessed that can lose a value.

What is decided, and why:

- The first row is the header, nothing is skipped before it, `#` begins no comment, `"` is the quote: DuckDB's
  sniffer looks at 20,480 rows and would take a quote that comes later for text.
- The delimiter is the most frequent of `,` `;` tab `|` in the header; of a TSV it is the tab.
- Empty fields and the words that `pandas.read_csv` takes for missing are nulls, for most training code reads
  with pandas and shall find the same numbers. To look for all those words takes half as long as to read the
  file, so only those that stand at its beginning are looked for. Where one comes later, a column of text is
  found to hold it, a number cannot be read, and the file is read again with all of them.
- Dates and times are recognised as ISO 8601 only. `01/02/2023` stays text: which is the month is a guess.
- `007` stays text where DuckDB's sniffer sees it in its sample; later in the file it is read as 7.
- `0x1A` and `0b11` stay text, as with pandas: identifiers look so. DuckDB reads them as integers.
- `true` and `false`, in whatever case, are truth values, as they are to pandas. To DuckDB `yes`, `t` and `no`
  are as well, and a class `yes` would be told as `True`: such columns are read as text, and the profile
  tells from the text which they are.
- A column without a value in the sample has no type yet; where values come later, all are looked at.
- Types come from the sample. A value further down that does not fit makes the whole file be looked at. DuckDB
  casts some values without a word (3.7 to the integer 4, a time to its date), so integers are read as doubles
  and dates as timestamps, and the profile tells from the values which they are.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cml_action.data import spool
from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from cml_action.data.tables import DataSet

#: What is looked at before a CSV is read: a sample of its rows; the same, but with all words for nulls; all.
Look: TypeAlias = Literal["sample", "words", "all"]
LOOKS: tuple[Look, ...] = ("sample", "words", "all")

#: pandas' `STR_NA_VALUES` (pandas/_libs/parsers.pyx, documented at `read_csv`, `na_values`).
NULLS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
#: For all of DuckDB's readers: a folder `split=train` in a path, even above the workspace, would be a column.
NO_PARTITIONS = "hive_partitioning = false"
_DELIMITERS = ",;\t|"
#: A longer row, or a longer field, is refused by DuckDB: 2 MiB by default, too little for texts.
#: The buffers are told their size: for compressed files they would be 16 times as large as this, each.
_MAX_LINE = 16 * 1024**2
_SAMPLE_ROWS = 20_480
_UNKNOWN = ""  # as a type
#: What DuckDB's sniffer leaves open: whether a column of text holds a value, and integers are decimal.
_REFINED = {
    "VARCHAR": f"if(count({{0}}) = 0, '{_UNKNOWN}', 'VARCHAR')",
    "BIGINT": "if(bool_or(regexp_matches({0}, '^ *0[xXbB]')), 'VARCHAR', 'BIGINT')",
}
#: How much of a file's beginning is looked at for words.
_HEAD_BYTES = 1024**2
_ENDS = rb"[,;\t|\r\n\"]"
_WORD = re.compile(
    b"(?<=%b)(?:%b)(?=%b)" % (_ENDS, b"|".join(re.escape(word.encode()) for word in NULLS if word), _ENDS)
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table in DuckDB's words.

    :param sql: what stands behind FROM.
    :param whole: columns read as doubles that were integers as far as the sample goes.
    :param days: columns read as timestamps that were dates as far as the sample goes.
    :param flags: columns read as text that were truth values, in DuckDB's view, as far as the rows seen go.
    :param words: that are nulls, and are not taken for such in columns of text.
    :param unseen: columns without a value as far as the sample goes, read as text.
    """

    sql: str
    whole: frozenset[str] = field(default_factory=frozenset)
    days: frozenset[str] = field(default_factory=frozenset)
    flags: frozenset[str] = field(default_factory=frozenset)
    words: frozenset[str] = field(default_factory=frozenset)
    unseen: frozenset[str] = field(default_factory=frozenset)


def quoted(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def files_literal(files: Sequence[Path]) -> str:
    """Return a list of files, with what DuckDB would take for a glob escaped."""
    escape = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})
    return "[" + ", ".join(quoted(str(file).translate(escape)) for file in files) + "]"


def source(connection: DuckDBPyConnection, dataset: DataSet, files: Sequence[Path], *, look: Look) -> Source:
    """Find the dialect and the types of CSV or TSV files.

    :param files: what is read in place of the data set's files, in their order.
    :raises UsageError: there is no header, or the columns of two files differ.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
    types: dict[str, str] = {}
    headers = [header(file, dataset) for file in files]
    spool.same_columns(dataset, [names for _, names in headers])
    for file, (delimiter, _) in zip(files, headers, strict=True):
        found, stamp = _sniff(connection, file, delimiter, rows=-1 if look == "all" else _SAMPLE_ROWS)
        groups.setdefault((delimiter, tuple(found)), []).append(file)
        for name, kind in found.items():
            told = "VARCHAR" if kind == "TIMESTAMP" and not stamp.startswith("%Y") else kind
            types[name] = _wider(types.get(name, told), told)
    integers = frozenset(name for name, kind in types.items() if kind == "BIGINT" and look != "all")
    days = frozenset(name for name, kind in types.items() if kind == "DATE" and look != "all")
    flags = frozenset(name for name, kind in types.items() if kind == "BOOLEAN")
    unseen = frozenset(name for name, kind in types.items() if kind == _UNKNOWN)
    read = types | dict.fromkeys(integers, "DOUBLE") | dict.fromkeys(days, "TIMESTAMP")
    read |= dict.fromkeys(flags | unseen, "VARCHAR")
    wanted = {"", *_words(files)} if look == "sample" else set(NULLS)
    nulls = [word for word in NULLS if word in wanted]
    parts = []
    for (delimiter, names), members in groups.items():
        columns = ", ".join(f"{quoted(name)}: {quoted(read[name])}" for name in names)
        parts.append(
            f"SELECT * FROM read_csv({files_literal(members)}, auto_detect = false, "  # noqa: S608 -- quoted
            f"columns = {{{columns}}}, {_options(delimiter, nulls)})"
        )
    return Source(
        sql="(" + " UNION ALL BY NAME ".join(parts) + ")",
        whole=integers,
        days=days,
        flags=flags,
        words=frozenset(NULLS).difference(nulls),
        unseen=unseen if look != "all" else frozenset(),
    )


def _words(files: Sequence[Path]) -> set[str]:
    """Return the words for nulls that stand in fields at the beginning of the files."""
    found: set[bytes] = set()
    for file in files:
        with spool.plain(file) as stream:
            found.update(_WORD.findall(stream.read(_HEAD_BYTES)))
    return {word.decode() for word in found}


def header(file: Path, dataset: DataSet) -> tuple[str, list[str]]:
    """Read the delimiter and the names in the first row.

    :raises UsageError: the first row is empty or not UTF-8.
    """
    with spool.plain(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        first = text.readline(_MAX_LINE)
        outside = "".join(first.split('"')[::2])
        delimiter = max(_DELIMITERS, key=outside.count) if dataset.kind == "csv" else "\t"
        names = next(csv.reader([first, *(text if first.count('"') % 2 else ())], delimiter=delimiter), [])
    if not any(names):
        raise UsageError(
            f"`{dataset.name}` has no header: its first line is empty.",
            "Write the names of the columns there.",
            path=dataset.name,
            line=1,
        )
    return delimiter, names


def _options(delimiter: str, nulls: Sequence[str] = NULLS) -> str:
    words = ", ".join(quoted(null) for null in nulls)
    return (
        f"delim = {quoted(delimiter)}, quote = '\"', escape = '\"', header = true, skip = 0, comment = '', "
        f"nullstr = [{words}], max_line_size = {_MAX_LINE}, buffer_size = {2 * _MAX_LINE}, "
        f"strict_mode = true, {NO_PARTITIONS}"
    )


def _sniff(
    connection: DuckDBPyConnection, file: Path, delimiter: str, *, rows: int
) -> tuple[dict[str, str], str]:
    """Types of the columns by name, and the format of timestamps where it is not ISO 8601's.

    A column without a value has the type `_UNKNOWN`.

    :param rows: so many are looked at; -1 for all.
    """
    place = files_literal([file])[1:-1]
    found: Any = connection.execute(
        f"SELECT Columns, TimestampFormat FROM sniff_csv({place}, {_options(delimiter)}, "  # noqa: S608 -- quoted
        f"dateformat = '%Y-%m-%d', sample_size = {rows})"
    ).fetchone()
    columns, stamp = found
    types = {column["name"]: column["type"] for column in columns}
    asked = [(at, name) for at, (name, kind) in enumerate(types.items()) if kind in _REFINED]
    if asked:
        every = ", ".join(f"c{at}: 'VARCHAR'" for at in range(len(types)))
        kinds = ", ".join(_REFINED[types[name]].format(f"c{at}") for at, name in asked)
        told: Any = connection.execute(
            f"SELECT {kinds} FROM (FROM read_csv([{place}], auto_detect = false, "  # noqa: S608 -- quoted
            f"columns = {{{every}}}, parallel = {rows < 0}, {_options(delimiter)}) "
            f"LIMIT {'ALL' if rows < 0 else rows})"
        ).fetchone()
        types |= {name: kind for (_, name), kind in zip(asked, told, strict=True)}
    return types, stamp or "%Y"


def _wider(one: str, other: str) -> str:
    """Give the type that holds the values of both."""
    both = {one, other}
    if len(both) == 1 or _UNKNOWN in both:
        return one or other
    if both == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return "TIMESTAMP" if both == {"DATE", "TIMESTAMP"} else "VARCHAR"
