"""The Python that a user has set up for their models: an environment with PyTorch and others in `.cache`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.uv import index_settings

if TYPE_CHECKING:
    from collections.abc import Callable

_LIST = Path(__file__).parents[1] / "requirements-model.txt"
_CACHE = Path(__file__).parents[2] / ".cache"


def user_python() -> Path:
    """Return the interpreter, made on the first call."""
    return made_once("user-python", _LIST.read_bytes(), _install) / "bin" / "python"


def bare_python() -> Path:
    """Return an interpreter with the standard library and nothing else."""
    return made_once("bare-python", b"", _empty) / "bin" / "python"


def made_once(name: str, of: bytes, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled on the first call; several processes may ask at once.

    :param of: what it is made of besides this Python: where that changes, it is another folder.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = _CACHE / f"{name}-{hashlib.sha256(of + version.encode()).hexdigest()[:12]}"
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "whole").exists():  # an environment cannot be renamed: its scripts hold its path
            shutil.rmtree(home, ignore_errors=True)
            make(home)
            (home / "whole").touch()
    return home


def _empty(home: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)


def _install(home: Path) -> None:
    """Install with uv, in a tenth of the time, from where this machine's pip has packages."""
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    listed = [sys.executable, "-m", "pip", "config", "list"]
    settings = index_settings(subprocess.run(listed, check=True, capture_output=True, text=True).stdout)
    subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--python", home, "-r", _LIST],
        check=True,
        # PYTHONPATH of the tests is not theirs.
        env={**settings, **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}},
    )
    # pip compiles what it installs, uv does not; and a model's process keeps no byte code.
    used = "import onnxruntime, pandas, pytest, skops.io, sklearn.linear_model, torch"
    subprocess.run([home / "bin" / "python", "-I", "-W", "ignore", "-c", used], check=True)
