"""`promote`: let a version take a stage, on evidence, and record who, when and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cml_action.errors import UsageError, reported
from cml_action.promotion import describe, lock, notify
from cml_action.promotion.after import follow_up
from cml_action.promotion.approval import approved
from cml_action.promotion.evidence import judge, raced
from cml_action.promotion.record import next_move
from cml_action.promotion.target import open_target
from cml_action.publish.outputs import write
from cml_action.registry.protocol import Move
from cml_action.report import Check, Code, Report, Text

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.promotion.evidence import Judged
    from cml_action.promotion.target import Target
    from cml_action.registry.protocol import Stage, Version


def run(job: Job) -> Report:
    """Check everything, then move. A second run of the same finds what the first one did."""
    token = job.inputs.github_token.get_secret_value()
    notify.check(job.inputs.notify, job.event.repository, os.environ, token=token)
    target, wanted = open_target(job)
    if wanted is None:
        raise UsageError(
            "Nothing says which version shall be promoted: neither the input `model`, nor the event, nor a"
            " stage before this one.",
            f"Set `model`, such as `{target.collection}:v3`.",
        )
    registry = target.registry
    version = registry.find(target.collection, wanted.name)
    job.log.line(f"The candidate is {version.reference} ({wanted.origin}).")
    stage = registry.look(target.collection, target.alias)
    if stage.holder and stage.holder.name == version.name:
        return _again(job, target, version, stage)
    judged = judge(job, registry, version, required=job.inputs.require_gate == "true")
    checks = (
        *judged.checks,
        *raced(job, judged, stage, is_last=target.is_last),
        *_order(job, target, version),
    )
    checks += approved(job, target, version, stage)
    report = Report(checks=checks) + _doubts(stage)
    move = next_move(
        job, stage, version, kind="promote", digest=judged.digest, why=job.inputs.reason or _reason(judged)
    )
    outputs = Report(outputs=describe.outputs(version, stage, judged.digest))
    words = (Code(version.reference), " was not promoted to ", Code(target.alias))
    if stayed := describe.stayed(job, report, *words):
        return stayed + outputs
    if job.inputs.dry_run == "true":
        return report + describe.moved(target.collection, move, dry=True) + outputs
    if any(each.status == "skip" for each in checks):
        return _proposed(job, target, move) + report + outputs
    done = registry.move(stage, move)
    job.log.line(f"{version.reference} took {target.alias} from {move.previous or 'nobody'}.")
    recorded = done.last or move
    report += describe.moved(target.collection, recorded) + outputs
    with reported(report):
        follow_up(job, target.collection, recorded)
    return report


def _again(job: Job, target: Target, version: Version, stage: Stage) -> Report:
    """Finish what a killed job left, and say that the version holds the stage."""
    last = stage.last
    move = last or Move(number=0, alias=target.alias, version=version.name)
    if job.inputs.dry_run != "true":
        stage = target.registry.settle(stage)
    report = describe.held_already(target.collection, move) + _doubts(stage)
    report += Report(outputs=describe.outputs(version, stage, move.digest))
    if job.inputs.dry_run != "true" and last and last.kind != "outside" and last.version == version.name:
        with reported(report):
            follow_up(job, target.collection, last)
    return report


def _reason(judged: Judged) -> str:
    found = judged.evidence
    if found is None or found.digest != judged.digest:  # with `require-gate: false`
        return "Promoted without a gate's verdict"
    return f"The gate said {found.verdict}" + (f" ({found.run_url})" if found.run_url else "")


def _order(job: Job, target: Target, version: Version) -> tuple[Check, ...]:
    """Check that the version has been in the stage before this one."""
    if not target.before:
        return ()
    stage = target.registry.look(target.collection, target.before)
    held = stage.holder is not None and stage.holder.name == version.name
    passed = held or any(each.version == version.name for each in stage.moves)
    told = job.inputs.skip_stages == "true"
    return (
        Check(
            id="promote/stages",
            status="pass" if passed else "warn" if told else "fail",
            title=f"it has been in {target.before}",
            message=""
            if passed
            else f"`{version.reference}` never held `{target.before}`, which comes before `{target.alias}`."
            + (
                " It was told to jump over it."
                if told
                else " Promote it there first, or set `skip-stages: true`."
            ),
        ),
    )


def _proposed(job: Job, target: Target, move: Move) -> Report:
    """Write the line whose merge promotes; `mode: pr` opens the pull request of it."""
    path = job.project / lock.FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write(path, lock.with_version(before, target.collection, target.alias, move.version))
    said = Text.of(
        Code(f"{target.collection}:{move.version}"),
        " may take ",
        Code(target.alias),
        *((" from ", Code(move.previous)) if move.previous else ()),
        f" once the change of `{lock.FILE}` is merged.",
    )
    return Report(summary=(said,))


def _doubts(stage: Stage) -> Report:
    """Warn of what is odd about a history: edited by hand, gaps."""
    checks = (
        Check(id=f"promote/history/{at}", status="warn", title="the history is whole", message=each)
        for at, each in enumerate(stage.doubts, start=1)
    )
    return Report(checks=tuple(checks))
