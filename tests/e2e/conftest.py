from __future__ import annotations

import os
import subprocess
import venv
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.services.act import Run, checkout_of_this_repository, run_workflow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WORKFLOW = """\
on: [push, pull_request]
jobs:
  ml:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
"""
#: A policy for models of the module `summing`, which each test writes.
GATED = """\
model:
  loader: summing:load
  input: {shape: [1, 8], dtype: float32}
  evaluate: summing:evaluate
  gates:
    - {measure: score, min: 0.5}
    - {measure: latency-p50, max-ratio: 50}
"""


class Consumer(Protocol):
    """Runs a workflow with these steps in a repository with these files."""

    def __call__(
        self, steps: str, files: Mapping[str, str] | None = None, **options: Mapping[str, str]
    ) -> Run: ...


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the Action, as the runner makes one."""
    return checkout_of_this_repository(tmp_path_factory.mktemp("action"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Private environments that runs share: to make one, and its byte code, takes most of a short run."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture(scope="session")
def user_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with pip, as `actions/setup-python` would put it on the PATH."""
    home = tmp_path_factory.mktemp("user") / "python"
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(home)
    return home / "bin" / "python3"


@pytest.fixture
def consumer(tmp_path: Path, action: Path, user_python: Path) -> Consumer:
    """A repository that uses the Action; its jobs find `user_python` first on the PATH."""

    def run(steps: str, files: Mapping[str, str] | None = None, **options: Mapping[str, str]) -> Run:
        repository = tmp_path / "repository"
        written = {".github/workflows/ml.yml": WORKFLOW + steps, **(files or {})}
        for name, text in written.items():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / name).write_text(text)
        commit(repository)
        folder = tmp_path / f"runner-{len(list(tmp_path.iterdir()))}"
        given: dict[str, Any] = {"environ": {"PATH": f"{user_python.parent}:{os.environ['PATH']}"}, **options}
        return run_workflow(
            repository, "push", {"ref": "refs/heads/main"}, action=action, folder=folder, **given
        )

    return run


def commit(repository: Path) -> str:
    """Commit everything and return the commit's hash."""
    me = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*me, "commit", "-q", "-m", "Change"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
