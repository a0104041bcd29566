"""What follows a move: a Deployment, and word to the deployer. Each part may be done again."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError, OutsideError
from cml_action.promotion import notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cml_action.job import Job
    from cml_action.promotion.deployment import Recorded
    from cml_action.registry.protocol import Move


def follow_up(job: Job, collection: str, move: Move) -> None:
    """Record a Deployment where the token may, and tell the deployer where one is named.

    One that cannot be done keeps none from the others. Where no Deployment says that the deployer was told
    already, it is told again, with the same key.

    :raises OutsideError: GitHub or a deployer could not be reached; it says that the move itself is done.
    """
    token, repository = job.inputs.github_token.get_secret_value(), job.event.repository
    faults: list[str] = []
    recorded = None
    with _noted(faults):
        recorded = _begin(job, collection, move, token)
    if job.inputs.notify and not (recorded and recorded.finished):
        untold = notify.tell(job.inputs.notify, collection, move, job.event, os.environ, token=token)
        key = notify.key_of(repository, collection, move)
        job.log.line(
            f"Told {len(job.inputs.notify) - len(untold)} of {len(job.inputs.notify)} deployer(s): {key}"
        )
        faults += untold
    if recorded and not faults:
        from cml_action.promotion import deployment

        with _noted(faults):
            deployment.finish(recorded, move, job.event)
    if faults:
        raise OutsideError(
            f"`{move.alias}` moved to `{collection}:{move.version}`, but: {' '.join(faults)}",
            "Run the job again: it moves nothing twice, and tells with the same key.",
        )


@contextlib.contextmanager
def _noted(faults: list[str]) -> Iterator[None]:
    """Note what went wrong inside, and go on."""
    try:
        yield
    except CmlActionError as error:
        faults.append(error.what)


def _begin(job: Job, collection: str, move: Move, token: str) -> Recorded | None:
    """Begin a Deployment; None where there is no GitHub to record it."""
    if not (token and job.event.repository and job.revision):
        return None
    from cml_action.github import connect
    from cml_action.promotion import deployment

    place = connect(token, job.event.api_url).get_repo(job.event.repository)
    recorded = deployment.begin(place, collection, move, job.event, job.revision)
    if recorded.reason:
        job.log.notice(
            f"{recorded.reason}. `deployments: write` in the job's `permissions:` lets the repository's page"
            " show what is in production.",
            title="No Deployment was recorded",
        )
    return recorded
