"""`cml workflow rerun`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cml_action.cml.where import find
from cml_action.errors import OutsideError, UsageError
from cml_action.github import github_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.log import Log

_PATIENCE_S = 600.0
_EVERY_S = 2.0


def rerun(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Run a workflow again: one that is still going on is cancelled first, as CML does."""
    where = find(asked, environ)
    repo = where.connect()
    named = asked.text("id") or str(where.event.run_id or "")
    if not (named.isascii() and named.isdigit()):
        raise UsageError(
            f"`--id` is `{named}`, which is no run." if named else "Which run to repeat is not known.",
            "Give `--id` the number in the address of the run's page: …/actions/runs/NUMBER.",
        )
    with github_errors(f"run the workflow again (run {named})"):
        run = repo.get_workflow_run(int(named))
        if run.status in {"in_progress", "queued", "waiting", "pending", "requested"}:
            log.line(f"Cancelling run {named}, which is {run.status}.")
            run.cancel()
            until = time.monotonic() + _PATIENCE_S
            while run.status != "completed":
                if time.monotonic() > until:
                    raise OutsideError(
                        f"Run {named} did not stop within {_PATIENCE_S:.0f} s.",
                        "Try again when it has ended.",
                    )
                time.sleep(_EVERY_S)
                run = repo.get_workflow_run(int(named))
        if not run.rerun():
            raise OutsideError(
                f"GitHub did not start run {named} again.", "A run older than 30 days cannot be."
            )
    log.line(f"Run {named} starts again.")
    return ""
