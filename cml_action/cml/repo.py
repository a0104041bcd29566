"""`cml repo prepare`: a clone in which later steps may commit and push."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cml_action import git
from cml_action.cml.where import find

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cml_action.cml.asked import Asked
    from cml_action.log import Log


def prepare(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Set the committer and the credentials of a clone, and fetch its history as far as asked.

    CML wrote the token into the remote's address, which Git prints in its errors. Here it stands where
    `actions/checkout` puts it, as a header for this server alone.
    """
    where = find(asked, environ)
    if not where.lacks_secrets:
        where.connect()
    folder = where.folder
    git.needed_toplevel(folder)
    git.configure(folder, "user.name", asked.text("user-name"))
    git.configure(folder, "user.email", asked.text("user-email"))
    git.configure(folder, "remote.origin.url", f"{where.server_url}/{where.repository}.git")
    if where.token:
        word = base64.b64encode(f"x-access-token:{where.token}".encode()).decode()
        log.mask(word)
        key = f"http.{where.server_url}/.extraheader"
        git.configure(folder, "--replace-all", key, "")  # an empty one takes back those of other files
        git.configure_secret(folder, key, f"AUTHORIZATION: basic {word}")
    _fetch(folder, asked, log)
    return ""


def _fetch(folder: Path, asked: Asked, log: Log) -> None:
    depth = 0 if asked.on("unshallow") and "fetch-depth" not in asked.given else asked.whole("fetch-depth")
    if depth is None:
        return
    words = ["--unshallow"] if depth == 0 else [f"--depth={depth}"]
    if depth == 0 and not git.is_shallow(folder):
        return
    log.line("Fetching the history.")
    git.fetch(folder, "--quiet", "--all", "--tags", *words)
