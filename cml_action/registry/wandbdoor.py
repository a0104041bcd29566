"""The one door to W&B: its client kept quiet and within time limits, and what goes wrong said in a sentence.

The client reads its settings from the environment, once a process, and writes into the working directory, the
home and its cache unless told otherwise. Retries are its own: of 429, of 5xx and of lost connections.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cml_action.errors import OutsideError, UsageError
from cml_action.registry.protocol import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wandb import Api, Artifact

#: Seconds for one request; one call of the client, with all its repetitions, has `Door.patience_s`.
_REQUEST_S = 15
_QUIET = {
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
}
#: The client's own patience is hours; where a user has set another, that counts.
_PATIENCE = {
    "WANDB_X_GRAPHQL_RETRY_MAX": "3",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "4",
    "WANDB_HTTP_TIMEOUT": str(_REQUEST_S),
}
_FOLDERS = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
#: How the client says that something is not there (`Artifact._from_name`, 0.31): a sentence, and no class.
_ABSENT = re.compile(r"^(project|artifact membership) .* not found (under entity|in) ", re.DOTALL)
_ORGANIZATION = re.compile(r"organization", re.IGNORECASE)
_AGAIN = "Run the job again: it goes on where this one stopped."
_MESSAGE_LENGTH = 300
#: Signs of a cause in what the client says after its last attempt, and the cause in words.
_CAUSES = (
    (r"HTTP (\d{3})", "answered {0} several times", _AGAIN),
    (
        r"invalid character '<'",
        "answered with a web page instead of data",
        "Check that WANDB_BASE_URL is the server's own address, with no login page in front of it.",
    ),
    (r"not respond in time|deadline exceeded|Timeout|timeout", "did not answer in time", _AGAIN),
    (
        r"x509|certificate|SSLError",
        "has a certificate that is not trusted",
        "Name your certificate authority's file in SSL_CERT_FILE.",
    ),
    (
        r"connection refused|no such host|network is unreachable|Failed to establish|NameResolution",
        "cannot be reached",
        "Check the network, the proxy settings and WANDB_BASE_URL, then run the job again.",
    ),
    (r"connection reset|EOF|broken pipe|IncompleteRead|Connection broken", "broke its answer off", _AGAIN),
)


@dataclass(frozen=True, kw_only=True)
class Door:
    """The way to one server.

    :param environ: of this process; `WANDB_API_KEY` or `WANDB_IDENTITY_TOKEN_FILE` says who asks, and
        `WANDB_BASE_URL` where.
    :param private: a folder of this run's own, where the client may write.
    :param patience_s: for one call of the client, with all its repetitions.
    """

    environ: Mapping[str, str] = field(repr=False)
    private: Path
    patience_s: int = 45

    @cached_property
    def api(self) -> Api:
        """The client, with its key checked.

        :raises UsageError: nobody said who asks.
        :raises RefusedError: the key is wrong, or has expired.
        """
        given = self.environ
        os.environ.update({**_PATIENCE, **os.environ, **_QUIET})
        os.environ.update({name: str(self.private / "wandb") for name in _FOLDERS})
        os.environ.setdefault("WANDB_CREDENTIALS_FILE", str(self.private / "wandb" / "credentials.json"))
        (self.private / "wandb").mkdir(parents=True, exist_ok=True)
        import wandb

        address = given.get("WANDB_BASE_URL", "").rstrip("/")
        key = given.get("WANDB_API_KEY", "").strip() or _key_of_netrc(address)
        if not key and not given.get("WANDB_IDENTITY_TOKEN_FILE"):
            raise UsageError(
                "There is no key for W&B.",
                "Set WANDB_API_KEY in the step's `env:`, from a secret; a service account's key suits best.",
            )
        overrides = {"base_url": address} if address else None
        with self.errors("connect"):
            return wandb.Api(overrides=overrides, timeout=self.patience_s, api_key=key or None)

    @property
    def host(self) -> str:
        """The server's host, for messages."""
        address = self.environ.get("WANDB_BASE_URL", "")
        return urlsplit(address).netloc.rpartition("@")[2]

    def artifact(self, path: str) -> Artifact | None:
        """Return what a full name, `entity/project/name:alias`, stands for; None where it is not there."""
        api = self.api
        try:
            with self.errors(f"look for `{path}`"):
                found: Artifact = api.artifact(path)
                return found
        except _AbsentError:
            return None

    @contextlib.contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn what the client raises inside into errors of ours.

        :param doing: what was being done: "look for `x`".
        """
        import requests
        import wandb
        from pydantic import ValidationError
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError

        kinds = (wandb.Error, WandbApiFailedError, requests.RequestException, ValidationError, ValueError)
        try:
            yield
        except kinds as error:
            raise _translated(error, doing, self.host) from error


class _AbsentError(UsageError):
    """The client did not find something."""


def _translated(  # noqa: PLR0911 -- one a situation
    error: Exception, doing: str, host: str
) -> OutsideError | UsageError:
    said = " ".join(str(error).split())
    server = f"W&B ({host})" if host else "W&B"
    status = _status(error)
    if _ABSENT.match(said):
        return _AbsentError(f"Could not {doing}: it is not there", "Check its name.")
    if status == _UNAUTHORIZED or "not logged in" in said or "No API key" in said:
        return RefusedError(
            f"Could not {doing}: {server} does not accept the key",
            "Check WANDB_API_KEY: it may have expired, or be for another server (WANDB_BASE_URL).",
        )
    if status == _FORBIDDEN:
        return RefusedError(
            f"Could not {doing}: {server} does not allow it to this key",
            "Give the key's account the role that may do this, or use the key of one that has it.",
        )
    if status == _NOT_FOUND:
        return RefusedError(
            f"Could not {doing}: {server} does not find it, or does not show it to this key",
            "Check the name, and that the key's account is a member of the team.",
        )
    if isinstance(getattr(error, "exc", error), ValueError) and _ORGANIZATION.search(said):
        return UsageError(
            f"Could not {doing}: {said[:_MESSAGE_LENGTH]}",
            "Write the registry's full path, `organization/wandb-registry-NAME/COLLECTION`.",
        )
    for sign, cause, fix in _CAUSES:
        if found := re.search(sign, said):
            return OutsideError(f"Could not {doing}: {server} {cause.format(*found.groups())}", fix)
    return OutsideError(f"Could not {doing}: {server} answered `{said[:_MESSAGE_LENGTH]}`", _AGAIN)


def _status(error: Exception) -> int | None:
    """Return the status of the answer behind an error of the client's, where it still is known."""
    for each in (error, getattr(error, "exc", None), error.__cause__):
        response: Any = getattr(each, "response", None)
        status = getattr(response, "http_status", None) or getattr(response, "status_code", None)
        if status:
            return int(status)
    return None


def _key_of_netrc(address: str) -> str:
    """Return the key that `wandb login` left on a laptop."""
    import requests.utils
    from wandb.sdk.wandb_settings import Settings

    found = requests.utils.get_netrc_auth(address or str(Settings().base_url))
    return found[1] if found else ""
