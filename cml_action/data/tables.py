"""Which files make one table: a file, a folder or a glob below a root, never past it."""

from __future__ import annotations

import difflib
import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Kind: TypeAlias = Literal["csv", "tsv", "parquet", "jsonl", "arrow"]

_SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
#: Kinds that have their own compression inside are not looked for inside another.
_PACKED: frozenset[str] = frozenset({"csv", "tsv", "jsonl"})
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_KNOWN = (
    "CSV (.csv), TSV (.tsv, .tab) and JSON lines (.jsonl, .ndjson), each also as .gz, .zst, .bz2 or .xz; "
    "Parquet (.parquet, .pq); Arrow (.arrow, .feather, .ipc)"
)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Files of one kind that make one table.

    :param name: how it was asked for, relative to the root, with `/`.
    :param files: one or more files, in the order of their names; they exist.
    :param root: the folder below which they lie, for messages.
    """

    name: str
    kind: Kind
    files: tuple[Path, ...]
    root: Path

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of all files together, compressed where they are."""
        return sum(file.stat().st_size for file in self.files)

    def shown(self, file: Path) -> str:
        """Return a file's path relative to the root, with `/`."""
        return _shown(file, self.root)


def kind_of(file: Path) -> Kind | None:
    """Tell the kind of a table by its name; None for a file that is not a table."""
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        kind = _SUFFIXES.get(suffixes[0]) if len(suffixes) > 1 else None
        return kind if kind in _PACKED else None
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def find(asked: str, root: Path, *, allowed: Sequence[Path] = ()) -> DataSet:
    """Find the files of a data set.

    A name that exists is taken as it is, even if it holds `*` or `[`. A folder stands for the tables
    below it, hidden files and folders left out. Everything lies below the root; a symbolic link may also
    lead below one of `allowed`, for DVC links files into its cache.

    :raises UsageError: nothing is there, no table is there, kinds differ, or a path leaves the root.
    """
    root = root.resolve()
    target = Path(os.path.normpath(root / asked))
    if not target.is_relative_to(root):
        raise UsageError(f"`{asked}` lies outside of {root}.", "Name a file, a folder or a glob below it.")
    name = target.relative_to(root).as_posix()
    if target.is_dir():
        files = _tables(_below(target))
    elif target.exists() or target.is_symlink():
        files = [target]
    else:
        matches = glob.glob(name, root_dir=root, recursive=True)  # noqa: PTH207 -- which leaves out hidden files
        files = _tables(root / match for match in matches)
        if not matches:
            raise _missing(asked, target, root)
    for file in files:
        _stays_inside(file, root, allowed)
    if not files:
        raise UsageError(f"There is no table in `{name}`.", f"Tables are: {_KNOWN}.", path=name)
    return DataSet(name=name, kind=_one_kind(files, name, root), files=tuple(files), root=root)


def has_tables(folder: Path) -> bool:
    """Whether a folder is a data set of its own, as `find` sees it."""
    return any(map(_is_table, _below(folder)))


def _below(folder: Path) -> Iterator[Path]:
    """Walk a folder but for the hidden ones in it: `.ipynb_checkpoints` holds copies of its tables."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        yield from (Path(parent) / name for name in names)


def _tables(files: Iterable[Path]) -> list[Path]:
    """Keep what is a visible table, in the order of the names, which is the same on every machine."""
    return sorted(filter(_is_table, files))


def _is_table(file: Path) -> bool:
    return not file.name.startswith(".") and bool(kind_of(file)) and not file.is_dir()


def _one_kind(files: Sequence[Path], name: str, root: Path) -> Kind:
    first: dict[Kind, Path] = {}
    for file in files:
        shown = _shown(file, root)
        kind = kind_of(file)
        if file.suffix == ".dvc":
            raise UsageError(
                f"`{shown}` is a DVC pointer, not data.", f"Name the data itself: `{shown[:-4]}`.", path=shown
            )
        if kind is None:
            raise UsageError(
                f"`{shown}` is not of a known kind of table.", f"Known are: {_KNOWN}.", path=shown
            )
        first.setdefault(kind, file)
        if file.stat().st_size == 0:
            raise UsageError(
                f"`{shown}` is empty: it has 0 bytes.",
                "Write the table again, or remove the file.",
                path=shown,
            )
    if len(first) > 1:
        found = ", ".join(f"{kind} (`{_shown(file, root)}`)" for kind, file in first.items())
        raise UsageError(
            f"`{name}` holds tables of several kinds: {found}.",
            "A data set has one kind: name a glob such as `*.csv`.",
            path=name,
        )
    return next(iter(first))


def _stays_inside(file: Path, root: Path, allowed: Sequence[Path]) -> None:
    real = file.resolve()
    if not any(real.is_relative_to(place.resolve()) for place in (root, *allowed)):
        shown = _shown(file, root)
        raise UsageError(
            f"`{shown}` is a symbolic link that leads out of {root}.",
            "Put a copy of the file below it, or track it with DVC.",
            path=shown,
        )
    if not real.exists():
        raise _missing(_shown(file, root), file, root)


def _missing(asked: str, target: Path, root: Path) -> UsageError:
    """Tell that nothing is there, and what is likely meant: data not pulled yet, or a misspelling."""
    for place in (target, *target.parents):
        pointer = place.with_name(place.name + ".dvc") if place.name else place
        if place == root or not place.is_relative_to(root):
            break
        if pointer.is_file():
            shown = _shown(pointer, root)
            return UsageError(
                f"`{asked}` is not here, but DVC tracks it in `{shown}`.",
                f"Pull it first: put `pull` before this mode, or run `dvc pull {shown}`.",
                path=shown,
            )
    near: list[str] = []
    if target.parent.is_dir():
        near = difflib.get_close_matches(target.name, [each.name for each in target.parent.iterdir()], n=1)
    meant = f"Did you mean `{_shown(target.parent / near[0], root)}`?" if near else "Check the name."
    return UsageError(f"There is no file, folder or match for `{asked}` in {root}.", meant, path=asked)


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
