"""The user's Python: the interpreter in which their model is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cml_action.errors import UsageError


def find(asked: str, environ_path: str, project: Path) -> Path:
    """Return the interpreter that the input `python` names.

    :param asked: a name on the PATH or a path, relative to the project; empty for `python`, else `python3`.
    :param environ_path: the value of `PATH`.
    :raises UsageError: where it is not there, or cannot be run.
    """
    for name in (asked,) if asked else ("python", "python3"):
        if os.sep in name:
            path = Path(os.path.abspath(project / name))  # noqa: PTH100 -- a link is what makes it an environment
            found = str(path) if path.is_file() and os.access(path, os.X_OK) else None
        else:
            found = shutil.which(name, path=environ_path)
        if found:
            return Path(found)
    if asked:
        raise UsageError(
            f"There is no interpreter `{asked}` (input `python`).",
            "Name one that is on the PATH, or a path to it; `actions/setup-python` installs one.",
        )
    raise UsageError(
        "There is no Python on the PATH to run the model in.",
        "Add an `actions/setup-python` step and install what the model needs, or set the input `python`.",
    )
