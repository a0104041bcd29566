"""The profile of 5 million rows of 20 columns beside one bare DuckDB query that tells the same.

The same is: rows, and rows that repeat (by a hash of 64 bits); of each column nulls, distinct values
(HyperLogLog, as in the profile), minimum, maximum and the twenty most frequent values; of numbers and moments
also mean, deviation, the profile's seven quantiles and its histogram. The query asks for all of it in one
read, with the aggregates that DuckDB has for it: sketches for quantiles (t-digest) and frequent values, where
the profile counts exactly. It has the machine's memory for itself, and is given the edges of the histograms.
Each side is a process of its own, measured from its start to its end.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bars import Bar, Run, finish, in_turn, median, ratio, run, show

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 5_000_000
ROUNDS = 3
TIMES, MEMORY_MB = 1.5, 500
#: How many times larger the file is than the engine's memory.
LARGER = 5
QUANTILES = "[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]"


def measure(rows: int = ROWS) -> list[Bar]:
    bars = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("csv", "parquet"):
            path = Path(folder, f"rows.{kind}")
            run([sys.executable, "-m", "benchmarks.rows", path, str(rows)])
            bars += _beside_a_query(path)
            if kind == "csv":
                bars += _larger_than_memory(path)
            path.unlink()
    return bars


def _beside_a_query(path: Path) -> list[Bar]:
    ours, query = in_turn(ROUNDS, lambda: child("profile", path), lambda: child("query", path))
    times = ratio([each.wall_s for each in ours], [each.wall_s for each in query])
    cpu = ratio([each.cpu_s for each in ours], [each.cpu_s for each in query])
    peak = max(each.peak_mb for each in ours)
    what = f"{path.suffix[1:]} of {path.stat().st_size / 1e6:,.0f} MB"
    theirs = statistics.median(each.peak_mb for each in query)
    both = f"{median(ours)} / {median(query)}"
    return [
        show(Bar(name=f"{what}: profile / one query", value=times, unit="x", limit=TIMES, note=both)),
        show(Bar(name=f"{what}: the same, processor time", value=cpu, unit="x")),
        show(
            Bar(
                name=f"{what}: peak memory",
                value=peak,
                unit="MB",
                limit=MEMORY_MB,
                note=f"the query: {theirs:,.0f} MB",
            )
        ),
    ]


def _larger_than_memory(path: Path) -> list[Bar]:
    limit = path.stat().st_size // LARGER
    done = child("profile", path, str(limit))
    name = f"file of {LARGER} x the engine's {limit / 1e6:,.0f} MB finishes: peak memory"
    return [show(Bar(name=name, value=done.peak_mb, unit="MB", limit=MEMORY_MB, note=median([done])))]


def child(what: str, path: Path, *words: str) -> Run:
    return run([sys.executable, "-m", "benchmarks.stats", what, path, *words])


def profile(path: Path, memory_limit_bytes: int | None) -> None:
    """Profile a file, and leave the edges of its histograms beside it for the query."""
    from cml_action.data.profile import profile as measured
    from cml_action.data.tables import find

    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        found = measured(
            find(path.name, path.parent), temporary=Path(temporary), memory_limit_bytes=memory_limit_bytes
        )
    told = [
        {"name": each.name, "type": each.type, "edges": each.numbers.histogram.edges if each.numbers else ()}
        for each in found.columns
    ]
    path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")


def query(path: Path) -> None:
    """Ask the same in one query of DuckDB's."""
    import duckdb

    columns = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    asked = ["count(*)", "count(DISTINCT hash(rows))", *(part for each in columns for part in _asked(each))]
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SELECT {', '.join(asked)} FROM '{path}' AS rows").fetchall()


def _asked(column: dict[str, Any]) -> Sequence[str]:
    name = column["name"]
    asked = [f"count({name})", f"approx_count_distinct({name})", f"approx_top_k({name}, 20)"]
    if column["type"] != "boolean":
        asked += [f"min({name})", f"max({name})"]
    if column["edges"]:
        axis = f"epoch({name})" if column["type"] in {"date", "datetime"} else f"{name}::DOUBLE"
        asked += [f"avg({axis})", f"stddev_samp({axis})", f"approx_quantile({axis}, {QUANTILES})"]
        asked.append(f"histogram({axis}, {column['edges']}::DOUBLE[])")
    return asked


def main(words: Sequence[str]) -> int:
    if not words:
        return finish(measure())
    what, path, limit = words[0], Path(words[1]), int(words[2]) if len(words) > 2 else None
    if what == "profile":
        profile(path, limit)
    else:
        query(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
