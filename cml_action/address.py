"""Which repository an address names, and where its server's API is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cml_action.event import Event

_SLUG = re.compile(r"[\w.-]+/[\w.-]+")


def split(url: str, event: Event) -> tuple[str, str]:
    """Return the server's address and `owner/name` of a URL, of Git's short form for SSH, or of a slug."""
    url = re.sub(r"^(?:ssh://)?(?:[^@/]+@)([^:/]+)[:/](?!/)", r"https://\1/", url.strip())
    if _SLUG.fullmatch(url):
        return event.server_url, url.removesuffix(".git")
    parts = urlsplit(url)
    path = parts.path.strip("/").removesuffix(".git")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return event.server_url, ""
    host = parts.netloc.rpartition("@")[2]
    if not _SLUG.fullmatch(path):
        path = "" if urlsplit(event.server_url).netloc == host or host == "github.com" else path
    return f"{parts.scheme}://{host}", path


def api_of(server_url: str, event: Event) -> str:
    """Return the API of a server: the run's own, GitHub's, or `/api/v3` of a GitHub Enterprise Server."""
    if urlsplit(server_url).netloc == urlsplit(event.server_url).netloc:
        return event.api_url
    return "https://api.github.com" if server_url == "https://github.com" else f"{server_url}/api/v3"
