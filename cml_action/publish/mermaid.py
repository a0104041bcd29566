"""A figure as a Mermaid chart, which GitHub draws without a stored picture.

Mermaid's `xychart` lays the bars of several series over each other, so base and head get a row each: where
one series has its bar, the other has none. Histograms have no chart in Mermaid and are left to the HTML page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.publish.colours import BASE, HEAD

if TYPE_CHECKING:
    from cml_action.report import Figure, Panel

#: More bars than this and the chart is a wall; the table beside it holds every class.
MOST_CATEGORIES = 8
_ROW_PX, _AROUND_PX, _WIDTH_PX = 26, 70, 640
_LONGEST_NAME = 28
_HUNDRED = 100
_LOOKALIKES = str.maketrans({'"': "″", "`": "ˋ", "#": "＃", "<": "‹", ">": "›", "\\": "＼"})


def render(figure: Figure) -> str:
    """Return a fenced Mermaid chart of a figure's only panel of bars; empty where there is no such panel."""
    bars = [panel for panel in figure.panels if panel.categories]
    if len(bars) != 1:
        return ""
    return f"```mermaid\n{_chart(figure.title, bars[0])}\n```"


def label(text: str) -> str:
    """Return text that is not ours as the inside of a Mermaid string.

    Mermaid has no escape for a quotation mark in a string of `xychart`; `#…;` is an entity, a backtick begins
    Markdown and `%%` a comment or directive, all of them inside strings too.
    """
    text = "".join(each if each.isprintable() else " " if each.isspace() else "\ufffd" for each in text)
    text = text.translate(_LOOKALIKES).replace("%%", "%\u200b%")
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _chart(title: str, panel: Panel) -> str:
    shown = panel.categories[:MOST_CATEGORIES]
    scale = _HUNDRED if panel.unit == "share" else 1
    sides = len(panel.series)
    names, rows = _unique([label(name) for name in shown]), []
    if sides > 1:
        axis = [each for name in names for each in (f"{name}, {panel.series[0].name}", name)]
    else:
        axis = names
    top = max((max(series.values[: len(shown)], default=0) for series in panel.series), default=0) * scale
    for side, series in enumerate(panel.series):
        values = [_no_bar(top)] * len(axis)
        values[side::sides] = [round(value * scale, 2) for value in series.values[: len(shown)]]
        rows.append(f'  bar "{label(series.name)}" [{", ".join(f"{value:g}" for value in values)}]')
    high = _AROUND_PX + _ROW_PX * len(axis)
    colours = ", ".join((BASE, HEAD)[-sides:])
    return "\n".join(
        [
            "---",
            "config:",
            f"  xyChart: {{width: {_WIDTH_PX}, height: {high}, showLegend: false}}",
            f'  themeVariables: {{xyChart: {{plotColorPalette: "{colours}"}}}}',
            "---",
            "xychart-beta horizontal",
            f'  title "{label_long(title)}"',
            "  x-axis [" + ", ".join(f'"{name}"' for name in axis) + "]",
            f'  y-axis "{_unit(panel)}" 0 --> {_ceiling(top)}',
            *rows,
        ]
    )


def label_long(text: str) -> str:
    """Return a title: its length is bounded where it is made."""
    return "".join(label(text[at : at + _LONGEST_NAME]) for at in range(0, len(text), _LONGEST_NAME))


def _unique(names: list[str]) -> list[str]:
    """Put a number on names that came out alike: Mermaid draws the bars of equal names as one."""
    return [
        name if names.index(name) == at else f"{name} ({names[: at + 1].count(name)})"
        for at, name in enumerate(names)
    ]


def _no_bar(top: float) -> float:
    """Return a value left of the axis: Mermaid draws a stub for zero, and nothing for a width below zero."""
    return -round(max(top, 1) / 5, 2)


def _unit(panel: Panel) -> str:
    return {"share": "share of rows, %", "count": "rows"}.get(panel.unit, panel.unit)


def _ceiling(top: float) -> str:
    return f"{max(top * 1.05, 1):.3g}"
