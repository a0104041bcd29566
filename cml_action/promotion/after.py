"""What follows a move: a Deployment, and word to the deployer. Each part may be done again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cml_action.promotion import notify

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.registry.protocol import Move


def follow_up(job: Job, collection: str, move: Move) -> None:
    """Record a Deployment where the token may, and tell the deployer where one is named.

    Where no Deployment says that the deployer was told already, it is told again, with the same key.

    :raises OutsideError: GitHub or the deployer cannot be reached; the move itself is done.
    """
    token, repository = job.inputs.github_token.get_secret_value(), job.event.repository
    recorded = None
    if token and repository and job.revision:
        from cml_action.github import connect
        from cml_action.promotion import deployment

        place = connect(token, job.event.api_url).get_repo(repository)
        recorded = deployment.begin(place, collection, move, job.event, job.revision)
        if recorded.reason:
            job.log.notice(
                f"{recorded.reason}. `deployments: write` in the job's `permissions:` lets the repository's"
                " page show what is in production.",
                title="No Deployment was recorded",
            )
    if job.inputs.notify and not (recorded and recorded.finished):
        notify.tell(job.inputs.notify, collection, move, job.event, os.environ, token=token)
        job.log.line(
            f"Told {len(job.inputs.notify)} deployer(s): {notify.key_of(repository, collection, move)}"
        )
    if recorded:
        from cml_action.promotion import deployment

        deployment.finish(recorded, move, job.event)
