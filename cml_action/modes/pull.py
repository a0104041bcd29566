"""`pull`: fetch the data that DVC tracks, and say what was fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.data import dvc
from cml_action.data.pull import Pulled, pull
from cml_action.quantity import counted, quantity
from cml_action.report import Code, Quantity, Report, Section, Table, Text

if TYPE_CHECKING:
    from cml_action.job import Job


def run(job: Job) -> Report:
    """Fetch what `targets` name, else what DVC tracks of `data`, else everything."""
    targets = job.inputs.targets
    if job.inputs.data and not targets:  # others of `data`, such as files in Git, are there already
        targets = tuple(name for name in job.inputs.data if dvc.covers(job.tracked, name))
        if not targets and dvc.is_repository(job.project):
            said = "Nothing to fetch: DVC tracks nothing of what `data` names."
            job.log.line(said)
            return Report(summary=(Text.of(said),), facts={"pull": Pulled().facts()})
    pulled = pull(
        job.project,
        targets=targets,
        remote=job.inputs.remote or None,
        jobs=job.inputs.jobs,
        log=job.log,
    )
    job.log.line(_words(pulled))
    return Report(sections=(_section(pulled),), facts={"pull": pulled.facts()})


def _words(pulled: Pulled) -> str:
    if not pulled.fetched_files:
        return f"Nothing to fetch: {counted(pulled.present_files, 'file')} in DVC's cache already."
    size, time = quantity(pulled.fetched_bytes, "bytes"), quantity(pulled.seconds, "seconds")
    places = ", ".join(f"{name} ({url})" for name, url in pulled.remotes)
    return f"Fetched {counted(pulled.fetched_files, 'file')}, {size} in {time} from {places}."


def _section(pulled: Pulled) -> Section:
    table = Table(
        columns=("data", "files", "size", "hash"),
        rows=tuple(
            (
                Code(each.path),
                Quantity(each.files, "count"),
                Quantity(each.size_bytes, "bytes"),
                Code(each.hash.partition(":")[2][:12]),
            )
            for each in pulled.targets
        ),
        right=frozenset({1, 2}),
    )
    return Section(title=Text.of(_words(pulled)), blocks=(table,), folded=True)
