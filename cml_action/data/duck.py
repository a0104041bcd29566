"""DuckDB behind Ibis: opening files of each kind as one table, and the aggregates that only DuckDB has.

Everything here that another engine must offer as well is small: a table to read, and `smallest`, `bins`,
`counts` and `tally`.
"""

from __future__ import annotations

import contextlib
import inspect
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow.parquet as pq

from cml_action.data import csvfile, spool
from cml_action.data.faults import explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import ibis.expr.types as ir

    from cml_action.data.tables import DataSet
    from cml_action.log import Bar

#: DuckDB's own memory. CSV buffers, Python and Arrow come on top: about 200 MB.
MEMORY_BYTES = 224 * 1024**2
#: A dataset's columns need buffers of their own, which a table with thousands of them would not find above.
MEMORY_PER_COLUMN_BYTES = 2 * 1024**2
#: What a table of distinct values takes at least, of each thread: measured with DuckDB 2.0.
_DISTINCT_BYTES = 1024**2
_VIEW, _ARROW = "data", "arrow"
#: Seconds between two looks at how far a query has come.
LOOK_EVERY_S = 0.5
#: A larger JSON object is refused. The engine takes twice as much for a buffer, one for each thread.
_MAX_OBJECT = 16 * 1024**2
#: How a date of ISO 8601 begins. DuckDB takes others for dates as well, and 04-03-23 for one of the year 4.
_ISO = "'^[0-9]{4}-'"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A data set as a table.

    :param source: what its values have to confirm.
    """

    table: ir.Table
    connection: duckdb.DuckDBPyConnection
    source: csvfile.Source


@contextlib.contextmanager
def opened(
    dataset: DataSet, *, memory_limit_bytes: int | None, temporary: Path, look: csvfile.Look
) -> Iterator[Opened]:
    """Open a data set as one Ibis table, its columns as they stand in the files.

    What does not fit into memory goes to a folder of its own below `temporary`, removed at the end, also
    after an error. No extension is looked for or fetched.

    :param look: at how much of a CSV, to tell its types.
    :raises MisjudgedTypesError: see `explained`.
    :raises UsageError: a file cannot be read as what its name says: file, line and remedy are named.
    :raises OutsideError: the disk is full, the memory limit too small.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary, prefix="profile-", ignore_cleanup_errors=True) as scratch:
        backend = ibis.duckdb.connect(
            temp_directory=scratch,
            memory_limit=f"{memory_limit_bytes or MEMORY_BYTES}B",
            preserve_insertion_order="false",
            autoinstall_known_extensions="false",
        )
        connection = backend.con
        try:
            with explained(dataset):
                # Timestamps with a zone are told in UTC on every machine.
                connection.execute("SET TimeZone = 'UTC'")
                if dataset.kind == "parquet":
                    # The smallest and the largest value that Parquet notes leave out NaN (parquet.thrift,
                    # `ColumnOrder`). DuckDB takes them for the bounds of all, and would not look for it.
                    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
                # Without these, nothing is told of how far a query has come.
                connection.execute("SET enable_progress_bar = true")
                connection.execute("SET enable_progress_bar_print = false")
                if dataset.kind == "jsonl" and memory_limit_bytes is None:
                    connection.execute(f"SET memory_limit = '{_memory_for_json(connection)}B'")
                source = _view(connection, dataset, Path(scratch), look=look)
                table = backend.table(_VIEW)
                needed = len(table.columns) * MEMORY_PER_COLUMN_BYTES
                if memory_limit_bytes is None and needed > MEMORY_BYTES:
                    connection.execute(f"SET memory_limit = '{needed}B'")
                yield Opened(table=table, connection=connection, source=source)
        finally:
            connection.close()


def _view(
    connection: duckdb.DuckDBPyConnection, dataset: DataSet, scratch: Path, *, look: csvfile.Look
) -> csvfile.Source:
    """Name the files of the data set `data` for this connection."""
    if dataset.kind == "arrow":
        connection.register(_ARROW, spool.arrow(dataset, scratch))
        source = csvfile.Source(sql=_ARROW)
    elif dataset.kind == "parquet":
        if len(dataset.files) > 1:
            spool.same_columns(dataset, [pq.read_schema(file).names for file in dataset.files])
        options = f"union_by_name = true, {csvfile.NO_PARTITIONS}"
        source = csvfile.Source(sql=f"read_parquet({csvfile.files_literal(dataset.files)}, {options})")
    elif dataset.kind == "jsonl":
        source = _json_lines(connection, spool.readable(dataset, scratch))
    else:
        source = csvfile.source(connection, dataset, spool.readable(dataset, scratch), look=look)
    # No text of the user's is in there but file and column names, which are quoted.
    chosen = _selection(connection, source)
    connection.execute(f"CREATE TEMP VIEW {_VIEW} AS SELECT {chosen} FROM {source.sql}")  # noqa: S608
    return source


def _selection(connection: duckdb.DuckDBPyConnection, source: csvfile.Source) -> str:
    """Name all columns. Ibis does not know pandas' kind of time with a zone, in nanoseconds."""
    odd = [name for name, kind in _types(connection, source.sql) if kind == "TIMESTAMPTZ_NS"]
    casts = ", ".join(f"CAST({_name(name)} AS TIMESTAMPTZ) AS {_name(name)}" for name in odd)
    return f"* REPLACE ({casts})" if odd else "*"


