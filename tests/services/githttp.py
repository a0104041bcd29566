"""Git over HTTP as a server speaks it (`git http-backend`), with tokens as GitHub has them."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.services.answering import Handler, answering

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


def persist_credentials(workspace: Path, server_url: str, header: str, *, credentials: Path | None) -> None:
    """Leave a header as `actions/checkout` does.

    :param credentials: a file of its own, which the clone includes (since 6.0.0); None for `.git/config`.
    """
    key = f"http.{server_url}/.extraheader"
    if credentials is None:
        git(["config", key, header], workspace)
        return
    git(["config", "--file", str(credentials), key, header], workspace)
    git(["config", f"includeIf.gitdir:{workspace.resolve()}/.git.path", str(credentials)], workspace)


@contextlib.contextmanager
def running_git_server(root: Path) -> Iterator[GitServer]:
    """Serve the repositories below a folder on a free port, and stop at the end."""
    state = GitServer(root)
    backend = Path(git(["--exec-path"], root).strip(), "git-http-backend")

    class Ours(_Handler):
        server_state = state
        program = backend

    with answering(Ours) as state.url:
        yield state


class _Handler(Handler):
    server_state: GitServer
    program: Path

    def respond(self) -> None:
        sent = self.body()
        place = urlsplit(self.path)
        may = self._may()
        if may is None:
            self.answer(401, b"Bad credentials\n", {"WWW-Authenticate": 'Basic realm="Git"'})
        elif "git-receive-pack" in self.path and may != WRITE:
            self.answer(403, b"Write access to repository not granted.\n")
        else:
            self._run(place.path, place.query, sent)

    def _may(self) -> str | None:
        """Return what the token may do; GitHub takes it as the password of Basic authentication."""
        kind, _, word = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic" or len(self.headers.get_all("Authorization", [])) != 1:
            return None
        return self.server_state.tokens.get(base64.b64decode(word).decode().partition(":")[2])

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
        self.answer(status, body, headers)
