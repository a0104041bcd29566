"""Looking into pickles for calls that a model has no need of, before anything is loaded (picklescan).

It is a list of known dangers, so it finds the clumsy and not the clever: that is why pickles need
`allow-pickle`, and why what cannot be searched to its end is refused.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import logging
import lzma
import pickle
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar

from cml_action.model.faults import UnloadedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICKLES = frozenset({".pkl", ".pickle", ".joblib"})
TORCH = frozenset({".pt", ".pth", ".pt2", ".ckpt", ".bin", ".ts", ".torchscript"})
_JOBLIB = "joblib.numpy_pickle"
#: How joblib's compressed files begin (its `numpy_pickle_utils`), and what opens them.
_OPENERS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
    b"]\x00": lzma.open,
}
#: The most bytes that a compressed file may grow to.
_MOST_BYTES = 8 * 2**30
#: Names of types and functions that the message lists.
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search found.

    :param by_joblib: whether it is to be loaded by joblib, as which it was read: whatever its name, joblib
        wrote it.
    :param modules: those that the pickle names, and that loading it imports.
    """

    by_joblib: bool = False
    modules: tuple[str, ...] = ()


def search(path: Path, *, allow_pickle: bool) -> Searched:
    """Search a model's file where it is or holds a pickle; other files are not opened.

    :raises UnloadedError: a dangerous call, or one that cannot be searched and would be run.
    """
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in PICKLES | TORCH or (suffix in PICKLES and not allow_pickle):
        return Searched()
    found: list[Any] = []
    said, whole, by_joblib = "it does not end as a pickle does, or is none", False, suffix == ".joblib"
    with _quiet():
        try:
            if not by_joblib:
                found, whole = _scanned(path)
                # joblib's arrays lie in the midst of the pickle, where only its own reader can follow; and of
                # what it compressed nothing is to be seen.
                plain = whole and found and not any(each.module == _JOBLIB for each in found)
                by_joblib = suffix in PICKLES and not plain
            if by_joblib:
                found, whole = [*found, *_classified(_joblib_names(path))], True
        except Exception as error:  # noqa: BLE001 -- a file made to break the search
            whole, said = False, f"{type(error).__name__}: {error}"
    dangerous = sorted(f"{each.module}.{each.name}" for each in found if each.safety.value == "dangerous")
    if dangerous:
        raise UnloadedError("dangerous", ", ".join(dangerous[:_MOST_NAMED]))
    # Without leave, PyTorch loads weights only, whose reader makes nothing that is not on its own list.
    # An archive may hold no pickle at all (`.pt2`); a file that is one names at least the model's class.
    if allow_pickle and not (whole and (found or zipfile.is_zipfile(path))):
        raise UnloadedError("unscannable", said)
    return Searched(by_joblib=by_joblib, modules=tuple(sorted({each.module for each in found})))


def _scanned(path: Path) -> tuple[list[Any], bool]:
    """Return the names that a pickle or PyTorch's archive of pickles uses, and whether all of it was read."""
    from picklescan.scanner import scan_file_path

    result = scan_file_path(str(path))
    whole = not result.scan_err
    if whole and zipfile.is_zipfile(path):
        with zipfile.ZipFile(
            path
        ) as archive:  # PyTorch reads members whose checksum is wrong, the search not
            whole = archive.testzip() is None
    return result.globals, whole


def _classified(names: set[tuple[str, str]]) -> list[Any]:
    """Return picklescan's judgement of names, by a pickle that does nothing but name them."""
    from picklescan.scanner import scan_pickle_bytes

    lines = b"".join(f"c{module}\n{name}\n0".encode() for module, name in sorted(names))  # GLOBAL, POP
    return list(scan_pickle_bytes(io.BytesIO(lines + b"N."), "names").globals)  # NONE, STOP


class _Stub:
    """Whatever a pickle makes, made of nothing."""

    names: ClassVar[str] = ""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Stub()

    def __setitem__(self, key: Any, value: Any) -> None:
        """Take what is put in, and keep nothing."""

    def append(self, value: Any) -> None:
        """Take what is put in, and keep nothing."""

    def extend(self, values: Any) -> None:
        """Take what is put in, and keep nothing."""


class _ArrayStub(_Stub):
    """joblib's note that an array's bytes follow in the file, in the midst of the pickle."""


_InPython: Any = pickle._Unpickler  # noqa: SLF001 -- in Python, as joblib's own is


class _Dry(_InPython):  # type: ignore[misc]
    """Follows a pickle of joblib's without importing or calling what it names."""

    dispatch: ClassVar[dict[int, Any]] = dict(_InPython.dispatch)

    def __init__(self, file: IO[bytes], names: set[tuple[str, str]]) -> None:
        super().__init__(file)
        self._file = file
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        self._names.add((module, name))
        if (module, name) == ("numpy", "dtype"):  # the size of its elements is needed; it makes nothing else
            import numpy as np

            return np.dtype
        if (module, name) == (_JOBLIB, "NumpyArrayWrapper"):
            return _ArrayStub
        return _Stub

    def persistent_load(self, _: Any) -> Any:
        return None

    def load_build(self) -> None:
        super().load_build()
        wrapper = self.stack[-1]
        if type(wrapper) is _ArrayStub:
            self._skip_array(wrapper.state)
            self.stack[-1] = _Stub()

    dispatch[pickle.BUILD[0]] = load_build

    def _skip_array(self, state: dict[str, Any]) -> None:
        """Skip an array as `NumpyArrayWrapper.read_array` reads it: padding, then its bytes, or a pickle."""
        dtype, size = state["dtype"], 1
        if dtype.hasobject:
            _Dry(self._file, self._names).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._file.read(1)[0])
        for each in state["shape"]:
            size *= int(each)
        self._skip(size * dtype.itemsize)

    def _skip(self, size: int) -> None:
        while size > 0:
            got = len(self._file.read(min(size, 2**20)))
            if not got:
                raise EOFError("it ends within an array")
            size -= got


def _joblib_names(path: Path) -> set[tuple[str, str]]:
    """Return the names that a joblib file uses, compressed or not."""
    names: set[tuple[str, str]] = set()
    with path.open("rb") as raw:
        head = raw.read(2)
        raw.seek(0)
        if head[:1] == b"\x78":
            with contextlib.closing(io.BytesIO(_inflated(raw))) as file:
                _Dry(file, names).load()
        elif head in _OPENERS:
            with _OPENERS[head](raw, "rb") as file:
                _Dry(file, names).load()
        else:
            _Dry(raw, names).load()
    return names


def _inflated(file: IO[bytes]) -> bytes:
    reader = zlib.decompressobj()
    content = reader.decompress(file.read(), _MOST_BYTES)
    if reader.unconsumed_tail:
        raise ValueError("it grows to more than 8 GiB")
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of the search out of the log: what it found is told once, as a fault."""
    log = logging.getLogger("picklescan")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
