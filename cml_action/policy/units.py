"""Quantities as people write them in `cml.yaml`, with their units: `2%`, `100 ms`, `50 MB`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds in each unit of time.
SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "min": Decimal(60),
}
#: Bytes in each unit of size: powers of 1,000 (SI) and of 1,024 (IEC 80000-13).
BYTES = {
    "B": Decimal(1),
    "kB": Decimal(10**3),
    "KB": Decimal(10**3),
    "MB": Decimal(10**6),
    "GB": Decimal(10**9),
    "TB": Decimal(10**12),
    "KiB": Decimal(2**10),
    "MiB": Decimal(2**20),
    "GiB": Decimal(2**30),
    "TiB": Decimal(2**40),
}
_PERCENT = {"%": Decimal("0.01")}

#: A number and its unit, as a regular expression that JSON Schema understands too.
PATTERN = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([^\s0-9.]+)\s*$"


@dataclass(frozen=True)
class Share:
    """A part of a whole: 0.02 for `2%`."""

    value: float


def share(text: str) -> Share | None:
    """Return `2%` as a share, or nothing where the text is no percentage."""
    value = _in_units(text, _PERCENT)
    return None if value is None else Share(value)


def seconds(text: str) -> float | None:
    """Return `100 ms` in seconds, or nothing where the text is no length of time with a unit."""
    return _in_units(text, SECONDS)


def size_bytes(text: str) -> float | None:
    """Return `50 MB` in bytes, or nothing where the text is no size with a unit."""
    return _in_units(text, BYTES)


def _in_units(text: str, units: Mapping[str, Decimal]) -> float | None:
    found = re.match(PATTERN, text)
    if found is None or found[2] not in units:
        return None
    value = float(Decimal(found[1]) * units[found[2]])  # 2 % is 0.02, not a neighbour of it
    return value if math.isfinite(value) else None
