"""Why the worker has no result: a code whose sentence the parent knows, and words that are not ours."""

from __future__ import annotations

import re
from typing import Any, Callable, TypeVar

T = TypeVar("T")
_MOST_LINES = 3
#: What pickle says of a class or function that is not where it was.
_NOT_THERE = re.compile(r"Can't get attribute '(.+?)' on <module '(.+?)'")


class Refusal(Exception):  # noqa: N818 -- it is an answer
    """An answer without a result."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said


def words(error: BaseException) -> str:
    """Return an exception on one line; even its text is the user's code."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if lines and lines[0].startswith("CUDA error: "):  # and then how to debug it, the same each time
            lines = lines[:1]
        # TorchScript tells of its own code first and of the cause in its last line.
        text = (
            lines[-1]
            if len(lines) > _MOST_LINES and lines[-1].startswith("RuntimeError")
            else " ".join(lines)
        )
    except BaseException:  # noqa: BLE001 -- `__str__` is anybody's
        text = ""
    name = type(error).__name__
    return text if text.startswith(f"{name}: ") else f"{name}: {text}" if text else name


def refused(code: str, error: BaseException) -> Refusal:
    """Return the refusal for an exception: of this code, unless it is one that says more itself.

    A module that is not installed is named as such, wherever it is missed, and so are a class that a pickle
    names and a GPU's memory.
    """
    if isinstance(error, ModuleNotFoundError):
        return Refusal("no-module", error.name or words(error))
    gone = _NOT_THERE.match(str(error)) if isinstance(error, AttributeError) else None
    if gone:
        return Refusal("no-class", "{} in the module {}".format(*gone.groups()))
    if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, which has been in several modules
        return Refusal("gpu-memory", words(error))
    return Refusal(code, words(error))


def attempt(code: str, function: Callable[..., T], *given: Any, **named: Any) -> T:
    """Call code that is not ours; whatever it raises, `SystemExit` too, is a refusal."""
    try:
        return function(*given, **named)
    except Refusal:
        raise
    except BaseException as error:
        raise refused(code, error) from error
