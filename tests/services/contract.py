"""GitHub's own description of its API (npm `@octokit/openapi`), to hold a stand-in's answer against."""

from __future__ import annotations

import functools
import json
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.services.node import npm_package

_FILE = "api.github.com.json"
_VERSION = "23.0.2"


def faults_of_answer(route: str, answer: Any, *, method: str = "get", status: str = "200") -> list[str]:
    """Return where an answer to `GET route` with status 200 differs from GitHub's description, and how."""
    responses = _contract()["paths"][route][method]["responses"]
    return _faults(responses[status]["content"]["application/json"]["schema"], answer)


def faults_of_request(route: str, sent: Any, *, method: str = "post") -> list[str]:
    """Return where the body of `POST route` differs from GitHub's description, and how.

    A key that the description does not name is a fault as well: GitHub would ignore it in silence.
    """
    schema = _contract()["paths"][route][method]["requestBody"]["content"]["application/json"]["schema"]
    unknown = [f"$.{key}: nobody reads it" for key in sent if key not in schema["properties"]]
    return unknown + _faults(schema, sent)


@functools.cache
def _contract() -> Any:
    folder = npm_package("@octokit/openapi", _VERSION, only=_FILE)
    return json.loads((folder / "generated" / _FILE).read_text())


def _faults(schema: Any, found: Any) -> list[str]:
    registry: Registry[Any] = Registry().with_resource("urn:github", DRAFT4.create_resource(_contract()))
    schema = json.loads(json.dumps(schema).replace('"#/', '"urn:github#/'))
    errors = OAS30Validator(schema, registry=registry).iter_errors(found)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]
