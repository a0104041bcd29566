"""What the private environment costs with uv, as the Action makes it, and with pip from the same lists.

Both find all packages in their caches. uv's side includes its own arrival, by the user's pip, and the making
of the environment; pip's side includes the making of an environment too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.bars import Bar, Run, finish, in_turn, median, ratio, run, show
from tests.services.act import ROOT, runner_environment

ROUNDS = 3
UV = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from cml_action.install import ensure
from cml_action.log import Log
ensure(sys.argv[2:], Path(sys.argv[1], "requirements"), os.environ, Log(runner=True))
"""
#: pip installs into an environment that has none itself, as uv does.
PIP = """
import subprocess, sys, venv
from pathlib import Path
root, home, *families = sys.argv[1:]
venv.EnvBuilder(with_pip=False).create(home)
command = [sys.executable, "-I", "-m", "pip", "--python", home, "install", "--quiet"]
command += ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
for family in families:
    command += ["--requirement", str(Path(root, "requirements", f"{family}.txt"))]
sys.exit(subprocess.call(command))
"""


def measure() -> list[Bar]:
    bars = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for families in (("base",), ("base", "pull", "stats")):
            for work in (with_uv, with_pip):  # fills the caches
                work(folder, families)
            uv, pip = in_turn(
                ROUNDS, lambda f=families: with_uv(folder, f), lambda f=families: with_pip(folder, f)
            )
            times = ratio([each.wall_s for each in uv], [each.wall_s for each in pip])
            name = f"install of {', '.join(families)}: uv / pip"
            bars.append(
                show(Bar(name=name, value=times, unit="x", limit=1, note=f"{median(uv)} / {median(pip)}"))
            )
    return bars


def with_uv(folder: Path, families: tuple[str, ...]) -> Run:
    with tempfile.TemporaryDirectory(dir=folder) as home:
        environ = {**runner_environment(folder), "RUNNER_TEMP": home}
        return run([_python(), "-I", "-c", UV, ROOT, *families], environ=environ, folder=folder)


def with_pip(folder: Path, families: tuple[str, ...]) -> Run:
    with tempfile.TemporaryDirectory(dir=folder) as home:
        command = [_python(), "-I", "-c", PIP, ROOT, home, *families]
        return run(command, environ=runner_environment(folder), folder=folder)


def _python() -> Path:
    """Return the interpreter below this environment, as setup-python would have put it on the PATH."""
    return Path(sys.executable).resolve()


if __name__ == "__main__":
    sys.exit(finish(measure()))
