"""Azure's blob storage, answered by Microsoft's emulator (npm `azurite`)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.services.listening import free_port, listening
from tests.services.node import NODE, npm_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = "3.35.0"
#: The emulator's account, the same everywhere (Microsoft, "Use the Azurite emulator").
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextlib.contextmanager
def running_azure(folder: Path) -> Iterator[str]:
    """Start the emulator on a free port, and yield its connection string.

    :param folder: an empty one, for what it stores.
    """
    port = free_port()
    script = npm_package("azurite", _VERSION) / "dist" / "src" / "blob" / "main.js"
    command: list[str | Path] = [NODE, script, "--blobPort", str(port), "--location", folder]
    command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    url = f"http://127.0.0.1:{port}/{ACCOUNT}"
    with listening(command, folder, asked=url):
        yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"
