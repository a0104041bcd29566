"""The edge of the program: every error becomes a message and an exit code, and nobody reads a traceback."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from cml_action.errors import CmlActionError, OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cml_action.log import Log

INTERRUPTED = 130
#: The extra of pyproject.toml that brings a module, for who installed the command line without it.
_EXTRAS = {
    "dvc": "pull",
    "duckdb": "stats",
    "ibis": "stats",
    "matplotlib": "stats,gate",
    "numpy": "stats,gate",
    "pandas": "stats,gate",
    "picklescan": "gate",
    "pyarrow": "stats,gate",
    "scipy": "gate",
    "gto": "git",
    "mlflow": "mlflow",
    "wandb": "wandb",
}


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
        fault = own_fault(error)
        log.error(str(fault))
        return fault.exit_code


def own_fault(error: Exception) -> CmlActionError:
    """Return the error that says that the program is at fault, or that a part of it was not installed."""
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "").partition(".")[0]
        if extra := _EXTRAS.get(name):
            return UsageError(
                f"The module `{name}` is needed for this, and it is not installed.",
                f"Install cml-action with it: `pip install 'cml-action[{extra}] @ …'`, as the README does.",
            )
    return OutsideError(
        f"cml-action met an error of its own: {type(error).__name__}: {error}",
        "Run again with debug logging (or `--debug`), and please open an issue with what it prints.",
    )


def trace(log: Log) -> None:
    """Show where an error came from, for whoever looks for a fault."""
    log.debug(traceback.format_exc())
