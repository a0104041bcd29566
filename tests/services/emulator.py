"""GitHub's API as a third party emulates it (npm `emulate`), started on this machine.

Where it differs from GitHub, as seen with 0.12.2:

- it has no `commits/{sha}/pulls`, no deployments and no GraphQL (`proxy.py` has the first and the last);
- it takes two updates of a reference that come at once, though only one moves it forward (`proxy.py` lets one
  through at a time);
- it opens a second pull request of the same branch (`proxy.py` refuses that);
- a pull request cannot be fetched as an issue (its comments can);
- a pull request's head stays where it was when it was opened, also when its branch moves on;
- it refuses with "Forbidden", without `X-Accepted-GitHub-Permissions`; a locked conversation takes comments;
- `GET /user` answers the token of an App's installation with the owner of the account.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import github
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.services.listening import free_port, listening
from tests.services.node import NODE, npm_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from github.PullRequest import PullRequest
    from github.Repository import Repository

# Pinned: the npm tag `latest` is another, unrelated package.
_VERSION = "0.12.2"
# Numbers of the App and of its installation, ours to choose.
_APP = 15368


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running emulator: `url` is what `GITHUB_API_URL` holds, `token` belongs to the user `admin`."""

    url: str
    app_key: str = field(repr=False)
    token: str = "test_token_admin"

    def connect(self, token: str | None = None) -> github.Github:
        """Return a client of the tests' own, without retries and without courtesy to a server far away."""
        return github.Github(
            base_url=self.url,
            auth=github.Auth.Token(token or self.token),
            retry=None,
            lazy=True,  # the emulator serves a pull request's comments, but not the pull request as an issue
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    def workflow_token(self, **permissions: str) -> str:
        """Return a token like `GITHUB_TOKEN`, of the App `github-actions`: `issues="write"` and so on.

        A token from a fork has `read` only.
        """
        app = github.GithubIntegration(
            auth=github.Auth.AppAuth(_APP, self.app_key), base_url=self.url, retry=None
        )
        with app:
            return app.get_access_token(_APP, permissions=permissions).token


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """A repository for one test: `main`, `feature` one commit ahead of it, and their pull request."""

    repo: Repository
    pull: PullRequest
    base_sha: str
    head_sha: str

    @property
    def name(self) -> str:
        """`owner/name`, as `GITHUB_REPOSITORY` holds it."""
        return self.repo.full_name

    def pull_request_event(self) -> dict[str, object]:
        """Return what GitHub writes to `GITHUB_EVENT_PATH` when the pull request is opened."""
        pull = dict(self.pull.raw_data)
        return {
            "action": "opened",
            "number": self.pull.number,
            "pull_request": pull,
            "repository": dict(self.repo.raw_data),
            "sender": pull["user"],
        }


@contextlib.contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Start the emulator on a free port and stop it at the end.

    :param folder: an empty one, for its seed and for what it prints.
    """
    seed = folder / "seed.json"
    key = _private_key()
    seed.write_text(json.dumps(_seed(key)))
    script = npm_package("emulate", _VERSION) / "dist" / "index.js"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [NODE, script, "start", "--service", "github", "--port", str(port)]
    command += ["--base-url", url, "--seed", seed]
    with listening(command, folder, asked=f"{url}/zen"):
        yield Emulator(url=url, app_key=key)


def _seed(key: str) -> dict[str, object]:
    """Return what is there at the start: a user for each token, and the App whose tokens workflows get."""
    permissions = dict.fromkeys(["contents", "issues", "pull_requests", "checks"], "write")
    installation = {"installation_id": _APP, "account": "admin", "permissions": permissions}
    app = {
        "app_id": _APP,
        "slug": "github-actions",
        "name": "GitHub Actions",
        "private_key": key,
        "permissions": permissions,
        "installations": [installation],
    }
    return {
        "tokens": {
            "test_token_admin": {"login": "admin", "scopes": ["repo", "user"]},
            "test_token_user": {"login": "octocat", "scopes": ["repo", "user"]},
        },
        "github": {"users": [{"login": "admin"}, {"login": "octocat"}], "apps": [app]},
    }


def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, private, plain).decode()


def fresh_repository(emulator: Emulator) -> Fresh:
    """Make a repository through the API, as the Action would meet it."""
    with emulator.connect() as client:
        repo = client.get_user().create_repo(f"demo-{uuid.uuid4().hex[:12]}", auto_init=True)
        base_sha = repo.get_branch("main").commit.sha
        repo.create_git_ref("refs/heads/feature", base_sha)
        made = repo.create_file("data/train.csv.dvc", "New data", "outs: []\n", branch="feature")
        pull = repo.create_pull(base="main", head="feature", title="New data", body="")
        return Fresh(repo=repo, pull=pull, base_sha=base_sha, head_sha=made["commit"].sha)
