"""`stats`: profile data sets, each beside what it was at the base."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from cml_action import git
from cml_action.data import describe, dvc
from cml_action.data.profile import NoLabelError, profile
from cml_action.data.tables import find, has_tables, kind_of
from cml_action.errors import UsageError
from cml_action.quantity import counted
from cml_action.report import Code, Report, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.data.profile import Profile
    from cml_action.data.repository import Tracked
    from cml_action.data.tables import DataSet
    from cml_action.job import Job


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """What DVC tracks at the head and at the base, both empty where the project has no DVC."""

    head: tuple[Tracked, ...] = ()
    base: tuple[Tracked, ...] = ()
    cache: tuple[Path, ...] = ()
    #: What was edited since DVC recorded it: its hash is not known.
    edited: frozenset[str] = frozenset()
    #: Why nothing is known of what DVC tracked at the base.
    fault: UsageError | None = None

    def hashes(self, name: str) -> tuple[str, str]:
        """Return the hashes that DVC knows a data set by, at the base and at the head."""
        return ", ".join(self.before(name).values()), ", ".join(self.after(name).values())

    def before(self, name: str) -> dict[str, str]:
        return dvc.versions(self.base, name)

    def after(self, name: str) -> dict[str, str]:
        return {
            path: "" if path in self.edited else known
            for path, known in dvc.versions(self.head, name).items()
        }


def run(job: Job) -> Report:
    """Profile what `data` names, else what changed since the base."""
    sides = _sides(job)
    removed = () if job.inputs.data else _removed(job, sides)
    asked = job.inputs.data or _known(job, sides, removed)
    sides = replace(sides, edited=_edited(job, sides, asked))
    names = job.inputs.data or tuple(name for name in asked if not _same(job, sides, name))
    found = [_compare(job, sides, name) for name in names]
    report = Report(facts={"stats": [describe.facts(each) for each in found]})
    for each in found:
        report += Report(summary=(describe.summary(each),), sections=describe.sections(each))
    if not names and not removed:
        report += Report(summary=_nothing(job, sides))
    return report + Report(summary=tuple(Text.of(Code(name), " was removed.") for name in removed))


def _sides(job: Job) -> _Sides:
    if not dvc.is_repository(job.project):
        return _Sides()
    known = _Sides(head=job.tracked, cache=dvc.cache_directories(job.project))
    try:
        return replace(known, base=tuple(dvc.outputs(job.project, job.base.commit)) if job.base else ())
    except UsageError as error:  # the head may be the one that repairs its files
        return replace(known, fault=error)


def _edited(job: Job, sides: _Sides, names: Sequence[str]) -> frozenset[str]:
    """Return what was edited since DVC recorded it, of some data sets."""
    recorded = {path for name in names for path, known in sides.after(name).items() if known}
    known = [each for each in job.tracked if each.path in recorded]
    edited = dvc.edited(job.project, known) if known else ()
    for path in edited:
        job.log.notice(
            f"`{path}` was edited since DVC recorded it, and is profiled as it is. `dvc commit` records it."
        )
    return frozenset(edited)


def _removed(job: Job, sides: _Sides) -> tuple[str, ...]:
    """Return what DVC tracked at the base and tracks no more, as far as it is not in Git now."""
    held = {place for each in sides.head for place in _above(each.path)}
    folders = {each.path for each in sides.head if each.is_dir}
    gone = (each for each in sides.base if each.path not in held and not folders & _above(each.path))
    return tuple(
        each.path
        for each in gone
        if (each.is_dir or kind_of(Path(each.path))) and not (job.project / each.path).exists()
    )


def _known(job: Job, sides: _Sides, removed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the data sets of the policy, else the tables that DVC tracks."""
    if job.policy and job.policy.data:
        names = tuple(each.path for each in job.policy.data)
    else:
        names = tuple(each.path for each in sides.head if _is_table(job.project / each.path, each))
        absent = [each.path for each in sides.head if each.is_dir and not (job.project / each.path).exists()]
        for name in absent:
            job.log.notice(f"`{name}` is not here, so nothing is said of it. Put `pull` before `stats`.")
    if not names and not removed:
        raise UsageError(
            "There is nothing to profile: DVC tracks no table here, and `cml.yaml` names none.",
            "Name files, folders or globs in the input `data`.",
        )
    return names


