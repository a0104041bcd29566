"""A stand-in for a self-hosted CML asset server: it takes a file in a POST, and answers with its address."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class AssetServer:
    """What a test sees of it: `received` has the type and the content of each file."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[tuple[str, bytes]] = []


@contextlib.contextmanager
def asset_server() -> Iterator[AssetServer]:
    """Start it on a free port and stop it at the end."""
    state = AssetServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append((self.headers["Content-Type"], body))
            answer = f"{state.url}/{len(state.received)}".encode()
            self.send_response(201)
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
