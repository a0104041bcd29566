"""What a person sees while a run goes on: grouped lines in a runner's log, colour and bars on a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from cml_action.secret import SHORTEST_SECRET, scrub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress, TaskID


def escape_data(text: str) -> str:
    """Escape the message of a workflow command, as the runner decodes it (actions/toolkit, `command.ts`)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape a property (`file=`, `title=`) of a workflow command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def inert(line: str) -> str:
    """Return a log line that the runner cannot take for a workflow command.

    The runner reads a command from any line that begins with `::`, and the older `##[name]` anywhere in it.
    File names and values from data end up in log lines, so both are broken with a zero-width space.
    """
    line = line.replace("##[", "##\u200b[")
    return "\u200b" + line if line.lstrip().startswith("::") else line


class Bar(Protocol):
    """The progress of one long piece of work."""

    def advance(self, amount: float = 1) -> None:
        """Say that `amount` more of the total is done."""

    def total(self, total: float) -> None:
        """Say how much there is to do."""


class Log:
    """The one place that writes to the log.

    :param runner: whether a GitHub runner reads along (workflow commands are understood).
    :param stream: where to write; on a terminal bars and colours are drawn.
    :param secrets: what must never be written.
    """

    #: Seconds between two progress lines where no bar can be drawn.
    EVERY_S = 10.0

    def __init__(
        self,
        *,
        runner: bool,
        stream: TextIO | None = None,
        debug: bool = False,
        secrets: Sequence[str] = (),
    ) -> None:
        self.runner = runner
        self.secrets = tuple(secrets)
        self.stream = stream if stream is not None else sys.stdout
        self.debug_enabled = debug

    def line(self, text: str = "") -> None:
        """Write plain text."""
        for line in text.splitlines() or [""]:
            self._write(inert(line) if self.runner else line)

    def debug(self, text: str) -> None:
        """Write a detail for whoever looks for a fault."""
        if self.debug_enabled:
            self.line(text)

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is written inside under one title; on a terminal, head it."""
        self._write(f"::group::{escape_data(title)}" if self.runner else f"▸ {title}")
        try:
            yield
        finally:
            if self.runner:
                self._write("::endgroup::")

    def notice(self, text: str, *, title: str = "", path: str | None = None, line: int | None = None) -> None:
        """Tell something that is neither wrong nor doubtful, and easily missed."""
        self._annotate("notice", text, title, path, line)

    def warning(
        self, text: str, *, title: str = "", path: str | None = None, line: int | None = None
    ) -> None:
        """Tell something doubtful, on a file and line where there is one."""
        self._annotate("warning", text, title, path, line)

    def error(self, text: str, *, title: str = "", path: str | None = None, line: int | None = None) -> None:
        """Tell what went wrong, on a file and line where there is one."""
        self._annotate("error", text, title, path, line)

    def mask(self, secret: str) -> None:
        """Keep a secret out of this log, and have the runner keep it out of what follows."""
        for part in (secret, *secret.splitlines()):
            if len(part.strip()) >= SHORTEST_SECRET and part not in self.secrets:
                if self.runner and "\n" not in part:
                    self._write(f"::add-mask::{escape_data(part)}")
                self.secrets += (part,)

    @contextlib.contextmanager
    def progress(self, title: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Show how far long work has come: a bar on a terminal, a line every ten seconds elsewhere.

        :param unit: `bytes`, or what is counted (`files`, `rows`).
        """
        if not self.stream.isatty() or self.runner:
            yield _Lines(self, title, total, unit)
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        with Progress(*columns, console=Console(file=self.stream), transient=True) as bars:
            yield _Drawn(bars, bars.add_task(title, total=total))

    def _annotate(self, kind: str, text: str, title: str, path: str | None, line: int | None) -> None:
        if self.runner:
            where = {"title": title, "file": path or "", "line": str(line) if line and path else ""}
            properties = ",".join(f"{key}={escape_property(value)}" for key, value in where.items() if value)
            self._write(f"::{kind}{' ' + properties if properties else ''}::{escape_data(text)}")
            return
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        if path and text.startswith(path):  # the sentence says the place already
            place = ""
        head = f"{title}: " if title else ""
        self._write(f"{kind}: {place}{head}{text}")

    def _write(self, line: str) -> None:
        self.stream.write(scrub(line, self.secrets) + "\n")
        self.stream.flush()


class _Lines:
    """Progress where no bar can be drawn."""

    def __init__(self, log: Log, title: str, total: float | None, unit: str) -> None:
        self._log, self._title, self._total, self._unit = log, title, total, unit
        self._done, self._said = 0.0, time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        if time.monotonic() - self._said >= Log.EVERY_S:
            self._said = time.monotonic()
            of = f" of {self._show(self._total)}" if self._total else ""
            self._log.line(f"{self._title}: {self._show(self._done)}{of}")

    def total(self, total: float) -> None:
        self._total = total

    def _show(self, amount: float) -> str:
        if self._unit == "bytes":
            from cml_action.quantity import quantity

            return quantity(amount, "bytes")
        return f"{amount:,.0f} {self._unit}".rstrip()


class _Drawn:
    """Progress as a bar on a terminal."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)

    def total(self, total: float) -> None:
        self._bars.update(self._task, total=total)
