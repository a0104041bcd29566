"""The edge of the program: every error becomes a message and an exit code, and nobody reads a traceback."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError, OutsideError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cml_action.log import Log

INTERRUPTED = 130


def guarded(work: Callable[[], int], log: Log) -> int:
    """Do work at the edge of the program."""
    try:
        return work()
    except CmlActionError as error:
        trace(log)
        log.error(str(error), path=error.path, line=error.line)
        return error.exit_code
    except KeyboardInterrupt:
        log.line("Interrupted.")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- nobody has to read a traceback
        trace(log)
        log.error(str(own_fault(error)))
        return OutsideError.exit_code


def own_fault(error: Exception) -> OutsideError:
    """Return the error that says that the program is at fault."""
    return OutsideError(
        f"cml-action met an error of its own: {type(error).__name__}: {error}",
        "Run again with debug logging (or `--debug`), and please open an issue with what it prints.",
    )


def trace(log: Log) -> None:
    """Show where an error came from, for whoever looks for a fault."""
    log.debug(traceback.format_exc())
