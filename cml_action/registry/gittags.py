"""Tags as GTO writes and reads them: what each says, and who holds a stage after all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.registry.protocol import Move, Version, read_move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.registry.gitremote import GitRemote


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One tag; `number` is 0 where its name has none, `time` 0 where it is a lightweight one."""

    name: str
    object: str
    commit: str
    who: str
    time: int
    message: str
    version: str
    cancels: bool
    number: int

    @property
    def annotated(self) -> bool:
        """Whether it has an author and a time: GTO counts no other."""
        return bool(self.time)


_FORMAT = "%00".join(
    f"%({each})"
    for each in (
        "refname",
        "objecttype",
        "objectname",
        "*objectname",
        "taggername",
        "taggerdate:unix",
        "contents",
    )
)


def read_tags(remote: GitRemote, stem: str) -> list[Tag]:
    """Return the tags in the private clone whose full names begin so, as far as GTO knows them."""
    from gto.constants import Action
    from gto.tag import parse_name

    found = []
    for line in remote.git("for-each-ref", f"--format={_FORMAT}%01", "refs/tags").split("\x01"):
        name, kind, made, target, who, when, message = [*line.strip("\n").split("\0", 6), *[""] * 7][:7]
        parsed = parse_name(name.removeprefix("refs/tags/"), raise_on_fail=False)
        if not name.startswith(stem) or not parsed:
            continue
        annotated = kind == "tag"
        found.append(
            Tag(
                name=name.removeprefix("refs/tags/"),
                object=made,
                commit=target if annotated else made,
                who=who,
                time=int(when or 0) if annotated else 0,
                message=message,
                version=parsed.get("version") or "",
                cancels=parsed["action"] in (Action.DEREGISTER, Action.UNASSIGN),
                number=parsed.get("counter") or 0,
            )
        )
    return found


def tag_name(collection: str) -> str:
    """Return how a collection begins the names of its tags.

    :raises UsageError: it cannot be one.
    """
    from gto.constants import fullname_re, name_to_tag

    if not fullname_re.fullmatch(collection):
        raise UsageError(
            f"`{collection}` cannot be a model's name in Git: letters, digits, `-`, `_` and `/` can.",
            "Correct the input `collection` or `model`.",
        )
    return str(name_to_tag(collection))


def checked(alias: str, name: str) -> str:
    """Return a stage's name.

    :param name: of the input that held it.
    :raises UsageError: it cannot be one.
    """
    from gto.constants import check_string_is_valid

    if not check_string_is_valid(alias):
        raise UsageError(
            f"The input `{name}` is `{alias}`; a stage in Git is made of letters, digits, `-`, `_` and `/`."
        )
    return alias


def is_about(tag: str, *, stage: str = "", version: str = "") -> bool:
    """Whether a tag is about exactly this stage, or exactly this version."""
    from gto.tag import parse_name

    parsed = parse_name(tag)
    return (parsed.get("stage") or "") == stage and (parsed.get("version") or "") == version


def record(tag: Tag, alias: str) -> Move | None:
    """Return the record in a tag's message, where it is about this very tag."""
    line = tag.message.strip().rpartition("\n")[2]
    move = read_move(line)
    return move if move and (move.number, move.alias) == (tag.number, alias) and not tag.cancels else None


def outside(tag: Tag, alias: str, version: str, before: str) -> Move:
    """Return the move that a tag without a record stands for: GTO's, or someone's by hand."""
    return Move(
        number=tag.number,
        alias=alias,
        version="" if tag.cancels else version,
        previous=before,
        kind="outside",
        who=tag.who,
        when=moment(tag.time),
        why=tag.message.strip().partition("\n")[0],
    )


def holder(collection: str, tags: Sequence[Tag], moves: Sequence[Move]) -> Version | None:
    """Return the version that GTO shows: the last that was assigned and not taken away again."""
    active: dict[str, Move] = {}
    for tag, move in zip(tags, moves, strict=True):
        active.pop(tag.commit, None)
        if not tag.cancels:
            active[tag.commit] = move
    if not active:
        return None
    commit, move = list(active.items())[-1]
    return Version(
        collection=collection, name=move.version or commit, revision=commit, digest=move.source_digest
    )


def moment(seconds: int) -> str:
    """Write a time as records hold it."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(moment: str) -> int:
    """Read a time of a record; 0 where it is none."""
    try:
        return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return 0
