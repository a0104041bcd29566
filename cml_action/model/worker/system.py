"""What the worker can say of its machine: memory, versions, processor, GPU, threads."""

from __future__ import annotations

import functools
import glob
import os
import platform
import subprocess
import sys
from importlib import metadata
from time import monotonic
from typing import Any, Callable

#: Named in the report where they are installed and loaded.
_LIBRARIES = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "sklearn": "scikit-learn",
    "numpy": "numpy",
    "pandas": "pandas",
}

#: Seconds for the driver's own program to answer; the first answer of a day takes some.
_GPU_ASKED_S = 10.0
#: What makes a GPU slower than it is set to, by the bits of NVML's `nvmlClocksEventReasons` (nvml.h). Those
#: that are left out are no such reasons: nothing to do (0x1), and clocks that somebody set (0x2, 0x100).
_SLOWED = {
    0x4: "by its power limit",
    0x8: "by its hardware (heat or power)",
    0x10: "to the clocks of a group",
    0x20: "by heat",
    0x40: "by heat, in hardware",
    0x80: "by the power supply",
}


class Memory:
    """Resident memory since a moment."""

    def __init__(self) -> None:
        self.exact = _forget_peak()
        self.baseline = _status("VmRSS") or _most()

    def now(self) -> dict[str, Any]:
        """Return baseline, present and peak in bytes."""
        torch = sys.modules.get("torch")
        cuda = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
        return {
            "baseline": self.baseline,
            "now": _status("VmRSS") or self.baseline,
            "peak": _status("VmHWM") or _most(),
            "exact": self.exact,
            "cuda_peak": torch.cuda.max_memory_allocated() if torch is not None and cuda else None,
        }


def _forget_peak() -> bool:
    """Set the peak to what is resident now: `5` in `clear_refs` (Linux 4.0, proc_pid_clear_refs(5))."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _status(key: str) -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def _most() -> int:
    """Return the peak where there is no `/proc`: getrusage(2), in bytes on macOS and in KiB elsewhere."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def environment(device: str, call: Callable[[], Any] | None = None) -> dict[str, str]:
    """Return where the model runs, in words.

    :param call: a call of the model, repeated while a GPU's clocks are read: an idle one lowers them.
    """
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(_cores()),
    }
    for module, name in _LIBRARIES.items():
        if module in sys.modules:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = str(getattr(sys.modules[module], "__version__", "unknown"))
    found["threads"] = _threads()
    torch = sys.modules.get("torch")
    if device == "cuda":
        if torch is not None and torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
            found["cuda"] = str(torch.version.cuda or torch.version.hip)
        found.update(_gpu(_which_gpu(torch), call))
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin_on(draw: int) -> None:
    """Move this thread to the processor that a number draws of `near`, and leave it free to go.

    A thread is moved at once when its processor is none of those that it may use (sched_setaffinity(2)).
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        choice = near(frozenset(allowed))
        os.sched_setaffinity(0, {choice[draw % len(choice)]})
        os.sched_setaffinity(0, allowed)


@functools.lru_cache(maxsize=None)  # `cache` came with Python 3.9
def near(allowed: frozenset[int], nodes: str = "/sys/devices/system/node") -> list[int]:
    """Return those processors that lie as near to memory as the first of them: on its NUMA node.

    The model is loaded there, and far memory is slower: it would be a side's own bad luck.

    :param nodes: where Linux says which processors a node has (`numa(7)`): `0-3,8-11`.
    """
    for name in glob.glob(os.path.join(nodes, "node[0-9]*", "cpulist")):
        with open(name, encoding="ascii") as file:
            ranges = [part.partition("-") for part in file.read().strip().split(",") if part]
        members = {at for low, _, high in ranges for at in range(int(low), int(high or low) + 1)}
        if min(allowed) in members:
            return sorted(allowed & members)
    return sorted(allowed)


def _threads() -> str:
    torch = sys.modules.get("torch")
    if torch is not None:
        return (
            f"{torch.get_num_threads()} in an operation, {torch.get_num_interop_threads()} between operations"
        )
    return os.environ.get("OMP_NUM_THREADS", "the library's choice")


def _which_gpu(torch: Any) -> str:
    """Return how the driver's own program knows the GPU: its numbers need not be CUDA's, its UUIDs are."""
    if torch is not None and torch.cuda.is_available():
        uuid = getattr(torch.cuda.get_device_properties(0), "uuid", None)  # from PyTorch 2.4 on
        if uuid is not None:
            return f"GPU-{uuid}"
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"


def _gpu(which: str, call: Callable[[], Any] | None) -> dict[str, str]:
    """Return a GPU's name, and its clocks where it has something to do, as the driver's own program says."""
    query = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,clocks_throttle_reasons.active"
    command = ["nvidia-smi", "--id=" + which, "--query-gpu=" + query, "--format=csv,noheader"]
    try:
        asked = subprocess.Popen(  # noqa: S603 -- words of ours, and the number of a device
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return {}
    with asked:
        try:
            until = monotonic() + _GPU_ASKED_S
            while call is not None and asked.poll() is None and monotonic() < until:
                call()
            said, _ = asked.communicate(timeout=_GPU_ASKED_S)
        except subprocess.TimeoutExpired:
            return {}
        finally:
            asked.kill()
    found = parsed_gpu(said.decode("utf-8", "replace")) if asked.returncode == 0 else {}
    return found if call is not None else {name: found[name] for name in ("gpu", "driver") if name in found}


def parsed_gpu(said: str) -> dict[str, str]:
    """Read the one line of `nvidia-smi`."""
    parts = [part.strip() for part in said.strip().split(",")]
    if len(parts) != 6:  # noqa: PLR2004 -- as many as were asked for
        return {}
    name, driver, clock, most, memory, reasons = parts
    return {
        "gpu": name,
        "driver": driver,
        "gpu clocks": f"{clock} of at most {most}, memory {memory}",
        "gpu throttled": _throttled(reasons),
    }


def _throttled(reasons: str) -> str:
    try:
        bits = int(reasons, 16)
    except ValueError:
        return reasons  # such as `[N/A]`
    return ", ".join(word for bit, word in _SLOWED.items() if bits & bit) or "no"
