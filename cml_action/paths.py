"""Paths that users name: inside the workspace, or what an earlier step left, links followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def inside(project: Path, asked: str, *, input_name: str, root: Path, reports: Path | None = None) -> Path:
    """Return an existing file below the workspace.

    :param asked: the path as the user wrote it, relative to the project.
    :param root: the workspace, which neither `..` nor a link may leave.
    :param reports: the runner's folder of what this Action's steps leave, where it may lie as well.
    :raises UsageError: where it leaves the workspace, is not there, or is a folder.
    """
    path = (project / asked).resolve()
    if not any(path.is_relative_to(each.resolve()) for each in (root, reports) if each):
        raise UsageError(
            f"`{asked}` (input `{input_name}`) leaves the workspace.", "Name a file inside the repository."
        )
    if not path.exists():
        raise UsageError(
            f"`{asked}` (input `{input_name}`) is not there.",
            f"It is looked for in `{project.relative_to(root).as_posix()}`; an earlier step has to write it.",
        )
    if not path.is_file():
        raise UsageError(f"`{asked}` (input `{input_name}`) is not a file.", "Name a file.")
    return path
