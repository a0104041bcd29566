"""A process of the user's: a clean environment, limits on time and memory, and nothing left of it at the end.

**Memory** is watched from here. `RLIMIT_AS` would be exact, and wrong: it counts addresses, of which CUDA and
PyTorch reserve many times what they use. What is watched is the resident memory of the process and its
children (`/proc`, on Linux alone); a process that grows within the 50 ms between two looks can pass its limit
by what it fills in that time.

**Its end** is certain on Linux: the process leads a session of its own, which is killed as a group; and what
has left the group (`setsid`) is found by a word in its environment, as the runner of GitHub Actions does it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cml_action.errors import UsageError
from cml_action.model.environment import for_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Bytes of standard output and standard error that are kept: the last ones.
TAIL_BYTES = 8192
_LOOK_S = 0.05
_LOOKS_BETWEEN_TREES = 10
_COOKIE = "CML_ACTION_MODEL"
#: What stays free for this program and the system where no limit is given, and the least limit.
_RESERVE, _LEAST = 512 * 2**20, 512 * 2**20
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Child:
    """A running process and what is known of it.

    :param overrun: the bytes that it used when it was stopped for its memory; 0 while it was not.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environ: Mapping[str, str],
        extra: Mapping[str, str],
        memory_bytes: int | None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        if sys.platform == "win32":
            raise UsageError("Models are run on Linux and macOS.", "Use `runs-on: ubuntu-latest`.")
        self._cookie = secrets.token_hex(8)
        self.memory_limit = memory_bytes or memory_to_use()
        self.overrun = 0
        self.began = time.monotonic()
        self._tail = bytearray()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- the interpreter that the user named, no shell
                list(command),
                cwd=folder,
                env={**for_model(environ), **extra, _COOKIE: self._cookie},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(
                f"The interpreter `{command[0]}` cannot be started: {error.strerror}.",
                "Name a Python of this machine in the input `python`.",
            ) from error
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def tail(self) -> str:
        """The last of what it printed, standard output and standard error together."""
        return bytes(self._tail[-TAIL_BYTES:]).decode("utf-8", "replace").strip()

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, negative for a signal; None where it is still running after so long."""
        try:
            return self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and everything that it started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for _ in range(10):  # one that forks faster than it is found is found the next time
            left = _with_cookie(self._cookie)
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
        self._process.wait()
        self._over.set()
        self._watcher.join(timeout=5)

    def _watch(self) -> None:
        """Keep the tail of the output, and look at the memory."""
        stream: Any = self._process.stdout
        with selectors.DefaultSelector() as selector, stream:
            selector.register(stream, selectors.EVENT_READ)
            looks, next_look = 0, time.monotonic()
            while not self._over.is_set():
                if selector.get_map():
                    if selector.select(timeout=_LOOK_S):
                        said = os.read(stream.fileno(), 2**16)
                        self._tail += said
                        if len(self._tail) > 16 * TAIL_BYTES:
                            del self._tail[:-TAIL_BYTES]
                        if not said:
                            selector.unregister(stream)
                else:  # it closed its output, and lives on
                    self._over.wait(_LOOK_S)
                if time.monotonic() >= next_look and not self.overrun:
                    next_look = time.monotonic() + _LOOK_S
                    self._look(whole=looks % _LOOKS_BETWEEN_TREES == 0)
                    looks += 1
            os.set_blocking(stream.fileno(), False)
            with contextlib.suppress(BlockingIOError):  # the last words of one that crashed
                while said := os.read(stream.fileno(), 2**16):
                    self._tail += said

    def _look(self, *, whole: bool) -> None:
        """Stop it where it uses too much; its children are counted on every tenth look, and when in doubt."""
        pid = self._process.pid
        used = sum(_resident(each) for each in _session(pid)) if whole else _resident(pid)
        if used > self.memory_limit:
            # Pages that a fork shares are counted once for each process above; here by their part.
            used = sum(_proportional(each) for each in _session(pid))
            if used > self.memory_limit:
                self.overrun = used
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def memory_to_use(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes a process may take on this machine now, in its control group or at all.

    Files that the kernel keeps in memory count for the group that read them; they give way to others.
    """
    free = [_LEAST + _RESERVE]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])]
    with contextlib.suppress(OSError, ValueError):  # control groups, version 2; `max` is no number
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        files = sum(int(parts.get(name, 0)) for name in ("inactive_file", "active_file"))
        free.append(limit - used + files)
    return max(_LEAST, min(free) - _RESERVE)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    """Return resident bytes, shared pages divided by those who share them; resident ones where unknown."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    except (OSError, StopIteration, IndexError, ValueError):
        return _resident(pid)


def _session(leader: int) -> list[int]:
    """Return the processes of a session (proc_pid_stat(5): field 6, after the name in brackets)."""
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            if int(stat.rpartition(")")[2].split()[3]) == leader:
                found.append(pid)
    return found


def _with_cookie(cookie: str) -> list[int]:
    word = f"{_COOKIE}={cookie}".encode()
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError):  # another user's, or gone
            if word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 -- of thousands
    except OSError:
        return []
