"""The Git registry beside what its users have: DVC, GTO's own commands, shallow clones, the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import OutsideError
from cml_action.registry.history import line
from cml_action.registry.protocol import NotThereError
from tests.services.githttp import git, persist_credentials
from tests.services.projects import new_project, run, write
from tests.services.race import take
from tests.services.registries import GitWorld

if TYPE_CHECKING:
    from tests.services.githttp import GitServer


@pytest.fixture
def world(git_server: GitServer, tmp_path: Path) -> GitWorld:
    return GitWorld(git_server, tmp_path)


def gto(world: GitWorld, *words: str) -> str:
    return run([str(Path(sys.executable).with_name("gto")), *words], world.workspace)


def test_gto_shows_what_was_moved_and_its_own_moves_count(world: GitWorld) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    for version in (first, second, first):  # within a second: GTO goes by the tags' time
        take(registry, registry.look("mnist", "production"), version)
    git(["fetch", "--quiet", "--tags", "direct"], world.workspace)
    assert [row["version"] for row in json.loads(gto(world, "show", "mnist#production", "--json"))] == [first]

    git(["config", "user.name", "Grace"], world.workspace)
    git(["config", "user.email", "grace@example.com"], world.workspace)
    gto(
        world,
        "assign",
        "mnist",
        "--version",
        second,
        "--stage",
        "production",
        "--message",
        "By hand",
        "--force",
    )
    git(["push", "--quiet", "--tags", "direct"], world.workspace)
    stage = registry.look("mnist", "production")
    assert stage.holder
    assert stage.holder.name == second
    assert (stage.moves[-1].kind, stage.moves[-1].who, stage.moves[-1].why) == ("outside", "Grace", "By hand")

    gto(world, "deprecate", "mnist", second, "production")
    git(["push", "--quiet", "--tags", "direct"], world.workspace)
    stage = registry.look("mnist", "production")
    shown = json.loads(gto(world, "show", "mnist#production", "--json"))
    assert [row["version"] for row in shown] == [stage.holder.name if stage.holder else ""]
    assert [(each.version, each.previous) for each in stage.moves[-1:]] == [(first, second)]
    assert line(stage.moves) == (first,)


def test_nothing_is_left_in_the_users_shallow_clone(world: GitWorld, tmp_path: Path) -> None:
    first, _ = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    world.workspace = tmp_path / "checkout"
    git(["clone", "--quiet", "--depth=1", "--no-tags", world.bare.as_uri(), str(world.workspace)], tmp_path)
    git(["remote", "set-url", "origin", f"{world.url}/{world.name}.git"], world.workspace)
    config = (world.workspace / ".git" / "config").read_text()
    registry = world.open()
    take(registry, registry.look("mnist", "production"), first)
    assert git(["for-each-ref", "--format=%(refname)", "refs/tags"], world.workspace) == ""
    assert git(["rev-list", "--all", "--count"], world.workspace).strip() == "1"
    assert (world.workspace / ".git" / "config").read_text() == config


@pytest.mark.parametrize("file", [None, "git-credentials.config"], ids=["checkout@v4", "checkout@v7"])
def test_the_token_takes_the_place_of_the_one_that_checkout_left(
    world: GitWorld, tmp_path: Path, file: str | None
) -> None:
    version = world.add({"model.bin": "one"})
    left = "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46b2xk"  # another token; the server refuses two headers
    persist_credentials(world.workspace, world.url, left, credentials=tmp_path / file if file else None)
    assert world.open().find("mnist", version).name == version


@pytest.mark.parametrize("file", [None, "git-credentials.config"], ids=["checkout@v4", "checkout@v7"])
def test_without_a_token_the_one_that_checkout_left_counts(
    world: GitWorld, tmp_path: Path, file: str | None
) -> None:
    version = world.add({"model.bin": "one"})
    left = "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46Z2hzX3JlYWRfdG9rZW4="  # ghs_read_token
    persist_credentials(world.workspace, world.url, left, credentials=tmp_path / file if file else None)
    world.token = ""
    assert world.open().find("mnist", version).name == version


def test_a_remote_whose_head_names_no_branch_has_versions_all_the_same(world: GitWorld) -> None:
    version = world.add({"model.bin": "one"})
    git(["symbolic-ref", "HEAD", "refs/heads/none"], world.bare)  # `git init --bare`, then a push of another
    registry = world.open()

    assert registry.look("mnist", "production").holder is None
    assert registry.find("mnist", version).name == version


def test_an_empty_remote_is_named(world: GitWorld) -> None:
    with pytest.raises(OutsideError, match="there is no branch: the repository is empty"):
        world.open().look("mnist", "production")


def test_a_model_in_dvc_is_known_by_its_md5_and_fetched_from_the_remote(
    world: GitWorld, tmp_path: Path
) -> None:
    project = new_project(tmp_path / "dvc")
    (project.path / "artifacts.yaml").write_text(
        "mnist: {path: models}\nnet: {path: models/net.bin}\nlost: {path: models/lost.bin}\n"
    )
    project.commit({"models/net.bin": "one", "models/code/config.json": "{}"}, "Train")
    for name in ("mnist", "net", "lost"):
        project.git("tag", "-a", "-m", "First", f"{name}@v1.0.0")
    project.commit({"models/net.bin": "two"}, "Train again")
    project.git("push", "--quiet", str(world.bare), "HEAD:main", "--tags")
    world.workspace = tmp_path / "checkout"
    git(["clone", "--quiet", "--depth=1", world.bare.as_uri(), str(world.workspace)], tmp_path)
    registry = world.open()
    version = registry.find("mnist", "v1.0.0")
    assert version.digest.startswith("md5:")
    assert version.digest.endswith(".dir")
    (tmp_path / "out").mkdir()
    found = registry.download(version, tmp_path / "out")
    assert (found / "net.bin").read_text() == "one"
    assert (found / "code" / "config.json").read_text() == "{}"
    # A file in a folder that DVC tracks as a whole has no digest of its own, and is fetched alone.
    inside = registry.find("net", "v1.0.0")
    assert inside.digest == ""
    (tmp_path / "file").mkdir()
    assert registry.download(inside, tmp_path / "file").read_text() == "one"
    assert not (tmp_path / "file" / "models" / "code").exists()
    with pytest.raises(NotThereError, match="DVC tracks the folder around it, which does not hold it"):
        registry.download(registry.find("lost", "v1.0.0"), tmp_path / "file")


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ("train: {wdir: models, cmd: x}", "net.pt"),
        ("train: {cmd: x}", "models/net.pt"),
        ("train: {wdir: src/train, cmd: x}", "../../models/net.pt"),
        ("train: {foreach: [a], do: {wdir: models, cmd: x}}", "net.pt"),
    ],
)
def test_the_output_of_a_stage_is_found_from_its_working_directory(
    world: GitWorld, stage: str, path: str
) -> None:
    name = "train@a" if "foreach" in stage else "train"
    lock = f"schema: '2.0'\nstages: {{{name}: {{cmd: x, outs: [{{path: {path}, md5: {'a' * 32}}}]}}}}\n"
    described = {"artifacts.yaml": "mnist: {path: models/net.pt}\n", "dvc.yaml": f"stages: {{{stage}}}\n"}
    write(world.workspace, {**described, "dvc.lock": lock})
    world.commit("Train")
    world.tag("mnist@v1.0.0", "HEAD")
    assert world.open().find("mnist", "v1.0.0").digest == f"md5:{'a' * 32}"


def test_the_history_is_a_table_and_json(world: GitWorld) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    for version, why in ((first, "It is the first"), (second, "Fewer errors")):
        take(registry, registry.look("mnist", "production"), version, why=why)
    command = [sys.executable, "-m", "cml_action", "history", "--collection", "mnist"]
    git(["remote", "set-url", "origin", str(world.bare)], world.workspace)
    table = subprocess.run(command, cwd=world.workspace, check=True, capture_output=True, text=True).stdout
    assert table.startswith(f"mnist#production: {second} holds it")
    assert "Fewer errors" in table
    text = subprocess.run([*command, "--json"], cwd=world.workspace, check=True, capture_output=True).stdout
    found = json.loads(text)
    assert (found["holder"], [move["version"] for move in found["moves"]]) == (second, [first, second])
