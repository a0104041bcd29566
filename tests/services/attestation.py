"""A stand-in for a job with `actions/attest` on GitHub, and for `gh attestation verify` of what it signed.

What signs is the Action's own library (npm `@actions/attest`), and what verifies is npm `@sigstore/verify`.
Stand-ins are the Action around the one (`attest.cjs`) and the command around the other (`verify.cjs`),
Sigstore (`sigstore.cjs`), and here GitHub's endpoint for ID tokens, which are not signed, and
`POST /repos/{owner}/{repo}/attestations`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.services.answering import Handler, answering
from tests.services.node import NODE, npm_package
from tests.services.runner import read_step, step_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Visibility = Literal["private", "public"]

REPOSITORY = "o/r"
TOKEN = "ghs_0123456789abcdef"
_HERE = Path(__file__).parent
# The one that `actions/attest` v4.2.2 was built with.
_ATTEST = ("@actions/attest", "3.2.0")
_MOCK = ("@sigstore/mock", "0.13.0")
_VERIFY = ("@sigstore/verify", "4.1.3")
_REQUEST_TOKEN = "may-ask-for-a-token"
_WORKFLOW = f"{REPOSITORY}/.github/workflows/gate.yml@refs/heads/main"


class NotVerifiedError(Exception):
    """A bundle does not verify; says why."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What an attestation left.

    :param bundle: Sigstore's bundle; `stored`: the one that GitHub was given.
    :param trusted_root: the file to verify with.
    """

    bundle: dict[str, Any]
    stored: dict[str, Any]
    trusted_root: Path
    visibility: Visibility


def sign(
    given: Mapping[str, str], folder: Path, *, visibility: Visibility, program: Path = _HERE / "attest.cjs"
) -> Signed:
    """Run the step `actions/attest` with these inputs.

    :param folder: for what the runner keeps; made where it is not there.
    :param visibility: the repository's; of a public one the public Sigstore signs, else GitHub's.
    :param program: what the runner starts; the Action's own is `dist/index.js`.
    """
    folder.mkdir(exist_ok=True)
    trusted_root = folder / "trusted_root.json"
    inputs = {"github-token": TOKEN, **given}
    with _github(visibility) as (url, stored):
        environ = {
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": _REQUEST_TOKEN,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/token?api-version=2.0",
            "GITHUB_API_URL": url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "LIBRARY": str(npm_package(*_ATTEST)),
            "NODE_PATH": _modules(*_MOCK),
            "TRUSTED_ROOT": str(trusted_root),
        }
        event = ("push", {"repository": {"visibility": visibility}})
        environment = step_environment(folder / "workspace", {}, event=event, environ=environ)
        done = _node("--require", _HERE / "sigstore.cjs", program, environ=environment)
    step = read_step(environment, done.returncode, done.stdout, done.stderr)
    assert (step.code, len(stored)) == (0, 1), step.log + step.errors
    bundle = json.loads(Path(step.outputs["bundle-path"]).read_text())
    return Signed(bundle=bundle, stored=stored[0], trusted_root=trusted_root, visibility=visibility)


def verify(
    file: Path, signed: Signed, *, predicate_type: str, repository: str = REPOSITORY
) -> dict[str, Any]:
    """Return the in-toto statement of a bundle that verifies.

    :raises NotVerifiedError: it does not.
    """
    bundle = signed.trusted_root.with_name("bundle.json")
    bundle.write_text(json.dumps(signed.bundle))
    what = (file, bundle, signed.trusted_root, repository, predicate_type, signed.visibility)
    environ = {**os.environ, "NODE_PATH": _modules(*_VERIFY)}
    done = _node(_HERE / "verify.cjs", *what, environ=environ)
    if done.returncode:
        raise NotVerifiedError(done.stderr.strip())
    statement: dict[str, Any] = json.loads(done.stdout)
    return statement


def _modules(name: str, version: str) -> str:
    """Return where `require` finds a package and what it needs."""
    return str(npm_package(name, version).parents[1])


def _node(*words: str | Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *words], capture_output=True, check=False, env=environ, text=True, timeout=60
    )


@contextlib.contextmanager
def _github(visibility: Visibility) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answer as GitHub does, and yield the address and the list of bundles that were stored."""
    stored: list[dict[str, Any]] = []

    class GitHub(Handler):
        def respond(self) -> None:
            body, said = self.body(), self.headers.get("Authorization", "")
            if self.path.startswith("/token?") and said == f"Bearer {_REQUEST_TOKEN}":
                self._say(200, {"value": _token(visibility)})
            elif (self.command, self.path) == ("POST", f"/repos/{REPOSITORY}/attestations"):
                if said != f"token {TOKEN}":
                    self._say(403, {"message": "Resource not accessible by integration"})
                    return
                stored.append(json.loads(body)["bundle"])
                self._say(201, {"id": len(stored)})
            else:
                self._say(404, {"message": "Not Found"})

        def _say(self, status: int, answer: Any) -> None:
            self.answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    with answering(GitHub) as url:
        yield url, stored


def _token(visibility: Visibility) -> str:
    """Return an ID token with the claims that Sigstore copies into the certificate."""
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sigstore",
        "sub": f"repo:{REPOSITORY}:ref:refs/heads/main",
        "event_name": "push",
        "job_workflow_ref": _WORKFLOW,
        "ref": "refs/heads/main",
        "repository": REPOSITORY,
        "repository_visibility": visibility,
        "run_attempt": "1",
        "run_id": "100",
        "runner_environment": "github-hosted",
        "sha": "0" * 40,
        "workflow_ref": _WORKFLOW,
    }
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return "".join(_base64url(json.dumps(each)) + "." for each in parts)


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
