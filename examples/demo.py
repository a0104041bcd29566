"""The Action's main jobs on small projects, as users would run them: `make demo`.

1. `data_demo.py`: `pull, stats` compares data with the commit before.
2. `gate_demo.py`: three networks at the gate, two of which must not pass.
3. `promote_demo.py`: a model is gated, promoted, replaced by a better one, and brought back.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import data_demo
import gate_demo
import promote_demo


def main() -> int:
    """Run all three, and say where their reports are; 0 where each ended as it should."""
    began = time.monotonic()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    data, gate, promotion = (folder / name for name in ("data", "gate", "promotion"))
    title("1. A pull request changes the data")
    codes = [data_demo.demo(data)]
    title("2. A model is better or worse, faster or slower than the one in production")
    gate_demo.build(gate)
    codes.append(gate_demo.demo(gate))
    title("3. A model goes to production, and back")
    codes.append(promote_demo.demo(promotion))
    print(f"\nDone in {time.monotonic() - began:.0f} s. Reports to look at:")
    print(f"  {data / 'checkout' / 'cml-report' / 'report.html'}")
    for name in ("candidate", "slower", "worse"):
        print(f"  {gate / 'reports' / name}.html")
    print(f"  {promotion / 'project' / 'cml-report' / 'report.html'}")
    return int(any(codes))


def title(text: str) -> None:
    """Head what follows."""
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
