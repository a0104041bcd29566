"""Servers that are processes of their own: started on this machine, waited for, and ended."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def listening(
    command: Sequence[str | Path],
    folder: Path,
    *,
    asked: str,
    start_s: int = 30,
    environ: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Start a server and end it; it is there once an address answers, with a refusal even.

    :param folder: where it runs, so that no configuration lying elsewhere is read, and keeps its log.
    """
    log = folder / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            deadline = time.monotonic() + start_s
            while not _answers(asked):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{asked} was never there:\n{log.read_text()}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 -- our own http URL
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
