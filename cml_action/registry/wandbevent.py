"""What a W&B automation says in the `client_payload` of a `repository_dispatch`.

The payload is a template of the user's, filled in by W&B ("Create a webhook automation", payload variables),
so that any of it may be missing. It comes from outside: every text is checked before anybody uses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cml_action.errors import UsageError
from cml_action.registry.wandbnames import is_claim

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The variable that names the version, by which a payload of W&B's is known.
VERSION = "artifact_version_string"
_KNOWN = {
    VERSION: "the version",
    "artifact_version": "the version's identifier",
    "artifact_collection_name": "the collection",
    "project_name": "the project",
    "entity_name": "the entity",
    "event_author": "who did it",
    "event_type": "what was done",
    "alias": "the alias",
}
_NAME = re.compile(r"([^/:]+)/([^/:]+)/([^/:]+):([^/:]+)")
_ID = re.compile(r"wandb-artifact://_id/([A-Za-z0-9+/=_-]+)")
_LONGEST = 1000
#: The variables as our documentation has users write them.
_TEMPLATE = (
    'Its payload needs `"artifact_version_string": "${artifact_version_string}"`, as docs/wandb.md shows.'
)


@dataclass(frozen=True, kw_only=True)
class Automation:
    """A version that something was done to.

    :param collection: `entity/project/collection`; `wanted`: the alias or the number that the event names.
    :param artifact_id: of exactly the version that was meant, empty where the payload lacks it. An alias may
        have moved on by the time that the job runs; the identifier stays.
    :param kind: `LINK_ARTIFACT` or `ADD_ARTIFACT_ALIAS`; `author`: a user of W&B's. Either may be empty.
    """

    collection: str
    wanted: str
    artifact_id: str = ""
    kind: str = ""
    author: str = ""

    @property
    def pinned(self) -> str:
        """What `WandbRegistry.find` takes: the alias, as long as the version that was meant holds it."""
        return f"{self.wanted}@{self.artifact_id}" if self.artifact_id else self.wanted

    @property
    def reference(self) -> str:
        """The version as a user would write it in the input `model`."""
        return f"{self.collection}:{self.wanted}"


def read_automation(payload: Mapping[str, Any]) -> Automation | None:
    """Read a `client_payload`; None where it names no version of W&B's, so that it is somebody else's.

    :raises UsageError: what it says cannot be: not text, not filled in, or parts that contradict each other.
    """
    if VERSION not in payload:
        return None
    given = {name: _text(payload[name], name) for name in _KNOWN if name in payload}
    name = _NAME.fullmatch(given[VERSION])
    if not name:
        raise UsageError(
            f"The event's `{VERSION}` is `{given[VERSION]}`, not `entity/project/collection:version`.",
            f"Look at the automation in W&B. {_TEMPLATE}",
        )
    entity, project, collection, wanted = name.groups()
    if is_claim(collection):
        raise UsageError(
            f"The event is about `{collection}`, in which cml-action decides a promotion: it is no model.",
            "Let the automation watch for `An artifact alias is added`, not for each link.",
        )
    parts = {"entity_name": entity, "project_name": project, "artifact_collection_name": collection}
    for key, part in parts.items():
        if given.get(key, part) != part:
            raise UsageError(
                f"The event contradicts itself: its `{VERSION}` is `{given[VERSION]}`, and its `{key}` is"
                f" `{given[key]}`.",
                f"Look at the automation in W&B. {_TEMPLATE}",
            )
    version = given.get("artifact_version", "")
    found = _ID.fullmatch(version)
    if version and not found:
        raise UsageError(
            f"The event's `artifact_version` is `{version}`, which is no identifier of W&B's.",
            'Its payload needs `"artifact_version": "${artifact_version}"`, or nothing by that name.',
        )
    return Automation(
        collection=f"{entity}/{project}/{collection}",
        wanted=wanted,
        artifact_id=found[1] if found else "",
        kind=given.get("event_type", ""),
        author=given.get("event_author", ""),
    )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"The event's `{name}` ({_KNOWN[name]}) is not text.", _TEMPLATE)
    if "${" in value:
        raise UsageError(
            f"The event's `{name}` is `{value[:_LONGEST]}`: W&B has not filled it in.",
            "The variable does not belong to the automation's event; use `An artifact alias is added`.",
        )
    if len(value) > _LONGEST or any(not each.isprintable() for each in value):
        raise UsageError(f"The event's `{name}` holds characters that no name has, or too many.", _TEMPLATE)
    return value
