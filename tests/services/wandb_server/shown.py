"""A stand-in for the W&B server's resolvers: what it keeps, as the types of the schema show it."""

# ruff: noqa: N803 -- methods and arguments bear the names of the schema
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.services.wandb_server.state import (
    Account,
    Artifact,
    Collection,
    File,
    Membership,
    Project,
    Refusal,
    Run,
    State,
    now,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True)
class Asked:
    """One request: what is kept, who asks, and at which address files lie."""

    state: State
    account: Account
    url: str


def page(
    items: Sequence[Any], show: Callable[[Any], Any], after: str | None, first: int | None
) -> dict[str, Any]:
    """Return a connection: so many items after a cursor, which is a position."""
    start = int(after) if after else 0
    end = min(len(items), start + (first if first is not None else 50))
    return {
        "totalCount": len(items),
        "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(items)},
        "edges": [show(item) for item in items[start:end]],
    }


def node(value: Any) -> dict[str, Any]:
    return {"node": value}


def show_user(asked: Asked, username: str) -> dict[str, Any]:
    account = asked.account
    return {
        "id": "user",
        "name": username,
        "username": username,
        "email": f"{username}@example.com",
        "admin": False,
        "flags": "{}",
        "entity": username,
        "deletedAt": None,
        "apiKeys": {"edges": []},
        "teams": {"edges": [node({"name": team}) for team in account.teams]},
        "organizations": [
            show_organization(asked, org)
            for org, (_, teams) in asked.state.organizations.items()
            if set(account.teams) & set(teams)
        ],
    }


def show_entity(asked: Asked, name: str) -> dict[str, Any] | None:
    if name not in asked.state.seen_by(asked.account):
        return None
    own = next(
        (org for org, (entity, teams) in asked.state.organizations.items() if name in {entity, *teams}), None
    )
    return {
        "id": f"entity-{name}",
        "name": name,
        "entityType": "user" if name == asked.account.username else "team",
        "xxhashDigestsEnabled": False,
        "organization": lambda context: show_organization(context, own) if own else None,
        "user": lambda context: show_user(context, name) if name == context.account.username else None,
    }


def show_organization(asked: Asked, name: str) -> dict[str, Any]:
    entity, _ = asked.state.organizations[name]
    return {
        "id": f"organization-{name}",
        "name": name,
        "coreWeaveOrganizationId": None,
        "featureFlags": lambda _context, **_: [],
        "orgEntity": lambda context: show_entity(context, entity),
    }


def show_project(asked: Asked, project: Project) -> dict[str, Any]:
    def artifact_type(_context: Asked, name: str) -> dict[str, Any] | None:
        there = {each.type for each in project.collections.values()}
        return show_type(project, name) if name in there else None

    def membership(_context: Asked, name: str) -> dict[str, Any] | None:
        found = find_membership(project, name)
        return show_membership(found) if found else None

    def version(_context: Asked, name: str) -> dict[str, Any] | None:
        found = find_membership(project, name)
        return show_artifact(found.artifact) if found else None

    def bucket(_context: Asked, name: str | None = None, **_: Any) -> dict[str, Any] | None:
        run = project.runs.get(name or "")
        return show_run(run) if run else None

    def collection(_context: Asked, name: str) -> dict[str, Any] | None:
        found = project.collections.get(name)
        return show_collection(found) if found else None

    return {
        "id": project.id,
        "internalId": project.id,
        "name": project.name,
        "entity": {"id": f"entity-{project.entity}", "name": project.entity},
        "readOnly": asked.state.read_only(asked.account, project),
        "artifact": version,
        "artifactCollection": collection,
        "artifactCollectionMembership": membership,
        "artifactCollections": _collections(lambda: list(project.collections.values())),
        "artifactType": artifact_type,
        "bucket": bucket,
        "run": bucket,
    }


def _collections(every: Callable[[], list[Collection]]) -> Callable[..., dict[str, Any]]:
    def listed(
        _context: Asked, after: str | None = None, first: int | None = None, **_: Any
    ) -> dict[str, Any]:
        return page(every(), lambda each: node(show_collection(each)), after, first)

    return listed


def find_membership(project: Project, name: str) -> Membership | None:
    """Find `collection:alias` or `collection:v3`; without one, `latest` is meant."""
    collection, _, alias = name.partition(":")
    found = project.collections.get(collection)
    return found.find(alias or "latest") if found else None


def show_type(project: Project, name: str) -> dict[str, Any]:
    def collection(_context: Asked, name: str) -> dict[str, Any] | None:
        found = project.collections.get(name)
        return show_collection(found) if found else None

    return {
        "id": f"{project.id}-{name}",
        "name": name,
        "description": None,
        "createdAt": now(),
        "artifactCollection": collection,
        "artifactCollections": _collections(
            lambda: [each for each in project.collections.values() if each.type == name]
        ),
    }


