"""Why the worker has no result: a code whose sentence the parent knows, and words that are not ours."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

T = TypeVar("T")


class Refusal(Exception):  # noqa: N818 -- it is an answer
    """An answer without a result."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said


def words(error: BaseException) -> str:
    """Return an exception on one line; even its text is the user's code."""
    try:
        text = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 -- `__str__` is anybody's
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def attempt(code: str, function: Callable[..., T], *given: Any, **named: Any) -> T:
    """Call code that is not ours; whatever it raises, `SystemExit` too, is a refusal.

    A module that is not installed is named as such, wherever it is missed.
    """
    try:
        return function(*given, **named)
    except Refusal:
        raise
    except ModuleNotFoundError as error:
        raise Refusal("no-module", error.name or words(error)) from error
    except BaseException as error:
        raise Refusal(code, words(error)) from error
