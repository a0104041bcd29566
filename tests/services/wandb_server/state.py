"""A stand-in for what the W&B server keeps, and for its rules.

- A version is a manifest: the same digest in the same sequence is the same version, and its files stay.
- A collection is a sequence (what runs log into) or a portfolio (what is linked into, as in a registry). A
  version is in a collection by a membership, with a number of its own there; linking twice is one membership.
- An alias is unique in its collection: set elsewhere, it moves. `latest` follows the newest membership.
- A protected alias is a registry admin's; to anyone else the server answers 403.
- What a key may not see is not there (null, or 404); what it may see and not change is answered 403.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone

_DIGEST_HEADERS = {"MANIFEST_MD5": b"wandb-artifact-manifest-v1\n"}


class Refusal(Exception):  # noqa: N818 -- it is an answer
    """What the server does not do, with the status of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def now() -> str:
    """Return the moment as the server writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who a key belongs to.

    :param teams: entities whose projects it may see; and write to, unless it is `read_only`.
    :param registry_admin: may move protected aliases.
    """

    username: str
    teams: tuple[str, ...]
    read_only: bool = False
    registry_admin: bool = False


@dataclass(eq=False)
class Project:
    id: str
    entity: str
    name: str
    collections: dict[str, Collection] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Run:
    id: str
    name: str
    project: Project
    config: str = "{}"
    state: str = "running"


@dataclass(eq=False)
class File:
    """One file of a version, or its manifest.

    :param digest: as the manifest has it, base64; `reference`: where the content is, when it is not here.
    """

    id: str
    name: str
    digest: str
    content: bytes = b""
    artifact: Artifact | None = None
    reference: str = ""


@dataclass(eq=False)
class Artifact:
    id: str
    sequence: Collection
    digest: str
    algorithm: str
    metadata: str | None = None
    description: str | None = None
    state: str = "PENDING"
    run: Run | None = None
    files: dict[str, File] = field(default_factory=dict)
    manifest: File | None = None
    memberships: list[Membership] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    wanted_aliases: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    updated_at: str | None = None


@dataclass(eq=False)
class Membership:
    id: str
    collection: Collection
    artifact: Artifact
    number: int
    created_at: str = field(default_factory=now)


@dataclass(eq=False)
class Collection:
    """:param aliases: alias to membership, the numbered ones (`v3`) not among them."""

    id: str
    project: Project
    name: str
    kind: str
    type: str
    members: dict[int, Membership] = field(default_factory=dict)
    aliases: dict[str, Membership] = field(default_factory=dict)
    created_at: str = field(default_factory=now)
    next_number: int = 0

    def find(self, alias: str) -> Membership | None:
        if alias in self.aliases:
            return self.aliases[alias]
        return self.members.get(int(alias[1:])) if alias[:1] == "v" and alias[1:].isdigit() else None

    def aliases_of(self, member: Membership) -> list[str]:
        return [alias for alias, holder in self.aliases.items() if holder is member]


