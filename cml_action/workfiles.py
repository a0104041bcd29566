"""The files of the repository that a pull request shall bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import UsageError
from cml_action.quantity import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DEFAULT = ("dvc.lock",)
#: More is no proposal that somebody reviews; data belongs into DVC.
_MOST_FILES, _MOST_BYTES = 500, 25 * 1000 * 1000


def chosen(project: Path, root: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """Return the files that paths, folders and globs name, by their path in the repository.

    :param patterns: relative to the project; `dvc.lock` where empty.
    :raises UsageError: one names nothing, leaves the repository, or all together are too large.
    """
    root = root.resolve()
    found: dict[str, Path] = {}
    for pattern in patterns or DEFAULT:
        matched = list(_matched(project, pattern))
        if not matched:
            raise UsageError(
                f"`{pattern}` (input `files`) names no file.", "Is it written by an earlier step?"
            )
        for path in matched:
            real = path.resolve()
            if not real.is_relative_to(root) or ".git" in real.relative_to(root).parts:
                raise UsageError(
                    f"`{pattern}` (input `files`) leaves the repository.", "Name files inside of it."
                )
            found[real.relative_to(root).as_posix()] = real
    size = sum(path.stat().st_size for path in found.values())
    if len(found) > _MOST_FILES or size > _MOST_BYTES:
        raise UsageError(
            f"The input `files` names {len(found):,} files of {quantity(size, 'bytes')}; at most"
            f" {_MOST_FILES:,} of {quantity(_MOST_BYTES, 'bytes')} together are proposed.",
            "Track data and models with DVC, and propose `dvc.lock`.",
        )
    return found


def _matched(project: Path, pattern: str) -> Iterable[Path]:
    try:
        ways = [project / pattern, *project.glob(pattern)]
    except (ValueError, NotImplementedError):  # an absolute path is no pattern
        ways = [project / pattern]
    for path in ways:
        if path.is_dir():
            yield from (each for each in path.rglob("*") if each.is_file())
        elif path.is_file():
            yield path
