"""Tell a deployer that a stage moved: at least once, with a key by which it knows a second time.

Two ways: a `repository_dispatch` to a repository (`owner/name`), or a POST to a web address, signed as GitHub
signs its own webhooks ("Validating webhook deliveries"): HMAC-SHA256 of the body, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cml_action.errors import CmlActionError, OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cml_action.event import Event
    from cml_action.registry.protocol import Move

EVENT = "model-promoted"
SECRET, TOKEN = "CML_WEBHOOK_SECRET", "CML_DISPATCH_TOKEN"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_TIMEOUT_S = 20


def check(targets: Sequence[str], repository: str, environ: Mapping[str, str], *, token: str) -> None:
    """Find out what is wrong with the input before anything moves.

    :param repository: the job's own, into which its `token` may dispatch.
    :raises UsageError: neither a web address nor a repository, a web address without a secret, or a
        repository without a token.
    """
    for each in targets:
        if _REPOSITORY.fullmatch(each):
            if not environ.get(TOKEN) and not (token and each.lower() == repository.lower()):
                raise UsageError(
                    f"The input `notify` names the repository `{each}`, and {TOKEN} is not set.",
                    f"Set {TOKEN} in the step's `env:` to a token that may write to `{each}`: the job's own"
                    " counts in its own repository alone.",
                )
            continue
        place = urlsplit(each)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise UsageError(
                f"The input `notify` holds `{each}`, which is neither a web address nor a repository.",
                "Name `https://…` or `owner/name`.",
            )
        if not environ.get(SECRET):
            raise UsageError(
                f"The input `notify` names the web address of {place.hostname}, and {SECRET} is not set.",
                f"Set {SECRET} in the step's `env:` to a secret that the receiver knows as well.",
            )


def key_of(repository: str, collection: str, move: Move) -> str:
    """Return the key of a move: the same however often it is told, and no other move's.

    Numbers begin with 1 again where a record was deleted; the moment tells such moves apart.
    """
    return f"{repository}/{collection}#{move.alias}#{move.number}@{move.when}"


def tell(
    targets: Sequence[str],
    collection: str,
    move: Move,
    event: Event,
    environ: Mapping[str, str],
    *,
    token: str,
) -> list[str]:
    """Tell every target; one that cannot be reached keeps none from the others.

    :returns: a sentence for each that could not be told.
    """
    key = key_of(event.repository, collection, move)
    told = body(key, collection, move, event)

    def tell_one(target: str) -> str:
        try:
            if _REPOSITORY.fullmatch(target):
                _dispatch(target, told, event.api_url, environ.get(TOKEN) or token)
            else:
                _post(target, told, environ.get(SECRET, ""))
        except CmlActionError as error:
            return f"The deployer was not told: {error.what}"
        return ""

    return list(filter(None, map(tell_one, targets)))


def body(key: str, collection: str, move: Move, event: Event) -> dict[str, object]:
    """Return what a deployer is told."""
    return {
        "schema": 1,
        "event": EVENT,
        "key": key,
        "repository": event.repository,
        "collection": collection,
        "move": asdict(move),
    }


def signature(secret: str, sent: bytes) -> str:
    """Return the value of the header `X-Cml-Signature-256`."""
    return f"sha256={hmac.new(secret.encode(), sent, hashlib.sha256).hexdigest()}"


def _post(url: str, told: Mapping[str, object], secret: str) -> None:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    sent = json.dumps(told, sort_keys=True).encode()
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": str(told["key"]),
        "X-Cml-Event": EVENT,
        "X-Cml-Signature-256": signature(secret, sent),
    }
    again = Retry(
        total=3,
        backoff_factor=0.5,
        status_forcelist=(429, *range(500, 600)),
        allowed_methods=None,
        raise_on_status=False,
    )
    host = urlsplit(url).hostname
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=again))
        try:
            answer = session.post(url, data=sent, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise OutsideError(f"{host} could not be reached ({type(error).__name__})") from error
    if not answer.ok or answer.is_redirect:
        raise OutsideError(f"{host} answered {answer.status_code}")


def _dispatch(repository: str, told: Mapping[str, object], api_url: str, token: str) -> None:
    from cml_action.github import connect, github_errors

    # GitHub takes at most ten keys at the top of a client_payload, and these are six.
    with github_errors(f"dispatch to {repository}"):
        connect(token, api_url).get_repo(repository).create_repository_dispatch(EVENT, dict(told))
