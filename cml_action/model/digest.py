"""What a model is known by: the SHA-256 of its file, or of the list of its folder's files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = 1 << 20


def digest(path: Path, *, allowed: Sequence[Path] = ()) -> str:
    """Return `sha256:` and 64 digits: of a file's bytes, or of a folder's manifest.

    :param allowed: folders outside of the folder that its files may be links to: DVC's cache.
    :raises UsageError: nothing is there, or a folder holds a link that leads out of it, or no file.
    """
    if path.is_dir():
        return f"sha256:{hashlib.sha256(manifest(path, allowed=allowed).encode()).hexdigest()}"
    if not path.is_file():
        raise UsageError(f"There is no model at `{path}`.", "Pull or download it first.")
    return f"sha256:{_of(path)}"


def manifest(folder: Path, *, allowed: Sequence[Path] = ()) -> str:
    """Return one line for each file below a folder, as `sha256sum` writes it, in the order of their names.

    A line is 64 digits, two spaces, and the path relative to the folder with `/`. The same files give the
    same text on every machine: neither times nor rights are in it. A name that holds a line break is written
    as JSON would, so that no name can spell another line. A link to a folder is a line too: its name ends in
    `/`, and the digits are those of the path that it leads to.
    """
    files, links = _files(folder, allowed)
    lines = [f"{_of(path)}  {_name(path, folder)}\n" for path in files]
    for link in links:
        to = _name(link.resolve(), folder.resolve())
        lines.append(f"{hashlib.sha256(to.encode()).hexdigest()}  {_name(link, folder)}/\n")
    if not lines:
        raise UsageError(f"The folder `{folder}` holds no file.", "Name the folder that holds the model.")
    return "".join(lines)


def _files(folder: Path, allowed: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files below a folder, and the links to folders, whose files lie elsewhere in it."""
    found, links, inside = [], [], folder.resolve()
    for parent, folders, names in os.walk(folder):
        found += [Path(parent) / name for name in names]
        links += [path for name in folders if (path := Path(parent) / name).is_symlink()]
    for path in (*found, *links):
        places = [inside] if path.is_dir() else [inside, *allowed]
        if path.is_symlink() and not any(path.resolve().is_relative_to(each) for each in places):
            raise UsageError(
                f"`{path}` is a link that leads out of the model's folder.",
                "Put a copy of the file there.",
            )
    return sorted(found, key=lambda path: _name(path, folder)), sorted(links)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
