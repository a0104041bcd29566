"""Git over HTTP as a server speaks it (`git http-backend`), with tokens as GitHub has them."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

READ, WRITE = "read", "write"


@dataclass
class GitServer:
    """A running server: every repository below `root` is there under its own path.

    :param tokens: what each token may do; another one, or none, is answered 401.
    """

    root: Path
    url: str = ""
    tokens: dict[str, str] = field(
        default_factory=lambda: {"ghs_write_token": WRITE, "ghs_read_token": READ, "test_token_admin": WRITE}
    )

    def create(self, name: str) -> Path:
        """Make an empty repository that answers what GitHub answers: filters, and any object by its hash."""
        path = self.root / f"{name}.git"
        git(["init", "--quiet", "--bare", "--initial-branch=main", str(path)], self.root)
        for setting in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            git(["config", setting, "true"], path)
        return path


def git(words: list[str], folder: Path) -> str:
    """Run git and return what it prints."""
    me = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *me, *words], cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"git {words} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def running_git_server(root: Path) -> Iterator[GitServer]:
    """Serve the repositories below a folder on a free port, and stop at the end."""
    state = GitServer(root)
    backend = Path(git(["--exec-path"], root).strip(), "git-http-backend")

    class Handler(_Handler):
        server_state = state
        program = backend

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server_state: GitServer
    program: Path
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        sent = self._body()
        place = urlsplit(self.path)
        may = self._may()
        if may is None:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="Git"'}, b"Bad credentials\n")
        elif "git-receive-pack" in self.path and may != WRITE:
            self._answer(403, {}, b"Write access to repository not granted.\n")
        else:
            self._run(place.path, place.query, sent)

    do_GET = do_POST = _serve  # noqa: N815 — http.server's names

    def _may(self) -> str | None:
        """Return what the token may do; GitHub takes it as the password of Basic authentication."""
        kind, _, word = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic" or len(self.headers.get_all("Authorization", [])) != 1:
            return None
        return self.server_state.tokens.get(base64.b64decode(word).decode().partition(":")[2])

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _run(self, path: str, query: str, sent: bytes) -> None:
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "token",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(sent)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        done = subprocess.run([self.program], input=sent, env=environ, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._answer(status, headers, body)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — http.server's name
        pass
