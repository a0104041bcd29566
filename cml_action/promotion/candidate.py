"""A version of a registry for a gate: fetched to be tested, and given the verdict to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.promotion.target import open_target, stage_of
from cml_action.registry.fetch import Fetched, fetch
from cml_action.registry.protocol import Kept, NotThereError

if TYPE_CHECKING:
    from pathlib import Path

    from cml_action.job import Job
    from cml_action.model.verdict import Evidence
    from cml_action.registry.protocol import Registry


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version on this machine, and the registry that it came from."""

    registry: Registry
    fetched: Fetched

    @property
    def path(self) -> Path:
        """The model, a file or a folder."""
        return self.fetched.path

    @property
    def reference(self) -> str:
        """`collection:version`, also where it was named by an alias or a digest."""
        return self.fetched.version.reference

    def keep(self, evidence: Evidence) -> None:
        """Keep a verdict beside the version, bound to what the registry itself knows the files by.

        :raises UsageError: the verdict is about other files than were fetched.
        """
        if evidence.digest != self.fetched.digest:
            raise UsageError(
                f"The verdict is about {evidence.digest}, and `{self.reference}` is {self.fetched.digest}.",
                "Gate the files that were fetched, and leave them as they are.",
            )
        version = self.fetched.version
        self.registry.keep_evidence(version, Kept(evidence=evidence, source_digest=version.digest))


def fetch_candidate(job: Job, named: str = "", origin: str = "the input `model`") -> Candidate:
    """Find and fetch a version.

    :param named: `collection:version`, `collection:alias` or a digest; what the input or the event names
        where empty.
    :raises UsageError: nothing is named, or it is not there.
    """
    target, wanted = open_target(job, named, origin)
    if wanted is None:
        raise UsageError(
            "Nothing says which version is meant.", f"Set `model`, such as `{target.collection}:v3`."
        )
    version = target.registry.find(target.collection, wanted.name)
    return Candidate(registry=target.registry, fetched=fetch(target.registry, version, job.private))


def fetch_holder(job: Job, beside: Candidate | None = None) -> Candidate | None:
    """Fetch the version that holds the stage of the input `alias`; None where none does.

    :param beside: the candidate, whose collection counts where no other is named.
    :raises NotThereError: it is not there any more.
    """
    own = beside.fetched.version.collection if beside else ""
    target = stage_of(job, own, f"`{beside.reference}`" if beside else "")
    stage = target.registry.look(target.collection, target.alias)
    if stage.holder is None:
        return None
    name = stage.holder.name
    try:
        version = target.registry.find(target.collection, name)
        return Candidate(registry=target.registry, fetched=fetch(target.registry, version, job.private))
    except NotThereError as error:
        raise NotThereError(
            f"`{name}` holds `{target.alias}`, and the candidate cannot be compared with it. {error.what}",
            f"{error.fix} Or let another version take the stage, or set `baseline: none`.".lstrip(),
        ) from None
