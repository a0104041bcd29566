"""Google Cloud Storage, answered by an emulator (PyPI `gcp-storage-emulator`)."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from tests.services.listening import free_port, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROGRAM = "import sys; from gcp_storage_emulator.__main__ import main; sys.exit(main())"


@contextlib.contextmanager
def running_gcs(folder: Path, bucket: str) -> Iterator[str]:
    """Start the emulator on a free port with one bucket, in memory, and yield its address."""
    port = free_port()
    command = [sys.executable, "-c", _PROGRAM, "start", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--in-memory", "--default-bucket", bucket]
    url = f"http://127.0.0.1:{port}"
    with listening(command, folder, asked=f"{url}/storage/v1/b/{bucket}"):
        yield url
