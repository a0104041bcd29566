"""What a registry does, in the words that all backends share.

A **collection** holds **versions** of one model. A version never changes. An **alias** (a stage, such as
`production`) is held by one version at a time; its **moves** are numbered from 1, and the record of them is
its history. A move and its record are one thing: whoever reads sees both or neither.

Every method may be called again after it was killed half way, by the same process or by another one, and then
ends in the same state. None of them retries by hand: a backend's own client does, once, for reads and for
writes that may be repeated.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cml_action.model.verdict import Evidence

Kind: TypeAlias = Literal["promote", "rollback", "outside"]

#: A reason is a sentence or two: registries keep records of a few thousand characters.
MOST_WORDS = 500


class NotThereError(UsageError):
    """What was named is not in the registry: a collection, a version, an alias, or a version's files."""


class MovedError(OutsideError):
    """The alias is not where it was when the job looked: someone else moved it, and nothing was changed."""


class RefusedError(OutsideError):
    """The registry does not take the credentials, or they may not do this (401, 403, a protected alias)."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model.

    :param name: as people write it in this registry, after the collection: `v1.2.3`, `3`, `v7`.
    :param digest: what the registry itself knows the files by, `md5:…` (DVC), `git:…`, `wandb:…`; the same
        files have the same digest. Empty where the registry has none (MLflow): then only a download says it.
    :param created: UTC, ISO 8601 to the second, empty where unknown.
    :param revision: the commit of the code that made it, empty where unknown.
    :param source: where the files are, for people.
    """

    collection: str
    name: str
    digest: str = ""
    created: str = ""
    revision: str = ""
    source: str = ""

    @property
    def reference(self) -> str:
        """How a user names it in the input `model`."""
        return f"{self.collection}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One move of an alias, as it is recorded.

    :param number: counted for each alias of a collection; a later move has a higher number. 0 for a move that
        nobody recorded, and that shows only in who holds the alias.
    :param version: the name of the version that holds the alias from then on; empty where it was taken away.
    :param previous: the name of the version that held it before; empty where none did.
    :param kind: `outside` is a move that someone made by other means than this Action.
    :param digest: SHA-256 of the files, `sha256:…`, as they were checked before the move.
    :param source_digest: `Version.digest` at that time.
    :param who: a person's account; `when`: UTC, ISO 8601 to the second; `why`: a sentence, at most
        `MOST_WORDS` characters; `run_url`: the run's page. Each may be empty where nobody recorded it.
    """

    number: int
    alias: str
    version: str
    previous: str = ""
    kind: Kind = "promote"
    digest: str = ""
    source_digest: str = ""
    who: str = ""
    when: str = ""
    why: str = ""
    run_url: str = ""

    def to_json(self) -> str:
        """Write it on one line, from which `read_move` makes an equal one."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)


def read_move(text: str) -> Move | None:
    """Read a record; None where someone edited it so that it is none any more."""
    try:
        found = json.loads(text)
        kept = {each.name: found[each.name] for each in fields(Move) if each.name in found}
        move = Move(**kept)
    except (ValueError, TypeError):
        return None
    texts = [value for name, value in kept.items() if name != "number"]
    if not isinstance(move.number, int) or not all(isinstance(each, str) for each in texts):
        return None
    return move if move.kind in ("promote", "rollback", "outside") else None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An alias as it was when the job looked. `move` swaps against exactly this.

    :param holder: the version that holds the alias, None where none does.
    :param moves: the history, oldest first. A record that was edited into nonsense, or deleted, is missing
        here and named in `doubts`.
    :param next: the number that the next move has.
    :param pending: the last move is recorded, and the alias itself does not follow it yet: its job was killed
        or is at it. `holder` is the version that the record names. `settle` finishes it.
    :param doubts: sentences about the history: edited by hand, gaps, moved by other means.
    :param seen: what else the backend compares when it swaps; nobody else reads it.
    """

    collection: str
    alias: str
    holder: Version | None
    moves: tuple[Move, ...] = ()
    next: int = 1
    pending: bool = False
    doubts: tuple[str, ...] = ()
    seen: Any = field(default=None, compare=False, repr=False)

    @property
    def last(self) -> Move | None:
        """The last recorded move."""
        return self.moves[-1] if self.moves else None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A gate's evidence as it is kept beside a version.

    :param source_digest: `Version.digest` of the version when the gate downloaded it; where it still is the
        version's, the files are those that the gate tested, and nobody needs to download them again.
    """

    evidence: Evidence
    source_digest: str = ""


