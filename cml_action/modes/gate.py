"""`gate`: test a model beside the one in production, and leave evidence of what was found."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import cml_action
from cml_action.data import dvc
from cml_action.data.pull import pull
from cml_action.errors import UsageError, reported
from cml_action.install import ensure
from cml_action.model import describe, gate, judge, labelled, python, reference
from cml_action.model.demanded import demanded
from cml_action.model.digest import digest
from cml_action.model.spec import Place, from_policy, limits
from cml_action.model.verdict import Evidence, policy_digest
from cml_action.publish.outputs import write
from cml_action.report import Check, Code, Report, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.job import Job
    from cml_action.model.demanded import Demanded
    from cml_action.model.gate import Found
    from cml_action.model.labelled import Labelled
    from cml_action.model.latency import Side
    from cml_action.model.reference import Reference
    from cml_action.model.spec import ModelSpec
    from cml_action.policy.demands import ModelPolicy
    from cml_action.promotion.candidate import Candidate

VERDICT_FILE = "verdict.json"


def run(job: Job) -> Report:
    """Find the model, test it, and bind the verdict to its digest."""
    started, began = datetime.now(timezone.utc), time.monotonic()
    policy = job.policy.model if job.policy else None
    wanted = reference.find(job.inputs.model, job.event, policy.path if policy else None)
    if wanted is None:
        raise UsageError(
            "There is no model to gate: neither the input `model`, nor the event, nor `cml.yaml` names one.",
            "Set `model` to a path, or `path` under `model` in cml.yaml.",
        )
    candidate = _find(job, wanted)
    before = _baseline(job, candidate)
    paths: dict[Side, Path] = {"candidate": candidate.path}
    if before is not None:
        paths["production"] = before.path
    wishes = demanded(job.policy, job.inputs.gates, job.inputs.config, beside=before is not None)
    judge.check_limits(wishes.limits, policy)
    tests = _tests(job, policy)
    data = _data(job, policy)
    allowed = dvc.cache_directories(job.project) if dvc.is_repository(job.project) else ()
    digests = {side: digest(path, allowed=allowed) for side, path in paths.items()}
    theirs = python.find(job.inputs.python, os.environ.get("PATH", ""), job.project)
    place = Place(
        python=_python(job, policy, theirs, tuple(paths.values())),
        project=job.project,
        private=job.private,
        environ=os.environ,
    )
    found = gate.run(
        gate.Asked(
            specs={side: _spec(job, policy, path) for side, path in paths.items()},
            place=place,
            limits=wishes.limits,
            policy=policy,
            data=data,
            name=candidate.name,
            tests=tests,
            theirs=theirs,
            time_limits=limits(policy),
        ),
        job.log,
    )
    for side, path in paths.items():  # a model that was changed meanwhile is not the one that was tested
        if digest(path, allowed=allowed) != digests[side]:
            found.checks.append(_changed(side, path))
    report = _report(job, candidate, before, found, wishes)
    evidence = Evidence(
        schema=1,
        verdict=report.verdict,
        reference=candidate.name,
        digest=digests["candidate"],
        policy_digest=policy_digest(policy, wishes.extra),
        revision=job.revision,
        baseline=before.name if before else "",
        baseline_digest=digests.get("production", ""),
        data={data.name: data.hash} if data else {},
        environment=found.environment,
        checks=tuple(asdict(check) for check in report.checks),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 3),
        run_url=job.event.run_url,
    )
    report += _kept(job, evidence)
    if candidate.version:  # `promote` finds it there, in another job or on another day
        with reported(report):
            candidate.version.keep(evidence)
        job.log.line(f"The verdict is kept beside {candidate.name}.")
    return report


def _python(job: Job, policy: ModelPolicy | None, theirs: Path, models: Sequence[Path]) -> Path:
    """Return the interpreter that the models are run in: theirs where it can be.

    Another one stands in where theirs lacks what the models' types need; not where it was named, or runs code
    of theirs, which may need more. In a step of the Action, what is lacking is installed privately, beside
    what the step itself needs.

    :raises OutsideError: that could not be done.
    """
    code = job.inputs.model_loader or (policy and (policy.loader or policy.evaluate))
    if job.inputs.python or code:
        return theirs
    found = python.with_libraries((theirs, Path(sys.executable)), models)
    if found or not job.log.runner:
        return found or theirs
    names = " and ".join(dict.fromkeys(each.name for each in models))
    job.log.line(f"{theirs} lacks what {names} needs: it is installed privately.")
    lists = Path(cml_action.__file__).parents[1] / "requirements"
    return ensure(("base", *python.families(models)), lists, os.environ, job.log)


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A model on this machine.

    :param name: as people know it: a path, or `collection:version`.
    :param version: where it came out of a registry.
    """

    name: str
    path: Path
    version: Candidate | None = None


def _find(job: Job, wanted: Reference) -> _Model:
    if wanted.kind == "path" or _is_here(job, wanted.text):
        return _Model(name=wanted.text, path=_path(job, wanted))
    from cml_action.promotion.candidate import fetch_candidate

    return _of_version(fetch_candidate(job, wanted.text, wanted.origin))


def _is_here(job: Job, text: str) -> bool:
    """Whether a name that reads like `net@2`, a version, is that of a file or folder of the project."""
    return "@" in text and ((job.project / text).exists() or dvc.covers(job.tracked, text))


def _of_version(version: Candidate) -> _Model:
    return _Model(name=version.reference, path=version.path, version=version)


