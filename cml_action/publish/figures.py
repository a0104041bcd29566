"""A figure as a PNG, drawn once for white and for dark backgrounds.

Imported only where there is something to draw: matplotlib belongs to the modes that have figures.
"""

from __future__ import annotations

import functools
import io
import itertools
import math
from typing import TYPE_CHECKING

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cml_action.publish.colours import BASE, HEAD, INK
from cml_action.publish.markdown import visible
from cml_action.quantity import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cml_action.report import Figure, Panel

#: Twice the density of CSS, in which an inch has 96 px. No wider than this, words are readable on a phone.
_DPI = 192
_WIDE, _ROW, _AROUND = 4.8, 0.19, 0.8
_SMALL_HIGH, _ALONE_HIGH = 1.55, 2.4
_COLUMNS = 2
_MOST_BARS, _MOST_PANELS = 20, 60
_LONGEST_NAME, _LONGEST_TITLE = 24, 26


@functools.lru_cache(maxsize=64)  # a report shows a figure in several places
def png(figure: Figure) -> bytes:
    """Draw a figure and return it as a PNG with a transparent background, two dots for each CSS pixel."""
    bars = [panel for panel in figure.panels if panel.categories]
    bins = [panel for panel in figure.panels if panel.edges][:_MOST_PANELS]
    estimates = [panel for panel in figure.panels if panel.rows]
    if estimates:
        canvas = _draw_estimates(estimates[0])
    else:
        canvas = _draw_bars(bars[0]) if bars else _draw_histograms(bins)
    FigureCanvasAgg(canvas)
    image = io.BytesIO()
    canvas.savefig(image, format="png", dpi=_DPI, transparent=True, metadata={"Software": None})
    return image.getvalue()


def _draw_bars(panel: Panel) -> Canvas:
    names = [_plain(name, _LONGEST_NAME) for name in panel.categories[:_MOST_BARS]]
    sides = len(panel.series)
    rows = len(names) * (sides + 0.6)
    canvas = Canvas(figsize=(_WIDE, _AROUND + _ROW * rows), layout="constrained")
    axes = canvas.add_subplot()
    thick = 1 / (sides + 0.6)
    for side, (series, colour) in enumerate(zip(panel.series, (BASE, HEAD)[-sides:], strict=True)):
        values = series.values[: len(names)]
        at = [row + (side - (sides - 1) / 2) * thick for row in range(len(names))]
        drawn = axes.barh(at, values, height=thick * 0.92, color=colour, label=series.name)
        shown = [quantity(value, panel.unit) for value in values]
        axes.bar_label(drawn, shown, padding=3, color=INK, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
    if sides > 1:
        _legend(canvas, sides)
    _quiet(axes, "left")
    return canvas


def _draw_histograms(panels: list[Panel]) -> Canvas:
    columns = min(_COLUMNS, len(panels)) or 1
    rows = math.ceil(len(panels) / columns) or 1
    sides = max((len(panel.series) for panel in panels), default=1)
    legend = 0.3 if sides > 1 else 0.0
    # One panel alone is the figure, and not one of many small ones.
    size = (_WIDE, _ALONE_HIGH) if len(panels) == 1 else (
        _WIDE * columns / _COLUMNS,
        _SMALL_HIGH * rows + legend,
    )  # fmt: skip
    canvas = Canvas(figsize=size, layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        _histogram(axes, panel, _LONGEST_TITLE if len(panels) > 1 else 3 * _LONGEST_TITLE)
    for axes in list(grid)[len(panels) :]:
        axes.set_visible(False)
    if sides > 1:
        _legend(canvas, sides)
    return canvas


def _histogram(axes: Axes, panel: Panel, longest: int) -> None:
    """Draw the base as an area and the head as a line, so that each is seen where they overlap."""
    alone = len(panel.series) == 1
    for series, colour in zip(panel.series, (BASE, HEAD)[-len(panel.series) :], strict=True):
        filled = alone or colour == BASE
        axes.stairs(
            series.values,
            panel.edges,
            fill=filled,
            color=colour,
            alpha=0.75 if filled and not alone else 1,
            linewidth=1.5,
            label=series.name,
        )
    axes.set_title(_plain(panel.title, longest), fontsize=9, color=INK, loc="left")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_visible(False)
    if panel.bins:
        middles = [(low + high) / 2 for low, high in itertools.pairwise(panel.edges)]
        axes.set_xticks(middles, [_plain(name, longest) for name in panel.bins])
        axes.tick_params(axis="x", length=0)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, panel.unit)))
    axes.tick_params(axis="x", labelsize=8)
    _quiet(axes, "bottom")


def _draw_estimates(panel: Panel) -> Canvas:
    """Draw each estimate as a point on its interval, where no difference lies, and the limits."""
    canvas = Canvas(figsize=(_WIDE, _AROUND + 3 * _ROW * len(panel.rows)), layout="constrained")
    axes = canvas.add_subplot()
    series, last = panel.series[0], len(panel.rows) - 0.45
    names = []
    for row, (value, low, high) in enumerate(zip(series.values, series.low, series.high, strict=True)):
        axes.plot([low, high], [row, row], color=HEAD, linewidth=3, solid_capstyle="butt")
        axes.plot([value], [row], "o", color=HEAD, markersize=8)
        ends = f"{quantity(low)} to {quantity(high)}"
        names.append(f"{_plain(panel.rows[row], _LONGEST_NAME)}: {quantity(value, panel.unit)}\n{ends}")
    axes.plot([1, 1], [-0.5, last], color=BASE, linewidth=1.5, zorder=0)
    axes.annotate("as production", (1, -0.55), ha="center", va="bottom", color=INK, fontsize=8)
    for row, limit in enumerate(panel.limits):
        if math.isfinite(limit):
            at, place = [limit, limit], (limit, row - 0.34)
            axes.plot(at, [row - 0.34, row + 0.34], color=INK, linewidth=2, linestyle=(0, (2, 1.5)))
            shown = f"limit {quantity(limit, panel.unit)}"
            axes.annotate(shown, place, (4, -3), textcoords="offset points", color=INK, fontsize=8)
    axes.set_yticks(range(len(panel.rows)), names)
    axes.set_ylim(last, -0.95)
    axes.margins(x=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.ticklabel_format(axis="x", useOffset=False)  # as many digits as the ticks differ by
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(_plain(panel.title, 2 * _LONGEST_TITLE), fontsize=9, color=INK, loc="left")
    _quiet(axes, "bottom")
    return canvas


def _legend(canvas: Canvas, sides: int) -> None:
    for axes in canvas.axes:
        handles, names = axes.get_legend_handles_labels()
        if len(handles) == sides:
            canvas.legend(
                handles,
                names,
                fontsize=9,
                frameon=False,
                labelcolor=INK,
                loc="outside upper left",
                ncols=sides,
            )
            return


def _quiet(axes: Axes, *kept: str) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name in kept)
        spine.set_color(INK)
    axes.tick_params(colors=INK)
    axes.patch.set_visible(False)


def _plain(text: str, longest: int) -> str:
    r"""Return text that matplotlib shows as it is: `$…$` would be read as mathematics.

    A character that the font lacks is drawn as a box, and matplotlib would warn of it in the log.
    """
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    known = font.get_charmap()
    text = "".join(
        each if ord(each) in known else "\N{REPLACEMENT CHARACTER}" for each in visible(text, longest)
    )
    return text.replace("$", r"\$")
