"""What goes wrong between here and a registry: each a sentence, an exit code, and nothing moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import CmlActionError, OutsideError
from cml_action.registry.protocol import MovedError, RefusedError, Registry
from tests.integration.test_registry import evidence
from tests.services.githttp import git
from tests.services.proxy import Fault, Proxy, running_proxy
from tests.services.race import take
from tests.services.registries import GitWorld, MlflowWorld, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.githttp import GitServer

HTML = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


@pytest.fixture(params=["git", pytest.param("mlflow", marks=pytest.mark.xdist_group("mlflow"))])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, Proxy]]:
    """A registry with one version, behind a proxy on which faults can be laid."""
    if request.param == "git":
        server = request.getfixturevalue("git_server")
        with running_proxy(server.url) as proxy:
            world: World = GitWorld(server, tmp_path, url=proxy.url)
            world.add({"model.bin": "one"})
            yield world, proxy
    else:
        with running_proxy(request.getfixturevalue("mlflow_url")) as proxy:
            world = MlflowWorld(proxy.url, tmp_path)
            world.add({"model.bin": "one"})
            yield world, proxy


def first_version(world: World) -> str:
    return "v1.0.0" if world.backend == "git" else "1"


def complaint(world: World, kind: type[CmlActionError] = OutsideError) -> str:
    with pytest.raises(kind) as caught:
        world.open().find(world.collection, first_version(world))
    assert caught.value.exit_code == 3
    assert caught.value.fix
    return str(caught.value)


def fail(proxy: Proxy, fault: Fault, times: int = 1_000_000) -> None:
    for method in ("GET", "POST"):
        proxy.fail(method, "", fault, times=times)


def test_an_expired_key_is_named(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    # As MLflow's own `basic-auth` and GitHub's Git server answer it: with words, and no JSON.
    fail(proxy, Fault(status=401, message=b"Bad credentials"))
    said = complaint(world, RefusedError)
    assert "not accept" in said
    assert "github-token" in said if world.backend == "git" else "MLFLOW_TRACKING_TOKEN" in said


def test_a_server_that_fails_and_then_answers_is_asked_again(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    proxy.fail("GET", "", Fault(status=500), times=1)
    assert world.open().find(world.collection, first_version(world)).name == first_version(world)


def test_a_server_that_fails_is_named(door: tuple[World, Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    world, proxy = door
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    fail(proxy, Fault(status=502))
    said = complaint(world)
    assert "answered 502 several times" in said or "answered 500 several times" in said
    assert proxy.url.removeprefix("http://") in said


def test_a_page_for_people_is_no_answer(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    fail(proxy, Fault(status=200, message=HTML, headers={"Content-Type": "text/html"}))
    assert "page for people" in complaint(world)


def test_a_slow_server_is_waited_for(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    proxy.fail("GET", "", Fault(delay_s=0.5))
    assert world.open().find(world.collection, first_version(world)).name == first_version(world)


def test_a_server_that_does_not_exist_is_named(
    door: tuple[World, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, proxy = door
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    fail(proxy, Fault(reset=True))
    assert "connection" in complaint(world)


def test_a_server_that_does_not_listen_is_asked_again_and_named(git_world: GitWorld) -> None:
    git_world.url = "http://127.0.0.1:9"
    git(["remote", "set-url", "origin", "http://127.0.0.1:9/team/x.git"], git_world.workspace)
    began = time.monotonic()
    assert "there is no connection, or it broke off" in complaint(git_world)
    assert time.monotonic() - began > 1


def test_who_may_only_read_is_told_what_is_missing_and_nothing_moves(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    if isinstance(world, GitWorld):
        world.token = "ghs_read_token"
    else:
        proxy.fail("POST", "", Fault(status=403, message=b"Permission denied"))
    registry = world.open()
    stage = registry.look(world.collection, "production")
    with pytest.raises(RefusedError) as caught:
        take(registry, stage, first_version(world))
    assert "`contents: write`" in str(caught.value) or "permission EDIT" in str(caught.value)
    assert registry.look(world.collection, "production").holder is None


def test_an_answer_that_was_lost_is_no_lost_move(door: tuple[World, Proxy]) -> None:
    world, proxy = door
    registry = world.open()
    stage = registry.look(world.collection, "production")
    proxy.fail("POST", r"git-receive-pack|log-parameter", Fault(lost=True), times=1)
    done = take(registry, stage, first_version(world))
    assert done.holder
    assert len(world.open().look(world.collection, "production").moves) == 1


@pytest.fixture
def git_world(git_server: GitServer, tmp_path: Path) -> GitWorld:
    world = GitWorld(git_server, tmp_path)
    world.add({"model.bin": "one"})
    return world


def test_a_protected_tag_is_named(git_world: GitWorld) -> None:
    hook = git_world.bare / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\ngrep -q 'production#' || exit 0\n"
        "echo 'error: GH013: Repository rule violations found for mnist#production#1.' >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    registry = git_world.open()
    with pytest.raises(RefusedError, match=r"a rule of the repository protects this reference \(GH013"):
        take(registry, registry.look("mnist", "production"), "v1.0.0")
    assert take(registry, registry.look("mnist", "staging"), "v1.0.0").holder


class _Late:
    """A registry between whose look and push somebody is faster."""

    def __init__(self, world: GitWorld) -> None:
        self.world, self.hook = world, world.bare / "hooks" / "pre-receive"

    def take(self, registry: Registry, name: str) -> None:
        stage = registry.look("mnist", "production")
        # The hook runs when the push has arrived: the tag is made in between.
        self.hook.write_text(
            f"#!/bin/sh\nrm -f hooks/pre-receive\nunset GIT_QUARANTINE_PATH\n"
            f"git update-ref 'refs/tags/{name}' \"$(git rev-parse main)\"\n"
        )
        self.hook.chmod(0o755)
        take(registry, stage, "v1.0.0")


def test_a_tag_that_is_taken_in_the_last_moment_is_left_alone(git_world: GitWorld) -> None:
    with pytest.raises(MovedError, match="Someone else moved `production`"):
        _Late(git_world).take(git_world.open(), "mnist#production#1")
    tags = git_world.names()
    assert [each for each in tags if "production" in each] == ["refs/tags/mnist#production#1"]


def test_evidence_that_another_gate_pushed_in_between_gives_way(git_world: GitWorld, tmp_path: Path) -> None:
    from cml_action.registry.fetch import fetch
    from cml_action.registry.protocol import Kept

    registry = git_world.open()
    version = registry.find("mnist", "v1.0.0")
    digest = fetch(registry, version, tmp_path).digest
    theirs, ours = (Kept(evidence=evidence(digest, started=f"2026-11-0{day}")) for day in (1, 2))
    registry.keep_evidence(version, theirs)
    hook = git_world.bare / "hooks" / "pre-receive"
    name = f"refs/cml-action/evidence/mnist/v1.0.0/{digest.partition(':')[2]}"
    hook.write_text(
        f"#!/bin/sh\nrm -f hooks/pre-receive\nunset GIT_QUARANTINE_PATH\n"
        f"git update-ref '{name}' \"$(echo other | git hash-object -w --stdin)\"\n"
    )
    hook.chmod(0o755)
    registry.keep_evidence(version, ours)
    assert git_world.open().evidence(version) == ours
