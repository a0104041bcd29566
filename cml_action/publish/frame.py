"""What stands around a report: its heading, what it is about, and the foot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from cml_action.quantity import counted, quantity
from cml_action.report import Code, Link, Quantity, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.report import Check, Inline, Json, Report, Unit

#: Status in symbols; words always stand beside them.
ICONS = {"pass": "✅", "warn": "⚠️", "fail": "❌", "error": "❌", "skip": "⏭️"}
_MOST_VALUES = 4
#: A digest is told by its beginning, as Git does; `result.json` has all of it.
_DIGEST = re.compile(r"^((?:sha256:)?[0-9a-f]{12})[0-9a-f]{20,}$")
_WORST_FIRST = ("error", "fail", "warn", "skip", "pass")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a report belongs.

    :param title: the heading's words; empty where a user's own Markdown stands alone.
    :param written: it is a user's own Markdown, of which nobody asked anything: no verdict stands above it.
    :param repository_url: `https://github.com/o/r`, empty on a laptop.
    :param revision: the commit that the report is about; `base`: what it is compared with.
    :param prefix: the project's folder in the repository, ending in `/`, or empty.
    :param seconds: how long the run took, by the mode's name.
    """

    title: str
    written: bool = False
    repository_url: str = ""
    revision: str = ""
    base: str = ""
    base_name: str = ""
    run_url: str = ""
    prefix: str = ""
    seconds: dict[str, float]

    def link_to(self, path: str | None, line: int | None) -> str:
        """Return the address of a file's line at the report's commit; empty where there is none."""
        if not (path and self.repository_url and self.revision):
            return ""
        return f"{self.repository_url}/blob/{self.revision}/{quote(self.prefix + path)}" + (
            f"#L{line}" if line else ""
        )


def heading(report: Report, title: str, *, written: bool = False) -> str:
    """Say the verdict in one line: in words, with a symbol beside it.

    :param written: as in `Frame`: the title by itself.
    """
    if written:
        return title
    found = [check.status for check in report.checks]
    failed, stopped, warned = found.count("fail"), found.count("error"), found.count("warn")
    asked = len(found) - found.count("skip")
    if stopped:
        words = "could not finish"
    elif failed:
        words = f"{failed} of {counted(asked, 'check')} failed"
    elif warned:
        words = f"{counted(warned, 'warning')} in {counted(asked, 'check')}"
    elif asked:
        words = f"{counted(asked, 'check')} passed"
    else:
        words = "done, no checks asked for"
    return f"{ICONS['error' if stopped else report.verdict]} {title}: {words}"


def sorted_checks(checks: Sequence[Check]) -> list[Check]:
    """Return checks with the worst first, otherwise in their order."""
    return sorted(checks, key=lambda check: _WORST_FIRST.index(check.status))


def checks_table(checks: Sequence[Check], frame: Frame) -> Table | None:
    """Return checks as rows: what was asked, found, allowed, and what it is compared with.

    A column in which no check has anything is left out. A mode that met an error has none of these, only its
    message; nothing but such checks make no table.
    """
    checks = [check for check in checks if check.status != "error" or check.value is not None]
    if not checks:
        return None
    model = all(check.id.startswith("model/") for check in checks if check.baseline is not None)
    values = {
        "found": [check.value for check in checks],
        "allowed": [check.limit for check in checks],
        "production" if model else "base": [check.baseline for check in checks],
    }
    told = {name: some for name, some in values.items() if any(each is not None for each in some)}
    return Table(
        columns=("", "check", *told),
        rows=tuple(
            (
                ICONS[check.status],
                Link(check.title, frame.link_to(check.path, check.line)),
                *(_shown(some[at], check.unit) for some in told.values()),
            )
            for at, check in enumerate(checks)
        ),
        right=frozenset(range(2, 2 + len(told))),
    )


def messages(checks: Sequence[Check]) -> list[str]:
    """Return what is said of checks that did not pass, each once: several may have the same reason."""
    return list(dict.fromkeys(each.message for each in checks if each.message and each.status != "pass"))


def _shown(value: Json, unit: Unit | None = None) -> tuple[Inline, ...]:
    if value is None:
        return (None,)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (Quantity(value, unit or ("count" if isinstance(value, int) else "number")),)
    if isinstance(value, (list, tuple)):
        pieces = [piece for each in value[:_MOST_VALUES] for piece in (", ", *_shown(each, unit))]
        return (*pieces[1:], " …" if len(value) > _MOST_VALUES else "")
    return (Code(_DIGEST.sub(r"\1…", str(value))),)


def took(frame: Frame) -> str:
    """Return how long the run took, all modes together."""
    return quantity(sum(frame.seconds.values()), "seconds")
