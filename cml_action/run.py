"""One way through: a job, its modes, one report, published; and the exit code that follows from it."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from cml_action.credentials import prepared
from cml_action.edge import guarded, own_fault, trace
from cml_action.errors import CmlActionError
from cml_action.inputs import FAILING
from cml_action.job import open_job
from cml_action.publish.assets import check_assets
from cml_action.publish.place import find_place
from cml_action.publish.publisher import publish
from cml_action.report import Check, Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.inputs import Inputs
    from cml_action.job import Job
    from cml_action.log import Log

__all__ = ["guarded", "run"]


def run(inputs: Inputs, environ: Mapping[str, str], log: Log) -> int:
    """Run the modes that were asked for, in order, into one report; publish it; return the exit code."""
    job = open_job(inputs, environ, log)
    try:
        place = find_place(job.event, inputs.comment)
        check_assets(inputs.assets, keep=inputs.assets_keep, signed=inputs.assets_signed)
        if inputs.from_run:
            from cml_action.fromrun import with_source

            job, found = with_source(job)
            place = found if inputs.comment == "auto" else place
        os.environ.update(prepared(environ, job.private))  # storages' clients read it, deep inside
        report, seconds, stopped = _modes(job)
        unpublished = publish(report, job, place, environ, seconds)
    finally:
        shutil.rmtree(job.private, ignore_errors=True)
    fault = stopped or unpublished
    if fault:
        return fault.exit_code
    return int(report.verdict in FAILING[inputs.fail_on])


def _modes(job: Job) -> tuple[Report, dict[str, float], CmlActionError | None]:
    """Run each mode; the first that meets an error ends the row, and what was found until then is kept."""
    report, seconds = Report(), dict[str, float]()
    for name in job.inputs.mode:
        began = time.monotonic()
        try:
            with job.log.group(f"cml-action: {name}"):
                report += importlib.import_module(f"cml_action.modes.{name}").run(job)
        except CmlActionError as error:
            trace(job.log)
            return report + (error.report or Report()) + _stopped(name, error), seconds, error
        except Exception as error:  # noqa: BLE001 -- the report is published all the same
            trace(job.log)
            fault = own_fault(error)
            return report + _stopped(name, fault), seconds, fault
        finally:
            seconds[name] = time.monotonic() - began
    return report, seconds, None


def _stopped(mode: str, error: CmlActionError) -> Report:
    check = Check(
        id=mode,
        status="error",
        title=f"`{mode}` ran to its end",
        message=f"{error.what} {error.fix}".strip(),
        path=error.path,
        line=error.line,
    )
    return Report(checks=(check,))
