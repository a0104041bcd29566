"""The Python that a user has set up for their models: an environment with PyTorch and others in `.cache`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_LIST = Path(__file__).parents[1] / "requirements-model.txt"
_CACHE = Path(__file__).parents[2] / ".cache"


def user_python() -> Path:
    """Return the interpreter, made on the first call; several processes may ask at once."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(_LIST.read_bytes() + version.encode()).hexdigest()[:12]
    home = _CACHE / f"user-python-{key}"
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "whole").exists():  # an environment cannot be renamed: its scripts hold its path
            shutil.rmtree(home, ignore_errors=True)
            _make(home)
            (home / "whole").touch()
    return home / "bin" / "python"


def bare_python() -> Path:
    """Return an interpreter with the standard library and nothing else."""
    home = _CACHE / "bare-python"
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "bin" / "python").exists():
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    return home / "bin" / "python"


def _make(home: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    subprocess.run(
        [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--requirement", _LIST],
        check=True,
        # Plain pip as the user's machine has it set up; PYTHONPATH of the tests is not theirs.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
