"""What goes wrong with DVC and its remotes, as sentences.

Every storage has exceptions of its own, and they are wrapped several times on their way here: the chain of
causes is searched for the first that is understood.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from cml_action.errors import CmlActionError, OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Remotes = tuple[tuple[str, str], ...]

#: Parts of class names and messages by which a cause is known, whichever client it comes from. Codes are
#: those of S3 ("Error responses", Amazon S3 API), of Google's and Azure's clients, and of HTTP.
_REFUSED = re.compile(
    r"NoCredentials|PartialCredentials|CredentialRetrieval|AccessDenied|InvalidAccessKeyId"
    r"|SignatureDoesNotMatch|ExpiredToken|InvalidClientTokenId|AuthorizationFailure|AuthenticationFailed"
    r"|DefaultCredentialsError|RefreshError|ClientAuthenticationError|PermissionDenied|InvalidIdentityToken"
    r"|Unable to locate credentials|Forbidden|\b40[13]\b|Anonymous caller|AuthError"
)
_UNREACHED = re.compile(
    r"EndpointConnectionError|ConnectTimeout|ReadTimeout|ClientConnector|ConnectionRefused|ConnectionError"
    r"|NameResolution|gaierror|Could not connect to the endpoint|Connect timeout|Cannot connect to host"
    r"|ServerDisconnected|TimeoutError|Network is unreachable|Temporary failure in name resolution"
)
_NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist|ContainerNotFound|The specified bucket")


def translate(errors: Sequence[BaseException], remotes: Remotes) -> CmlActionError:
    """Return the first error that is understood as a sentence, or the first one as it is."""
    fault = understood(errors, remotes)
    if fault:
        return fault
    first = errors[0]
    text = " ".join(str(first).split()) or type(first).__name__
    return OutsideError(f"DVC could not go on: {without_credentials(text)}", "Run again with debug logging.")


def understood(errors: Sequence[BaseException], remotes: Remotes) -> CmlActionError | None:
    """Return what is wrong with the project or its remote, where that is known."""
    return _own(errors) or _outside(errors, remotes)


def no_remote() -> UsageError:
    """Return what to do where a project names no place to fetch from."""
    return UsageError(
        "The project has no default DVC remote to fetch from.",
        "`dvc remote add --default NAME URL` makes one, or name one in the input `remote`.",
    )


def _outside(errors: Iterable[BaseException], remotes: Remotes) -> CmlActionError | None:
    for error in (each for top in errors for each in _chain(top)):
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return OutsideError(
                "The disk is full: what was fetched until now is kept in DVC's cache.",
                "Free some space, or fetch less with the input `targets`, then run again.",
            )
        if _NO_BUCKET.search(text):
            return OutsideError(f"The bucket of {named(remotes)} is not there.", "Check the remote's `url`.")
        if _REFUSED.search(text) or isinstance(error, PermissionError):
            return OutsideError(
                f"The remote refuses: {named(remotes)} answered `{_short(error)}`.",
                "Check the credentials in the step's `env:`, and that they may read this storage.",
            )
        if _UNREACHED.search(text):
            return OutsideError(
                f"The remote cannot be reached: {named(remotes)} (`{_short(error)}`).",
                "Check its address and the network, then run again.",
            )
    return None


def named(remotes: Remotes) -> str:
    """Return the remotes in words."""
    return ", ".join(f"`{name}` ({url})" for name, url in remotes) or "the remote"


def without_credentials(text: str) -> str:
    """Return a text without the user and password that an address in it may hold."""

    def bare(found: re.Match[str]) -> str:
        parts = urlsplit(found[0])
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))

    return re.sub(r"[a-z][a-z0-9+.-]*://\S+", bare, text)


def _own(errors: Iterable[BaseException]) -> CmlActionError | None:  # noqa: PLR0911 -- one a situation
    """Return what is wrong with the project itself."""
    from dvc import exceptions
    from dvc.config import ConfigError, NoRemoteError, RemoteConfigError
    from dvc.fs import RemoteMissingDepsError
    from dvc.lock import LockError
    from dvc.scm import SCMError
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

    for error in (each for top in errors for each in _chain(top)):
        text = without_credentials(" ".join(str(error).split()))
        if isinstance(error, exceptions.NotDvcRepoError):
            return UsageError(
                "There is no DVC repository here: no folder `.dvc` in the project or above it.",
                "Run `dvc init`, or point `working-directory` to the project.",
            )
        if isinstance(error, SCMError):
            return UsageError(
                f"DVC needs a Git repository around it: {text}", "Check the repository out first."
            )
        if isinstance(error, NoRemoteError):
            return no_remote()
        if isinstance(error, RemoteMissingDepsError):
            return UsageError(
                f"The remote needs a package that is not installed: {', '.join(error.missing_deps)}.",
                f"Install `cml-action[{error.protocol}]`.",
            )
        if isinstance(error, (YAMLSyntaxError, YAMLValidationError)):
            path = getattr(error, "relpath", None) or getattr(error, "path", None)
            line = re.search(r"line (\d+)", text)
            return UsageError(
                f"A DVC file cannot be read: {text}",
                "Correct it, or track the data again with `dvc add`.",
                path=str(path) if path else None,
                line=int(line[1]) if line else None,
            )
        if isinstance(error, (ConfigError, RemoteConfigError)):
            return UsageError(f"DVC's configuration cannot be used: {text}", "Correct `.dvc/config`.")
        if isinstance(error, LockError):
            return OutsideError(
                "Another DVC process is at work in this project.", "Wait until it has ended, then run again."
            )
        if "unsaved files" in text:
            paths = ", ".join(f"`{line}`" for line in str(error).splitlines()[1:])
            return UsageError(
                f"These files were changed here and are in no cache; a pull would overwrite them: {paths}.",
                "Keep them with `dvc add`, or remove them, then run again. Nothing was overwritten.",
            )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _short(error: BaseException) -> str:
    text = without_credentials(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:200]
