"""Every error that a user can cause or meet, with its exit code.

An error is a sentence for the person who meets it: what happened, where, and what to do. It is raised
where the situation is known and shown once, at the edge of the program.
"""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cml_action.report import Report


class CmlActionError(Exception):
    """An error with a message for people.

    :param what: what happened and where, one sentence.
    :param fix: what to do about it, one sentence in the imperative; may be empty.
    :param path: the file it is about, relative to the repository, where there is one.
    :param line: the line in that file, counted from 1.
    """

    exit_code: ClassVar[int] = 3
    #: What a mode had done or found until then, which is published all the same.
    report: Report | None = None

    def __init__(self, what: str, fix: str = "", *, path: str | None = None, line: int | None = None) -> None:
        self.what = _sentence(what)
        self.fix = _sentence(fix)
        super().__init__(self.what)
        self.path = path
        self.line = line

    def __str__(self) -> str:
        """Both sentences, on one line each."""
        return f"{self.what}\n{self.fix}" if self.fix else self.what


def _sentence(text: str) -> str:
    """End a sentence with a full stop, wherever it was written."""
    return f"{text}." if text and text[-1] not in ".!?:" else text


class UsageError(CmlActionError):
    """Asked wrongly: an input, `cml.yaml`, a missing or unreadable file."""

    exit_code = 2


class OutsideError(CmlActionError):
    """Something outside failed after its retries: network, remote, registry, GitHub, the disk."""

    exit_code = 3


@contextlib.contextmanager
def reported(report: Report) -> Iterator[None]:
    """Let an error that is raised inside carry the report of what was done or found before it."""
    try:
        yield
    except CmlActionError as error:
        error.report = report
        raise


def suggestion(found: str, known: Iterable[str]) -> str:
    """Return ` Did you mean …?` where one of the known names is close to the one found."""
    close = difflib.get_close_matches(found, list(known), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""
