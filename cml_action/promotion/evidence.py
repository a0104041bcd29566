"""May this version be promoted: a passing verdict for exactly its files, under the policy that stands now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.model import verdict
from cml_action.paths import inside
from cml_action.registry.fetch import fetch
from cml_action.report import Check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cml_action.job import Job
    from cml_action.model.verdict import Evidence
    from cml_action.policy.demands import ModelGate
    from cml_action.registry.protocol import Registry, Stage, Version

_AGAIN = "Run `mode: gate` for this version"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is known of a version before it moves.

    :param digest: SHA-256 of its files; empty where nobody had to know it.
    """

    checks: tuple[Check, ...]
    digest: str = ""
    evidence: Evidence | None = None


def judge(job: Job, registry: Registry, version: Version, *, required: bool) -> Judged:
    """Look for evidence about a version and check that it is about these files and this policy.

    Evidence beside the version that was bound to the registry's own digest needs no download: the same digest
    is the same files. Otherwise the files are fetched and their SHA-256 is taken.

    :param required: whether a version without evidence fails.
    """
    given = _from_file(job)
    kept = None if given else registry.evidence(version)
    found = given or (kept.evidence if kept else None)
    if found is None:
        return Judged(checks=(_missing(version),) if required else ())
    if kept and kept.source_digest and kept.source_digest == version.digest:
        digest = found.digest
    else:
        digest = fetch(registry, version, job.private).digest
    demanded = verdict.policy_digest(job.policy.model if job.policy else None, _gates(job))
    checks = (_verdict(version, found), _same_files(version, found, digest), _same_policy(found, demanded))
    return Judged(checks=checks if required else (), digest=digest, evidence=found)


def raced(job: Job, judged: Judged, stage: Stage, *, is_last: bool) -> tuple[Check, ...]:
    """Check that the gate compared the version with the one that holds the stage, where one does.

    It is known by its name, or by its files. Before anybody holds the stage there is nothing to compare with;
    versions that were gated then have to be gated again once one of them holds it.

    :param is_last: whether no stage comes after this one; before it, a race beside another version, such as
        the one in production, is worth a warning alone.
    """
    found, holder = judged.evidence, stage.holder
    if found is None or holder is None:
        return ()
    beside = found.baseline.rpartition(":")[2]
    files = next((each.digest for each in reversed(stage.moves) if each.version == holder.name), "")
    known = bool(files and found.baseline_digest)
    if beside == holder.name or (known and found.baseline_digest == files):
        return ()
    is_version = any(each.version == beside for each in stage.moves)
    if beside and not known and not is_version:  # a file, of which nobody knows whether it is production's
        return ()
    demanded = (is_last or not beside) and job.inputs.require_gate == "true" and _demands_beside(job)
    other = f"`{beside}`" + ("" if is_version else f", other files than those of `{holder.name}`")
    said = f"The gate compared it with {other if beside else 'nothing'}, and `{holder.name}` holds"
    said += f" `{stage.alias}` now."
    if demanded:
        said += (
            " What `cml.yaml` or the input `gates` demands beside production was not tested."
            f" {_AGAIN} again, with `alias: {stage.alias}` and without the input `baseline`; where"
            f" `{holder.name}` cannot be loaded any more, `require-gate: false` promotes without a verdict."
        )
    return (
        Check(
            id="promote/baseline",
            status="fail" if demanded else "warn",
            title=f"the gate compared it with the version in {stage.alias}",
            value=beside or None,
            limit=holder.name,
            message=said,
        ),
    )


def _demands_beside(job: Job) -> bool:
    model = job.policy.model if job.policy else None
    gates = (*((model.gates if model else None) or ()), *_gates(job))
    beside = [each for each in gates if each.max_ratio is not None or each.max_drop is not None]
    return any(each.severity == "fail" for each in beside)


def read_file(path: Path, *, shown_as: str) -> Evidence:
    """Read the file that a gate's step left."""
    return verdict.read(path.read_text(encoding="utf-8", errors="replace"), shown_as=shown_as)


def _from_file(job: Job) -> Evidence | None:
    asked = job.inputs.evidence
    if not asked:
        return None
    path = inside(job.project, asked, input_name="evidence", root=job.workspace, reports=job.reports.parent)
    return read_file(path, shown_as=path.name)


def _gates(job: Job) -> Sequence[ModelGate]:
    """Return the gates of the input `gates`, which are part of what was demanded."""
    given = job.inputs.gates
    if not given:
        return ()
    from cml_action import policy

    return policy.read_gates(given, "The input gates")


def _missing(version: Version) -> Check:
    return Check(
        id="promote/evidence",
        status="fail",
        title="a gate tested this version",
        message=f"No verdict of a gate is kept beside `{version.reference}`. {_AGAIN} first, or name its file"
        " in the input `evidence`.",
    )


def _verdict(version: Version, found: Evidence) -> Check:
    status = {"pass": "pass", "warn": "warn", "fail": "fail"}[found.verdict]
    words = {
        "pass": "",
        "warn": "The gate passed with warnings: see its report.",
        "fail": f"The gate refused `{version.reference}`"
        + (f" ({found.run_url})" if found.run_url else "")
        + ". Promote a version that passes.",
    }
    return Check(
        id="promote/verdict",
        status=status,  # type: ignore[arg-type]
        title="its gate passed",
        value=found.verdict,
        limit="pass",
        message=words[found.verdict],
    )


def _same_files(version: Version, found: Evidence, digest: str) -> Check:
    same = found.digest == digest
    other = "" if found.reference == version.reference else f", or it was another version ({found.reference})"
    return Check(
        id="promote/digest",
        status="pass" if same else "fail",
        title="the verdict is about exactly these files",
        value=digest,
        limit=found.digest,
        message=""
        if same
        else f"The verdict is about a model with another digest than `{version.reference}` has: its files"
        f" were changed{other}. {_AGAIN} again.",
    )


def _same_policy(found: Evidence, demanded: str) -> Check:
    same = found.policy_digest == demanded
    return Check(
        id="promote/policy",
        status="pass" if same else "fail",
        title="the policy that was applied still stands",
        value=found.policy_digest,
        limit=demanded,
        message=""
        if same
        else "What `cml.yaml` or the input `gates` demands of the model was changed since the gate ran."
        f" {_AGAIN} again; an input `gates` has to be the same in both steps.",
    )
