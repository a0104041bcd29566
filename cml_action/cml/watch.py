"""`--watch`: publish again whenever the report, one of its pictures or a trigger file changes."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cml_action.log import Log

#: CML waited for two seconds without a change before it read a file, so that it is whole.
STABLE_S = 2.0
EVERY_S = 0.25
_LONGEST = 1024
# Which files to look at, not what to publish: for that the Markdown is parsed.
_NAMED = re.compile(r"""\]\(\s*<?([^)\s>]+)|(?:src|href)\s*=\s*["']([^"']+)""")


class Changed(Protocol):
    """What is done on a change; `first`: for the first time."""

    def __call__(self, *, first: bool) -> None:
        """Publish again."""


def watch(report: Path, trigger: str, changed: Changed, log: Log) -> None:
    """Wait for changes, for ever. As with CML, what is there at the start is no change.

    :param trigger: a file to watch instead of the report, which is removed when it was seen; empty for none.
    """
    trigger_file = Path(trigger) if trigger else None

    def look() -> dict[Path, tuple[int, int]]:
        return _state([trigger_file] if trigger_file else _files(report))

    seen, first = look(), True
    log.line("Watching for changes.")
    while True:
        time.sleep(EVERY_S)
        if look() == seen:
            continue
        seen = _stable(look)
        if trigger_file and not seen:  # it went away: nothing to say
            continue
        log.line(f"{trigger_file or report} was changed.")
        changed(first=first)
        first = False
        if trigger_file:
            trigger_file.unlink(missing_ok=True)
            seen = {}


def _stable(look: Callable[[], dict[Path, tuple[int, int]]]) -> dict[Path, tuple[int, int]]:
    """Wait until nothing has changed for a while, and return how it is then."""
    found, since = look(), time.monotonic()
    while time.monotonic() - since < STABLE_S:
        time.sleep(EVERY_S)
        now = look()
        if now != found:
            found, since = now, time.monotonic()
    return found


def _files(report: Path) -> list[Path]:
    """Return the report and the local files that it names."""
    try:
        text = report.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [report]
    named = (unquote(first or second) for first, second in _NAMED.findall(text))
    return [report, *(report.parent / name for name in named if "://" not in name and len(name) < _LONGEST)]


def _state(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    found = {}
    for path in paths:
        try:
            told = path.stat()
        except (OSError, ValueError):
            continue
        found[path] = (told.st_mtime_ns, told.st_size)
    return found
