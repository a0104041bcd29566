"""What goes wrong with an MLflow server, as sentences."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError, OutsideError, UsageError
from cml_action.registry.protocol import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN = "Run the job again: what was done is kept."
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER = 401, 403, 404, 500


@contextlib.contextmanager
def mlflow_errors(doing: str, server: str) -> Iterator[None]:
    """Turn what MLflow's client raises inside into an error of ours.

    :param doing: what was being done: "find `mnist:3`".
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except CmlActionError:
        raise
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors, and a full disk is one
        raise _translate(error, doing, server) from error
    except ImportError as error:
        raise UsageError(
            f"MLflow needs `{error.name}` to {doing}: the files lie in a storage whose client is not here.",
            "Let the server hand out artifacts itself (`mlflow server --serve-artifacts`, the default).",
        ) from error


def is_missing(error: Exception) -> bool:
    """Tell whether the server says that a thing does not exist."""
    code, said = getattr(error, "error_code", ""), str(error)
    if code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND") or isinstance(error, FileNotFoundError):
        return True
    return code == "INVALID_PARAMETER_VALUE" and bool(re.search(r"alias .*not found", said, re.IGNORECASE))


def _translate(error: Exception, doing: str, server: str) -> CmlActionError:  # noqa: PLR0911 -- one a situation
    said = str(error)
    status = _status(error, said)
    if status == _UNAUTHORIZED:
        return RefusedError(
            f"Could not {doing}: {server} does not accept the credentials",
            "Check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: a key may"
            " have expired.",
        )
    if status == _FORBIDDEN:
        return RefusedError(
            f"Could not {doing}: the account may not do that on {server}",
            "Give it the permission EDIT for the registered model and the experiment `cml-action`.",
        )
    if "not in a valid JSON format" in said or re.search(r"Response body: '\s*<", said):
        return OutsideError(
            f"Could not {doing}: {server} answers with a page for people and not with MLflow's API"
            + (f" (status {status})" if status else ""),
            "Check MLFLOW_TRACKING_URI; a proxy or a login page may stand before it.",
        )
    if status >= _SERVER or "too many" in said:
        return OutsideError(f"Could not {doing}: {server} answered {status or 500} several times", _AGAIN)
    if re.search(r"timed out|timeout", said, re.IGNORECASE):
        return OutsideError(f"Could not {doing}: {server} did not answer in time, several times", _AGAIN)
    if re.search(r"Connection|Max retries|resolve|refused", said):
        return OutsideError(
            f"Could not {doing}: there is no connection to {server}",
            f"Check the network and MLFLOW_TRACKING_URI. {_AGAIN}",
        )
    return OutsideError(f"Could not {doing}: {server} says: {' '.join(said.split())[:300]}", _AGAIN)


def _status(error: Exception, said: str) -> int:
    """Return the HTTP status that an error carries, 0 where there was no answer."""
    named = {"UNAUTHENTICATED": _UNAUTHORIZED, "PERMISSION_DENIED": _FORBIDDEN}
    if (code := getattr(error, "error_code", "")) in named:
        return named[code]
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    found = re.search(r"error code (\d{3})|(\d{3}) (?:Client|Server) Error|too many (\d{3}) error", said)
    return int(next(filter(None, found.groups()))) if found else 0
