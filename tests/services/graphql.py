"""A stand-in for GitHub's GraphQL API, which the emulator lacks: the three operations that the Action calls.

It works on the emulator's own repositories through their REST API, with the caller's token; the errors are
worded and typed as GitHub's are. `faults_of_operation` holds the operations themselves against GitHub's
published schema (npm `@octokit/graphql-schema`).
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Protocol

from graphql import GraphQLSchema, build_schema, parse, validate
from graphql.execution.values import get_variable_values

from tests.services.node import npm_package

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = "15.26.1"
_CREATED = 201


class Rest(Protocol):
    """Calls the emulator: verb, path and what is sent; gives the status and the answer."""

    def __call__(self, verb: str, path: str, sent: Mapping[str, Any] | None = None) -> tuple[int, Any]: ...


class _FaultError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.fault = {"type": kind, "message": message}


def answer(sent: bytes, rest: Rest) -> dict[str, Any]:
    """Return what GitHub would answer, always with status 200."""
    asked = json.loads(sent)
    variables = asked["variables"]
    name, work = next(each for each in _OPERATIONS.items() if each[0] in asked["query"])
    try:
        return {"data": {name: work(variables, rest)}}
    except _FaultError as error:
        return {"data": {name: None}, "errors": [{**error.fault, "path": [name]}]}


def _commit(variables: Mapping[str, Any], rest: Rest) -> dict[str, Any]:
    """`createCommitOnBranch`."""
    given = variables["input"]
    repo, branch = f"/repos/{given['branch']['repositoryNameWithOwner']}", given["branch"]["branchName"]
    status, ref = rest("GET", f"{repo}/git/ref/heads/{branch}")
    expected = given["expectedHeadOid"]
    assert status in {200, 404}, ref
    if status == 404:
        raise _FaultError("NOT_FOUND", f"Could not resolve to a Ref with the name {branch!r}.")
    if ref["object"]["sha"] != expected:
        raise _stale(expected)
    changes = given["fileChanges"]
    entries: list[dict[str, Any]] = []
    for each in changes.get("additions", ()):
        blob = _made(rest("POST", f"{repo}/git/blobs", {"content": each["contents"], "encoding": "base64"}))
        entries.append({"path": each["path"], "mode": "100644", "type": "blob", "sha": blob["sha"]})
    gone = [each["path"] for each in changes.get("deletions", ())]
    entries += [{"path": path, "mode": "100644", "type": "blob", "sha": None} for path in gone]
    base = rest("GET", f"{repo}/git/commits/{expected}")[1]["tree"]["sha"]
    tree = _made(rest("POST", f"{repo}/git/trees", {"base_tree": base, "tree": entries}))
    message = given["message"]["headline"]
    commit = _made(
        rest("POST", f"{repo}/git/commits", {"message": message, "tree": tree["sha"], "parents": [expected]})
    )
    status, moved = rest("PATCH", f"{repo}/git/refs/heads/{branch}", {"sha": commit["sha"], "force": False})
    if status == 422:
        raise _stale(expected)
    if status != 200:
        raise _FaultError("FORBIDDEN" if status == 403 else "UNPROCESSABLE", moved["message"])
    return {"commit": {"oid": commit["sha"]}}


def _look(variables: Mapping[str, Any], rest: Rest) -> dict[str, Any]:
    """`repository` with a reference and two folders of it."""
    repo = f"/repos/{variables['owner']}/{variables['name']}"
    status, ref = rest("GET", f"{repo}/git/ref/{variables['ref'].removeprefix('refs/')}")
    if status != 200:
        return {"ref": None, "root": None, "folder": None}
    head = ref["object"]["sha"]
    root = rest("GET", f"{repo}/git/trees/{head}")[1]["tree"]
    name = variables["folder"].partition(":")[2]
    sha = next((entry["sha"] for entry in root if entry["path"] == name), None)
    folder = rest("GET", f"{repo}/git/trees/{sha}")[1]["tree"] if sha else None
    return {"ref": {"target": {"oid": head}}, "root": _tree(root), "folder": _tree(folder)}


def _auto_merge(_variables: Mapping[str, Any], _rest: Rest) -> dict[str, Any]:
    """`enablePullRequestAutoMerge`: no pull request of the emulator has checks to wait for."""
    raise _FaultError("UNPROCESSABLE", "Pull request Pull request is in clean status")


_OPERATIONS = {
    "createCommitOnBranch": _commit,
    "enablePullRequestAutoMerge": _auto_merge,
    "repository": _look,
}


def _tree(entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if entries is None else {"entries": [{"name": entry["path"]} for entry in entries]}


def _made(answered: tuple[int, Any]) -> Any:
    status, made = answered
    if status in {403, 404}:
        raise _FaultError("FORBIDDEN", "Resource not accessible by integration")
    assert status == _CREATED, made
    return made


def _stale(expected: str) -> _FaultError:
    words = f'Expected branch to point to "{expected}" but it did not.  Pull and try again.'
    return _FaultError("STALE_DATA", words)


@functools.cache
def _schema() -> GraphQLSchema:
    folder = npm_package("@octokit/graphql-schema", _VERSION)
    return build_schema((folder / "schema.graphql").read_text(), assume_valid=True)


def faults_of_operation(query: str, variables: dict[str, Any]) -> list[str]:
    """Return where an operation and what is sent with it differ from GitHub's schema."""
    document = parse(query)
    faults = [str(error) for error in validate(_schema(), document)]
    definitions = document.definitions[0].variable_definitions  # type: ignore[attr-defined]
    coerced = get_variable_values(_schema(), definitions, variables)
    return faults + ([str(error) for error in coerced] if isinstance(coerced, list) else [])
