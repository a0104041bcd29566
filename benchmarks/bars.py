"""Measuring processes from outside, and telling whether a figure holds its bar.

Whatever is compared runs in turn (A, B, A, B …) and the ratio is the median of the pairs: a machine that
slows down halfway slows both sides.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: `ru_maxrss` is in bytes on macOS, in KiB elsewhere (getrusage(2)).
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A figure beside its limit.

    :param at_least: the limit is a lower one.
    :param limit: None for a figure that is told without being promised.
    :param note: what it is made of, such as the seconds behind a ratio.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to its limit; one without a limit does."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """One line: verdict, name, figure, limit and what it is made of."""
        verdict = "    " if self.limit is None else "ok  " if self.holds else "MISS"
        limit = "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}"
        return f"{verdict} {self.name:58} {self.value:9.3g} {self.unit:2}  {limit:10}  {self.note}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Run:
    """A process that has ended.

    :param wall_s: from its start to its end; `cpu_s`: user and system time, of its own children too.
    :param peak_mb: the largest resident set of it or of one of its children, 10^6 bytes.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(
    command: Sequence[str | Path], *, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Run:
    """Run a process to its end.

    :raises RuntimeError: it fails; with what it printed.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        shown = " ".join(map(str, command))[:500]
        raise RuntimeError(f"Exit code {process.returncode} of {shown}:\n{output[-3000:]}")
    return Run(
        wall_s=wall_s,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss * _RSS_UNIT / 1e6,
        output=output,
    )


def in_turn(times: int, *works: Callable[[], Run]) -> list[list[Run]]:
    """Do each work once, then again, and so on; return the runs of each."""
    rounds = [[work() for work in works] for _ in range(times)]
    return [list(each) for each in zip(*rounds, strict=True)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios, pair by pair."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def median(runs: Sequence[Run]) -> str:
    """Say how long runs took, in the middle."""
    wall = statistics.median(each.wall_s for each in runs)
    cpu = statistics.median(each.cpu_s for each in runs)
    return f"{wall:.3g} s (processor {cpu:.3g} s)"


def finish(bars: Sequence[Bar]) -> int:
    """Return the exit code: 1 where a bar is broken."""
    return int(not all(bar.holds for bar in bars))


def show(bar: Bar) -> Bar:
    """Print a bar as soon as it is known."""
    print(bar, flush=True)
    return bar
