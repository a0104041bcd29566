"""Secrets that the environment holds, and keeping them out of everything that is written.

The runner masks what GitHub knows as a secret, in logs alone. A message from a cloud's client can carry a key
into a report, and on a laptop nobody masks anything: so every text passes through `scrub` on its way out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Shorter values are too likely to be words.
SHORTEST_SECRET = 8
_NAMES = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?(_DATA)?|CONNECTION_STRING|_KEY|_KEY_ID|_SAS)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable is named as secrets are."""
    return bool(_NAMES.search(name))


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables that are named as secrets are; a path to a file is none."""
    found = {
        value
        for name, value in environ.items()
        if is_secret_name(name) and len(value) >= SHORTEST_SECRET and not _is_path(value)
    }
    lines = {line.strip() for value in found for line in value.splitlines()}
    return tuple(found | {line for line in lines if len(line) >= 2 * SHORTEST_SECRET})


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret in it, also as JSON would write it, replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in {secret, json.dumps(secret)[1:-1]}:
            text = text.replace(form, "***")
    return text


def _is_path(value: str) -> bool:
    try:
        return "\n" not in value and Path(value).exists()
    except OSError:  # longer than a path can be
        return False
