"""`result.json`: the report for programs. Its names are a promise; `schema` counts what breaks it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cml_action.report import Json, Report

SCHEMA = 1


def render(
    report: Report, *, modes: Sequence[str], subject: Mapping[str, Json], seconds: Mapping[str, float]
) -> str:
    """Return the JSON text.

    :param subject: repository, revision, base, pull request and run that the report is about.
    :param seconds: how long each mode took.
    """
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "modes": list(modes),
        "subject": dict(subject),
        "checks": [asdict(check) for check in report.checks],
        "model": None,
        "timings": {mode: round(spent, 3) for mode, spent in seconds.items()},
        **report.facts,
    }
    # JSON has no NaN and no infinity: what is none of its numbers is null, and the rest is kept.
    return to_json(found, indent=2, inf_nan_mode="null").decode() + "\n"
