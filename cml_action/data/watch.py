"""How far a transfer has come, read off the folders that it fills."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cml_action.log import Log

#: Seconds between two looks; a look that takes long makes them rarer.
_EVERY_S, _RARELY = 0.5, 20


@contextlib.contextmanager
def watched(log: Log, title: str, files: Iterable[str], total_bytes: int) -> Iterator[None]:
    """Show how many bytes have come while files are written by somebody else.

    DVC writes an object beside its final place, under another name, so the sizes of the folders tell how far
    even one large file has come.

    :param files: where the files will be; `total_bytes`: all of them together, 0 where it is not known.
    """
    folders = sorted({os.path.dirname(file) for file in files})  # noqa: PTH120 -- many of them
    already = _bytes(folders)
    done = threading.Event()
    with log.progress(title, total=total_bytes or None, unit="bytes") as bar:

        def look() -> None:
            seen, pause = 0, _EVERY_S
            while not done.wait(pause):
                began = time.monotonic()
                now = _bytes(folders) - already
                if now > seen:
                    bar.advance(now - seen)
                    seen = now
                pause = max(_EVERY_S, _RARELY * (time.monotonic() - began))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _bytes(folders: Iterable[str]) -> int:
    total = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            total += sum(each.stat().st_size for each in Path(folder).iterdir())
    return total
