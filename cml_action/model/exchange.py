"""What passes between this program and the model's process besides words: arrays, as files.

What comes back was written by a stranger: it is read without pickles, and mapped before it is copied.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np


def size_bytes(path: Path) -> int:
    """Return the size of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> list[str]:
    """Write arrays as `0.npy`, `1.npy`, …, and return their names in that order.

    A table's column of objects (texts, or true and false, with gaps) is written as `0.json`: as text a gap
    would be a value like others.
    """
    import numpy as np

    for at, array in enumerate(arrays.values()):
        plain = np.asarray(array)
        if plain.dtype == object:
            cells = json.dumps([_cell(each) for each in plain])
            (folder / f"{at}.json").write_text(cells, encoding="utf-8")
        else:
            np.save(folder / f"{at}.npy", plain, allow_pickle=False)
    return list(arrays)


def _cell(value: object) -> object:
    """Return a table's cell as JSON has it; a missing one stays None or becomes NaN, as in pandas."""
    import pandas as pd

    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return math.nan if pd.isna(value) is True else str(value)  # type: ignore[call-overload]


def read_arrays(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read what the worker wrote: arrays as `0.npy`, …, cells as `0.json`; and names in `names.json`."""
    names = json.loads(_plain_file(folder / "names.json").read_text(encoding="utf-8"))
    return {text(name): _read(folder, at) for at, name in enumerate(names)}


def _read(folder: Path, at: int) -> np.ndarray[Any, Any]:
    import numpy as np

    cells = folder / f"{at}.json"
    if not cells.exists():
        # Mapped first: a header that promises more than there is in the file is refused, not allocated.
        return np.array(np.load(_plain_file(folder / f"{at}.npy"), mmap_mode="r", allow_pickle=False))
    found = json.loads(_plain_file(cells).read_text(encoding="utf-8"))
    if not isinstance(found, list) or any(isinstance(each, (list, dict)) for each in found):
        raise TypeError
    return np.array(found, dtype=object)


def _plain_file(path: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise OSError
    return path


def text(value: object) -> str:
    """Return a text.

    :raises TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError
    return value


def number(value: object) -> float:
    """Return a finite number.

    :raises ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)
