"""A CML asset server of one's own: one request a file, whose answer is the address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from cml_action.errors import OutsideError
from cml_action.publish.assets import StoreRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.publish.pictures import Picture

_TIMEOUT_S = 60
_ERROR = 400


class ServerStore:
    """What CML 0.20 called with `--publish-url`: `POST` of the content, type and name in the headers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = f"the asset server {urlsplit(url).hostname}"

    def put(self, pictures: Sequence[Picture]) -> dict[str, str]:
        """Send pictures one after the other."""
        with requests.Session() as session:
            return {picture.digest: self._send(session, picture) for picture in pictures}

    def _send(self, session: requests.Session, picture: Picture) -> str:
        headers = {
            "Content-Type": picture.media_type,
            "Content-Disposition": f'inline; filename="{picture.file_name}"',
        }
        try:
            answer = session.post(self._url, data=picture.data, headers=headers, timeout=_TIMEOUT_S)
        except requests.RequestException:
            raise OutsideError(
                f"Could not store pictures: {self.name} does not answer.",
                "Check its address, then run again.",
            ) from None
        address = answer.text.strip()
        if answer.status_code >= _ERROR or not address.startswith(("http://", "https://")):
            raise StoreRefusedError(
                f"Could not store pictures: {self.name} answered {answer.status_code} and no address.",
                "Check that it is a CML asset server.",
            )
        return address
