"""The W&B registry: collections of a registry, of the old model registry, or of a project.

W&B has no compare and swap: an alias goes to whoever sets it last. What it has is numbering. A collection
gives each version that is linked into it the next number, from 0, and no two the same. So a move is decided
by a small collection of its own, the **claim**, named after the record that the move continues: number 0
wins. A move is

1. the record, in the metadata of the version that shall take the stage (`wandbrecord.py`);
2. the claim: from here on the move has happened, and whoever finds it finishes it;
3. the alias, and with it in the same request the **mark**, an alias of our own, which nobody moves by hand.

The version with the mark carries the history. Where the stage's alias is elsewhere, someone moved it by other
means. A claim is removed when the move after it is finished. A job that comes so late that its claim is the
first again finds another record at the mark, and has lost.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from cml_action.errors import CmlActionError, OutsideError, UsageError
from cml_action.registry import wandbfiles
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
from cml_action.registry.wandbnames import (
    checked_alias,
    claim_after,
    mark,
    number_of,
    path_of,
    version_of,
)
from cml_action.registry.wandbread import Reader
from cml_action.registry.wandbrecord import (
    MOST_MOVES,
    Record,
    read_evidence,
    read_record,
    with_evidence,
    with_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wandb import Artifact

_DIGEST = re.compile(r"(sha256|wandb):([0-9a-f]+)")
#: An alias with the identifier of the version that it shall stand for (`wandbevent.py`).
_PINNED = re.compile(r"([^@]+)@([A-Za-z0-9+/=_-]{8,})")
#: Characters of evidence beside a version. W&B names no limit; the metadata is read with each look at it.
_MOST_EVIDENCE = 20_000
_ATTEMPTS = 3


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

    @property
    def _reader(self) -> Reader:
        return Reader(door=self.door)

    def find(self, collection: str, wanted: str) -> Version:
        """Return the version with a number, an alias or a digest.

        :param wanted: also `alias@identifier`: the alias, as long as exactly that version holds it. Between
            an event and its job, or a person's approval, an alias may move on.
        """
        if _DIGEST.fullmatch(wanted):
            return self._reader.with_digest(collection, wanted)
        pinned = _PINNED.fullmatch(wanted)
        found = self._reader.artifact(collection, pinned[1] if pinned else wanted)
        if pinned and pinned[2] != found.id:
            raise UsageError(
                f"`{pinned[1]}` of `{collection}` moved on since this event: {number_of(found)} holds it"
                " now, and the event was about another version.",
                "The later event has a run of its own. To take the earlier version, name it in `model`.",
            )
        return version_of(collection, found)

    def look(self, collection: str, alias: str) -> Stage:
        """Read who holds the alias, the mark's record, and whether a move is decided: three requests."""
        holder, marked = self._reader.holders(collection, checked_alias(alias))
        any_version = holder or marked or self._reader.get(collection, "latest")
        path = path_of(any_version) if any_version else self._reader.path_of_empty(collection)
        key = f"{path}:{alias}"
        record = (read_record(marked.metadata, key) if marked else None) or Record()
        if record.over:  # written over the last one, by a job that has not finished
            record = record.before()
        doubts = list(_doubts(record, alias, marked=marked is not None))
        name = number_of(holder) if holder else ""
        seen = _Seen(path=path, id=record.id, after=record.after, holder=name)
        moves = list(record.moves)
        last = moves[-1].version if moves else ""
        if last != name:
            moves.append(Move(number=0, alias=alias, version=name, previous=last, kind="outside"))
        if record.moves and last != name:
            doubts.append(
                f"`{alias}` was moved by hand, or by other means than cml-action: {name or 'no version'}"
                f" holds it, and the record ends at {last}."
            )
        stage = Stage(
            collection=collection,
            alias=alias,
            holder=version_of(collection, holder) if holder else None,
            moves=tuple(moves),
            next=_next(moves),
            doubts=tuple(doubts),
            seen=seen,
        )
        won = self._reader.winner(claim_after(path, alias, record.id))
        return self._pending(stage, won) if won else stage

    def settle(self, stage: Stage) -> Stage:
        """Let the alias follow the move that is decided."""
        for _ in range(_ATTEMPTS):  # a slow job's alias may come after the next job's: then it is moved again
            if not stage.pending or stage.holder is None:
                return stage
            seen: _Seen = stage.seen
            artifact = self._reader.artifact(stage.collection, stage.holder.name)
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
                self._sweep(claim_after(seen.path, stage.alias, seen.after))
            stage = self.look(stage.collection, stage.alias)
        return stage

    def move(self, stage: Stage, move: Move) -> Stage:
        """Record, claim, and let the alias follow."""
        stage = self.settle(stage)
        seen: _Seen = stage.seen
        target = self._reader.artifact(stage.collection, move.version)
        now = self.look(stage.collection, stage.alias)
        if now.seen != seen:
            raise moved(now)
        key = f"{seen.path}:{stage.alias}"
        record = Record(
            id=uuid.uuid4().hex,
            after=seen.id,
            older=seen.after,
            moves=(*stage.moves, replace(move, version=number_of(target)))[-MOST_MOVES:],
            over=mark(stage.alias) in target.aliases,
        )
        claim = claim_after(seen.path, stage.alias, seen.id)
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
        for each in self._reader.every(self._reader.newest(collection)):
            yield version_of(collection, each)

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch the files by the addresses that the server signs."""
        return wandbfiles.download(self.door, self._reader.artifact(version.collection, version.name), folder)

    def evidence(self, version: Version) -> Kept | None:
        """Read the evidence in the version's metadata."""
        text = read_evidence(self._reader.artifact(version.collection, version.name).metadata)
        return read_kept(text, shown_as=f"the metadata of {version.reference}") if text else None

    def keep_evidence(self, version: Version, kept: Kept) -> None:
        """Keep it in the version's metadata, which every collection that the version is linked into shows."""
        text = to_text(kept, most=_MOST_EVIDENCE)
        self._edit(
            self._reader.artifact(version.collection, version.name),
            lambda metadata: with_evidence(metadata, text),
            lambda metadata: bool(
                (found := read_evidence(metadata))
                and read_kept(found, shown_as="") == read_kept(text, shown_as="")
            ),
        )

    def _pending(self, stage: Stage, won: Artifact) -> Stage:
        """Return a stage as the move makes it that is decided and not finished."""
        seen: _Seen = stage.seen
        record = read_record(won.metadata, f"{seen.path}:{stage.alias}")
        doubts = stage.doubts
        if record and record.moves and record.after == seen.id:
            moves, claimed = record.moves, record.id
        else:
            version = self._reader.name_in(seen.path, won)
            lost = Move(number=stage.next, alias=stage.alias, version=version, previous=seen.holder)
            moves, claimed = (*stage.moves, lost), str(won.id)
            doubts = (*doubts, f"The record of the move to {version} was edited by hand, and is lost.")
        held = self._reader.artifact(stage.collection, moves[-1].version)
        return replace(
            stage,
            holder=version_of(stage.collection, held),
            moves=moves,
            next=_next(moves),
            pending=True,
            doubts=doubts,
            seen=replace(seen, claimed=claimed),
        )

    def _edit(
        self,
        artifact: Artifact,
        change: Callable[[Mapping[str, Any]], dict[str, Any]],
        done: Callable[[Mapping[str, Any]], bool],
    ) -> Artifact:
        """Change a version's metadata, which W&B replaces as a whole, and see that it stayed."""
        where = f"{path_of(artifact)}:{artifact.version}"
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
                    f"The metadata of `{where}` cannot be written: the key may not write to where it was"
                    f" logged, `{fresh.source_entity}/{fresh.source_project}`.",
                    "Make the key's account a member of that team that may write. Nothing was moved.",
                )
            artifact = fresh
        raise OutsideError(
            f"Other jobs write the metadata of `{where}` all the time, and ours found no moment between.",
            "Run the job again.",
        )

    @contextlib.contextmanager
    def _moving(self, alias: str) -> Iterator[None]:
        """Say what 403 means most often while an alias is moved."""
        try:
            with self.door.errors(f"move `{alias}`"):
                yield
        except RefusedError as error:
            raise RefusedError(
                f"{error.what} `{alias}` may be protected there, or the key may only read.",
                "Use the key of a service account that is an admin of the registry, or have an admin lift the"
                " protection; the stage is where it was.",
            ) from error

    def _sweep(self, claim: str) -> None:
        """Remove a claim that is decided. Where the key may not delete, it stays, and does no harm."""
        try:
            found = self.door.artifact(f"{claim}:latest")
            if found is not None:
                with self.door.errors("remove a claim"):
                    found.collection.delete()
        except CmlActionError:
            return


def open_wandb(environ: Mapping[str, str], private: Path) -> WandbRegistry:
    """Return the registry of the server that the environment names; nothing is asked of it yet."""
    return WandbRegistry(door=Door(environ=environ, private=private))


def _doubts(record: Record, alias: str, *, marked: bool) -> Iterator[str]:
    if record.edited or (marked and not record.moves):
        yield f"The record of `{alias}` was edited by hand: moves are missing from it."
    yield from record.doubts


def _next(moves: Sequence[Move]) -> int:
    return max((each.number for each in moves), default=0) + 1