def _is_table(path: Path, tracked: Tracked) -> bool:
    if not tracked.is_dir:
        return kind_of(path) is not None
    return has_tables(path)


def _same(job: Job, sides: _Sides, name: str) -> bool:
    """Whether a data set is as it was at the base, told without reading it."""
    if job.base is None:
        return False
    before, after = sides.before(name), sides.after(name)
    if before != after or not all(after.values()):
        return False
    if after.keys() & _above(name):
        return True
    others = git.differing(job.project, job.base.commit, name)
    return all(after.keys() & _above(path) for path in others)


def _above(name: str) -> frozenset[str]:
    """Return a path and the folders that it lies in."""
    path = PurePosixPath(os.path.normpath(name))
    return frozenset(map(str, (path, *path.parents)))


def _nothing(job: Job, sides: _Sides) -> tuple[Text, ...]:
    commit = f" {job.base.commit[:7]}" if job.base else ""
    if job.policy and job.policy.data:
        count = len(job.policy.data)
    else:
        count = sum(_is_table(job.project / each.path, each) for each in sides.head)
    were = "it is as it was" if count == 1 else "they are as they were"
    return (Text.of(f"No data changed since the base{commit}: {counted(count, 'data set')}, {were}."),)


def _compare(job: Job, sides: _Sides, name: str) -> describe.Compared:
    """Profile one data set, and the base's side of it where its bytes differ."""
    dataset = find(name, job.project, allowed=sides.cache)
    label = job.inputs.label or _label(job, name)
    same = _same(job, sides, name)
    before, why_not = None, ""
    if job.base is not None and not same:
        try:
            before = _base_profile(job, sides, name, label)
        except (UsageError, dvc.MissingDataError) as error:  # the head may be the one that repairs it
            why_not = error.what
            job.log.notice(f"`{name}` is compared with nothing: the base's side cannot be read. {why_not}")
    after = _profile(job, dataset, label, name, before)
    job.log.line(f"{name}: {counted(after.rows, 'row')}, {counted(len(after.columns), 'column')}")
    return describe.Compared(
        head=after,
        base=before,
        hashes=sides.hashes(name),
        unchanged=same,
        added=job.base is not None and not same and before is None and not why_not,
        why_not=why_not,
    )


def _profile(job: Job, dataset: DataSet, label: str | None, what: str, edges: Profile | None) -> Profile:
    with job.log.progress(f"Profiling {what}", total=100, unit="%") as bar:
        return profile(dataset, temporary=job.private, label=label, edges=edges, progress=bar)


def _base_profile(job: Job, sides: _Sides, name: str, label: str | None) -> Profile | None:
    """Profile a data set as it was at the base; None where it was not there."""
    assert job.base is not None  # noqa: S101 -- asked for with a base only
    commit, folder = job.base.commit, Path(mkdtemp(prefix="base-", dir=job.private))
    if dvc.covers(sides.base, name):  # brings what Git holds of it, too
        dvc.read_base(job.project, commit, name, folder, remote=job.inputs.remote or None, log=job.log)
    else:
        there = git.export(job.project, commit, name, folder)
        if sides.fault and (not there or dvc.covers(sides.head, name)):
            raise sides.fault
        if not there:
            return None
    dataset = find(name, folder)
    try:
        return _profile(job, dataset, label, f"{name} of the base", None)
    except NoLabelError:  # a column that is new
        return _profile(job, dataset, None, f"{name} of the base", None)


def _label(job: Job, name: str) -> str | None:
    data = job.policy.data if job.policy else ()
    return next((each.label for each in data if each.path == name), None)
