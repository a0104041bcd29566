"""A report on a terminal: what differs in full, what is as it was left to the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown as RichMarkdown
from rich.markup import escape
from rich.table import Table as RichTable

from cml_action.publish.frame import checks_table, heading, messages, sorted_checks
from cml_action.publish.markdown import SPANS, visible
from cml_action.quantity import NOTHING, quantity
from cml_action.report import Code, Figure, Link, Markdown, Quantity, Table, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from cml_action.log import Log
    from cml_action.publish.frame import Frame
    from cml_action.report import Block, Inline, Report

_BAR = 30


def show(report: Report, frame: Frame, log: Log) -> None:
    """Draw the verdict, the open sections and what did not pass."""
    console = Console(file=log.stream, highlight=False)
    if frame.title:
        title = heading(report, frame.title, written=frame.written)
        console.print(f"\n[bold]{words(title)}[/bold]")
    for line in report.summary:
        console.print(sentence(line))
    checks = [check for check in sorted_checks(report.checks) if check.status != "pass"]
    rows = checks_table(checks, frame)
    if rows:
        console.print(_table(rows))
    for message in messages(checks):
        console.print(words(message))
    for section in report.sections:
        drawn = [each for block in section.blocks for each in _block(block)]
        if drawn and not section.folded:
            console.print(f"\n[bold]{sentence(section.title)}[/bold]")
            for each in drawn:
                console.print(each)


def words(text: str) -> str:
    """Return a sentence of ours, in which `…` marks what is code."""
    return "".join(
        _code(piece) if at % 2 else escape(visible(piece, longest=4096))
        for at, piece in enumerate(SPANS.split(text))
    )


def sentence(text: Text) -> str:
    """Return a paragraph as rich markup."""
    return "".join(_inline(piece) for piece in text.parts)


def _code(text: str) -> str:
    return f"[cyan]{escape(visible(text)) or '(empty)'}[/cyan]"


def _inline(piece: Inline) -> str:
    match piece:
        case None:
            return NOTHING
        case str() | Link():
            return words(piece if isinstance(piece, str) else piece.text)
        case Code(text):
            return _code(text)
        case Quantity(value, unit, signed):
            return quantity(value, unit, signed=signed)


def _block(block: Block) -> Iterable[RenderableType]:
    match block:
        case Text():
            yield sentence(block)
        case Table():
            yield _table(block)
        case Figure():
            yield from _figure(block)
        case Markdown(text=text):
            yield RichMarkdown(text)


def _table(table: Table) -> RichTable:
    drawn = RichTable(box=None, header_style="dim", pad_edge=False)
    for at, name in enumerate(table.columns):
        drawn.add_column(escape(name), justify="right" if at in table.right else "left")
    for row in table.rows:
        cells = (cell if isinstance(cell, tuple) else (cell,) for cell in row)
        drawn.add_row(*("".join(_inline(piece) for piece in cell) for cell in cells))
    return drawn


def _figure(figure: Figure) -> Iterable[RenderableType]:
    """Draw bars of characters, base above head."""
    for panel in figure.panels:
        if not panel.categories:
            continue
        top = max((max(series.values, default=0) for series in panel.series), default=0) or 1
        drawn = RichTable(box=None, header_style="dim", pad_edge=False, title=words(figure.title))
        for name in ("", "", ""):
            drawn.add_column(name)
        for at, name in enumerate(panel.categories):
            for series in panel.series:
                value = series.values[at]
                style = "blue" if series is panel.series[-1] else "bright_black"
                bar = f"[{style}]{'█' * max(1 if value else 0, round(value / top * _BAR))}[/{style}]"
                shown = _code(name) if series is panel.series[-1] else escape(series.name)
                drawn.add_row(shown, bar, quantity(value, panel.unit))
        yield drawn
