"""`make demo`, once everything is installed."""

from __future__ import annotations

import sys
import tempfile

from benchmarks.bars import Bar, finish, median, run, show
from tests.services.act import ROOT

LIMIT_S = 60


def measure() -> list[Bar]:
    with tempfile.TemporaryDirectory() as folder:
        done = run([sys.executable, ROOT / "examples" / "demo.py", folder], folder=ROOT)
    return [show(Bar(name="make demo", value=done.wall_s, unit="s", limit=LIMIT_S, note=median([done])))]


if __name__ == "__main__":
    sys.exit(finish(measure()))
