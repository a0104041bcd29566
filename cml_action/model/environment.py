"""What the model's process may see of the environment: what a program needs to run, and no token or key.

It is a list of what passes, not of what is kept back: a variable that nobody thought of stays here. So do
`GITHUB_ENV`, `GITHUB_OUTPUT` and `GITHUB_PATH`, through which a model could speak to later steps.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cml_action.secret import SHORTEST_SECRET, is_secret_name, secrets_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED = re.compile(
    # the system and the user's Python
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TMP|TEMP|LD_LIBRARY_PATH|LD_PRELOAD|DYLD_\w+"
    r"|PYTHON\w*|VIRTUAL_ENV|CONDA_PREFIX|pythonLocation|XDG_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CI"
    # threads, devices, and the libraries that models use
    r"|(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|HIP|ROCR"
    r"|TORCH|TORCHINDUCTOR|PYTORCH|ATEN|ORT|TF|XLA|JAX|HF|TRANSFORMERS|MALLOC)_\w+"
    # what a user sets for their model, and what the runner finds left-over processes by
    r"|MODEL_\w+|RUNNER_TRACKING_ID"
)
_CREDENTIALS_IN_ADDRESS = re.compile(r"://[^/@\s]+@")


def for_model(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that reach the model's process.

    Of those that may pass, one stays here whose name is a secret's (`HF_TOKEN`), or whose value holds a
    secret of another variable, or an address with a password.
    """
    secrets = [value for value in secrets_of(environ) if len(value) >= SHORTEST_SECRET]
    return {
        name: value
        for name, value in environ.items()
        if _PASSED.fullmatch(name)
        and not is_secret_name(name)
        and not _CREDENTIALS_IN_ADDRESS.search(value)
        and not any(secret in value for secret in secrets)
    }
