"""A stand-in for a self-hosted CML asset server: it takes a file in a POST, and answers with its address."""

from __future__ import annotations

import contextlib
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append((self.headers["Content-Type"], body))
            answer = f"{state.url}/{len(state.received)}".encode() if status == HTTPStatus.CREATED else b"no"
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()
