"""Credentials as CML's users gave them, in the form that the storages' clients read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
#: How often AWS's client tries (boto3, "Configuration"). s3fs, above it, tries five times by itself; with the
#: client's own five, an address that nobody listens at is given up after minutes.
_ATTEMPTS = "AWS_MAX_ATTEMPTS"


def prepared(environ: Mapping[str, str], private: Path) -> dict[str, str]:
    """Return the variables that have to change before a remote is opened.

    Google's clients want a path in `GOOGLE_APPLICATION_CREDENTIALS`; a secret holds the JSON itself.
    It is written to a file that only this user may read, in this run's own folder, which is removed later.
    (`GDRIVE_CREDENTIALS_DATA` is read by DVC's own client as it is.)

    :raises UsageError: where the value is neither a path nor a service account's JSON. It is not shown.
    """
    changed = {} if _ATTEMPTS in environ else {_ATTEMPTS: "2"}
    given = environ.get(_GOOGLE, "").strip()
    if not given.startswith("{"):
        return changed
    try:
        found = json.loads(given)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"`{_GOOGLE}` begins like JSON and is none ({error.msg}, line {error.lineno}).",
            "Store the key file's whole content in the secret, unchanged.",
        ) from None
    if "type" not in found:
        raise UsageError(
            f"`{_GOOGLE}` has no `type`: it is no key of a service account.", "Store the key file."
        )
    path = private / "google.json"
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write(given)
    return {**changed, _GOOGLE: str(path)}
