"""The one door to GitHub's API: retries, waiting, time limits, and what goes wrong said in a sentence.

Importing this module costs what PyGithub costs (a few tenths of a second): import it where it is used.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import github
import requests
from github import GithubException
from github.GithubException import RateLimitExceededExceedsMaxWait, RateLimitExceededException
from github.GithubRetry import GithubRetry
from urllib3.exceptions import ReadTimeoutError

from cml_action.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from urllib3 import HTTPResponse, Retry
    from urllib3.connectionpool import ConnectionPool

    Done = TypeVar("Done")

#: Seconds that one request may wait for GitHub's rate limits, over all its repetitions.
PATIENCE_S = 90.0
TIMEOUT_S = 20
_FORBIDDEN, _NOT_FOUND, _UNPROCESSABLE, _TOO_MANY, _SERVER = 403, 404, 422, 429, 500
_BROKEN_OFF = (requests.exceptions.ChunkedEncodingError, json.JSONDecodeError)
_MESSAGE_LENGTH = 300


def connect(
    token: str, api_url: str, *, patience_s: float = PATIENCE_S, timeout_s: int = TIMEOUT_S
) -> github.Github:
    """Return a client that has not called GitHub yet, and calls no more often than it has to.

    :param api_url: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise Server.
    :param patience_s: how long one request may wait for rate limits; when GitHub asks for more, it fails.
    :param timeout_s: until a connection stands, and until an answer begins.
    :raises UsageError: no token, or not a web address.
    """
    if not token:
        raise UsageError(
            "There is no token for GitHub",
            "Leave `github-token` at its default, `${{ github.token }}`, or give a token with access.",
        )
    address = urlsplit(api_url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise UsageError(
            f"GITHUB_API_URL is {api_url!r}, not a web address", "It reads like https://HOST/api/v3."
        )
    return github.Github(
        auth=github.Auth.Token(token),
        base_url=api_url.rstrip("/"),
        lazy=True,  # `get_repo` and `get_issue` are addresses, not requests
        per_page=100,  # GitHub's maximum
        retry=_Retry(patience_s=patience_s),
        timeout=timeout_s,
        # PyGithub waits between any two requests, in case they are many. A run makes a handful, and waits
        # when GitHub says so.
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


class _Retry(GithubRetry):
    """PyGithub's retries with an end: what GitHub asks to wait is paid out of a budget.

    `GithubRetry` sleeps through any `Retry-After`, were it an hour, and knows the primary limit (nothing
    left until `X-RateLimit-Reset`) by status 403 only; GitHub answers it with 403 or 429.
    """

    def __init__(self, *, patience_s: float, **options: Any) -> None:
        first: dict[str, Any] = {
            "total": 6,
            "connect": 2,
            "read": 2,
            "status": 4,
            "other": 0,  # a certificate does not become valid by asking again
            "backoff_factor": 0.5,
            "backoff_max": 8,
            "secondary_rate_wait": min(60.0, patience_s),
            "status_forcelist": [_TOO_MANY, *range(500, 600)],
            "allowed_methods": None,  # all: what we send may be sent twice, and `PATCH` is not in the default
            "raise_on_status": False,  # the last answer says more than "too many retries"
        }
        super().__init__(**{**first, "max_rate_limit_wait": patience_s, **options})
        self.patience_s = patience_s

    def new(self, **options: Any) -> _Retry:
        return super().new(patience_s=self.patience_s, **options)

    def increment(  # type: ignore[override]  # PyGithub narrows it the same way
        self,
        method: str | None = None,
        url: str | None = None,
        response: HTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Retry:
        wait = _asked_to_wait(response) if response is not None else 0
        if response is not None and wait:
            if wait > self.patience_s:
                raise RateLimitExceededExceedsMaxWait(
                    response.status, None, dict(response.headers), wait=wait
                )
            response.headers["Retry-After"] = str(wait)  # one way of saying it: urllib3 sleeps by this one
        retry = super().increment(method, url, response, error, _pool, _stacktrace)
        if isinstance(retry, _Retry):
            retry.patience_s = self.patience_s - wait
        return retry


def _asked_to_wait(response: HTTPResponse) -> int:
    """Return the seconds that an answer asks to wait, 0 where it does not."""
    if response.status not in {_FORBIDDEN, _TOO_MANY, 503}:
        return 0
    after, reset = response.headers.get("Retry-After", ""), response.headers.get("X-RateLimit-Reset", "")
    if after.isdigit():
        return int(after)
    if response.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        return max(1, math.ceil(int(reset) - time.time()) + 1)  # some time within that second
    return 0


def download(url: str, token: str, path: Path, *, most_bytes: int) -> bool:
    """Bring a file; False where it is larger than allowed, whatever was said of its size.

    GitHub answers with the address of a storage of its own, which is not shown the token (`requests` drops
    it when another host is asked).

    :raises OutsideError: it cannot be had.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    with github_errors("fetch the artifact"), requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=_Retry(patience_s=PATIENCE_S)))
        return complete(lambda: _written_to(session, url, headers, path, most_bytes))


