from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cml_action.cli import app
from cml_action.errors import UsageError
from cml_action.inputs import MODES
from cml_action.install import FAMILIES, REMOTES, asked_for, families_for
from cml_action.uv import index_settings
from tests.services.act import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LISTS = ROOT / "requirements"
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def asked(mode: str, workspace: Path, where: str = ".") -> tuple[str, ...]:
    inputs = json.dumps({"mode": mode, "working-directory": where})
    return asked_for({"CML_ACTION_INPUTS": inputs, "GITHUB_WORKSPACE": str(workspace)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    config = tmp_path / "ml" / ".dvc" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://bucket/data\n")
    return tmp_path


def test_a_comment_needs_nothing_but_the_base(project: Path) -> None:
    assert asked("comment", project, "ml") == ("base",)


def test_pull_needs_the_family_of_the_remote_that_the_project_names(project: Path) -> None:
    assert asked("pull", project, "ml") == ("base", "pull", "s3")


def test_statistics_read_their_base_through_dvc(project: Path) -> None:
    assert asked("comment,\nstats", project, "ml") == ("base", "pull", "s3", "stats")


@pytest.mark.parametrize(
    ("words", "families"),
    [
        (["promote", "mnist:v1", "--registry", "mlflow"], ("base", "mlflow")),
        (["run", "--mode", "comment", "--mode", "stats"], ("base", "pull", "stats")),
        (["run", "comment", "stats", "--working-directory=ml"], ("base", "pull", "s3", "stats")),
        (["comment", "report.md", "--assets", "gs://bucket"], ("base", "gs")),
        (["history", "--registry", "wandb"], ("base", "wandb")),
    ],
)
def test_a_command_needs_what_the_same_inputs_of_a_step_need(
    project: Path, words: list[str], families: tuple[str, ...]
) -> None:
    needed: list[tuple[str, ...]] = []

    def stop(given: Mapping[str, str]) -> None:
        needed.append(families_for(given, project))
        raise UsageError("Enough is known")

    CliRunner().invoke(app, words, obj=stop)

    assert needed == [families]


def test_what_was_asked_wrongly_still_reaches_the_program(project: Path) -> None:
    assert asked("statss", project, "nowhere") == ("base",)
    assert asked_for({}) == ("base",)
    assert asked_for({"CML_ACTION_INPUTS": "[1]"}) == ("base",)


def test_every_family_has_its_list_and_every_mode_is_known() -> None:
    families = {family for each in FAMILIES.values() for family in each} | set(REMOTES.values())
    extras = PYPROJECT.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[0]
    lists = {path.stem for path in LISTS.glob("*.txt")}

    assert lists == {*re.findall(r"(?m)^(\w+) = \[", extras), "base", "dev", "uv"}
    assert families <= lists
    assert set(FAMILIES) <= set(MODES)


@pytest.mark.parametrize("path", sorted(LISTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_list_names_hashes_and_no_index(path: Path) -> None:
    entries = [line for line in path.read_text().splitlines() if not line.startswith((" ", "#"))]
    assert entries
    assert all("==" in entry and entry.endswith("\\") for entry in entries)
    assert "://" not in path.read_text()


def test_the_lists_hold_the_same_versions_so_families_add_up() -> None:
    pins: dict[str, set[str]] = {}
    for path in LISTS.glob("*.txt"):
        by_name: dict[str, set[str]] = {}
        for line in path.read_text().splitlines():
            if "==" in line and not line.startswith((" ", "#")):
                name, version = line.split(";")[0].rstrip(" \\").split("==")
                by_name.setdefault(name, set()).add(version)
        for name, versions in by_name.items():
            assert pins.setdefault(name, versions) == versions, name


def test_pips_settings_become_uvs_and_the_nearest_wins() -> None:
    listing = (
        "global.index-url='https://far.example/simple'\n"
        "install.index-url='https://near.example/simple'\n"
        "global.extra-index-url='https://a.example/simple https://b.example/simple'\n"
        "global.find-links='/wheels\\\\n/more'\n"
        ":env:.timeout='60'\n"
    )

    assert index_settings(listing.replace("\\\\n", "\\n")) == {
        "UV_DEFAULT_INDEX": "https://near.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
    }
