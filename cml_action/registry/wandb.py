"""The W&B registry: collections of a registry, of the old model registry, or of a project.

W&B has no compare and swap: an alias goes to whoever sets it last. What it has is numbering. A collection gives
each version that is linked into it the next number, from 0, and nobody two the same. So a move is decided by a
small collection of its own, the **claim**, named after the record that the move continues: number 0 wins. A move is

1. the record, in the metadata of the version that shall take the stage (`wandbrecord.py`): nobody reads it yet;
2. the claim: from here on the move has happened, and whoever finds it finishes it;
3. the alias, and with it in the same request the **mark**, an alias of our own, which nobody moves by hand.

The version with the mark carries the history. Where the stage's alias is elsewhere, someone moved it by other
means. A claim is removed when the move after it is finished. A job that comes so late that its claim is the first
again finds another record at the mark, and has lost.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from cml_action.errors import CmlActionError, OutsideError, UsageError
from cml_action.inputs import suggestion
from cml_action.registry import wandbfiles
from cml_action.registry.history import gaps
from cml_action.registry.kept import read_kept, to_text
from cml_action.registry.protocol import (
    Kept,
    Move,
    NotThereError,
    RefusedError,
    Stage,
    Version,
    moved,
)
from cml_action.registry.wandbdoor import Door
from cml_action.registry.wandbrecord import Record, read_evidence, read_record, with_evidence, with_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wandb import Artifact

_NUMBER = re.compile(r"v?(\d+)")
_DIGEST = re.compile(r"(sha256|wandb):([0-9a-f]+)")
_PATH = re.compile(r"(?:[^/:]+/){1,2}[^/:]+")
#: W&B's limits for an alias (`ArtifactAliasInput`), and what may not stand in one.
_LONGEST_ALIAS = 128
_PAGE = 100
#: Characters of evidence beside a version. W&B names no limit; the metadata is read with each look at it.
_MOST_EVIDENCE = 20_000
_ATTEMPTS = 3
_CLAIM = "cml-action-claim-"


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a swap compares.

    :param path: the collection as the server names it.
    :param id: of the record at the mark; `after`: of the one before it.
    :param holder: number of the version that holds the alias, as `v3`; empty where none does.
    :param claimed: `id` of the record whose move is decided and not finished.
    """

    path: str
    id: str
    after: str
    holder: str
    claimed: str = ""


