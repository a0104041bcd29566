"""Where we are and what a mode may know: inputs, policy, workspace, event, revision and base."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action import git
from cml_action.errors import UsageError
from cml_action.event import (
    PARENT,
    Event,
    base_name,
    base_revision,
    head_revision,
    pull_request_number,
    read_event,
)
from cml_action.inputs import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cml_action.data.repository import Tracked
    from cml_action.inputs import Inputs
    from cml_action.log import Log
    from cml_action.policy import Policy
    from cml_action.report import Json


@dataclass(frozen=True, kw_only=True)
class Base:
    """What the head is compared with.

    :param commit: the commit's full hash.
    :param name: the branch or revision as people call it, empty where only the hash is known.
    """

    commit: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a mode may know.

    :param policy: what `cml.yaml` demands; None where there is no such file.
    :param workspace: the job's folder; nothing outside of it is read for its own sake.
    :param root: of the repository in it; another folder where `actions/checkout` has a `path`.
    :param project: the folder in that that `working-directory` names.
    :param private: a folder of this run's own for what is passing; removed afterwards.
    :param reports: the folder that the report is left in.
    :param path_file: where a step names folders for the PATH of later steps; None outside of a runner.
    """

    inputs: Inputs
    policy: Policy | None
    event: Event
    workspace: Path
    root: Path
    project: Path
    private: Path
    reports: Path
    path_file: Path | None
    log: Log

    @property
    def title(self) -> str:
        """The report's heading, and the key of its comment."""
        return self.inputs.title or ", ".join(self.inputs.mode)

    @property
    def prefix(self) -> str:
        """The project's folder in the repository, ending in `/`; empty for the repository's root."""
        inside = self.project.relative_to(self.root).as_posix()
        return "" if inside == "." else f"{inside}/"

    @cached_property
    def revision(self) -> str:
        """The commit that this run is about; empty outside of a repository."""
        return head_revision(self.event) or git.commit_of(self.root, "HEAD") or ""

    @cached_property
    def base(self) -> Base | None:
        """The commit to compare with, brought into a shallow clone where it is missing.

        :raises UsageError: where the user named a revision that is not there.
        """
        asked = self.inputs.base
        wanted, name = asked or base_revision(self.event), asked or base_name(self.event)
        commit = git.commit_of(self.root, wanted)
        if commit is None and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", wanted):
            token = self.inputs.github_token.get_secret_value()
            if git.fetch_commit(self.root, wanted, token=token, server_url=self.event.server_url):
                commit = wanted
        if commit is None and asked:
            raise UsageError(
                f"The revision `{asked}` (input `base`) is not in this clone.",
                "`fetch-depth: 0` of `actions/checkout` brings all of them."
                if git.is_shallow(self.root)
                else "Name a branch, a tag or a commit that is there.",
            )
        if commit is None and wanted == PARENT and not git.is_shallow(self.root):
            self.log.line("There is no earlier commit to compare with.")
            return None
        if commit is None:
            self.log.notice(
                f"There is nothing to compare with: `{wanted}` is not in this clone and could not be fetched."
                " `actions/checkout` with `fetch-depth: 2` or `0` brings it."
            )
            return None
        return Base(commit=commit, name="" if commit.startswith(name) else name)

    @cached_property
    def tracked(self) -> tuple[Tracked, ...]:
        """What DVC tracks in the workspace, sorted by path; nothing where there is no DVC."""
        from cml_action.data import dvc

        return tuple(dvc.outputs(self.project)) if dvc.is_repository(self.project) else ()

    def subject(self) -> dict[str, Json]:
        """Return what the report is about, as `result.json` holds it."""
        return {
            "repository": self.event.repository or None,
            "revision": self.revision or None,
            "base": self.base.commit if "base" in self.__dict__ and self.base else None,
            "pull_request": pull_request_number(self.event),
            "run_url": self.event.run_url or None,
        }


def open_job(inputs: Inputs, environ: Mapping[str, str], log: Log) -> Job:
    """Find out where we are, and check all that was asked before anything runs."""
    event = read_event(environ)
    here = Path.cwd().resolve()
    given = environ.get("GITHUB_WORKSPACE") if log.runner else None
    workspace = Path(given).resolve() if given else (git.toplevel(here) or here).resolve()
    # A step of the Action is always started in the workspace's root; a command where the user typed it.
    start = here if here.is_relative_to(workspace) else workspace
    project = _project(workspace, start, inputs.working_directory)
    git.trust(project, environ, log)
    return Job(
        inputs=inputs,
        policy=_policy(project, workspace, inputs.config),
        event=event,
        workspace=workspace,
        root=_root(workspace, project),
        project=project,
        private=Path(tempfile.mkdtemp(prefix="cml-action-", dir=environ.get("RUNNER_TEMP"))),
        reports=_reports(environ, project, inputs),
        path_file=Path(environ["GITHUB_PATH"]) if environ.get("GITHUB_PATH") else None,
        log=log,
    )


def _project(workspace: Path, start: Path, asked: str) -> Path:
    project = (start / asked).resolve()
    if not project.is_relative_to(workspace):
        raise UsageError(
            f"The input `working-directory` is `{asked}`, which leaves the workspace.",
            "Name a folder inside the checked-out repository, relative to its root.",
        )
    if not project.is_dir():
        raise UsageError(
            f"The input `working-directory` is `{asked}`, which is no folder of this workspace.",
            "Is there an `actions/checkout` step before this one?",
        )
    return project


def _root(workspace: Path, project: Path) -> Path:
    """Return the repository's root; a submodule, whose `.git` is a file, belongs to the one around it."""
    above = [each for each in (project, *project.parents) if each.is_relative_to(workspace)]
    return next((each for each in above if (each / ".git").is_dir()), workspace)


def _policy(project: Path, workspace: Path, config: str) -> Policy | None:
    """Read the whole policy before anything runs; where there is none, its models are not even imported."""
    path = project / config
    required = config != FIELDS["config"].default
    if not required and not path.is_symlink() and not path.exists():
        if path.with_suffix(".yml").exists():
            raise UsageError(
                "There is a file `cml.yml`, and the policy file is `cml.yaml`.",
                "Rename it, or name it in the input `config`: what it demands would not be looked at.",
            )
        return None
    if not path.resolve().is_relative_to(workspace):
        raise UsageError(
            f"`{config}` (input `config`) leaves the workspace.", "Name a file in the repository."
        )
    from cml_action.policy import load

    return load(path, shown_as=config, required=required)


def _reports(environ: Mapping[str, str], project: Path, inputs: Inputs) -> Path:
    """Return where the report goes: the runner's own temporary folder, or `cml-report` on a laptop."""
    temporary = environ.get("RUNNER_TEMP")
    if not temporary:
        return project / "cml-report"
    parent = Path(temporary) / "cml-action-reports"
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="-".join(inputs.mode) + "-", dir=parent))
    _hand_over((parent, made), Path(temporary))
    return made


def _hand_over(folders: Iterable[Path], temporary: Path) -> None:
    """Give folders to the runner's user: the Action in a container is root, the steps after it are not."""
    owner = temporary.stat()
    if sys.platform == "win32" or os.geteuid() != 0 or owner.st_uid == 0:
        return
    with contextlib.suppress(OSError):  # a disk on which root is nobody
        for folder in folders:
            os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)
