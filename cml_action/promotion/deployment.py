"""A move as a GitHub Deployment, so that the repository's page shows what is in production since when.

A Deployment is known by its task, `promote:COLLECTION#ALIAS#NUMBER`, and its payload: a job that was killed
finds what it made, and not what was made before the record began anew. Its last status is also what says that
the deployer was told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from github import GithubException

from cml_action.github import complete, github_errors, may_not_write, why_not

if TYPE_CHECKING:
    from github.Deployment import Deployment
    from github.Repository import Repository

    from cml_action.event import Event
    from cml_action.registry.protocol import Move

#: GitHub's limit of a status's description.
_MOST_WORDS = 140


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of the Deployment.

    :param deployment: None where the token may not make one; `reason` says why.
    :param finished: whether an earlier run brought it to its end.
    """

    deployment: Deployment | None = None
    finished: bool = False
    reason: str = ""


def begin(repository: Repository, collection: str, move: Move, event: Event, revision: str) -> Recorded:
    """Make the Deployment of a move, or find it, and say that it is in progress.

    :raises OutsideError: GitHub cannot be reached, or refuses what was sent.
    """
    with github_errors("record the Deployment"):
        try:
            return complete(lambda: _begin(repository, collection, move, event, revision))
        except GithubException as error:
            if not may_not_write(error):
                raise
            return Recorded(reason=why_not(error))


def finish(recorded: Recorded, move: Move, event: Event) -> None:
    """Say that the Deployment succeeded; GitHub marks the former one of its environment inactive."""
    deployment = recorded.deployment
    if deployment is None or recorded.finished:
        return
    with github_errors("finish the Deployment"):
        complete(lambda: _say(deployment, "success", move, event))


def _begin(repository: Repository, collection: str, move: Move, event: Event, revision: str) -> Recorded:
    task = f"{move.kind}:{collection}#{move.alias}#{move.number}"
    payload = {
        "collection": collection,
        "version": move.version,
        "previous": move.previous,
        "when": move.when,
    }
    known = repository.get_deployments(task=task, environment=move.alias)
    found = next((each for each in known if each.payload == payload), None)
    if found is None:
        found = repository.create_deployment(
            ref=revision,
            task=task,
            auto_merge=False,  # GitHub would merge the default branch into the revision
            required_contexts=[],  # the job that promotes is itself a check that is not finished
            payload=payload,
            environment=move.alias,
            description=f"{collection}:{move.version}"[:_MOST_WORDS],
            production_environment=move.alias == "production",
        )
    states = {each.state for each in found.get_statuses()}
    if not states:
        _say(found, "in_progress", move, event)
    return Recorded(deployment=found, finished="success" in states)


def _say(deployment: Deployment, state: str, move: Move, event: Event) -> None:
    words = f"{move.version} took {move.alias} from {move.previous or 'nobody'}"
    deployment.create_status(
        state=state, target_url=event.run_url, description=words[:_MOST_WORDS], environment=move.alias
    )