def show_collection(collection: Collection) -> dict[str, Any]:
    def aliases(_context: Asked, after: str | None = None, first: int | None = None) -> dict[str, Any]:
        numbers = [f"v{number}" for number in collection.members]
        every = [show_alias(each, collection) for each in (*collection.aliases, *numbers)]
        return page(every, node, after, first)

    def artifacts(
        _context: Asked,
        after: str | None = None,
        first: int | None = None,
        order: str | None = None,
        filters: str | None = None,
    ) -> dict[str, Any]:
        members = _filtered(collection.members.values(), json.loads(filters or "{}"))
        members.sort(key=lambda each: each.number, reverse=_newest_first(order))
        return page(
            members, lambda m: {"node": show_artifact(m.artifact), "version": f"v{m.number}"}, after, first
        )

    def membership(_context: Asked, aliasName: str) -> dict[str, Any] | None:
        found = collection.find(aliasName)
        return show_membership(found) if found else None

    latest = collection.aliases.get("latest")
    return {
        "__typename": "ArtifactSequence" if collection.kind == "SEQUENCE" else "ArtifactPortfolio",
        "id": collection.id,
        "name": collection.name,
        "description": None,
        "state": "READY",
        "createdAt": collection.created_at,
        "updatedAt": None,
        "project": lambda context: show_project(context, collection.project),
        "defaultArtifactType": lambda _context: show_type(collection.project, collection.type),
        "tags": {"edges": []},
        "digestAlgorithm": "MANIFEST_MD5",
        "latestArtifact": lambda _context: show_artifact(latest.artifact) if latest else None,
        "aliases": aliases,
        "artifacts": artifacts,
        "artifactMembership": membership,
    }


def _filtered(members: Iterable[Membership], filters: dict[str, Any]) -> list[Membership]:
    unknown = set(filters) - {"state"}
    if unknown:
        raise Refusal(400, f"unknown filters: {sorted(unknown)}")
    return [m for m in members if m.artifact.state == filters.get("state", m.artifact.state)]


def _newest_first(order: str | None) -> bool:
    if order not in {None, "", "+createdAt", "-createdAt", "+versionIndex", "-versionIndex"}:
        raise Refusal(400, f"unknown order: {order}")
    return not order or order.startswith("-")


def show_alias(alias: str, collection: Collection) -> dict[str, Any]:
    return {
        "id": f"{collection.id}-{alias}",
        "alias": alias,
        "artifactCollection": lambda _context: show_collection(collection),
    }


def show_membership(member: Membership) -> dict[str, Any]:
    def files(
        context: Asked,
        names: Sequence[str] | None = None,
        after: str | None = None,
        first: int | None = None,
    ) -> dict[str, Any]:
        every = [f for f in member.artifact.files.values() if not names or f.name in names]
        return page(every, lambda each: node(show_file(context, each)), after, first)

    names = [*member.collection.aliases_of(member), f"v{member.number}"]
    return {
        "id": member.id,
        "versionIndex": member.number,
        "createdAt": member.created_at,
        "aliases": [show_alias(alias, member.collection) for alias in names],
        "artifact": show_artifact(member.artifact),
        "artifactCollection": show_collection(member.collection),
        "files": files,
    }


def show_artifact(artifact: Artifact) -> dict[str, Any]:
    def memberships(_context: Asked) -> dict[str, Any]:
        return {"edges": [node(show_membership(each)) for each in artifact.memberships]}

    def aliases(_context: Asked) -> list[dict[str, Any]]:
        return [
            show_alias(alias, member.collection)
            for member in artifact.memberships
            for alias in (*member.collection.aliases_of(member), f"v{member.number}")
        ]

    def manifest(context: Asked) -> dict[str, Any] | None:
        file = artifact.manifest
        return {"id": artifact.id, "file": show_file(context, file)} if file else None

    own = next((m for m in artifact.memberships if m.collection is artifact.sequence), None)
    return {
        "id": artifact.id,
        "aliases": aliases,
        "artifactMemberships": memberships,
        "artifactSequence": lambda _context: show_collection(artifact.sequence),
        "artifactType": lambda _context: show_type(artifact.sequence.project, artifact.sequence.type),
        "commitHash": None,
        "createdAt": artifact.created_at,
        "createdBy": lambda _context: show_run(artifact.run) if artifact.run else None,
        "currentManifest": manifest,
        "description": artifact.description,
        "digest": artifact.digest,
        "digestAlgorithm": artifact.algorithm,
        "fileCount": len(artifact.files),
        "historyStep": None,
        "metadata": artifact.metadata,
        "size": sum(len(file.content) for file in artifact.files.values()),
        "state": artifact.state,
        "tags": [{"id": tag, "name": tag} for tag in artifact.tags],
        "ttlDurationSeconds": -2,
        "ttlIsInherited": True,
        "updatedAt": artifact.updated_at,
        "usedBy": {"edges": []},
        "versionIndex": own.number if own else None,
    }


def show_run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "displayName": run.name,
        "description": None,
        "config": run.config,
        "sweepName": None,
        "project": lambda context: show_project(context, run.project),
        "state": run.state,
        "summaryMetrics": "{}",
        "notes": None,
        "tags": [],
        "historyLineCount": 0,
        "eventsLineCount": 0,
        "logLineCount": 0,
        "historyTail": "[]",
        "eventsTail": "[]",
        "wandbConfig": lambda _context, **_: "{}",
    }


def show_file(asked: Asked, file: File) -> dict[str, Any]:
    address = f"{asked.url}/storage/{file.id}"
    return {
        "id": file.id,
        "name": file.name,
        "displayName": file.name,
        "artifact": show_artifact(file.artifact) if file.artifact else None,
        "digest": file.digest,
        "md5": file.digest,
        "directUrl": file.reference or address,
        "mimetype": None,
        "sizeBytes": len(file.content),
        "storagePath": f"wandb_artifacts/{file.id}",
        "updatedAt": None,
        "uploadHeaders": [],
        "uploadMultipartUrls": None,
        "uploadUrl": address,
        "url": address,
    }
