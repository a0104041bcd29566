"""Which model is meant: as inputs, `cml.yaml` or the event name it, checked before anything is done with it.

What an event carries was written by whoever may start it: anybody with the right to dispatch, or a service
on somebody's behalf. It is data. It never reaches a shell, and it is a path below the project or the name
of a version, in few and plain characters, or it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from cml_action.event import Event

#: Longer ones are no names. (GitHub takes payloads of up to 64 kB; W&B's names have at most 128 characters.)
MOST_CHARACTERS = 512
_SHOWN = 60
# Letters and digits of any script, and what stands in file names; no quotes, no `$`, `;`, `|`, `&`, `<`, no
# line breaks.
_PATH = re.compile(r"(?!-)[\w@+=,()\[\] .-]+(/(?!-)[\w@+=,()\[\] .-]+)*/?")
#: What a registry, or a gate, knows files by.
DIGEST = r"(?:sha256|md5|git|wandb):[0-9a-f]{32,64}(?:\.dir)?"
# W&B's names have up to three parts before them: `entity/project/name`. MLflow's may hold spaces.
_NAME = r"(?:[\w.-]+(?: [\w.-]+)*/){0,3}(?!-)[\w.-]+(?: [\w.-]+)*"
# `name:v3`, `name@v1.2.3` and `name#production` as GTO writes them, `name@sha256:…`, or a digest alone.
_VERSION = re.compile(
    rf"(?:wandb-artifact://)?{_NAME}"
    rf"(?::(?!-)[\w.+-]+|[:@]{DIGEST}|@v?\d+(?:\.\d+)*(?:[+-][\w.+-]+)?|#(?!-)[\w.-]+)|{DIGEST}"
)

#: Keys of an event's payload that name the model, in the order in which they count. The first is W&B's
#: (W&B, "Create an automation": payload variables); the others are what people write by hand.
_KEYS = ("artifact_version_string", "model_path", "model")
#: What else W&B says: kept for the report, never acted on.
_SAID = ("artifact_collection_name", "entity_name", "project_name", "event_type", "event_author")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model's name.

    :param kind: `path`, below the project, or `version`, in a registry; `net@2` may be either.
    :param origin: who named it, in words: the input `model`, a key of the event, `cml.yaml`.
    """

    text: str
    kind: Literal["path", "version"]
    origin: str


def find(asked: str, event: Event, policy_path: str | None, *, input_name: str = "model") -> Reference | None:
    """Return what the input names, else the event, else `cml.yaml`; None where none of them does.

    :raises UsageError: the name could be neither a path nor a version.
    """
    if asked:
        return parse(asked, f"the input `{input_name}`")
    if input_name == "model":
        for key, value in _payload(event).items():
            if key in _KEYS and value not in (None, ""):
                return parse(value, f"`{key}` of the event")
    return parse(policy_path, "`model.path` of cml.yaml") if policy_path else None


def parse(value: Any, origin: str) -> Reference:
    """Check one name.

    :param value: whatever stood there.
    """
    if not isinstance(value, str):
        raise _refused(origin, f"a {type(value).__name__}")
    text = value.strip()
    if len(text) > MOST_CHARACTERS:
        raise _refused(origin, f"{len(text):,} characters long")
    if _VERSION.fullmatch(text):
        return Reference(text=text.removeprefix("wandb-artifact://"), kind="version", origin=origin)
    if not _PATH.fullmatch(text) or ".." in PurePosixPath(text).parts:
        raise _refused(origin, f"`{_inert(text)}`")
    return Reference(text=PurePosixPath(text).as_posix(), kind="path", origin=origin)


def said(event: Event) -> dict[str, str]:
    """Return what the event says of the model beside its name: short texts, for the report."""
    found = {}
    for key, value in _payload(event).items():
        if key in _SAID and isinstance(value, str) and value:
            found[key] = value[:MOST_CHARACTERS]
    return found


def _payload(event: Event) -> dict[str, Any]:
    """Return what whoever started the run sent along, in the order in which it counts."""
    name = {"repository_dispatch": "client_payload", "workflow_dispatch": "inputs"}.get(event.name, "")
    found = event.payload.get(name)
    if not isinstance(found, dict):
        return {}
    return {key: found[key] for key in (*_KEYS, *_SAID) if key in found}


def _inert(text: str) -> str:
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return " ".join(short.replace("`", "'").split())


def _refused(origin: str, found: str) -> UsageError:
    return UsageError(
        f"The model that {origin} names is {found}, which is neither a path below the project nor a version.",
        "Give a path from the project's folder on, such as `models/net.pt` (no `..`, no drive, no special"
        " characters), or a version such as `team/project/net:v3`.",
    )
