"""The user's Python: the interpreter in which their model is loaded, and what stands in for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.model.onnxfile import main_file

if TYPE_CHECKING:
    from collections.abc import Sequence

#: By a file's type: the module that loads it, and the family of packages that brings it. A pickle names none.
LIBRARIES = {
    ".onnx": ("onnxruntime", "onnx"),
    ".skops": ("skops", "sklearn"),
    **dict.fromkeys(
        (".pt", ".pth", ".pt2", ".ckpt", ".ts", ".torchscript", ".safetensors"), ("torch", "torch")
    ),
}
_QUICK_S = 30.0


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


def with_libraries(interpreters: Sequence[Path], models: Sequence[Path]) -> Path | None:
    """Return the first interpreter that has what loads models of these types, if they need anything."""
    modules = [module for module, _ in _needs(models)]
    return next((each for each in interpreters if all(has_module(each, module) for module in modules)), None)


def families(models: Sequence[Path]) -> tuple[str, ...]:
    """Return the families of packages that load models of these types."""
    return tuple(family for _, family in _needs(models))


def _needs(models: Sequence[Path]) -> list[tuple[str, str]]:
    suffixes = (main_file(each).suffix.lower() for each in models)
    return sorted({LIBRARIES[each] for each in suffixes if each in LIBRARIES})


def has_module(python: Path, module: str) -> bool:
    """Whether an interpreter finds a module, which is not imported for that."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    try:
        done = subprocess.run(  # noqa: S603 -- the user's interpreter or ours, words of ours
            [python, "-c", code],
            cwd=python.parent,  # `-c` puts the working directory first: not the workspace
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_QUICK_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
