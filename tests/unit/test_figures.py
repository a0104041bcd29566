"""How wide figures are: as wide as their words need."""

from __future__ import annotations

import pytest

from cml_action.publish.figures import png
from cml_action.report import Figure, Panel, Series


def figure(panels: int, sides: int) -> Figure:
    names = ("production", "candidate")[-sides:]
    return Figure(
        title="t",
        alt="a",
        panels=tuple(
            Panel(
                title="time of a call; the slowest are all in the last bar",
                series=tuple(Series(name=name, values=(0.5, 0.5)) for name in names),
                edges=(1.0, 2.0, 3.0),
                unit="seconds",
            )
            for _ in range(panels)
        ),
    )


@pytest.mark.parametrize(("panels", "sides"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_panel_alone_is_as_wide_as_two_beside_each_other(panels: int, sides: int) -> None:
    width = int.from_bytes(png(figure(panels, sides))[16:20], "big")
    assert width == int(4.8 * 192)
