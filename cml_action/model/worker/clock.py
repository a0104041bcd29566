"""Time of calls: blocks, and warming up."""

from __future__ import annotations

import contextlib
import gc
import statistics
from time import perf_counter_ns as now
from typing import Any, Callable, Dict, Iterator, List, Tuple

#: A window of warming up takes about so many nanoseconds, and holds at least so many calls.
WINDOW_NS, LEAST_CALLS = 50_000_000, 3
#: It is warm when so many windows have not lowered the least median by more than this part of it.
QUIET_WINDOWS, GAIN = 3, 0.02

Clock = Callable[[Callable[..., Any], Tuple[Any, ...], Dict[str, Any], int], List[int]]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's garbage collector away, as `timeit` does.

    What is there is frozen: a collection of all that scikit-learn or PyTorch brought takes a tenth of a
    second, and there is one before each block.
    """
    gc.collect()
    gc.freeze()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def on_cpu(call: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any], calls: int) -> list[int]:
    """Return the nanoseconds of each call, from the end of the one before to its own end.

    So the times add up to the whole, and what is not the model's is one look at the clock and one step of
    the loop.
    """
    stamps = [0] * (calls + 1)
    if named:
        stamps[0] = now()
        for at in range(1, calls + 1):
            call(*given, **named)
            stamps[at] = now()
    else:
        stamps[0] = now()
        for at in range(1, calls + 1):
            call(*given)
            stamps[at] = now()
    return [end - start for start, end in zip(stamps, stamps[1:])]


def on_cuda(torch: Any) -> Clock:
    """Return the clock of PyTorch's GPU: an event before each call and one behind it, waited for.

    A call is waited for before the next one begins, as a server with one request at a time does; else calls
    would queue, and the time would be that of the queue. `elapsed_time` is in milliseconds, with a resolution
    of about half a microsecond (PyTorch's documentation of `torch.cuda.Event`).
    """

    def clock(
        call: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any], calls: int
    ) -> list[int]:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        times = []
        for _ in range(calls):
            start.record()
            call(*given, **named)
            end.record()
            end.synchronize()
            times.append(round(start.elapsed_time(end) * 1e6))
        return times

    return clock


def warm_up(block: Callable[[int], list[int]], most_s: float) -> dict[str, Any]:
    """Run windows of calls until they stop becoming faster, or the time is up.

    Noise makes a window slower and warming up makes it faster: so the least median is what is followed.

    :param block: times so many calls, in nanoseconds.
    """
    began = now()
    first = block(1)
    calls, size = 1, LEAST_CALLS
    least, median, quiet = float("inf"), float(first[0]), 0
    while quiet < QUIET_WINDOWS and (now() - began) / 1e9 < most_s:
        window = block(size)
        calls += size
        median = statistics.median(window)
        quiet = 0 if median < least * (1 - GAIN) else quiet + 1
        least = min(least, median)
        size = max(LEAST_CALLS, min(10_000, int(WINDOW_NS / max(1.0, median))))
    return {
        "calls": calls,
        "seconds": (now() - began) / 1e9,
        "stable": quiet >= QUIET_WINDOWS,
        "median_s": median / 1e9,
    }
