"""A stand-in for GitHub's deployments and `repository_dispatch`, which the emulator lacks.

It keeps what it was sent, refuses what GitHub's own description (`contract.py`) does not know, and holds the
rule that a success makes the environment's former deployments inactive ("Create a deployment status").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.services.contract import faults_of_request

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = tuple[int, dict[str, str], bytes]
_ROUTES = (
    (r"/repos/[^/]+/[^/]+/deployments", "/repos/{owner}/{repo}/deployments"),
    (
        r"/repos/[^/]+/[^/]+/deployments/(\d+)/statuses",
        "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    ),
    (r"/repos/[^/]+/[^/]+/dispatches", "/repos/{owner}/{repo}/dispatches"),
)
_WHEN = "2026-11-01T10:00:00Z"


@dataclass
class Deployments:
    """What was sent: deployments and their statuses as GitHub would show them, and dispatched events."""

    made: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    dispatched: list[dict[str, Any]] = field(default_factory=list)

    def states(self) -> list[tuple[str, list[str]]]:
        """Return each deployment's task with the states that it went through."""
        return [
            (each["task"], [status["state"] for status in self.statuses[each["id"]]]) for each in self.made
        ]

    def answer(self, method: str, path: str, sent: bytes, url: str) -> Answer | None:
        """Answer a request to one of its routes; None for any other."""
        place = urlsplit(path)
        for pattern, route in _ROUTES:
            if found := re.fullmatch(pattern, place.path):
                base = url + place.path
                if method == "GET":
                    return _json(200, self._list(found, parse_qs(place.query)))
                given = json.loads(sent)
                if faults := faults_of_request(route, given):
                    return _json(422, {"message": "Validation Failed", "errors": faults})
                return self._make(route, found, given, base)
        return None

    def _list(self, found: re.Match[str], asked: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        if found.groups():
            return self.statuses.get(int(found[1]), [])[::-1]
        keys = ("task", "environment", "sha", "ref")
        return [each for each in self.made if all(each[key] in asked.get(key, [each[key]]) for key in keys)][
            ::-1
        ]

    def _make(self, route: str, found: re.Match[str], given: dict[str, Any], base: str) -> Answer:
        if route.endswith("dispatches"):
            self.dispatched.append(given)
            return 204, {}, b""
        if found.groups():
            return self._status(int(found[1]), given, base)
        number = len(self.made) + 1
        deployment = {
            "url": f"{base}/{number}",
            "id": number,
            "node_id": f"DE_{number}",
            "sha": given["ref"],
            "ref": given["ref"],
            "task": given.get("task", "deploy"),
            "payload": given.get("payload", {}),
            "environment": given.get("environment", "production"),
            "original_environment": given.get("environment", "production"),
            "description": given.get("description"),
            "creator": None,
            "created_at": _WHEN,
            "updated_at": _WHEN,
            "statuses_url": f"{base}/{number}/statuses",
            "repository_url": base.removesuffix("/deployments"),
            "transient_environment": given.get("transient_environment", False),
            "production_environment": given.get("production_environment", False),
        }
        self.made.append(deployment)
        self.statuses[number] = []
        return _json(201, deployment)

    def _status(self, number: int, given: dict[str, Any], base: str) -> Answer:
        deployment = next((each for each in self.made if each["id"] == number), None)
        if deployment is None:
            return _json(404, {"message": "Not Found"})
        if given["state"] == "success" and given.get("auto_inactive", True):
            for other in self.made:
                same = other["environment"] == deployment["environment"] and other["id"] != number
                if (
                    same
                    and self.statuses[other["id"]][-1:]
                    and self.statuses[other["id"]][-1]["state"] == "success"
                ):
                    self._keep(other, {"state": "inactive"}, other["statuses_url"])
        return _json(201, self._keep(deployment, given, base))

    def _keep(self, deployment: dict[str, Any], given: dict[str, Any], base: str) -> dict[str, Any]:
        number = sum(map(len, self.statuses.values())) + 1
        status = {
            "url": f"{base}/{number}",
            "id": number,
            "node_id": f"DES_{number}",
            "state": given["state"],
            "creator": None,
            "description": given.get("description", ""),
            "environment": given.get("environment", deployment["environment"]),
            "target_url": given.get("target_url", ""),
            "log_url": given.get("log_url", ""),
            "environment_url": given.get("environment_url", ""),
            "created_at": _WHEN,
            "updated_at": _WHEN,
            "deployment_url": deployment["url"],
            "repository_url": deployment["repository_url"],
        }
        self.statuses[deployment["id"]].append(status)
        return status


def _json(status: int, value: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