@dataclass(frozen=True, kw_only=True)
class WandbRegistry:
    """Versions, aliases and metadata of one W&B server."""

    door: Door
    backend: ClassVar[str] = "wandb"

    def find(self, collection: str, wanted: str) -> Version:
        """Return the version with a number, an alias or a digest."""
        if _DIGEST.fullmatch(wanted):
            return self._with_digest(collection, wanted)
        return _version(collection, self._artifact(collection, wanted))

    def look(self, collection: str, alias: str) -> Stage:
        """Read who holds the alias, the mark's record, and whether another move is decided: three requests."""
        holder, marked = self._holders(collection, _checked_alias(alias))
        any_version = holder or marked or self._get(collection, "latest")
        if any_version is None:
            raise self._no_collection(collection)
        path = _path(any_version)
        key = f"{path}:{alias}"
        record = (read_record(marked.metadata, key) if marked else None) or Record()
        if record.over:  # written over the last one, by a job that has not finished
            record = record.before()
        doubts = list(_doubts(record, alias, marked=marked is not None))
        name = _number(holder) if holder else ""
        seen = _Seen(path=path, id=record.id, after=record.after, holder=name)
        moves = list(record.moves)
        last = moves[-1].version if moves else ""
        if last != name:
            moves.append(Move(number=0, alias=alias, version=name, previous=last, kind="outside"))
        if record.moves and last != name:
            doubts.append(
                f"`{alias}` was moved by hand, or by other means than cml-action: {name or 'no version'} holds"
                f" it, and the record ends at {last}."
            )
        stage = Stage(
            collection=collection,
            alias=alias,
            holder=_version(collection, holder) if holder else None,
            moves=tuple(moves),
            next=_next(moves),
            doubts=tuple(doubts),
            seen=seen,
        )
        won = self._winner(_claim(path, alias, record.id))
        return self._pending(stage, won) if won else stage

    def settle(self, stage: Stage) -> Stage:
        """Let the alias follow the move that is decided."""
        for _ in range(_ATTEMPTS):  # a slow job's alias may come after the next job's: then it is moved again
            if not stage.pending or stage.holder is None:
                return stage
            seen: _Seen = stage.seen
            artifact = self._artifact(stage.collection, stage.holder.name)
            key = f"{seen.path}:{stage.alias}"
            record = read_record(artifact.metadata, key)
            if record is None or record.id != seen.claimed:  # its record is lost
                record = Record(
                    id=uuid.uuid4().hex, after=seen.id, older=seen.after, moves=stage.moves, over=True
                )
            with self._moving(stage.alias):
                if record.over:
                    artifact.metadata = with_record(artifact.metadata, key, replace(record, over=False))
                artifact.aliases = [*artifact.aliases, stage.alias, mark(stage.alias)]
                artifact.save()  # the aliases first, both in one request
            if seen.id:
                self._sweep(_claim(seen.path, stage.alias, seen.after))
            stage = self.look(stage.collection, stage.alias)
        return stage

    def move(self, stage: Stage, move: Move) -> Stage:
        """Record, claim, and let the alias follow."""
        stage = self.settle(stage)
        seen: _Seen = stage.seen
        target = self._artifact(stage.collection, move.version)
        now = self.look(stage.collection, stage.alias)
        if now.seen != seen:
            raise moved(now)
        key = f"{seen.path}:{stage.alias}"
        record = Record(
            id=uuid.uuid4().hex,
            after=seen.id,
            older=seen.after,
            moves=(*stage.moves, replace(move, version=_number(target))),
            over=mark(stage.alias) in target.aliases,
        )
        claim = _claim(seen.path, stage.alias, seen.id)
        target = self._edit(
            target,
            lambda metadata: with_record(metadata, key, record),
            lambda metadata: read_record(metadata, key) == record,
        )
        with self._moving(stage.alias):
            target.link(claim)
        now = self.look(stage.collection, stage.alias)
        if now.seen.claimed == record.id:
            try:
                return self.settle(now)
            except RefusedError:  # nobody with this key could finish it: take the claim back
                self._sweep(claim)
                raise
        if now.seen.id == record.id:  # another job found the claim, and finished it
            return now
        if seen.id not in (now.seen.id, now.seen.after):
            self._sweep(claim)
        raise moved(now)

    def versions(self, collection: str) -> Iterator[Version]:
        """Yield the versions, a page of the server's at a time."""
        newest = self._get(collection, "latest")
        if newest is None:
            raise self._no_collection(collection)
        path = _path(newest)
        with self.door.errors(f"list the versions of `{collection}`"):
            pages = iter(self.door.api.artifacts(newest.type, path, per_page=_PAGE))
        while True:
            with self.door.errors(f"list the versions of `{collection}`"):
                artifact = next(pages, None)
            if artifact is None:
                return
            yield _version(collection, artifact)

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch the files by the addresses that the server signs."""
        return wandbfiles.download(self.door, self._artifact(version.collection, version.name), folder)

    def evidence(self, version: Version) -> Kept | None:
        """Read the evidence in the version's metadata."""
        text = read_evidence(self._artifact(version.collection, version.name).metadata)
        return read_kept(text, shown_as=f"the metadata of {version.reference}") if text else None

    def keep_evidence(self, version: Version, kept: Kept) -> None:
        """Keep it in the version's metadata, which every collection that the version is linked into shows."""
        text = to_text(kept, most=_MOST_EVIDENCE)
        self._edit(
            self._artifact(version.collection, version.name),
            lambda metadata: with_evidence(metadata, text),
            lambda metadata: bool(
                (found := read_evidence(metadata)) and read_kept(found, shown_as="") == read_kept(text, shown_as="")
            ),
        )

    def _get(self, collection: str, name: str) -> Artifact | None:
        return self.door.artifact(f"{_checked_path(collection)}:{name}")

    def _holders(self, collection: str, alias: str) -> tuple[Artifact | None, Artifact | None]:
        """Return what holds an alias, and what its mark; both move at once, and are read one after the other."""
        holder, marked = self._get(collection, alias), self._get(collection, mark(alias))
        if _id(holder) != _id(marked) and marked is not None:
            again = self._get(collection, alias), self._get(collection, mark(alias))
            if (_id(again[0]), _id(again[1])) != (_id(holder), _id(marked)):
                return self._holders(collection, alias)
        return holder, marked

    def _artifact(self, collection: str, name: str) -> Artifact:
        """Return what a number or an alias stands for, or say what there is instead."""
        number = _NUMBER.fullmatch(name)
        found = self._get(collection, f"v{number[1]}" if number else _checked_alias(name))
        if found is not None:
            return found
        newest = self._get(collection, "latest")
        if newest is None:
            raise self._no_collection(collection)
        if number:
            raise NotThereError(
                f"There is no version {name} of `{collection}`: it was deleted, or never there.",
                f"The newest is {newest.version}. Name one that is there in the input `model`.",
            )
        with self.door.errors(f"list the aliases of `{collection}`"):
            every = newest.collection.aliases
        known = sorted(each for each in every if not _NUMBER.fullmatch(each) and not each.startswith(_MARK))
        raise NotThereError(
            f"No version of `{collection}` holds the alias `{name}`.{suggestion(name, known)}",
            f"It has {', '.join(f'`{each}`' for each in known)}. Name one of them, or a version such as"
            f" `{collection}:{newest.version}`.",
        )

    def _no_collection(self, collection: str) -> NotThereError:
        return NotThereError(
            f"W&B has no collection `{collection}` that holds a version, or does not show it to this key.",
            "Check the input `collection` or `model`: `wandb-registry-NAME/COLLECTION`, with the organization"
            " in front where the key sees several; and that the key's account may read it.",
        )

    def _with_digest(self, collection: str, wanted: str) -> Version:
        """Go through all versions: W&B finds none by a digest, and two may have the same."""
        newest = self._get(collection, "latest")
        if newest is None:
            raise self._no_collection(collection)
        found = []
        with self.door.errors(f"list the versions of `{collection}`"):
            for artifact in self.door.api.artifacts(newest.type, _path(newest), per_page=_PAGE):
                if wanted in _digests(artifact, f"{_path(newest)}:"):
                    found.append(_version(collection, artifact))
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise UsageError(
                f"{len(found)} versions of `{collection}` have the digest `{wanted}`: {names}.",
                "Name one of them in the input `model`.",
            )
        if not found:
            raise NotThereError(
                f"No version of `{collection}` is known by the digest `{wanted}`.",
                "A SHA-256 is known from a gate's verdict on; name the version in the input `model`.",
            )
        return found[0]

    def _winner(self, claim: str) -> Artifact | None:
        """Return the version that a claim decided for; None where nobody has claimed yet.

        It is the one with the lowest number. That is 0, unless its version was deleted since.
        """
        last = self.door.artifact(f"{claim}:latest")
        numbers = range(int(last.version[1:]) if last else 0)
        return next((each for n in numbers if (each := self.door.artifact(f"{claim}:v{n}"))), last)

    def _pending(self, stage: Stage, won: Artifact) -> Stage:
        """Return a stage as the move makes it that is decided and not finished."""
        seen: _Seen = stage.seen
        record = read_record(won.metadata, f"{seen.path}:{stage.alias}")
        doubts = stage.doubts
        if record and record.moves and record.after == seen.id:
            moves, claimed = record.moves, record.id
        else:
            version = self._name_in(seen.path, won)
            lost = Move(number=stage.next, alias=stage.alias, version=version, previous=seen.holder)
            moves, claimed = (*stage.moves, lost), str(won.id)
            doubts = (*doubts, f"The record of the move to {version} was edited by hand, and is lost.")
        held = self._artifact(stage.collection, moves[-1].version)
        return replace(
            stage,
            holder=_version(stage.collection, held),
            moves=moves,
            next=_next(moves),
            pending=True,
            doubts=doubts,
            seen=replace(seen, claimed=claimed),
        )

    def _name_in(self, path: str, artifact: Artifact) -> str:
        """Return the number of a version in a collection that it is linked into."""
        with self.door.errors(f"find where `{artifact.source_qualified_name}` is linked"):
            for each in (artifact.source_artifact, *artifact.linked_artifacts):
                if _path(each) == path:
                    return str(each.version)
        raise NotThereError(
            f"`{artifact.source_qualified_name}`, which a job had begun to move, is not in `{path}` any more.",
            f"Link it again, or delete the collection `{artifact.name.partition(':')[0]}`.",
        )

    def _edit(
        self,
        artifact: Artifact,
        change: Callable[[Mapping[str, Any]], dict[str, Any]],
        done: Callable[[Mapping[str, Any]], bool],
    ) -> Artifact:
        """Change a version's metadata, which W&B replaces as a whole, and read it again to see that it stayed."""
        where = f"{_path(artifact)}:{artifact.version}"
        for _ in range(_ATTEMPTS):
            before = artifact.metadata
            with self.door.errors(f"write the metadata of `{where}`"):
                artifact.metadata = change(before)
                artifact.save()
            fresh = self.door.artifact(where)
            if fresh is None:
                raise NotThereError(f"`{where}` was deleted meanwhile.", "Choose another version.")
            if done(fresh.metadata):
                return fresh
            if fresh.metadata == before:  # the client keeps silent where the source may not be written
                raise RefusedError(
                    f"The metadata of `{where}` cannot be written: the key may not write to where it was logged,"
                    f" `{fresh.source_entity}/{fresh.source_project}`.",
                    "Make the key's account a member of that team, with the right to write. Nothing was moved.",
                )
            artifact = fresh
        raise OutsideError(
            f"Other jobs write the metadata of `{where}` all the time, and ours found no moment between.",
            "Run the job again.",
        )

    def _moving(self, alias: str) -> Any:
        return _Protected(self.door, alias)

    def _sweep(self, claim: str) -> None:
        """Remove a claim that is decided. Where the key may not delete, it stays, and does no harm."""
        try:
            found = self.door.artifact(f"{claim}:latest")
            if found is not None:
                with self.door.errors("remove a claim"):
                    found.collection.delete()
        except CmlActionError:
            return


