"""`rollback`: give a stage back to a version that held it, if its files still are what they were."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from cml_action.errors import UsageError, reported, suggestion
from cml_action.promotion import describe, lock, notify
from cml_action.promotion.after import follow_up
from cml_action.promotion.evidence import judge
from cml_action.promotion.record import next_move
from cml_action.promotion.target import names_same, open_target, split
from cml_action.registry.fetch import fetch
from cml_action.registry.history import line
from cml_action.registry.protocol import NotThereError
from cml_action.report import Check, Code, Report, Text

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.promotion.target import Target
    from cml_action.registry.protocol import Stage, Version


def run(job: Job) -> Report:
    """Find where to go, check that it is there and unchanged, then move."""
    token = job.inputs.github_token.get_secret_value()
    notify.check(job.inputs.notify, job.event.repository, os.environ, token=token)
    target, _ = open_target(job)
    registry = target.registry
    stage = registry.look(target.collection, target.alias)
    if _is_ours(job, stage):
        return _again(job, target, stage)
    name = _asked(job, target, stage) or _previous(target, stage)
    if stage.holder and stage.holder.name == name:
        return _again(job, target, stage)
    version = _version(target, name)
    digest = _check_files(job, target, stage, version)
    checks = judge(job, registry, version, required=True).checks if job.inputs.evidence else ()
    report = Report(checks=(*checks, *_doubts(stage)))
    locked = _locked(job, target, version)
    move = next_move(
        job, stage, version, kind="rollback", digest=digest, why=job.inputs.reason or "Rolled back"
    )
    outputs = Report(outputs=describe.outputs(version, stage, digest))
    words = (Code(target.alias), " was not rolled back to ", Code(version.reference))
    if stayed := describe.stayed(job, report, *words):
        return stayed + outputs
    if job.inputs.dry_run == "true":
        return report + describe.moved(target.collection, move, dry=True) + outputs
    done = registry.move(stage, move)
    job.log.line(f"{target.alias} went back from {move.previous or 'nobody'} to {version.reference}.")
    recorded = done.last or move
    report += describe.moved(target.collection, recorded) + locked + outputs
    with reported(report):
        follow_up(job, target.collection, recorded)
    return report


def _is_ours(job: Job, stage: Stage) -> bool:
    """Whether this very run rolled back already, in a job that was killed or in an earlier attempt of it.

    Without `to`, a second rollback goes further back; a run that is repeated must not.
    """
    last, run = stage.last, _run(job.event.run_url)
    return bool(not job.inputs.to and last and last.kind == "rollback" and run and _run(last.run_url) == run)


def _run(url: str) -> str:
    return re.sub(r"/attempts/\d+$", "", url)


def _again(job: Job, target: Target, stage: Stage) -> Report:
    move = stage.last
    assert move is not None  # noqa: S101 -- somebody holds the stage
    if job.inputs.dry_run != "true":
        stage = target.registry.settle(stage)
    report = Report(checks=_doubts(stage)) + describe.held_already(target.collection, move)
    if stage.holder is None:
        return report
    report += Report(outputs=describe.outputs(stage.holder, stage, move.digest))
    if job.inputs.dry_run != "true" and move.kind != "outside" and stage.holder.name == move.version:
        with reported(report):
            follow_up(job, target.collection, move)
    return report


def _asked(job: Job, target: Target, stage: Stage) -> str:
    """Return the version that `to` names, as the record writes it."""
    asked = job.inputs.to
    if not asked:
        return ""
    held = list(dict.fromkeys(each.version for each in stage.moves if each.version))
    own, wanted = split(asked) or ("", asked)
    if own and not names_same(own, target.collection):
        raise UsageError(
            f"`{asked}` (input `to`) is a version of `{own}`, and the stage is one of `{target.collection}`.",
            "Name a version of that collection, or set the input `collection`.",
        )
    for name in (wanted, f"v{wanted}", wanted.removeprefix("v")):
        if name in held:
            return name
    names = ", ".join(f"`{each}`" for each in held) or "none"
    raise UsageError(
        f"`{asked}` (input `to`) never held `{target.alias}` of `{target.collection}`."
        f"{suggestion(wanted, held)}",
        f"These did: {names}. `mode: promote` brings a version there for the first time.",
    )


def _version(target: Target, name: str) -> Version:
    try:
        return target.registry.find(target.collection, name)
    except NotThereError as error:
        raise NotThereError(
            f"`{name}` held `{target.alias}` before, and cannot take it again. {error.what}",
            f"{error.fix} Or name another version in the input `to`.",
        ) from None


def _previous(target: Target, stage: Stage) -> str:
    path = line(stage.moves)
    earlier = path[:-1]
    if not path:
        raise UsageError(
            f"No version has held `{target.alias}` of `{target.collection}`: there is nothing to go back to.",
            "Check the inputs `collection` and `alias`; `mode: promote` brings a first version there.",
        )
    if not earlier:
        raise UsageError(
            f"The record of `{target.alias}` of `{target.collection}` holds no version before `{path[-1]}`:"
            " there is nothing to go back to.",
            "Name a version that held it in the input `to`, or promote another one.",
        )
    return earlier[-1]


def _check_files(job: Job, target: Target, stage: Stage, version: Version) -> str:
    """Fetch the version's files and hold them against what was recorded when it was promoted."""
    recorded = [each for each in stage.moves if each.version == version.name]
    digests = [each.digest for each in recorded if each.digest]
    if not digests:
        kept = target.registry.evidence(version)
        digests = [kept.evidence.digest] if kept else []
    with job.log.group(f"Checking the files of {version.reference}"):
        fetched = fetch(target.registry, version, job.private, expected=digests[-1] if digests else "")
    job.log.line(f"{version.reference} is there, {fetched.digest}.")
    return fetched.digest


def _locked(job: Job, target: Target, version: Version) -> Report:
    """Say which line of the lock file is to follow, where one names another version."""
    named = lock.read(job.project / lock.FILE).get(target.collection, {}).get(target.alias, version.name)
    if named == version.name:
        return Report()
    said = Text.of(Code(lock.FILE), " names ", Code(named), ": let it name ", Code(version.name), " as well.")
    return Report(summary=(said,))


def _doubts(stage: Stage) -> tuple[Check, ...]:
    return tuple(
        Check(id=f"rollback/history/{at}", status="warn", title="the history is whole", message=each)
        for at, each in enumerate(stage.doubts, start=1)
    )