def _written_to(
    session: requests.Session, url: str, headers: dict[str, str], path: Path, most_bytes: int
) -> bool:
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer, path.open("wb") as file:
        if answer.status_code != HTTPStatus.OK:
            raise GithubException(answer.status_code, {"message": answer.reason}, dict(answer.headers))
        for chunk in answer.iter_content(1 << 16):
            most_bytes -= len(chunk)
            if most_bytes < 0:
                return False
            file.write(chunk)
    return True


def complete(action: Callable[[], Done]) -> Done:
    """Do something repeatable once more where an answer broke off in its middle.

    The retries of the client end when an answer begins; a body that ends too early shows up only later.
    """
    try:
        return action()
    except _BROKEN_OFF:
        return action()


@contextlib.contextmanager
def github_errors(doing: str) -> Iterator[None]:
    """Turn what the client raises inside into an `OutsideError`.

    :param doing: what was being done: "leave the comment".
    """
    try:
        yield
    except (GithubException, requests.RequestException, json.JSONDecodeError) as error:
        raise translate(error, doing) from error


def may_not_write(error: GithubException) -> bool:
    """Tell whether GitHub refused because of what this token, or anybody, may do there.

    A token from a fork is answered 403 "Resource not accessible by integration"; one that may not even know
    of the thing, 404. A locked conversation and an archived repository are 403 as well. A rate limit is not
    meant.
    """
    return error.status in {_FORBIDDEN, _NOT_FOUND} and not isinstance(error, RateLimitExceededException)


def why_not(error: GithubException) -> str:
    """Say why the token may not write, in half a sentence, with what to add to the workflow where known."""
    message = _message(error)
    needed = _permissions(error)
    if "locked" in message.lower():
        return "the conversation is locked"
    if error.status == _NOT_FOUND:
        return "it does not exist, or the token may not see it"
    return f"the token may not do that ({message or 'forbidden'})" + (
        f"; it needs {needed}" if needed else ""
    )


def translate(error: Exception, doing: str) -> OutsideError:
    """Return the error of the client as two sentences: what happened, and what to do. No token is in it."""
    if isinstance(error, GithubException):
        why, fix = _answered(error)
    else:
        why, fix = _not_answered(error)
    return OutsideError(f"Could not {doing}: {why}", fix)


def _answered(error: GithubException) -> tuple[str, str]:
    message = _message(error)
    said = f" ({message})" if message else ""
    if isinstance(error, RateLimitExceededExceedsMaxWait):
        wait = math.ceil(error.wait or 0)
        again = datetime.now(timezone.utc) + timedelta(seconds=wait)
        return (
            f"GitHub's rate limit asks to wait {wait} s",
            f"Run the job again after {again:%H:%M} UTC.",
        )
    if isinstance(error, RateLimitExceededException) or error.status == _TOO_MANY:
        return f"GitHub's rate limit is used up{said}", "Run the job again in a few minutes."
    if error.status >= _SERVER:
        return (
            f"GitHub answered {error.status} several times",
            "Run the job again; https://www.githubstatus.com says whether GitHub is at fault.",
        )
    needed = _permissions(error)
    known = {
        401: (
            f"GitHub does not accept the token{said}",
            "Check `github-token`: it may have expired, or be for another server.",
        ),
        _FORBIDDEN: (
            f"the token may not do that{said}",
            f"Add to the job's `permissions:` {needed}." if needed else "Check the job's `permissions:`.",
        ),
        _NOT_FOUND: (
            f"GitHub does not find it{said}",
            "Check the repository and the number; a token without access is answered the same way.",
        ),
        _UNPROCESSABLE: (f"GitHub does not take what was sent{said}", ""),
    }
    return known.get(error.status, (f"GitHub answered {error.status}{said}", "Run the job again."))


def _not_answered(error: Exception) -> tuple[str, str]:
    request = getattr(error, "request", None)
    host = urlsplit(str(request.url)).netloc.rpartition("@")[2] if request is not None else ""
    host = host or "GitHub"
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"the certificate of {host} is not trusted",
            "Name your certificate authority's file in REQUESTS_CA_BUNDLE.",
        )
    # After its retries requests calls a late answer a connection error; the reason is inside.
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.Timeout) or isinstance(reason, ReadTimeoutError):
        return f"{host} did not answer in time, several times", "Run the job again."
    if isinstance(error, _BROKEN_OFF):
        return f"answers of {host} broke off half way", "Run the job again."
    return f"there is no connection to {host}", "Check the network, the proxy settings and GITHUB_API_URL."


def _message(error: GithubException) -> str:
    """Return GitHub's own words on one line, with the details of a validation."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [
        str(item.get("message") or item.get("code") or "") if isinstance(item, dict) else str(item)
        for item in data.get("errors") or ()
    ]
    words = " ".join([str(data.get("message") or error.message or ""), *details])
    return " ".join(words.split())[:_MESSAGE_LENGTH]


def _permissions(error: GithubException) -> str:
    """Return what `X-Accepted-GitHub-Permissions` names, as a workflow writes it.

    GitHub sends `issues=write; pull_requests=write`: alternatives between semicolons, what is needed together
    between commas ("Troubleshooting the REST API").
    """
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    accepted = headers.get("x-accepted-github-permissions") or ""
    ways = [
        " and ".join(f"`{part.strip().replace('_', '-').replace('=', ': ')}`" for part in way.split(","))
        for way in accepted.split(";")
        if "=" in way
    ]
    return " or ".join(ways)