def moved(now: Stage) -> MovedError:
    """Return the error for a job that finds its alias elsewhere: who holds it now, since when, from where."""
    last, holder = now.last, now.holder
    by = f", moved there by {last.who or 'someone'}{f' at {last.when}' if last.when else ''}" if last else ""
    run = f" ({last.run_url})" if last and last.run_url else ""
    return MovedError(
        f"Someone else moved `{now.alias}` of `{now.collection}` since this job looked:"
        f" {f'`{holder.name}`' if holder else 'no version'} holds it now{by}{run}.",
        "Nothing was changed. Look at who holds it; run the job again if yours still is to take its place.",
    )


def only(names: Sequence[str], collection: str, digest: str) -> str:
    """Return the one version that has a digest.

    :raises UsageError: several have it; all are named.
    :raises NotThereError: none has.
    """
    if len(names) > 1:
        raise UsageError(
            f"{len(names)} versions of `{collection}` have the digest `{digest}`: {', '.join(names)}.",
            "Name one of them in the input `model`.",
        )
    if not names:
        raise NotThereError(
            f"No version of `{collection}` is known by the digest `{digest}`.",
            "A SHA-256 is known from a gate's verdict on; name the version in the input `model`.",
        )
    return names[0]


class Registry(Protocol):
    """One registry.

    Every method that talks to it may raise, besides what it names: `NotThereError` where the collection is
    not there; `RefusedError` where the key has expired, or may not read (write) this; `OutsideError` for no
    answer, 5xx after retries and an answer that is none (HTML), naming the server and what is safe to do.
    """

    #: `git`, `mlflow` or `wandb`.
    backend: ClassVar[str]

    def find(self, collection: str, wanted: str) -> Version:
        """Return the version that `wanted` names.

        :param wanted: a version as people write it (`v1.2.3`, `3`, `v3`), an alias, or a digest
            (`sha256:…`, or the registry's own).
        :raises NotThereError: no such version, or nobody holds the alias; the message names what there is
            (the aliases, a close name). A version that was deleted is not there.
        :raises UsageError: a digest that several versions have; all are named.
        """

    def look(self, collection: str, alias: str) -> Stage:
        """Return who holds an alias and its whole history. It changes nothing.

        An alias that never was set is a stage without holder and moves, and no error. The number of requests
        does not depend on how many versions the collection has.
        """

    def settle(self, stage: Stage) -> Stage:
        """Finish the pending move of a stage and return it as it is then; without one, return it as it is."""

    def move(self, stage: Stage, move: Move) -> Stage:
        """Let a version take the alias, if the alias still is as `stage` says; return it as it is then.

        Recording the move is what decides: of any number of jobs that swap against the same stage exactly
        one wins. At no moment is the alias without a holder. A stage that is pending is settled first.

        :param move: complete; its number is `stage.next`, its `version` exists.
        :raises MovedError: someone else was first; says who holds the alias now and, where known, since when
            and from which run.
        :raises NotThereError: the version is not there (any more).
        :raises RefusedError: the alias is protected, or the token may only read.
        """

    def versions(self, collection: str) -> Iterator[Version]:
        """Yield the versions, newest first, a page of at most 100 at a time, each when it is asked for."""

    def download(self, version: Version, folder: Path) -> Path:
        """Write the version's files below an empty private folder, and return the model: a file or a folder.

        A version of one file is that file. Digests of the registry's own are verified here; SHA-256 is
        `cml_action.registry.fetch`'s. No path leaves the folder.

        :raises NotThereError: the files, or some of them, are not there any more; names them.
        :raises OutsideError: what came has another digest than the registry says.
        """

    def evidence(self, version: Version) -> Kept | None:
        """Return the evidence that `keep_evidence` left beside a version; None where there is none.

        :raises UsageError: what lies there is no evidence any more (`verdict.read`'s message).
        """

    def keep_evidence(self, version: Version, kept: Kept) -> None:
        """Keep evidence beside a version, in place of what lay there; the last gate counts."""
