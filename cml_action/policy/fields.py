"""The kinds of values that `cml.yaml` may hold in one place: counts, shares, limits, paths, names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError, core_schema

from cml_action.policy import units
from cml_action.policy.units import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def refused(allowed: str) -> PydanticCustomError:
    """Make the error whose message says what was found and that this is allowed instead."""
    return PydanticCustomError("refused", "Allowed: {allowed}", {"allowed": allowed})


def rule(says: str, fix: str, *at: str | int) -> PydanticCustomError:
    """Make the error whose message is the name of the key `at` in this place, and what it `says`."""
    return PydanticCustomError("rule", "{says} {fix}", {"says": says, "fix": fix, "at": at})


def is_number(value: object) -> bool:
    """Whether it is a finite number; `true` is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, eq=False)  # typing hashes what it annotates, and a schema has no hash
class _Leaf:
    """A type for pydantic with a message of ours.

    :param accept: returns the parsed value, or nothing where it is not allowed.
    :param allowed: what is, in words.
    :param schema: the same as JSON Schema.
    """

    accept: Callable[[Any], object]
    allowed: str
    schema: dict[str, Any]

    def validate(self, value: object) -> object:
        accepted = self.accept(value)
        if accepted is None:
            raise refused(self.allowed)
        return accepted

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, source: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)


def _count(value: Any) -> object:
    # A whole number may be written 1e3: JSON Schema takes that for an integer, too.
    whole = is_number(value) and value >= 0 and value == int(value)
    return int(value) if whole else None


def _count_or_share(value: object) -> object:
    part = units.share(value) if isinstance(value, str) else None
    return part if part is not None and part.value <= 1 else _count(value)


def _number(value: object) -> object:
    return value if is_number(value) else None


def _at_least_0(value: Any) -> object:
    return value if is_number(value) and value >= 0 else None


def _at_least_0_or_share(value: object) -> object:
    return units.share(value) if isinstance(value, str) else _at_least_0(value)


def _above_0(value: Any) -> object:
    return value if is_number(value) and value > 0 else None


def _between_0_and_1(value: Any) -> object:
    return value if is_number(value) and 0 < value < 1 else None


def _duration(value: object) -> object:
    return (units.seconds(value) or None) if isinstance(value, str) else None


def _dimension(value: object) -> object:
    return _count(value) or None


def _cell(value: object) -> object:
    return value if isinstance(value, (str, bool)) or is_number(value) else None


def _path(value: object) -> object:
    """Accept a path or glob that stays inside the project, by its text alone."""
    if not isinstance(value, str) or not value or "\0" in value or _ADDRESS.match(value):
        return None
    posix, windows = PurePosixPath(value), PureWindowsPath(value)
    leaves = posix.is_absolute() or windows.drive or windows.root or value.startswith("~")
    return None if leaves or ".." in windows.parts else value


def _function(value: object) -> object:
    return value if isinstance(value, str) and re.fullmatch(_FUNCTION, value) else None


_PERCENT = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"}

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, _Leaf(_count, "a whole number, 0 or more", {"type": "integer", "minimum": 0})]
CountOrShare = Annotated[
    int | Share,
    _Leaf(
        _count_or_share,
        "a count (0 or more) or a share up to 100%, such as 2%",
        {"anyOf": [{"type": "integer", "minimum": 0}, _PERCENT]},
    ),
]
Number = Annotated[int | float, _Leaf(_number, "a number", {"type": "number"})]
NotNegative = Annotated[
    int | float, _Leaf(_at_least_0, "a number, 0 or more", {"type": "number", "minimum": 0})
]
NotNegativeOrShare = Annotated[
    int | float | Share,
    _Leaf(
        _at_least_0_or_share,
        "a number, 0 or more, or a share of the base's value, such as 5%",
        {"anyOf": [{"type": "number", "minimum": 0}, _PERCENT]},
    ),
]
Ratio = Annotated[
    int | float, _Leaf(_above_0, "a number above 0, such as 1.10", {"type": "number", "exclusiveMinimum": 0})
]
Alpha = Annotated[
    float,
    _Leaf(
        _between_0_and_1,
        "a number between 0 and 1, such as 0.05",
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ),
]
#: Seconds, written with their unit.
Duration = Annotated[
    float,
    _Leaf(
        _duration,
        f"a time above 0 with its unit ({', '.join(units.SECONDS)}), such as 10 min",
        {"type": "string", "pattern": units.PATTERN},
    ),
]
Dimension = Annotated[int, _Leaf(_dimension, "a whole number, 1 or more", {"type": "integer", "minimum": 1})]
Cell = Annotated[
    str | bool | int | float,
    _Leaf(
        _cell,
        "text, a number, true or false",
        {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
    ),
]
ProjectPath = Annotated[
    str,
    _Leaf(
        _path,
        "a path or glob inside the project, relative to its folder",
        # No slash, drive, tilde or address in front, and no `..` between slashes.
        {
            "type": "string",
            "minLength": 1,
            "pattern": r"^(?![/\\~]|[A-Za-z]:|.*://)(?!(.*[/\\])?\.\.([/\\]|$))",
        },
    ),
]
Function = Annotated[
    str,
    _Leaf(
        _function,
        "package.module:function, such as my_package.model:load",
        {"type": "string", "pattern": _FUNCTION},
    ),
]
