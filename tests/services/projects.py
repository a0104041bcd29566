"""Small projects with Git and DVC, as users have them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.services.forked import forked_dvc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main")


@dataclass(frozen=True)
class Project:
    """A Git repository with DVC in it, and a remote in a folder beside it."""

    path: Path
    remote: Path

    def git(self, *words: str) -> str:
        """Run git, and return what it prints."""
        return run(["git", *_IDENTITY, *words], self.path)

    def dvc(self, *words: str) -> str:
        """Run DVC's command line."""
        return forked_dvc(words, self.path, _environment())

    def commit(
        self, files: Mapping[str, str | bytes], message: str = "Change the data", *, push: bool = True
    ) -> str:
        """Write files, track their top-level names with DVC, push and commit; return the commit's hash."""
        write(self.path, files)
        self.dvc("add", "--quiet", *sorted({name.split("/")[0] for name in files}))
        if push:
            self.dvc("push", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        """The hash of the last commit."""
        return self.git("rev-parse", "HEAD").strip()

    def clone(self, path: Path, *options: str) -> Project:
        """Clone it as a runner does: without the data."""
        run(["git", "clone", "--quiet", *options, self.path.as_uri(), str(path)], self.path)
        return Project(path, self.remote)

    def objects(self) -> list[Path]:
        """The files that lie in the remote."""
        return sorted(path for path in self.remote.rglob("*") if path.is_file())


def new_project(folder: Path) -> Project:
    """Make a project without data."""
    project = Project(folder / "origin", folder / "remote")
    project.path.mkdir(parents=True)
    project.git("init", "--quiet")
    project.dvc("init", "--quiet")
    project.dvc("remote", "add", "--quiet", "--default", "storage", str(project.remote))
    return project


def copy_project(project: Project, folder: Path) -> Project:
    """Copy a project with its remote, which the copy's configuration then names."""
    shutil.copytree(project.path, folder / "origin", symlinks=True)
    shutil.copytree(project.remote, folder / "remote")
    copy = Project(folder / "origin", folder / "remote")
    config = copy.path / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(project.remote), str(copy.remote)))
    copy.git("commit", "--quiet", "--all", "-m", "Name the remote's new place")
    return copy


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def run(command: list[str], folder: Path) -> str:
    """Run a command that has to succeed."""
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, env=_environment()
    )
    if done.returncode:
        raise AssertionError(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
