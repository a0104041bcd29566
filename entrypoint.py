"""From the runner's environment to an exit code: make the private environment, then run the program in it.

Started by `action.yml` as `python3 -I entrypoint.py`, in whatever Python 3.10 or later the user set up, of
which only the standard library is used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The interpreter is isolated (`-I`), so the one folder that it may import the program from is named here.
sys.path.insert(0, str(HERE))

from cml_action.errors import CmlActionError  # noqa: E402 -- needs the path above
from cml_action.install import asked_for, ensure  # noqa: E402
from cml_action.log import Log  # noqa: E402
from cml_action.secret import secrets_of  # noqa: E402

INTERRUPTED = 130
#: What the private interpreter runs; the environment of the step reaches the program untouched.
PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from cml_action.action import main
sys.exit(main(os.environ))
"""


def main() -> int:
    """Return the program's exit code, or that of what kept it from being run."""
    log = Log(runner=True, secrets=secrets_of(os.environ))
    try:
        python = ensure(asked_for(os.environ), HERE / "requirements", os.environ, log)
    except CmlActionError as error:
        log.error(str(error), title="cml-action")
        return error.exit_code
    # UTF-8 also where the runner's console has another encoding (Windows).
    command = [str(python), "-I", "-X", "utf8", "-c", PROGRAM, str(HERE)]
    if os.name == "posix":
        os.execv(python, command)  # noqa: S606 -- so that the runner's signals reach the program itself
    return subprocess.call(command)  # noqa: S603 -- on Windows exec returns before the program has ended


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
