"""Names on W&B: what users may write, what cml-action adds, and a version as all registries show it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.registry.kept import read_kept
from cml_action.registry.protocol import NotThereError, Version
from cml_action.registry.wandbrecord import KEY, read_evidence, read_record

if TYPE_CHECKING:
    from wandb import Artifact

NUMBER = re.compile(r"v?(\d+)")
_PATH = re.compile(r"(?:[^/:]+/){1,2}[^/:]+")
#: W&B's limits for an alias (`ArtifactAliasInput`), and what may not stand in one.
_LONGEST_ALIAS = 128
_CLAIM = "cml-action-claim-"
MARK = "cml-action-mark-"


def mark(alias: str) -> str:
    """Return the alias of ours that stays where cml-action moved a stage to.

    It does not contain the stage's name: an automation's pattern for the stage would match it as well.
    """
    return f"{MARK}{_short(alias)}"


def claim_after(path: str, alias: str, record: str) -> str:
    """Return the collection that decides what comes after a record; it lies beside the one it is about."""
    where, _, name = path.rpartition("/")
    return f"{where}/{_CLAIM}{_short(f'{name}:{alias}:{record}', 16)}"


def is_claim(collection: str) -> bool:
    """Tell whether a collection is one of those that decide moves."""
    return collection.rpartition("/")[2].startswith(_CLAIM)


def _short(text: str, length: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def checked_path(collection: str) -> str:
    """Return a collection's name, if it can be one.

    :raises NotThereError: it cannot.
    """
    if not _PATH.fullmatch(collection):
        raise NotThereError(
            f"`{collection}` is no collection of W&B's.",
            "It reads `wandb-registry-NAME/COLLECTION`, with the organization in front where there are"
            " several, or `entity/project/NAME`.",
        )
    return collection


def checked_alias(alias: str) -> str:
    """Return an alias, if it can be one.

    :raises UsageError: it cannot.
    """
    if not alias or len(alias) > _LONGEST_ALIAS or set(alias) & set("/:"):
        raise UsageError(
            f"`{alias}` can be no alias in W&B.",
            f"An alias has 1 to {_LONGEST_ALIAS} characters, and neither `/` nor `:` among them.",
        )
    return alias


def id_of(artifact: Artifact | None) -> str:
    """Return the identifier of exactly this version, empty where there is none."""
    return str(artifact.id) if artifact else ""


def path_of(artifact: Artifact) -> str:
    """Return the collection that a version was found in, as the server names it."""
    return f"{artifact.entity}/{artifact.project}/{artifact.name.partition(':')[0]}"


def version_of(collection: str, artifact: Artifact) -> Version:
    """Return a version as all registries show it."""
    return Version(
        collection=collection,
        name=number_of(artifact),
        digest=f"wandb:{artifact.digest}",
        created=_moment(artifact.created_at),
        source=artifact.source_qualified_name,
    )


def number_of(artifact: Artifact) -> str:
    """Return `v3`. In a list the client knows a linked version's number by its name only."""
    name = artifact.name.partition(":")[2]
    return name if re.fullmatch(r"v\d+", name) else str(artifact.version)


def digests_of(artifact: Artifact, stem: str) -> set[str]:
    """Return all that a version is known by: the manifest's digest, and SHA-256 from evidence and moves."""
    found = {f"wandb:{artifact.digest}"}
    text = read_evidence(artifact.metadata)
    try:
        kept = read_kept(text, shown_as="") if text else None
    except UsageError:
        kept = None
    if kept and kept.source_digest in ("", f"wandb:{artifact.digest}"):
        found.add(kept.evidence.digest)
    stages = artifact.metadata.get(KEY, {})
    names = stages.get("stages", {}) if isinstance(stages, dict) else {}
    for key in names if isinstance(names, dict) else ():
        record = read_record(artifact.metadata, key) if key.startswith(stem) else None
        found |= {
            m.digest for m in (record.moves if record else ()) if m.version == artifact.version and m.digest
        }
    return found


def _moment(text: str) -> str:
    """Return a moment of the server's to the second; it writes UTC, with or without saying so."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return ""
    return (
        found.replace(tzinfo=found.tzinfo or timezone.utc)
        .astimezone(timezone.utc)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
    )
