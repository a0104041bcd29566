"""MLflow's tracking server and registry, started on this machine as `mlflow server` starts it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from tests.services.listening import free_port, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S = 600


@contextlib.contextmanager
def running_mlflow(folder: Path) -> Iterator[str]:
    """Start a server on a free port, yield its address, and stop it at the end.

    `mlflow server` would import MLflow twice, once to start this: its variables are set here instead.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {
        **os.environ,
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    with listening(command, folder, asked=f"{url}/health", start_s=_START_S, environ=environ):
        yield url
