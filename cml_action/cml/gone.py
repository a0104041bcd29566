"""Commands of CML that cannot be honoured: each says so by name, and what replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cml_action.cml.asked import Asked
    from cml_action.log import Log


def runner(asked: Asked, environ: Mapping[str, str], log: Log) -> NoReturn:  # noqa: ARG001 -- as all commands
    """Refuse `cml runner launch`."""
    raise UsageError(
        "`cml runner launch` is not here: cml-action launches no machines, and no runner was started.",
        "Use SkyPilot (`sky launch runner.yaml`), GitHub's larger runners or the Actions Runner Controller:"
        " docs/self-hosted-runners.md has a recipe, and what each of CML's flags becomes.",
    )


def tensorboard(asked: Asked, environ: Mapping[str, str], log: Log) -> NoReturn:  # noqa: ARG001
    """Refuse `cml tensorboard connect`."""
    raise UsageError(
        "`cml tensorboard connect` cannot work: TensorBoard.dev was shut down on 1 January 2024,"
        " and nothing was uploaded.",
        "Write the curves to a CSV file, one row an epoch, and name it in cml.yaml"
        " (`training: {history: history.csv}`): `mode: metrics` draws it in the report."
        " Or save a figure, and use `cml image add FILE`.",
    )