class _Protected:
    """Errors while an alias is moved; 403 means most often that it is protected."""

    def __init__(self, door: Door, alias: str) -> None:
        self._errors, self._alias = door.errors(f"move `{alias}`"), alias

    def __enter__(self) -> None:
        self._errors.__enter__()

    def __exit__(self, *raised: Any) -> bool | None:
        try:
            return self._errors.__exit__(*raised)
        except RefusedError as error:
            raise RefusedError(
                f"{error.what} `{self._alias}` may be protected there, or the key may only read.",
                "Use the key of a service account that is an admin of the registry, or have an admin lift the"
                " protection; the stage is where it was.",
            ) from error


_MARK = "cml-action-mark-"


def open_wandb(environ: Mapping[str, str], private: Path) -> WandbRegistry:
    """Return the registry of the server that the environment names; nothing is asked of it yet."""
    return WandbRegistry(door=Door(environ=environ, private=private))


def mark(alias: str) -> str:
    """Return the alias of ours that stays where cml-action moved a stage to.

    It does not contain the stage's name: an automation's pattern for the stage would match it as well.
    """
    return f"{_MARK}{_short(alias)}"


def _claim(path: str, alias: str, record: str) -> str:
    """Return the collection that decides what comes after a record, beside the collection that it is about."""
    where, _, name = path.rpartition("/")
    return f"{where}/{_CLAIM}{_short(f'{name}:{alias}:{record}', 16)}"


