"""How a number reads: its unit, three significant digits, thousands separators, a sign on a difference."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cml_action.report import Unit

NOTHING = "–"
_MINUS = "\u2212"
_NARROW = "\u202f"  # narrow no-break space, between a number and its unit (SI brochure, 5.4.3)
_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")
_SECONDS = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_THOUSAND = 1000
_LARGE, _SMALL = 1e9, 1e-4


def quantity(value: float | None, unit: Unit = "number", *, signed: bool = False) -> str:
    """Return the number as people read it: `1,234,567`, `12.3 %`, `28.4 kB`, `3.42 ms`."""
    if value is None or math.isnan(value):
        return NOTHING
    if unit == "moment":
        return _moment(value)
    sign = _MINUS if value < 0 else "+" if signed and value > 0 else ""
    size = abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    return sign + _WRITERS[unit](size)


def counted(number: int, noun: str) -> str:
    """Return `1 check`, `1,024 checks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _significant(value: float, digits: int = 3) -> str:
    """Write a positive number with that many significant digits, none of them lost before the point."""
    if value == 0:
        return "0"
    if value >= _LARGE or value < _SMALL:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    rounded = float(f"{value:.{digits}g}") if value < _THOUSAND else value  # 999.7 is 1,000
    decimals = max(0, digits - 1 - math.floor(math.log10(rounded)))
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text and float(value).is_integer() else text


def _bytes(value: float) -> str:
    power = 0
    while value >= _THOUSAND - 0.5 and power < len(_BYTES) - 1:
        value /= _THOUSAND
        power += 1
    return f"{value:,.0f}{_NARROW}B" if power == 0 else f"{_significant(value)}{_NARROW}{_BYTES[power]}"


def _seconds(value: float) -> str:
    if value >= 2 * _DAY_S:
        return f"{_significant(value / _DAY_S)} days"
    if value >= _HOUR_S:
        return f"{value // _HOUR_S:.0f}{_NARROW}h {value % _HOUR_S // _MINUTE_S:.0f}{_NARROW}min"
    if value >= _MINUTE_S:
        return f"{value // _MINUTE_S:.0f}{_NARROW}min {value % _MINUTE_S:.0f}{_NARROW}s"
    for scale, name in _SECONDS:
        if value >= scale:
            return f"{_significant(value / scale)}{_NARROW}{name}"
    return f"0{_NARROW}s"


def _moment(seconds: float) -> str:
    """Write a moment; Python's dates end at the year 9999, and what lies outside stays a number."""
    try:
        when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        return f"{_significant(abs(seconds))} s"
    midnight = when.hour == when.minute == when.second == 0
    return when.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M")


_WRITERS: dict[Unit, Callable[[float], str]] = {
    "number": _significant,
    "count": lambda value: f"{value:,.0f}",
    "bytes": _bytes,
    "seconds": _seconds,
    "share": lambda value: f"{_significant(value * 100)}{_NARROW}%",
    "points": lambda value: f"{_significant(value * 100)} points",
}
