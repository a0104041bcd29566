"""What can be read of a W&B registry: versions by number, alias and digest, and who holds what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError, suggestion
from cml_action.registry.protocol import NotThereError, Version, only
from cml_action.registry.wandbnames import (
    MARK,
    NUMBER,
    checked_alias,
    checked_path,
    digests_of,
    id_of,
    mark,
    path_of,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb import Artifact

    from cml_action.registry.wandbdoor import Door

_PAGE = 100
#: What a registry of models holds. It is asked for only where a collection has no version that would say it.
_TYPE = "model"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads a server's collections, through its door."""

    door: Door

    def get(self, collection: str, name: str) -> Artifact | None:
        """Return what a number or an alias stands for; None where there is no such version."""
        return self.door.artifact(f"{checked_path(collection)}:{name}")

    def holders(self, collection: str, alias: str) -> tuple[Artifact | None, Artifact | None]:
        """Return what holds an alias, and what its mark. Both move at once, and are read one by one."""
        holder, marked = self.get(collection, alias), self.get(collection, mark(alias))
        if id_of(holder) != id_of(marked) and marked is not None:
            again = self.get(collection, alias), self.get(collection, mark(alias))
            if (id_of(again[0]), id_of(again[1])) != (id_of(holder), id_of(marked)):
                return self.holders(collection, alias)
        return holder, marked

    def artifact(self, collection: str, name: str) -> Artifact:
        """Return what a number or an alias stands for, or say what there is instead."""
        number = NUMBER.fullmatch(name)
        found = self.get(collection, f"v{number[1]}" if number else checked_alias(name))
        if found is not None:
            return found
        newest = self.newest(collection)
        if number:
            raise NotThereError(
                f"There is no version {name} of `{collection}`: it was deleted, or never there.",
                f"The newest is {newest.version}. Name one that is there in the input `model`.",
            )
        with self.door.errors(f"list the aliases of `{collection}`"):
            every = newest.collection.aliases
        known = sorted(each for each in every if not NUMBER.fullmatch(each) and not each.startswith(MARK))
        raise NotThereError(
            f"No version of `{collection}` holds the alias `{name}`.{suggestion(name, known)}",
            f"It has {', '.join(f'`{each}`' for each in known)}. Name one of them, or a version such as"
            f" `{collection}:{newest.version}`.",
        )

    def newest(self, collection: str) -> Artifact:
        """Return the latest version."""
        found = self.get(collection, "latest")
        if found is None:
            raise self.no_collection(collection)
        return found

    def every(self, newest: Artifact) -> Iterator[Artifact]:
        """Yield all versions of a collection, a page of the server's at a time.

        :param newest: one of them.
        """
        path = path_of(newest)
        with self.door.errors(f"list the versions of `{path}`"):
            pages = iter(self.door.api.artifacts(newest.type, path, per_page=_PAGE))
        while True:
            with self.door.errors(f"list the versions of `{path}`"):
                artifact = next(pages, None)
            if artifact is None:
                return
            yield artifact

    @staticmethod
    def no_collection(collection: str) -> NotThereError:
        """Say that there is no such collection."""
        return NotThereError(
            f"W&B has no collection `{collection}` that holds a version, or does not show it to this key.",
            "Check the input `collection` or `model`: `wandb-registry-NAME/COLLECTION`, with the organization"
            " in front where the key sees several; and that the key's account may read it.",
        )

    def path_of_empty(self, collection: str) -> str:
        """Return where a collection is that holds no version yet."""
        try:
            with self.door.errors(f"look for `{collection}`"):
                found = self.door.api.artifact_collection(_TYPE, collection)
                return f"{found.entity}/{found.project}/{found.name}"
        except CmlActionError as error:
            raise self.no_collection(collection) from error

    def with_digest(self, collection: str, wanted: str) -> Version:
        """Go through all versions: W&B finds none by a digest, and two may have the same."""
        newest = self.newest(collection)
        stem = f"{path_of(newest)}:"
        held = (each for each in self.every(newest) if wanted in digests_of(each, stem))
        with self.door.errors(f"list the versions of `{collection}`"):  # metadata may be fetched late
            found = {version.name: version for version in (version_of(collection, each) for each in held)}
        return found[only(list(found), collection, wanted)]

    def winner(self, claim: str) -> Artifact | None:
        """Return the version that a claim decided for; None where nobody has claimed yet.

        It is the one with the lowest number. That is 0, unless its version was deleted since.
        """
        last = self.door.artifact(f"{claim}:latest")
        numbers = range(int(last.version[1:]) if last else 0)
        return next((each for n in numbers if (each := self.door.artifact(f"{claim}:v{n}"))), last)

    def name_in(self, path: str, artifact: Artifact) -> str:
        """Return the number of a version in a collection that it is linked into."""
        with self.door.errors(f"find where `{artifact.source_qualified_name}` is linked"):
            for each in (artifact.source_artifact, *artifact.linked_artifacts):
                if path_of(each) == path:
                    return str(each.version)
        raise NotThereError(
            f"`{artifact.source_qualified_name}`, which a job began to move, is not in `{path}` any more.",
            f"Link it again, or delete the collection `{artifact.name.partition(':')[0]}`.",
        )
