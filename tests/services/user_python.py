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
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    subprocess.run(
        [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--requirement", _LIST],
        check=True,
        # Plain pip as the user's machine has it set up; PYTHONPATH of the tests is not theirs.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
