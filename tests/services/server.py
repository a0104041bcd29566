"""A stand-in for a self-hosted CML asset server: it takes a file in a POST, and answers with its address."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.services.answering import Handler, answering

if TYPE_CHECKING:
    from collections.abc import Iterator


class AssetServer:
    """What a test sees of it: `received` has the type and the content of each file.

    :param status: of its answers; an error has no address in it.
    """

    def __init__(self, status: int = 201) -> None:
        self.url, self.status = "", status
        self.received: list[tuple[str, bytes]] = []


@contextlib.contextmanager
def asset_server(status: int = 201) -> Iterator[AssetServer]:
    """Start it on a free port and stop it at the end."""
    state = AssetServer(status)

    class Ours(Handler):
        def respond(self) -> None:
            state.received.append((self.headers["Content-Type"], self.body()))
            made = status == HTTPStatus.CREATED
            self.answer(status, f"{state.url}/{len(state.received)}".encode() if made else b"no")

    with answering(Ours) as state.url:
        yield state
