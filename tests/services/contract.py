"""GitHub's own description of its API (npm `@octokit/openapi`), to hold a stand-in's answer against."""

from __future__ import annotations

import json
from typing import Any

from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.services.node import npm_package

_FILE = "api.github.com.json"
_VERSION = "23.0.2"


def faults_of_answer(route: str, answer: Any) -> list[str]:
    """Return where an answer to `GET route` with status 200 differs from GitHub's description, and how."""
    folder = npm_package("@octokit/openapi", _VERSION, only=_FILE)
    contract = json.loads((folder / "generated" / _FILE).read_text())
    registry: Registry[Any] = Registry().with_resource("urn:github", DRAFT4.create_resource(contract))
    schema = contract["paths"][route]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = json.loads(json.dumps(schema).replace('"#/', '"urn:github#/'))
    errors = OAS30Validator(schema, registry=registry).iter_errors(answer)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]
