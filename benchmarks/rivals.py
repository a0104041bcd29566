"""The profile of 500,000 rows beside ydata-profiling (minimal) and evidently's summary of the same file.

Each runs in a virtual environment of its own, made on the first call under `.cache/benchmarks`. What counts
is the time from the file's name to all figures being known, without imports: those of the rivals would only
flatter us. Neither rival writes its report. The bare query of `stats.py`, which tells what the profile tells
and no more than DuckDB can, says how far the limit could be reached at all.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bars import Bar, finish, ratio, run, show

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 500_000
ROUNDS = 3
TIMES = 20
CACHE = Path(__file__).parents[1] / ".cache" / "benchmarks"

OURS = """
import sys, tempfile, time
from pathlib import Path
import cml_action.data.measure
from cml_action.data.profile import profile
from cml_action.data.tables import find
path = Path(sys.argv[1])
began = time.perf_counter()
with tempfile.TemporaryDirectory() as temporary:
    found = profile(find(path.name, path.parent), temporary=Path(temporary))
print("seconds", time.perf_counter() - began)
"""
BARE = """
import sys, time
from pathlib import Path
import duckdb
from benchmarks.stats import query
began = time.perf_counter()
query(Path(sys.argv[1]))
print("seconds", time.perf_counter() - began)
"""
#: The package as it is installed, and what it does.
RIVALS = {
    "ydata-profiling==4.18.4 setuptools<81": """
import sys, time, warnings
warnings.simplefilter("ignore")
import pandas
from ydata_profiling import ProfileReport
began = time.perf_counter()
frame = pandas.read_csv(sys.argv[1], parse_dates=["born", "seen"])
ProfileReport(frame, minimal=True, progress_bar=False).get_description()
print("seconds", time.perf_counter() - began)
""",
    "evidently==0.7.23 pandas<3": """
import sys, time, warnings
warnings.simplefilter("ignore")
import pandas
from evidently import Dataset, DataDefinition, Report
from evidently.presets import DataSummaryPreset
began = time.perf_counter()
frame = pandas.read_csv(sys.argv[1], parse_dates=["born", "seen"])
Report([DataSummaryPreset()]).run(Dataset.from_pandas(frame, data_definition=DataDefinition()), None)
print("seconds", time.perf_counter() - began)
""",
}


def measure() -> list[Bar]:
    pythons = {packages: _installed(packages) for packages in RIVALS}
    bars = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        run([sys.executable, "-m", "benchmarks.rows", path, str(ROWS)])
        run([sys.executable, "-m", "benchmarks.stats", "profile", path])  # the edges that the query is given
        for packages, program in RIVALS.items():
            ours, bare, theirs = [], [], []
            for _ in range(ROUNDS):
                ours.append(_seconds([sys.executable, "-c", OURS, path]))
                bare.append(_seconds([sys.executable, "-c", BARE, path]))
                theirs.append(_seconds([pythons[packages], "-c", program, path]))
            bars.append(_bar(packages, "profile", ours, theirs, limit=TIMES))
            bars.append(_bar(packages, "one bare query", bare, theirs, limit=None))
    return bars


def _installed(packages: str) -> Path:
    """Return the interpreter of an environment that holds the packages and what they depend on."""
    name, *_ = packages.split()
    home = CACHE / name
    python, done = home / "bin" / "python", home / "installed"
    if not done.exists():
        uv = Path(sys.executable).with_name("uv")
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home])
        run([uv, "pip", "install", "--quiet", "--python", python, *packages.split(), "pyarrow"])
        done.touch()
    return python


def _seconds(command: Sequence[str | Path]) -> float:
    """Return what a program says of its own time in its last line."""
    words = run(command).output.split()
    return float(words[words.index("seconds") + 1])


def _bar(
    packages: str, what: str, ours: Sequence[float], theirs: Sequence[float], *, limit: float | None
) -> Bar:
    name = f"{packages.split(maxsplit=1)[0]} / {what}, {ROWS:,} rows"
    note = f"{statistics.median(theirs):.3g} s / {statistics.median(ours):.3g} s"
    return show(Bar(name=name, value=ratio(theirs, ours), unit="x", limit=limit, at_least=True, note=note))


if __name__ == "__main__":
    sys.exit(finish(measure()))
