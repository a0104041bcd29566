"""A stand-in for the W&B server's resolvers: what queries and mutations are answered with."""

# ruff: noqa: A002, N802, N803 -- methods and arguments bear the names of the schema
from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.services.wandb_server.shown import (
    Asked,
    node,
    page,
    show_artifact,
    show_collection,
    show_entity,
    show_file,
    show_membership,
    show_organization,
    show_project,
    show_run,
    show_user,
)
from tests.services.wandb_server.state import (
    Artifact,
    Collection,
    File,
    Refusal,
    Run,
    now,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEATURES = (
    "ARTIFACT_DIGEST_ALGORITHM",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
)
_NAME_LENGTH = 128


def load_schema() -> GraphQLSchema:
    """Return the schema that requests are held against."""
    schema = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
    collection = schema.get_type("ArtifactCollection")
    collection.resolve_type = lambda value, *_: value["__typename"]  # type: ignore[union-attr]
    creator = schema.get_type("ArtifactCreator")
    creator.resolve_type = lambda *_: "Run"  # type: ignore[union-attr]
    return schema


def answer(schema: GraphQLSchema, asked: Asked, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the body with which a request is answered.

    The server names the failed fields and answers with the first one's status; a document that the schema
    does not know is answered 400 and nothing is done.
    """
    document, faults = _checked(schema, body["query"])
    if faults:
        return 400, {"errors": [{"message": fault} for fault in faults]}
    names = [each.name for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    # The client's own core sends an empty name for what is passed through it.
    name = body.get("operationName") or (names[0].value if names[0] else None)
    with asked.state.lock:
        done = execute_sync(
            schema,
            document,
            root_value=_Root(),
            context_value=asked,
            variable_values=body.get("variables") or {},
            operation_name=name,
            field_resolver=_resolve,
        )
    result: dict[str, Any] = {"data": done.data}
    if not done.errors:
        return 200, result
    result["errors"] = [_error(each) for each in done.errors]
    if any(each.path is None for each in done.errors):  # variables that the schema does not know
        return 400, {"errors": result["errors"]}
    first = done.errors[0].original_error
    return first.status if isinstance(first, Refusal) else 400, result


@functools.lru_cache(maxsize=256)
def _checked(schema: GraphQLSchema, query: str) -> tuple[DocumentNode, tuple[str, ...]]:
    document = parse(query)
    return document, tuple(fault.message for fault in validate(schema, document))


def _error(error: GraphQLError) -> dict[str, Any]:
    if error.original_error and not isinstance(error.original_error, (Refusal, GraphQLError)):
        raise error.original_error
    return {"message": error.message, "path": error.path}


def _resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    found = source[info.field_name] if isinstance(source, dict) else getattr(source, info.field_name)
    return found(info.context, **arguments) if callable(found) else found


class _Root:
    """The root of queries and mutations; its methods bear the schema's names."""

    @property
    def serverInfo(self) -> dict[str, Any]:
        return {"features": [{"name": name, "isEnabled": True} for name in _FEATURES]}

    def viewer(self, asked: Asked) -> dict[str, Any]:
        return show_user(asked, asked.account.username)

    def entity(self, asked: Asked, name: str | None = None) -> dict[str, Any] | None:
        return show_entity(asked, name or asked.account.username)

    def organization(self, asked: Asked, name: str) -> dict[str, Any] | None:
        return show_organization(asked, name) if name in asked.state.organizations else None

    def project(
        self, asked: Asked, name: str | None = None, entityName: str | None = None
    ) -> dict[str, Any] | None:
        found = asked.state.visible(asked.account, entityName, name)
        return show_project(asked, found) if found else None

    model = project

    def artifact(self, asked: Asked, id: str) -> dict[str, Any] | None:
        found = asked.state.artifacts.get(id)
        return show_artifact(found) if found else None

    def artifactCollection(self, asked: Asked, id: str) -> dict[str, Any] | None:
        found = asked.state.collections.get(id)
        return show_collection(found) if found else None

    def clientIDMapping(self, asked: Asked, clientID: str) -> dict[str, Any] | None:
        found = asked.state.by_client_id.get(clientID)
        return {"serverID": found.id} if found else None

    def upsertBucket(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        state = asked.state
        entity, name = input.get("entityName") or asked.account.username, input.get("modelName")
        if entity not in {asked.account.username, *asked.account.teams}:
            raise Refusal(404, f"entity {entity} not found during upsertBucket")
        project = state.add_project(entity, name or "uncategorized")
        state.check_write(asked.account, project)
        run_name = input.get("name") or state.new_id("Run")
        inserted = run_name not in project.runs
        run = project.runs.setdefault(run_name, Run(state.new_id("Run"), run_name, project))
        run.config, run.state = input.get("config") or run.config, input.get("state") or run.state
        return {"bucket": show_run(run), "inserted": inserted}

    def createRunFiles(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        project = asked.state.writable(asked.account, input["entityName"], input["projectName"])
        run = project.runs[input["runName"]]
        files = []
        for name in input["files"]:
            file = File(asked.state.new_id("File"), name, "")
            asked.state.files[file.id] = file
            files.append(show_file(asked, file))
        return {"runID": run.id, "uploadHeaders": [], "files": files}

    def createArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        state = asked.state
        project = state.writable(asked.account, input["entityName"], input["projectName"])
        names = input.get("artifactCollectionNames") or [input["artifactCollectionName"]]
        sequence = state.collection(project, names[0], "SEQUENCE", input["artifactTypeName"])
        before = sequence.aliases.get("latest")
        artifact = state.create_artifact(
            sequence,
            input["digest"],
            input["digestAlgorithm"],
            deduplicate=bool(input.get("enableDigestDeduplication")),
        )
        aliases = [each["alias"] for each in input.get("aliases") or ()]
        if artifact.state == "COMMITTED":
            for alias in aliases:
                state.move_alias(sequence, alias, artifact)
        else:
            artifact.metadata, artifact.description = input.get("metadata"), input.get("description")
            artifact.run = project.runs.get(input.get("runName") or "")
            artifact.wanted_aliases = aliases
        if input.get("clientID"):
            state.by_client_id[input["clientID"]] = artifact
        shown = show_artifact(artifact)
        shown["artifactSequence"] = {
            **show_collection(sequence),
            "latestArtifact": show_artifact(before.artifact) if before else None,
        }
        return {"artifact": shown}

    def createArtifactManifest(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._mine(asked, input["artifactID"])
        artifact.manifest = File(asked.state.new_id("File"), input["name"], input["digest"], b"", artifact)
        asked.state.files[artifact.manifest.id] = artifact.manifest
        return {"artifactManifest": {"id": artifact.id, "file": show_file(asked, artifact.manifest)}}

    def updateArtifactManifest(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._mine(asked, input["artifactManifestID"])
        artifact.manifest = File(
            asked.state.new_id("File"), "wandb_manifest.json", input.get("digest") or "", b"", artifact
        )
        asked.state.files[artifact.manifest.id] = artifact.manifest
        return {"artifactManifest": {"id": artifact.id, "file": show_file(asked, artifact.manifest)}}

    def createArtifactFiles(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        shown = []
        for wanted in input["artifactFiles"]:
            artifact = self._mine(asked, wanted["artifactID"])
            if artifact.state != "PENDING":
                raise Refusal(400, "a committed version does not change")
            file = File(asked.state.new_id("File"), wanted["name"], wanted["md5"], b"", artifact)
            artifact.files[file.name] = file
            asked.state.files[file.id] = file
            shown.append(show_file(asked, file))
        return {"files": page(shown, node, None, len(shown))}

    def commitArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._mine(asked, input["artifactID"])
        asked.state.commit(artifact)
        return {"artifact": show_artifact(artifact)}

    def useArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        return {"artifact": show_artifact(asked.state.artifacts[input["artifactID"]])}

    def updateArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._mine(asked, input["artifactID"])
        if input.get("metadata") is not None:
            json.loads(input["metadata"])
            artifact.metadata = input["metadata"]
        if input.get("description") is not None:
            artifact.description = input["description"]
        added = [tag["tagName"] for tag in input.get("tagsToAdd") or ()]
        gone = {tag["tagName"] for tag in input.get("tagsToDelete") or ()}
        artifact.tags = [tag for tag in dict.fromkeys([*artifact.tags, *added]) if tag not in gone]
        artifact.updated_at = now()
        return {"artifact": show_artifact(artifact)}

    def deleteArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact = self._mine(asked, input["artifactID"])
        asked.state.delete(artifact, with_aliases=bool(input.get("deleteAliases")))
        return {"artifact": show_artifact(artifact)}

    def deleteArtifactPortfolio(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        collection = asked.state.collections.get(input["artifactPortfolioID"])
        if not collection or collection.kind != "PORTFOLIO":
            raise Refusal(404, "collection not found")
        asked.state.check_write(asked.account, collection.project)
        for alias in collection.aliases:
            asked.state.check_alias(asked.account, collection.project, alias)
        asked.state.delete_collection(collection)
        return {"artifactCollection": {**show_collection(collection), "state": "DELETED"}}

    def addAliases(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact, collections = self._aliases(asked, input)
        for collection, alias in collections:
            asked.state.move_alias(collection, alias, artifact)
        return {"success": True}

    def deleteAliases(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        artifact, collections = self._aliases(asked, input)
        for collection, alias in collections:
            held = collection.aliases.get(alias)
            if held and held.artifact is artifact:
                del collection.aliases[alias]
        return {"success": True}

    def linkArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        state = asked.state
        artifact = state.artifacts.get(input.get("artifactID") or "") or state.by_client_id.get(
            input.get("clientID") or ""
        )
        if not artifact or artifact.state != "COMMITTED":
            raise Refusal(404, "artifact not found")
        project = state.writable(asked.account, input.get("entityName"), input.get("projectName"))
        name = input["artifactPortfolioName"]
        if len(name) > _NAME_LENGTH:
            raise Refusal(400, "the name is too long")
        aliases = [each["alias"] for each in input.get("aliases") or ()]
        for alias in aliases:
            state.check_alias(asked.account, project, alias)
        portfolio = state.collection(project, name, "PORTFOLIO", artifact.sequence.type)
        member = state.join(portfolio, artifact)
        for alias in aliases:
            state.move_alias(portfolio, alias, artifact)
        return {"versionIndex": member.number, "artifactMembership": show_membership(member)}

    def unlinkArtifact(self, asked: Asked, input: dict[str, Any]) -> dict[str, Any]:
        collection = asked.state.collections[input["artifactPortfolioID"]]
        asked.state.check_write(asked.account, collection.project)
        for member in [m for m in collection.members.values() if m.artifact.id == input["artifactID"]]:
            for alias in collection.aliases_of(member):
                asked.state.check_alias(asked.account, collection.project, alias)
            asked.state.leave(member)
        return {"success": True}

    @staticmethod
    def _mine(asked: Asked, artifact_id: str) -> Artifact:
        """Return a version that the account may change."""
        artifact = asked.state.artifacts.get(artifact_id)
        if not artifact:
            raise Refusal(404, "artifact not found")
        asked.state.check_write(asked.account, artifact.sequence.project)
        return artifact

    @staticmethod
    def _aliases(asked: Asked, input: dict[str, Any]) -> tuple[Artifact, list[tuple[Collection, str]]]:
        """Check all of a request before any of it is done."""
        artifact = asked.state.artifacts.get(input["artifactID"])
        if not artifact or artifact.state != "COMMITTED":
            raise Refusal(404, "artifact not found")
        found = []
        for each in input["aliases"]:
            project = asked.state.writable(asked.account, each["entityName"], each["projectName"])
            asked.state.check_alias(asked.account, project, each["alias"])
            collection = project.collections.get(each["artifactCollectionName"])
            if not collection:
                raise Refusal(404, "collection not found")
            found.append((collection, each["alias"]))
        return artifact, found
