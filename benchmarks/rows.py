"""A table of 20 columns of mixed types, the same rows on every machine, as CSV or Parquet.

Each value follows from a hash of the row's number and a seed, so it does not matter how many threads write,
but for the order of the rows. 1 % of the rows repeat the row before; a twentieth of two columns is null.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

SEED = 7


def write(path: Path, rows: int) -> None:
    """Write so many rows to a file; its name says the kind."""
    kind = "PARQUET" if path.suffix == ".parquet" else "CSV"
    with duckdb.connect() as connection:
        for setting in ("enable_progress_bar = false", "memory_limit = '1GB'", "threads = 2"):
            connection.execute(f"SET {setting}")
        connection.execute("SET preserve_insertion_order = false")  # else Parquet is written by one thread
        connection.execute(f"COPY ({_select(rows)}) TO '{path}' (FORMAT {kind})")


def _select(rows: int) -> str:
    """Return the query; for each row and each x `u('x')` is in [0, 1) and `n('x')` a whole number."""

    def n(name: str) -> str:
        return f"hash(hash(i, '{name}{SEED}'))"  # twice: the hash of two values mixes them but little

    def u(name: str) -> str:
        return f"({n(name)} / 18446744073709551616.0)"

    def normal(name: str) -> str:  # Box and Muller, 1958
        return f"(sqrt(-2 * ln(1 - {u(name)})) * cos(2 * pi() * {u(name + '2')}))"

    columns = {
        "id": "i",
        "age": f"18 + {n('age')} % 73",
        "visits": f"floor(exp(3 * {u('visits')} * {u('visits2')}))::INTEGER",
        "steps": f"floor(12000 * {u('steps')})::INTEGER",
        "height": f"round(172 + 9 * {normal('height')}, 1)",
        "weight": f"CASE WHEN {u('gap')} < 0.05 THEN NULL ELSE round(74 + 13 * {normal('weight')}, 2) END",
        "score": f"round({normal('score')}, 8)",
        "income": f"round(exp(10 + 0.7 * {normal('income')}), 2)",
        "ratio": f"round({u('ratio')}, 6)",
        "price": f"round(5 + 95 * {u('price')} * {u('price2')}, 2)",
        "species": f"['setosa', 'versicolor', 'virginica'][1 + floor(3 * {u('s')} * {u('s2')})::INTEGER]",
        "city": f"'city ' || floor(500 * {u('city')} * {u('city2')})::INTEGER",
        "plan": f"['free', 'basic', 'plus', 'team', 'enterprise'][1 + ({n('plan')} % 5)::INTEGER]",
        "country": f"CASE WHEN {u('gap2')} < 0.05 THEN NULL ELSE chr((65 + {n('a')} % 16)::INTEGER)"
        f" || chr((65 + {n('b')} % 12)::INTEGER) END",
        "session": f"printf('%012x', ({n('session')} % 281474976710656)::BIGINT)",
        "note": f"'room ' || {n('room')} % 90 || ', ' || {n('note')} % 200000",
        "active": f"{u('active')} < 0.7",
        "verified": f"{u('verified')} < 0.02",
        "born": f"DATE '1940-01-01' + ({n('born')} % 25000)::INTEGER",
        "seen": f"TIMESTAMP '2024-01-01' + to_seconds(floor(63072000 * {u('seen')}))",
    }
    listed = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    # Every hundredth row is its predecessor once more.
    return f"SELECT {listed} FROM (SELECT i - (i % 100 = 99)::BIGINT AS i FROM range({rows}) AS numbers(i))"


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
