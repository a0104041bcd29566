"""The next move of a stage, with who, when and why."""

from __future__ import annotations

import getpass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cml_action.registry.protocol import MOST_WORDS, Move

if TYPE_CHECKING:
    from cml_action.job import Job
    from cml_action.registry.protocol import Kind, Stage, Version


def next_move(job: Job, stage: Stage, version: Version, *, kind: Kind, digest: str, why: str) -> Move:
    """Return the move by which a version takes a stage from whoever holds it.

    :param digest: SHA-256 of the version's files, empty where nobody had to know it.
    """
    return Move(
        number=stage.next,
        alias=stage.alias,
        version=version.name,
        previous=stage.holder.name if stage.holder else "",
        kind=kind,
        digest=digest,
        source_digest=version.digest,
        who=job.event.actor or getpass.getuser(),
        when=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        why=why[:MOST_WORDS],
        run_url=job.event.run_url,
    )
