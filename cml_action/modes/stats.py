"""`stats`: profile data sets, each beside what it was at the base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action import git
from cml_action.data import describe, dvc
from cml_action.data.profile import profile
from cml_action.data.tables import find, kind_of
from cml_action.errors import UsageError
from cml_action.report import Code, Report, Text

if TYPE_CHECKING:
    from cml_action.data.dvc import Tracked
    from cml_action.data.profile import Profile
    from cml_action.job import Job


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """What DVC tracks at the head and at the base, both empty where the project has no DVC."""

    head: tuple[Tracked, ...] = ()
    base: tuple[Tracked, ...] = ()
    cache: tuple[Path, ...] = ()

    def hashes(self, name: str) -> tuple[str, str]:
        """Return what DVC knows a data set by, at the base and at the head."""
        return _hash(self.base, name), _hash(self.head, name)


def run(job: Job) -> Report:
    """Profile what `data` names, else what changed since the base."""
    sides = _sides(job)
    names = job.inputs.data or _changed(job, sides)
    report = Report(facts={"stats": []})
    if not names and not job.inputs.data:
        report += Report(summary=_nothing(job, sides))
    found = [_compare(job, sides, name) for name in names]
    for each in found:
        report += Report(summary=(describe.summary(each),), sections=describe.sections(each))
    removed = [
        each for each in sides.base if kind_of(Path(each.path)) and not dvc.covers(sides.head, each.path)
    ]
    report += Report(summary=tuple(Text.of(Code(each.path), " was removed.") for each in removed))
    return report + Report(facts={"stats": [describe.facts(each) for each in found]})


def _sides(job: Job) -> _Sides:
    if not dvc.is_repository(job.project):
        return _Sides()
    return _Sides(
        head=tuple(dvc.outputs(job.project)),
        base=tuple(dvc.outputs(job.project, job.base.commit)) if job.base else (),
        cache=dvc.cache_directories(job.project),
    )


def _changed(job: Job, sides: _Sides) -> tuple[str, ...]:
    """Return the data sets of the policy, else the tables that DVC tracks: those that changed."""
    if job.policy and job.policy.data:
        names = tuple(each.path for each in job.policy.data)
    else:
        names = tuple(each.path for each in sides.head if _is_table(job.project / each.path, each))
    if not names:
        raise UsageError(
            "There is nothing to profile: DVC tracks no table here, and `cml.yaml` names none.",
            "Name files, folders or globs in the input `data`.",
        )
    return tuple(name for name in names if _differs(job, sides, name))


def _is_table(path: Path, tracked: Tracked) -> bool:
    if not tracked.is_dir:
        return kind_of(path) is not None
    return path.is_dir() and any(kind_of(each) for each in path.rglob("*"))


def _differs(job: Job, sides: _Sides, name: str) -> bool:
    base, head = sides.hashes(name)
    if job.base is None or (base and head):
        return job.base is None or base != head
    return not base or git.differs(job.project, job.base.commit, name)


def _nothing(job: Job, sides: _Sides) -> tuple[Text, ...]:
    commit = f" {job.base.commit[:7]}" if job.base else ""
    count = sum(_is_table(job.project / each.path, each) for each in sides.head)
    return (Text.of(f"No data changed since the base{commit}: {count} data sets are as they were."),)


def _compare(job: Job, sides: _Sides, name: str) -> describe.Compared:
    """Profile one data set, and the base's side of it where its bytes differ."""
    dataset = find(name, job.project, allowed=sides.cache)
    label = job.inputs.label or _label(job, name)
    base, head = sides.hashes(name)
    same = bool(job.base and base and base == head)
    before = None if same or job.base is None else _base_profile(job, sides, name, label)
    with job.log.progress(f"Profiling {name}", total=100, unit="%") as bar:
        after = profile(dataset, temporary=job.private, label=label, edges=before, progress=bar)
    job.log.line(f"{name}: {after.rows:,} rows, {len(after.columns):,} columns")
    return describe.Compared(head=after, base=before, hashes=(base, head), unchanged=same)


def _base_profile(job: Job, sides: _Sides, name: str, label: str | None) -> Profile | None:
    """Profile a data set as it was at the base; None where it was not there."""
    assert job.base is not None  # noqa: S101 -- asked for with a base only
    commit, folder = job.base.commit, job.private / "base"
    folder.mkdir(exist_ok=True)
    if dvc.covers(sides.base, name):
        dvc.read_base(job.project, commit, name, folder, remote=job.inputs.remote or None, log=job.log)
    elif not git.export(job.project, commit, name, folder):
        return None
    dataset = find(name, folder)
    with job.log.progress(f"Profiling {name} of the base", total=100, unit="%") as bar:
        try:
            return profile(dataset, temporary=job.private, label=label, progress=bar)
        except UsageError as error:  # the head may be the one that repairs it
            job.log.notice(f"`{name}` of the base could not be read, so nothing is compared: {error.what}")
            return None


def _label(job: Job, name: str) -> str | None:
    data = job.policy.data if job.policy else ()
    return next((each.label for each in data if each.path == name), None)


def _hash(tracked: tuple[Tracked, ...], name: str) -> str:
    return next((each.hash for each in tracked if each.path == name.rstrip("/")), "")