def _json_lines(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> csvfile.Source:
    """Find the columns of JSON lines in all rows: in a sample, DuckDB would miss keys that come later.

    Dates and times are recognised as ISO 8601 only, as those of a CSV.

    :raises duckdb.InvalidInputException: there is no object in the files; `explained` looks for the place.
    """
    place = csvfile.files_literal(files)
    options = (
        f"format = 'newline_delimited', union_by_name = true, maximum_object_size = {_MAX_OBJECT}, "
        f"{csvfile.NO_PARTITIONS}"
    )
    sql = f"read_json({place}, {options}, sample_size = -1, dateformat = '%Y-%m-%d')"
    found = _types(connection, sql)
    if found == [("json", "JSON")]:  # what DuckDB says of a file without objects, and of one without keys
        raise duckdb.InvalidInputException("it holds no JSON object with a key")
    names = {name.lower() for name, _ in found}
    if any(name.rpartition("_")[0] in names for name in names):
        return csvfile.Source(sql=sql)  # `a_1` may be DuckDB's name for a key `A` beside `a`

    def given(columns: Iterable[tuple[str, str]]) -> str:
        """Read these columns. Given them, DuckDB does not read all rows again for them with every query."""
        words = ", ".join(f"{csvfile.quoted(name)}: {csvfile.quoted(kind)}" for name, kind in columns)
        return f"read_json({place}, {options}, columns = {{{words}}})"

    moments = [name for name, kind in found if kind.startswith(("DATE", "TIMESTAMP"))]
    if moments:
        looks = ", ".join(f"bool_and(regexp_matches({_name(name)}, {_ISO}))" for name in moments)
        texts = given((name, "VARCHAR") for name in moments)
        told = connection.execute(f"SELECT {looks} FROM {texts}").fetchall()[0]  # noqa: S608 -- quoted
        other = {name for name, iso in zip(moments, told, strict=True) if iso is False}
        found = [(name, "VARCHAR" if name in other else kind) for name, kind in found]
    return csvfile.Source(sql=given(found))


def _memory_for_json(connection: duckdb.DuckDBPyConnection) -> int:
    return MEMORY_BYTES + 2 * _MAX_OBJECT * _threads(connection)


def _threads(connection: duckdb.DuckDBPyConnection) -> int:
    ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    return int(threads)


def _types(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    rows = connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()  # noqa: S608 -- quoted
    return [(str(row[0]), str(row[1])) for row in rows]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def followed(source: Opened, progress: Bar | None, amount: float) -> Iterator[None]:
    """Advance a bar by `amount` in all while a query runs, as DuckDB tells how far it has come.

    After an error the bar is where it was, for the query may be asked again in another way.
    """
    if progress is None:
        yield
        return
    done, told = threading.Event(), 0.0

    def look() -> None:
        nonlocal told
        while not done.wait(LOOK_EVERY_S):
            now = max(told, source.connection.query_progress() / 100 * amount)  # -1 before it begins
            progress.advance(now - told)
            told = now

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    reached = 0.0
    try:
        yield
        reached = amount
    finally:
        done.set()
        watcher.join()
        progress.advance(reached - told)


def distinct_together(source: Opened) -> int:
    """Tell of how many columns distinct values are counted at once: each takes a table for each thread."""
    return max(1, MEMORY_BYTES // 2 // (_DISTINCT_BYTES * _threads(source.connection)))


def answer(query: ir.Table) -> list[dict[str, Any]]:
    """Run a query; its rows.

    Ibis would do it as well, but imports pandas for that: a second, and 85 MB.
    """
    found = query.get_backend().con.sql(ibis.to_sql(query, dialect="duckdb")).to_arrow_table()
    rows: list[dict[str, Any]] = found.cast(query.schema().to_pyarrow()).to_pylist()
    return rows


def smallest(value: ir.Value, key: ir.Value, number: int, where: ir.BooleanValue | None) -> ir.Value:
    """Collect the values of the rows with the smallest keys (DuckDB's `arg_min(value, key, n)`)."""
    kind = value.type()
    function = _builtin("arg_min", (kind, dt.int64, dt.int64), dt.Array(kind))
    return function(value, key, number, where=where)


def bins(value: ir.Value, edges: Sequence[float]) -> ir.Value:
    """Count the values up to each edge and above the one before: {edge: count, inf: above the last}.

    :param value: doubles, finite or null.
    """
    function = _builtin("histogram", (dt.float64, dt.Array(dt.float64)), dt.Map(dt.float64, dt.int64))
    return function(value, _array(edges, "array<float64>"))


def counts(value: ir.Value, values: Sequence[str | int | float]) -> ir.Value:
    """Count how often each of the given values occurs: {value: count}, and all others under a key apart.

    :param values: not the key of the others, which is `""`, the largest integer, or infinity.
    """
    kind = value.type()
    function = _builtin("histogram_exact", (kind, dt.Array(kind)), dt.Map(kind, dt.int64))
    return function(
        value,
        ibis.literal(list(values), type=dt.Array(kind))
        if kind.is_string()
        else _array(values, dt.Array(kind)),
    )


def tally(value: ir.Value) -> ir.Value:
    """Count every value there is: {value: count}. For columns known to have few."""
    function = _builtin("histogram", (value.type(),), dt.Map(value.type(), dt.int64))
    return function(value)


def _array(values: Sequence[str | int | float], kind: str | dt.DataType) -> ir.Value:
    """Write numbers as one text: as decimal literals of SQL they would lose their last digits."""
    return ibis.literal("[" + ", ".join(repr(value) for value in values) + "]").cast(kind)


def _builtin(name: str, takes: tuple[dt.DataType, ...], gives: dt.DataType) -> Any:
    def function(*values: Any) -> Any:
        """Run in the engine."""

    function.__name__ = name
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(f"x{i}", inspect.Parameter.POSITIONAL_OR_KEYWORD) for i in range(len(takes))]
    )
    return ibis.udf.agg.builtin(function, name=name, signature=(takes, gives))
