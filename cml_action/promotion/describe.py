"""A move as a report says it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from cml_action.inputs import FAILING
from cml_action.report import Code, Link, Report, Section, Table, Text

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.registry.protocol import Move, Stage, Version
    from cml_action.report import Inline


def outputs(version: Version, stage: Stage, digest: str) -> dict[str, str]:
    """Return what later steps read; `previous` is whom the version replaced, also in a second run."""
    move = stage.last
    is_last = move is not None and move.version == version.name
    before = move.previous if is_last and move else (stage.holder.name if stage.holder else "")
    return {
        "model": version.reference,
        "model-digest": digest or version.digest,
        "version": version.name,
        "previous": before,
    }


def stayed(job: Job, report: Report, *said: Inline) -> Report | None:
    """Return the report of a move that the verdict forbids, None where it does not.

    What fails the step moves nothing, a warning with `fail-on: warn` as well; a failed check never does.

    :param said: what did not happen, in words.
    """
    if report.verdict not in {"fail", *FAILING[job.inputs.fail_on]}:
        return None
    why = () if report.verdict == "fail" else (": a warning is enough with ", Code("fail-on: warn"))
    return Report(summary=(Text.of(*said, *why, "."),)) + report


def moved(collection: str, move: Move, *, dry: bool = False) -> Report:
    """Return the report of a move that was made, or would be."""
    verb = "would take" if dry else "took"
    said: tuple[Inline, ...] = (Code(f"{collection}:{move.version}"), f" {verb} ", Code(move.alias))
    said += (" from ", Code(move.previous), ".") if move.previous else (", which nobody held.",)
    rows: list[tuple[Inline, Inline]] = [
        ("stage", Code(move.alias)),
        ("version", Code(move.version)),
        ("before", Code(move.previous) if move.previous else None),
        ("digest", Code(move.digest or move.source_digest) if move.digest or move.source_digest else None),
        ("who", Code(move.who) if move.who else None),
        ("why", Code(move.why) if move.why else None),
        ("run", Link("run", move.run_url) if move.run_url else None),
    ]
    table = Table(columns=("", "value"), rows=tuple(rows))
    title = Text.of(
        "What would move" if dry else f"Move {move.number} of ", *(() if dry else (Code(move.alias),))
    )
    return Report(
        summary=(Text.of(*said),),
        sections=(Section(title=title, blocks=(table,), folded=not dry),),
        facts={"move": {**asdict(move), "collection": collection, "dry_run": dry}},
    )


def held_already(collection: str, move: Move) -> Report:
    """Return the report where nothing was left to move."""
    return Report(
        summary=(
            Text.of(
                Code(f"{collection}:{move.version}"),
                " holds ",
                Code(move.alias),
                " already; nothing was moved.",
            ),
        ),
        facts={"move": {**asdict(move), "collection": collection, "dry_run": False}},
    )


def doubts(stage: Stage) -> tuple[Text, ...]:
    """Return what is odd about a stage's history, as lines of a report."""
    return tuple(Text.of(Code(each)) for each in stage.doubts)
