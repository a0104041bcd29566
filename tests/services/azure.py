"""Azure's blob storage, answered by Microsoft's emulator (npm `azurite`)."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from tests.services.emulator import free_port
from tests.services.node import NODE, npm_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSION = "3.35.0"
_START_S = 30
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
    with (
        (folder / "log.txt").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait(url, process)
            yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not _answers(url):
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError("The emulator of Azure's storage did not start.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 -- our own http URL
    except urllib.error.HTTPError:  # it asks who we are
        return True
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
