"""The Git registry: versions and stages are tags, as GTO writes them; files come from Git or DVC.

- `NAME@v1.2.3` is a version: its commit holds the model, or DVC's record of it.
- `NAME#STAGE#4` is the fourth move of a stage. Its message is a sentence for people and `Move` as JSON. A tag
  is never moved, and a remote takes a new one from one job only: that is the swap, and the record with it.
- `refs/cml-action/evidence/NAME/v1.2.3/HEX` is a gate's verdict about the files with that SHA-256.

GTO shows the same (`gto show`, `gto history`): it goes by the time of the tags, so that each move is at least
a second after the one before. Moves that someone made with GTO itself count, as `outside`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from cml_action.errors import suggestion
from cml_action.registry import gittags
from cml_action.registry.history import gaps
from cml_action.registry.kept import read_kept, to_text
from cml_action.registry.protocol import (
    Kept,
    Move,
    MovedError,
    NotThereError,
    Stage,
    Version,
    moved,
    only,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cml_action.registry.gitfiles import Files
    from cml_action.registry.gitremote import GitRemote

_SEMVER = re.compile(r"v?(\d+\.\d+\.\d+.*)")
#: What people, and other registries, call a version.
_NUMBER = re.compile(r"[vV]?\d[\d.]*")
_DIGEST = re.compile(r"(sha256|md5|git):([0-9a-f]+(\.dir)?)")
_EVIDENCE = "refs/cml-action/evidence"
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class GitRegistry:
    """The tags of a remote.

    :param files: where a version's files are and how they are brought.
    :param email: of whoever makes the tags; the name is the move's `who`.
    """

    remote: GitRemote
    files: Files
    email: str = "cml-action@users.noreply.github.com"
    backend: ClassVar[str] = "git"

    def find(self, collection: str, wanted: str) -> Version:
        """Return the version of a tag, of a stage, or with a digest."""
        if _DIGEST.fullmatch(wanted):
            return self._with_digest(collection, wanted)
        if number := _SEMVER.fullmatch(wanted):
            return self._complete(self._version(collection, f"v{number[1]}"))
        if _NUMBER.fullmatch(wanted) and "." in wanted:
            raise self._no_version(collection, wanted, deleted=False)
        stage = self.look(collection, wanted)
        if stage.holder is None and _NUMBER.fullmatch(wanted):
            raise self._no_version(collection, wanted, deleted=False)
        if stage.holder is None:
            raise self._nobody(collection, wanted)
        return self._complete(self._version(collection, stage.holder.name))

    def look(self, collection: str, alias: str) -> Stage:
        """Read the tags of one stage."""
        stem = f"{gittags.tag_name(collection)}#{gittags.checked(alias, 'alias')}"
        self.remote.fetch(f"refs/tags/{stem}*")
        tags = [
            each
            for each in gittags.read_tags(self.remote, f"refs/tags/{stem}")
            if gittags.is_about(each.name, stage=alias)
        ]
        annotated = sorted((each for each in tags if each.annotated), key=lambda tag: (tag.time, tag.number))
        doubts = [
            f"The tag `{each.name}` has no author and no time: GTO does not count it."
            for each in tags
            if not each.annotated
        ]
        names = (
            self._names_by_commit(collection)
            if any(not gittags.record(each, alias) for each in annotated)
            else {}
        )
        moves: list[Move] = []
        for tag in annotated:
            move = gittags.record(tag, alias)
            if move is None:
                if '"number"' in tag.message:
                    doubts.append(f"The record in the tag `{tag.name}` was edited by hand and is not read.")
                before = moves[-1].version if moves else ""
                move = gittags.outside(tag, alias, names.get(tag.commit, ""), before)
            moves.append(move)
            if tag.cancels:  # the stage falls back to who held it before, where GTO shows one
                held = gittags.holder(collection, annotated[: len(moves)], moves)
                moves[-1] = replace(move, version=held.name if held else "")
        holder = gittags.holder(collection, annotated, moves)
        return Stage(
            collection=collection,
            alias=alias,
            holder=holder,
            moves=tuple(moves),
            next=max((each.number for each in tags), default=0) + 1,
            doubts=(*doubts, *gaps(moves)),
            seen=frozenset(each.object for each in tags),
        )

    def settle(self, stage: Stage) -> Stage:
        """Return it as it is: a tag is there or not, and nothing is ever pending."""
        return stage

    def move(self, stage: Stage, move: Move) -> Stage:
        """Push the move's tag."""
        now = self.look(stage.collection, stage.alias)
        if now.seen != stage.seen:
            raise moved(now)
        version = self._version(stage.collection, move.version)
        at = max(int(time.time()), *(gittags.seconds(each.when) + 1 for each in now.moves), 0)
        name = f"{gittags.tag_name(stage.collection)}#{stage.alias}#{move.number}"
        made = self._make_tag(name, version.revision, move, at)
        taken = self.remote.push(f"{made}:refs/tags/{name}", leases=(f"refs/tags/{name}:",))
        if taken:
            now = self.look(stage.collection, stage.alias)
            if made not in now.seen:  # else an answer was lost, and the tag is ours
                raise moved(now)
        done = replace(move, when=gittags.moment(at))
        return replace(
            stage, holder=version, moves=(*stage.moves, done), next=move.number + 1, seen=stage.seen | {made}
        )

    def versions(self, collection: str) -> Iterator[Version]:
        """Yield the versions by their number; the list of names is one answer of the server."""
        from gto.versions import SemVer

        stem = f"refs/tags/{gittags.tag_name(collection)}@"
        commits = {
            name.removesuffix("^{}"): found for name, found in self.remote.names() if name.startswith(stem)
        }
        names = [name.removeprefix(stem) for name in commits]
        gone = {name.partition("!")[0] for name in names if "!" in name}
        known = [name for name in names if "!" not in name and name not in gone and SemVer.is_valid(name)]
        known.sort(key=SemVer, reverse=True)
        for at in range(0, len(known), _PAGE):
            page = known[at : at + _PAGE]
            self.remote.fetch(*(f"{stem}{name}" for name in page), whole=True)
            for name in page:
                revision = commits[f"{stem}{name}"]
                yield self._complete(Version(collection=collection, name=name, revision=revision))

    def download(self, version: Version, folder: Path) -> Path:
        """Bring the files from the commit, or those that DVC records there."""
        if not version.revision or not version.source:
            version = self.find(version.collection, version.name)
        return self.files.download(self.remote, version, folder)

    def evidence(self, version: Version) -> Kept | None:
        """Read what lies beside the version's tag."""
        found = self._evidence(f"{_EVIDENCE}/{gittags.tag_name(version.collection)}/{version.name}/*")
        kept = [read_kept(text, shown_as=name) for name, text in found]
        return max(kept, key=lambda each: each.evidence.started, default=None)

    def keep_evidence(self, version: Version, kept: Kept) -> None:
        """Put a file beside the version's tag, in place of one about the same files."""
        made = self.remote.git("hash-object", "-w", "--stdin", given=to_text(kept).encode())
        name = f"{_EVIDENCE}/{gittags.tag_name(version.collection)}/{version.name}/"
        name += kept.evidence.digest.partition(":")[2]
        for _ in range(5):
            self.remote.fetch(f"{name}*")
            before = self.remote.git("rev-parse", "--verify", "--quiet", name, missing=True)
            if before == made or not self.remote.push(f"+{made}:{name}", leases=(f"{name}:{before}",)):
                return
        raise _moved_evidence(version)

    def _evidence(self, pattern: str) -> list[tuple[str, str]]:
        self.remote.fetch(pattern)
        stem = pattern.partition("*")[0]
        names = self.remote.git("for-each-ref", "--format=%(refname)", stem.rstrip("/")).splitlines()
        return [(name, self.remote.git("cat-file", "blob", name)) for name in names if name.startswith(stem)]

    def _version(self, collection: str, name: str) -> Version:
        """Return a version with its commit, and no more."""
        tag = f"{gittags.tag_name(collection)}@{name}"
        self.remote.fetch(f"refs/tags/{tag}*", whole=True)
        found = [
            each
            for each in gittags.read_tags(self.remote, f"refs/tags/{tag}")
            if gittags.is_about(each.name, version=name)
        ]
        last = max(found, key=lambda each: (each.time, each.number), default=None)
        if last is None or last.cancels:
            raise self._no_version(collection, name, deleted=last is not None)
        made = next(each for each in reversed(found) if not each.cancels)
        return Version(
            collection=collection,
            name=name,
            revision=made.commit,
            created=gittags.moment(made.time) if made.time else "",
        )

    def _complete(self, version: Version) -> Version:
        source, digest = self.files.locate(self.remote, version)
        return replace(version, source=source, digest=digest)

    def _with_digest(self, collection: str, wanted: str) -> Version:
        if wanted.startswith("sha256:"):
            stem = f"{_EVIDENCE}/{gittags.tag_name(collection)}/"
            found = self._evidence(f"{stem}*/{wanted.partition(':')[2]}")
            names = sorted({name.removeprefix(stem).partition("/")[0] for name, _ in found})
        else:
            names = [each.name for each in self.versions(collection) if each.digest == wanted]
        return self._complete(self._version(collection, only(names, collection, wanted)))

    def _make_tag(self, name: str, commit: str, move: Move, at: int) -> str:
        words = f"{move.kind.capitalize()} {move.version} to {move.alias} (before: {move.previous or 'none'})"
        who = re.sub(r"[<>\n\0]", "", move.who) or "cml-action"
        record = replace(move, when=gittags.moment(at)).to_json()
        head = f"object {commit}\ntype commit\ntag {name}\ntagger {who} <{self.email}> {at} +0000"
        text = f"{head}\n\n{words}\n\n{record}\n"
        return self.remote.git("mktag", given=text.encode())

    def _names_by_commit(self, collection: str) -> dict[str, str]:
        stem = f"refs/tags/{gittags.tag_name(collection)}@"
        return {
            found: name.removeprefix(stem).removesuffix("^{}")
            for name, found in self.remote.names()
            if name.startswith(stem) and "!" not in name
        }

    def _no_version(self, collection: str, name: str, *, deleted: bool) -> NotThereError:
        if deleted:
            return NotThereError(
                f"Version {name} of `{collection}` was deregistered.",
                "Name another version in the input `model`.",
            )
        known = [each for each in self._names_by_commit(collection).values() if each.startswith("v")]
        if not known:
            return self._no_collection(collection)
        return NotThereError(
            f"There is no version {name} of `{collection}` in {self.remote.name}.{suggestion(name, known)}",
            _registering(collection, name)
            if _SEMVER.fullmatch(name)
            else f"In Git a version has three numbers: name it as `{collection}:{known[0]}`.",
        )

    def _nobody(self, collection: str, alias: str) -> NotThereError:
        names = [name for name, _ in self.remote.names()]
        stem = f"refs/tags/{gittags.tag_name(collection)}"
        if not any(name.startswith((f"{stem}@", f"{stem}#")) for name in names):
            return self._no_collection(collection)
        held = sorted(
            {
                re.split("[#!^]", name.removeprefix(f"{stem}#"))[0]
                for name in names
                if name.startswith(f"{stem}#")
            }
        )
        have = f"It has {', '.join(f'`{each}`' for each in held)}. Name one of them, or" if held else "Name"
        return NotThereError(
            f"No version of `{collection}` holds the alias `{alias}`.{suggestion(alias, held)}",
            f"{have} a version such as `{collection}:v1.2.3`.",
        )

    def _no_collection(self, collection: str) -> NotThereError:
        return NotThereError(
            f"There is no tag of a model `{collection}` in {self.remote.name}.",
            _registering(collection, "v1.0.0"),
        )


def _registering(collection: str, name: str) -> str:
    tag = f"{gittags.tag_name(collection)}@{name}"
    return (
        f"To register `{collection}:{name}`, run `git tag -a {tag} -m {name}` at its commit, and"
        f" `git push origin {tag}`."
    )


def _moved_evidence(version: Version) -> MovedError:
    return MovedError(
        f"Other jobs keep evidence beside `{version.reference}` all the time; ours found no moment between.",
        "Run the gate again; it may be set to run twice at once.",
    )