def _path(job: Job, wanted: Reference) -> Path:
    """Return where a model lies in the workspace; it is pulled where DVC tracks it and it is not here.

    :raises UsageError: it is not there, or leads out of the workspace.
    """
    path = job.project / wanted.text
    if dvc.covers(job.tracked, wanted.text) and not path.exists():
        pulled = pull(
            job.project, targets=[wanted.text], remote=job.inputs.remote or None, jobs=None, log=job.log
        )
        job.log.line(f"Pulled {wanted.text}: {pulled.fetched_files:,} files.")
    allowed = [job.workspace.resolve()]
    if job.tracked:
        allowed += dvc.cache_directories(job.project)
    real = path.resolve()
    if not any(real.is_relative_to(each) for each in allowed):
        raise UsageError(
            f"`{wanted.text}` ({wanted.origin}) leaves the workspace.", "Name a model inside the repository."
        )
    if not path.exists():
        raise UsageError(
            f"There is no model `{wanted.text}` ({wanted.origin}) in"
            f" {f'`{job.prefix}`' if job.prefix else 'the project'}.",
            "Name a file or folder that is there, or that DVC tracks, or a version as `collection:version`.",
        )
    return path


def _baseline(job: Job, candidate: _Model) -> _Model | None:
    """Return what the candidate is compared with: what was asked for, else what holds the stage `alias`."""
    asked = job.inputs.baseline
    if asked == "none":
        return None
    if asked:
        return _find(job, reference.parse(asked, "the input `baseline`"))
    if not (candidate.version or job.inputs.registry or (job.policy and job.policy.registry)):
        return None
    from cml_action.promotion.candidate import fetch_holder

    holder = fetch_holder(job, candidate.version)
    if holder is None:
        job.log.line(f"No version holds `{job.inputs.alias}` yet: the candidate is compared with nothing.")
    return _of_version(holder) if holder else None


def _spec(job: Job, policy: ModelPolicy | None, path: Path) -> ModelSpec:
    return from_policy(policy, path, job.project, loader=job.inputs.model_loader)


def _tests(job: Job, policy: ModelPolicy | None) -> str:
    """Return the user's own tests, as `cml.yaml` names them; empty where it does not.

    :raises UsageError: they are not there.
    """
    named = (policy.tests if policy else None) or ""
    if named and not (job.project / named.partition("::")[0]).exists():
        raise UsageError(
            f"There are no tests in `{named}` (`tests` under `model`): it is not there.",
            f"Correct the path in {job.inputs.config}.",
            path=job.inputs.config,
            line=job.policy.line_of("model", "tests") if job.policy else None,
        )
    return named


def _data(job: Job, policy: ModelPolicy | None) -> Labelled | None:
    """Read the labelled data set, pulled where DVC tracks it."""
    if policy is None or policy.data is None:
        return None
    if not job.tracked:
        return labelled.read(policy, job.project)
    known = next((each for each in job.tracked if each.path == policy.data.rstrip("/")), None)
    if dvc.covers(job.tracked, policy.data) and not (job.project / policy.data).exists():
        pull(job.project, targets=[policy.data], remote=job.inputs.remote or None, jobs=None, log=job.log)
    # Evidence is about the bytes that were read, not about those that DVC recorded.
    recorded = known.hash if known and not dvc.edited(job.project, [known]) else ""
    return labelled.read(policy, job.project, allowed=dvc.cache_directories(job.project), known=recorded)


def _changed(side: str, path: Path) -> Check:
    return Check(
        id=f"model/{side}/unchanged",
        status="fail",
        title="the model stays as it is while it is tested",
        message=f"`{path.name}` was changed while it was tested: nothing is known of what lies there now."
        " Look for code in the loader, the tests or the model that writes there.",
    )


def _report(job: Job, candidate: _Model, before: _Model | None, found: Found, wishes: Demanded) -> Report:
    report = Report(checks=tuple(found.checks), sections=describe.sections(found, wishes.limits))
    verb = {"pass": "may", "warn": "may", "fail": "must not"}[report.verdict]
    doubt = ", with warnings" if report.verdict == "warn" else ""
    if before is not None:
        said = Text.of(Code(candidate.name), f" {verb} replace ", Code(before.name), f"{doubt}.")
    else:
        said = Text.of(
            Code(candidate.name), f" {verb} go to production{doubt}. It was compared with nothing."
        )
    return (
        Report(summary=(said, *_undemanded(job, wishes), *_event(job)))
        + report
        + Report(facts={"gate": describe.facts(found)})
    )


def _undemanded(job: Job, wishes: Demanded) -> tuple[Text, ...]:
    """Say that the verdict stands for little, where nobody said what the model must reach."""
    model = job.policy.model if job.policy else None
    if wishes.extra or (model and (model.gates or model.tests or model.behaviour)):
        return ()
    place = Code(f"{job.prefix}{job.inputs.config}")
    return (
        Text.of("Nothing was demanded of it: ", place, " and the input ", Code("gates"), " name no gate."),
    )


def _event(job: Job) -> tuple[Text, ...]:
    """Say who asked, where the event says so: their words, shown as they are."""
    if job.inputs.model:
        return ()
    said = reference.said(job.event)
    who = said.get("event_author")
    what = said.get("artifact_collection_name")
    if not who:
        return ()
    return (Text.of("Asked for by ", Code(who), *(((" in ", Code(what))) if what else ()), "."),)


def _kept(job: Job, evidence: Evidence) -> Report:
    path = job.reports / VERDICT_FILE
    write(path, evidence.to_json())
    return Report(
        facts={
            "model": {
                "reference": evidence.reference,
                "digest": evidence.digest,
                "policy_digest": evidence.policy_digest,
                "baseline": evidence.baseline or None,
                "baseline_digest": evidence.baseline_digest or None,
                "data": dict(evidence.data),
            }
        },
        outputs={
            "model": evidence.reference,
            "model-digest": evidence.digest,
            "verdict-file": str(path),
        },
    )
