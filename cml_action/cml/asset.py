"""`cml asset publish`."""

from __future__ import annotations

import mimetypes
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cml_action.cml.where import NoSecretsError, find
from cml_action.errors import UsageError
from cml_action.event import is_fork
from cml_action.publish.assets import StoreRefusedError
from cml_action.publish.markdown import plain
from cml_action.publish.outputs import append

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.cml.where import Where
    from cml_action.log import Log
    from cml_action.publish.pictures import Picture


def publish(asked: Asked, environ: Mapping[str, str], log: Log) -> str:
    """Store one file, and return its address, or the Markdown that shows it.

    A pull request from a fork may store nothing: then it is the file's own path, which `cml comment create`
    takes as well.
    """
    from cml_action.publish.pictures import MOST_BYTES, load

    path = Path(asked.arguments[0])
    if not path.is_file():
        raise UsageError(f"`{path}` is not there, or no file.", "Name a file that an earlier step wrote.")
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(
            f"`{path}` has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are published.",
            "A model or a data set belongs into DVC, or into `actions/upload-artifact`.",
        )
    asset = load(path)
    if asked.text("mime-type"):
        ending = mimetypes.guess_extension(asked.text("mime-type"))
        if not ending:
            raise UsageError(f"`--mime-type` is `{asked.text('mime-type')}`.", "It reads like `image/png`.")
        asset = replace(asset, kind=ending.lstrip("."))
    where = find(asked, environ)
    try:
        printed = address = _stored(asked, where, asset)
    except (StoreRefusedError, NoSecretsError) as error:
        if not is_fork(where.event):
            raise
        log.notice(str(error), title=f"{path.name} was not published")
        printed = address = quote(path.as_posix())
    if asked.on("md"):
        title = asked.text("title").replace("\\", "\\\\").replace('"', '\\"')
        printed = (
            f"![]({address}{f' {chr(34)}{title}{chr(34)}' if title else ''})"
            if asset.is_picture
            else f"[{plain(asked.text('title') or path.name)}]({address})"
        )
    if asked.text("file"):
        append(asked.text("file"), printed + "\n")
        return ""
    return printed


def _stored(asked: Asked, where: Where, asset: Picture) -> str:
    from cml_action.cml.pictures import store_at

    if asked.text("url") == "none":
        raise UsageError("`--url` is `none`: nothing would be published.", "Leave it out.")
    store = store_at(asked.text("url"), "url", None if where.lacks_secrets else where.connect())
    if store is None:
        raise NoSecretsError
    return store.put([asset])[asset.digest]
