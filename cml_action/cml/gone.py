"""What of CML cannot be honoured: it says so by name, and what replaces it."""

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