def is_claim(collection: str) -> bool:
    """Tell whether a collection is one of those that decide moves."""
    return collection.rpartition("/")[2].startswith(_CLAIM)


def _short(text: str, length: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _checked_path(collection: str) -> str:
    if not _PATH.fullmatch(collection):
        raise NotThereError(
            f"`{collection}` is no collection of W&B's.",
            "It reads `wandb-registry-NAME/COLLECTION`, with the organization in front where there are several,"
            " or `entity/project/NAME`.",
        )
    return collection


def _checked_alias(alias: str) -> str:
    if not alias or len(alias) > _LONGEST_ALIAS or set(alias) & set("/:"):
        raise UsageError(
            f"`{alias}` can be no alias in W&B.",
            f"An alias has 1 to {_LONGEST_ALIAS} characters, and neither `/` nor `:` among them.",
        )
    return alias


def _id(artifact: Artifact | None) -> str:
    return str(artifact.id) if artifact else ""


def _path(artifact: Artifact) -> str:
    """Return the collection that a version was found in, as the server names it."""
    return f"{artifact.entity}/{artifact.project}/{artifact.name.partition(':')[0]}"


def _version(collection: str, artifact: Artifact) -> Version:
    return Version(
        collection=collection,
        name=_number(artifact),
        digest=f"wandb:{artifact.digest}",
        created=_moment(artifact.created_at),
        source=artifact.source_qualified_name,
    )


def _number(artifact: Artifact) -> str:
    """Return `v3`. In a list the client knows a linked version's number by its name only."""
    name = artifact.name.partition(":")[2]
    return name if re.fullmatch(r"v\d+", name) else str(artifact.version)


def _digests(artifact: Artifact, stem: str) -> set[str]:
    """Return all that a version is known by: the manifest's digest, and SHA-256 from evidence and moves."""
    found = {f"wandb:{artifact.digest}"}
    text = read_evidence(artifact.metadata)
    try:
        kept = read_kept(text, shown_as="") if text else None
    except UsageError:
        kept = None
    if kept and kept.source_digest == f"wandb:{artifact.digest}":
        found.add(kept.evidence.digest)
    stages = artifact.metadata.get("cml-action", {})
    names = stages.get("stages", {}) if isinstance(stages, dict) else {}
    for key in names if isinstance(names, dict) else ():
        record = read_record(artifact.metadata, key) if key.startswith(stem) else None
        found |= {m.digest for m in (record.moves if record else ()) if m.version == artifact.version and m.digest}
    return found


def _doubts(record: Record, alias: str, *, marked: bool) -> Iterator[str]:
    if record.edited or (marked and not record.moves):
        yield f"The record of `{alias}` was edited by hand: moves are missing from it."
    yield from gaps(record.moves)


def _next(moves: Sequence[Move]) -> int:
    return max((each.number for each in moves), default=0) + 1


def _moment(text: str) -> str:
    """Return a moment of the server's to the second; it writes UTC, with or without saying so."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return ""
    return found.replace(tzinfo=found.tzinfo or timezone.utc).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
