"""`cml tensorboard connect`: the service is gone; the curves of the event files are drawn instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.publish.markdown import code, table
from cml_action.publish.mermaid import label, label_long
from cml_action.publish.outputs import append
from cml_action.report import Code, Quantity, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.cml.events import Curve
    from cml_action.log import Log

_GONE = "TensorBoard.dev was shut down on 1 January 2024"
#: More than this and nobody looks at them.
MOST_CHARTS, MOST_RUNS, POINTS = 8, 4, 40
_COLOURS = "#0072B2, #D55E00, #009E73, #CC79A7"  # Okabe and Ito, for the colour-blind


def connect(asked: Asked, environ: Mapping[str, str], log: Log) -> str:  # noqa: ARG001 -- as all commands
    """Return the curves below `--logdir` as Markdown: CML printed a link for the report in their place."""
    if not asked.text("logdir"):
        raise UsageError(
            f"`cml tensorboard connect` cannot work: {_GONE}, and nothing was uploaded.",
            "With `--logdir DIR` it prints the curves of the event files as charts for the report:"
            " `cml tensorboard connect --logdir DIR >> report.md`.",
        )
    from cml_action.cml.events import curves

    folder = Path(asked.text("logdir"))
    if not folder.is_dir():
        raise UsageError(f"`{folder}` (`--logdir`) is no folder.", "Name the one that the training wrote.")
    log.warning(f"{_GONE}: charts of the event files are printed instead of a link.", title="TensorBoard")
    unused = [name for name in ("credentials", "description") if name in asked.given]
    if unused:
        log.warning(f"Not used any more: {', '.join(f'`--{name}`' for name in unused)}.", title="TensorBoard")
    found = curves(folder)
    if not found:
        raise UsageError(
            f"There are no scalars in `{folder}`.", "Files with `tfevents` in their names hold them."
        )
    printed = _markdown(asked.text("title") or asked.text("name"), found)
    if asked.text("file"):
        append(asked.text("file"), printed + "\n")
        return ""
    return printed


def _markdown(title: str, found: Mapping[str, Mapping[str, Curve]]) -> str:
    rows = tuple(
        (Code(tag), Code(run), Quantity(max(curve), "count"), Quantity(curve[max(curve)]))
        for tag, runs in found.items()
        for run, curve in runs.items()
    )
    columns = ("curve", "run", "last step", "last value")
    charts = [_chart(tag, runs) for tag, runs in list(found.items())[:MOST_CHARTS]]
    heading = [f"**{code(title)}**"] if title else []
    return "\n\n".join([*heading, *charts, table(Table(columns=columns, rows=rows, right=frozenset({2, 3})))])


def _chart(tag: str, runs: Mapping[str, Curve]) -> str:
    """Draw the runs of one tag. Mermaid spreads points evenly, so each curve is read at even steps."""
    shown = dict(list(runs.items())[:MOST_RUNS])
    first = min(min(curve) for curve in shown.values())
    last = max(max(curve) for curve in shown.values())
    points = min(POINTS, last - first + 1)
    steps = [first + (last - first) * at / max(points - 1, 1) for at in range(points)]
    series = {run: [_at(curve, step) for step in steps] for run, curve in shown.items()}
    low = min(min(values) for values in series.values())
    high = max(max(values) for values in series.values())
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1
    names = ", ".join(label(run) for run in shown)
    return "\n".join(
        [
            "```mermaid",
            "---",
            "config:",
            f'  themeVariables: {{xyChart: {{plotColorPalette: "{_COLOURS}"}}}}',
            "---",
            "xychart-beta",
            f'  title "{label_long(tag)}: {names}"',
            f'  x-axis "step" {first} --> {max(last, first + 1)}',
            f"  y-axis {low - margin:.6g} --> {high + margin:.6g}",
            *(
                f'  line "{label(run)}" [{", ".join(f"{value:.6g}" for value in values)}]'
                for run, values in series.items()
            ),
            "```",
        ]
    )


def _at(curve: Curve, step: float) -> float:
    """Return a curve's value at a step, between two known ones on the line that joins them."""
    before = max((known for known in curve if known <= step), default=min(curve))
    after = min((known for known in curve if known >= step), default=max(curve))
    if after <= before:
        return curve[before]
    share = (step - before) / (after - before)
    return curve[before] + (curve[after] - curve[before]) * share
