"""Bring a version's files, and know what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from cml_action.errors import OutsideError
from cml_action.model.digest import digest

if TYPE_CHECKING:
    from cml_action.registry.protocol import Registry, Version


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A version's files on this machine.

    :param path: the model, a file or a folder, below a private folder.
    :param digest: its SHA-256, see `cml_action.model.digest`.
    """

    version: Version
    path: Path
    digest: str


def fetch(registry: Registry, version: Version, private: Path, *, expected: str = "") -> Fetched:
    """Download a version into a new folder below `private`, and take its SHA-256.

    :param expected: the SHA-256 that it must have, where one is known.
    :raises OutsideError: it has another one.
    :raises NotThereError: its files are not there any more.
    """
    path = registry.download(version, Path(mkdtemp(prefix="model-", dir=private)))
    found = digest(path)
    if expected and found != expected:
        raise OutsideError(
            f"The files of `{version.reference}` are not those that were recorded: {found} instead of"
            f" {expected}.",
            "Someone changed them where they are stored. Nothing was moved; register them as a new version.",
        )
    return Fetched(version=version, path=path, digest=found)
