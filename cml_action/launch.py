"""What the launchers of `mode: setup` run, in the private interpreter: `launch.py PROGRAM ARGUMENT…`.

The interpreter is isolated (`-I`): the workspace, PYTHONPATH and the user's packages stay out. What a program
starts itself (`dvc repro`) finds the user's own PATH and environment, as it was.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))

from cml_action import git  # noqa: E402 -- needs the path above
from cml_action.errors import CmlActionError  # noqa: E402
from cml_action.log import Log  # noqa: E402

_BUCKET = re.compile(r"(?:--[A-Za-z-]+=)?(s3|gs|az)://")

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def main(program: str, words: Sequence[str]) -> int:
    """Run a program by the name that the user typed, and return its exit code."""
    sys.argv = [program, *words]
    if program == "dvc":
        git.trust(Path.cwd(), os.environ, _log())
        from dvc.cli import main as dvc

        return int(dvc(list(words)) or 0)
    if program == "cml-action":
        from cml_action.cli import main as cml_action

        cml_action(bring)
    else:
        given = (*words, os.environ.get("CML_COMMENT_PUBLISH_URL", ""))
        if schemes := {found[1] for word in given if (found := _BUCKET.match(word))}:
            bring_clients(schemes)
        from cml_action.cml.line import main as cml

        cml()
    return 0


def bring(given: Mapping[str, str]) -> None:
    """Install what inputs need and `mode: setup` did not bring.

    :raises CmlActionError: as `install.ensure`.
    """
    from cml_action.install import ensure, families_for

    ensure(families_for(given, Path.cwd()), HERE / "requirements", os.environ, _log())
    importlib.invalidate_caches()  # what was just installed is found by this process, too


def bring_clients(schemes: Iterable[str]) -> None:
    """Install the clients of storages that pictures go to."""
    from cml_action.install import ensure, families_of

    used = {"azure" if scheme == "az" else scheme for scheme in schemes}
    log = _log()
    try:
        ensure(families_of((), Path.cwd(), used), HERE / "requirements", os.environ, log)
    except CmlActionError as error:
        log.error(str(error), title="cml-action")
        sys.exit(error.exit_code)


def _log() -> Log:
    return Log(runner=os.environ.get("GITHUB_ACTIONS") == "true", stream=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
