"""Evidence as text, for registries that keep texts beside a version."""

from __future__ import annotations

import json

from cml_action.model import verdict
from cml_action.registry.protocol import Kept


def to_text(kept: Kept, *, most: int = 0) -> str:
    """Write evidence so that `read_kept` makes an equal one.

    :param most: how many characters the registry takes, where it has a limit; the checks' details, of which
        `result.json` holds all, give way first: each check keeps its id and status.
    """
    evidence = json.loads(kept.evidence.to_json())

    def text() -> str:
        return json.dumps({"source_digest": kept.source_digest, "evidence": evidence}, sort_keys=True)

    if most and len(text()) > most:
        evidence["checks"] = [
            {"id": each.get("id"), "status": each.get("status")} for each in evidence["checks"]
        ]
    if most and len(text()) > most:
        evidence["checks"] = []
    return text()


def read_kept(text: str, *, shown_as: str) -> Kept:
    """Read evidence that a registry kept.

    :param shown_as: where it was, for the message.
    :raises UsageError: someone edited it so that it is none any more.
    """
    try:
        found = json.loads(text)
        source_digest, evidence = str(found["source_digest"]), json.dumps(found["evidence"])
    except (ValueError, TypeError, KeyError):
        source_digest, evidence = "", text
    return Kept(evidence=verdict.read(evidence, shown_as=shown_as), source_digest=source_digest)