class State:
    """Everything that is kept, under one lock: each request is one transaction."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        #: Organisation to its entity and its teams.
        self.organizations: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.projects: dict[tuple[str, str], Project] = {}
        #: Old address of a migrated model registry to where it is now.
        self.moved: dict[tuple[str, str], tuple[str, str]] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.collections: dict[str, Collection] = {}
        self.files: dict[str, File] = {}
        self.by_client_id: dict[str, Artifact] = {}
        self._numbers = itertools.count(517889887)

    def new_id(self, kind: str) -> str:
        """Return an opaque identifier, in the server's form."""
        return base64.b64encode(f"{kind}:{next(self._numbers)}".encode()).decode()

    def add_project(self, entity: str, name: str) -> Project:
        if (entity, name) not in self.projects:
            self.projects[entity, name] = Project(id=self.new_id("Project"), entity=entity, name=name)
        return self.projects[entity, name]

    def visible(self, account: Account, entity: str | None, name: str | None) -> Project | None:
        """Return a project that an account may see, wherever it has moved to."""
        entity = entity or account.username
        asked = self.moved.get((entity, name or ""), (entity, name or ""))
        project = self.projects.get(asked)
        return project if project and asked[0] in self.seen_by(account) else None

    def seen_by(self, account: Account) -> set[str]:
        own = {account.username, *account.teams}
        return own | {org for org, teams in self.organizations.values() if own & set(teams)}

    def writable(self, account: Account, entity: str | None, name: str | None) -> Project:
        project = self.visible(account, entity, name)
        if not project:
            raise Refusal(404, f"project {name!r} not found under entity {entity!r}")
        self.check_write(account, project)
        return project

    def check_write(self, account: Account, project: Project) -> None:
        if project.entity not in self.seen_by(account):
            raise Refusal(404, "not found")
        if self.read_only(account, project):
            raise Refusal(403, "permission denied")

    def read_only(self, account: Account, project: Project) -> bool:
        return account.read_only and project.entity in self.seen_by(account)

    def collection(self, project: Project, name: str, kind: str, type_: str) -> Collection:
        """Return a collection, made where it is not there."""
        found = project.collections.get(name)
        if found and found.kind != kind:
            raise Refusal(409, f"{name!r} is a {found.kind}, not a {kind}")
        if not found:
            label = "ArtifactSequence" if kind == "SEQUENCE" else "ArtifactPortfolio"
            found = Collection(id=self.new_id(label), project=project, name=name, kind=kind, type=type_)
            project.collections[name] = found
            self.collections[found.id] = found
        return found

    def create_artifact(
        self, sequence: Collection, digest: str, algorithm: str, *, deduplicate: bool
    ) -> Artifact:
        """Return the version with this digest, or a new one that is still to be committed."""
        if deduplicate:
            for member in sequence.members.values():
                if member.artifact.digest == digest and member.artifact.state == "COMMITTED":
                    return member.artifact
        artifact = Artifact(id=self.new_id("Artifact"), sequence=sequence, digest=digest, algorithm=algorithm)
        self.artifacts[artifact.id] = artifact
        return artifact

    def commit(self, artifact: Artifact) -> None:
        if artifact.state == "PENDING":
            self._check_manifest(artifact)
            artifact.state = "COMMITTED"
            self.join(artifact.sequence, artifact)
            for alias in artifact.wanted_aliases:
                self.move_alias(artifact.sequence, alias, artifact)

    def _check_manifest(self, artifact: Artifact) -> None:
        if not artifact.manifest or not artifact.manifest.content:
            raise Refusal(400, "the manifest was not uploaded")
        found = json.loads(artifact.manifest.content)["contents"]
        for path, entry in found.items():
            if not entry.get("ref") and path not in artifact.files:
                raise Refusal(400, f"{path} was not uploaded")
        header = _DIGEST_HEADERS.get(artifact.algorithm)
        if header:
            lines = "".join(f"{path}:{entry['digest']}\n" for path, entry in sorted(found.items()))
            if hashlib.md5(header + lines.encode()).hexdigest() != artifact.digest:  # noqa: S324 -- W&B's own
                raise Refusal(400, "the digest is not the manifest's")

    def join(self, collection: Collection, artifact: Artifact) -> Membership:
        """Make a version a member, once; the newest member holds `latest`."""
        for member in artifact.memberships:
            if member.collection is collection:
                return member
        member = Membership(
            id=self.new_id("ArtifactCollectionMembership"),
            collection=collection,
            artifact=artifact,
            number=collection.next_number,
        )
        collection.next_number += 1
        collection.members[member.number] = member
        collection.aliases["latest"] = member
        artifact.memberships.append(member)
        return member

    def move_alias(self, collection: Collection, alias: str, artifact: Artifact) -> None:
        member = next((each for each in artifact.memberships if each.collection is collection), None)
        if not member:
            raise Refusal(404, "the artifact is not in that collection")
        collection.aliases[alias] = member

    def leave(self, member: Membership) -> None:
        collection = member.collection
        del collection.members[member.number]
        member.artifact.memberships.remove(member)
        collection.aliases = {key: held for key, held in collection.aliases.items() if held is not member}
        if collection.members:
            collection.aliases.setdefault("latest", collection.members[max(collection.members)])

    def delete_collection(self, collection: Collection) -> None:
        for member in list(collection.members.values()):
            self.leave(member)
        del collection.project.collections[collection.name]
        del self.collections[collection.id]

    def check_alias(self, account: Account, project: Project, alias: str) -> None:
        """Refuse what may be changed by a registry's admins only, and what is a number."""
        if alias in project.protected and not account.registry_admin:
            raise Refusal(403, "permission denied")
        if alias[:1] == "v" and alias[1:].isdigit():
            raise Refusal(400, f"{alias!r} is a version")

    def delete(self, artifact: Artifact, *, with_aliases: bool) -> None:
        held = [alias for m in artifact.memberships for alias in m.collection.aliases_of(m)]
        if [alias for alias in held if alias != "latest"] and not with_aliases:
            raise Refusal(409, "the artifact has aliases")
        for member in list(artifact.memberships):
            self.leave(member)
        artifact.state = "DELETED"
