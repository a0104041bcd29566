"""Every benchmark, one after the other; exit code 1 where a bar is broken."""

from __future__ import annotations

import os
import platform
import sys

from benchmarks import comment, demo, install, rivals, stats
from benchmarks.bars import finish


def main() -> int:
    print(f"{os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}")
    print(
        f"Load before the first benchmark: {os.getloadavg()[0]:.1f}; 0 gives the best figures.\n", flush=True
    )
    bars = [bar for each in (comment, install, demo, stats, rivals) for bar in each.measure()]
    broken = [bar.name for bar in bars if not bar.holds]
    print(f"\nBroken: {'; '.join(broken)}" if broken else "\nAll bars hold.")
    return finish(bars)


if __name__ == "__main__":
    sys.exit(main())
