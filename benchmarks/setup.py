"""`mode: setup` on a fresh runner, beside the installation of CML 0.20.6 on the same one, in turn.

`python -m benchmarks.setup [CHECKOUT]`. Both sides begin with empty caches and end with a program that has
said its version. CML's own package cannot be had from the npm registry any more: CHECKOUT is a clone of its
repository at the tag `v0.20.6`, in which `npm ci` is run as its authors ran it. Without one, the packages
that it depends on are installed by their names and ranges, and its start is not counted: that is less than
CML's users waited for.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.act import checkout_of_this_repository, runner_environment
from tests.services.node import NODE, NPM

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
BAR = 0.5
_FLAGS = ["--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]


def main() -> int:
    checkout = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    print(f"{os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}; medians of {ROUNDS}", flush=True)
    with tempfile.TemporaryDirectory() as made:
        action = checkout_of_this_repository(Path(made, "action"))
        python = Path(sys.executable).resolve()  # as setup-python would have put it on the PATH
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(timed(lambda folder: setup(action, python, folder)))
            theirs.append(timed(lambda folder: cml(checkout, folder)))
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    what = "npm ci and start of CML 0.20.6" if checkout else "npm install of what CML 0.20.6 depends on"
    print(f"mode: setup, and start of cml: {statistics.median(ours):.1f} s")
    print(f"{what}: {statistics.median(theirs):.1f} s")
    print(f"{'ok  ' if ratio <= BAR else 'MISS'} ratio {ratio:.2f}, at most {BAR}")
    return int(ratio > BAR)


def timed(work: Callable[[Path], None]) -> float:
    """Return how long work takes in a folder of its own, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        work(Path(folder))
        return time.monotonic() - began


def setup(action: Path, python: Path, folder: Path) -> None:
    """Do what the step does, then call `cml` as a later step does."""
    path = folder / "path"
    environ = {
        **runner_environment(folder),
        "PIP_CACHE_DIR": str(folder / "pip"),
        "UV_CACHE_DIR": str(folder / "uv"),
        "CML_ACTION_INPUTS": json.dumps({"mode": "setup"}),
        "GITHUB_PATH": str(path),
        "GITHUB_WORKSPACE": str(folder),
        "RUNNER_TEMP": str(folder),
    }
    run([python, "-I", action / "entrypoint.py"], folder, environ)
    run([Path(path.read_text().strip(), "cml"), "--version"], folder, environ)


def cml(checkout: Path | None, folder: Path) -> None:
    """Install CML, or what it depends on, and start it where it is there."""
    # The machine's own way to the registry decides, as it does for pip.
    reach = {name: value for name, value in os.environ.items() if name.lower().startswith(("npm_", "node_"))}
    environ = {**reach, **runner_environment(folder), "npm_config_cache": str(folder / "npm")}
    environ["npm_config_userconfig"] = str(Path.home() / ".npmrc")
    environ["PATH"] = f"{NODE.parent}{os.pathsep}{environ['PATH']}"
    if checkout is None:
        shutil.copy(Path(__file__).with_name("cml-0.20.6.json"), folder / "package.json")
        run([NODE, NPM, "install", *_FLAGS], folder, environ)
        return
    shutil.copytree(checkout, folder / "cml", ignore=shutil.ignore_patterns(".git", "node_modules"))
    run([NODE, NPM, "ci", *_FLAGS], folder / "cml", environ)
    run([NODE, folder / "cml" / "bin" / "cml.js", "--version"], folder, environ)


def run(command: list[str | Path], folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
