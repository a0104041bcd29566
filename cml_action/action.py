"""The Action's own door: from the runner's environment to an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cml_action.inputs import from_environment, parse
from cml_action.log import Log
from cml_action.run import guarded, run
from cml_action.secret import secrets_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(environ: Mapping[str, str]) -> int:
    """Do what the inputs in the runner's environment ask for."""
    log = Log(runner=True, debug=environ.get("RUNNER_DEBUG") == "1", secrets=secrets_of(environ))

    def work() -> int:
        inputs = parse(from_environment(environ))
        log.mask(inputs.github_token.get_secret_value())
        return run(inputs, environ, log)

    return guarded(work, log)


if __name__ == "__main__":
    sys.exit(main(os.environ))
