"""W&B's registry: the real client, against a stand-in for the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cml_action.errors import OutsideError, UsageError
from cml_action.registry.fetch import fetch
from cml_action.registry.protocol import Move, MovedError, RefusedError, Stage
from cml_action.registry.wandb import mark, open_wandb
from tests.services.runner import ROOT
from tests.services.wandb_server import Account, Fault, WandbServer
from tests.services.wandb_server.door import READ_ONLY_KEY
from tests.services.wandb_world import WandbWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cml_action.registry.wandb import WandbRegistry

pytestmark = pytest.mark.xdist_group("wandb")
ADMIN_KEY = "0123456789abcdef0123456789abcdef00000admin"
OUTSIDER_KEY = "0123456789abcdef0123456789abcdef0outsider"


@pytest.fixture
def server(wandb_server: WandbServer) -> Iterator[WandbServer]:
    accounts = wandb_server.state.accounts
    accounts[ADMIN_KEY] = Account(username="boss", teams=("ml",), registry_admin=True)
    accounts[OUTSIDER_KEY] = Account(username="guest", teams=("web",))
    wandb_server.state.organizations["acme"] = ("acme-org", ("ml", "web"))
    yield wandb_server
    wandb_server.heal()
    wandb_server.registry.protected.clear()


@pytest.fixture
def world(server: WandbServer, tmp_path: Path) -> WandbWorld:
    return WandbWorld(server, tmp_path)


def take(registry: WandbRegistry, stage: Stage, version: str) -> Stage:
    previous = stage.holder.name if stage.holder else ""
    move = Move(number=stage.next, alias=stage.alias, version=version, previous=previous, who="ada")
    return registry.move(stage, move)


def take_first(world: WandbWorld, version: str) -> Stage:
    registry = world.open()
    return take(registry, registry.look(world.collection, "production"), version)


PUBLISH = """
import sys, wandb
QUICK = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
with wandb.init(entity="ml", project="train", settings=QUICK) as run:
    artifact = wandb.Artifact("net", type="model", metadata={"accuracy": 0.98})
    artifact.add_dir(sys.argv[1])
    run.log_artifact(artifact).wait()
    run.link_artifact(artifact, "wandb-registry-model/real", aliases=["staging"])
"""


def test_a_model_that_the_client_logs_and_links_is_found_fetched_and_kept_evidence_beside(
    server: WandbServer, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "net.bin").write_bytes(b"weights" * 1000)
    (model / "code" / "labels.txt").write_text("0\n1\n")
    environ = {**os.environ, **server.environ, "WANDB_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", PUBLISH, str(model)], check=True, env=environ, cwd=tmp_path, timeout=120
    )
    registry = open_wandb(server.environ, tmp_path)

    version = registry.find("acme/wandb-registry-model/real", "staging")

    assert (version.name, version.source) == ("v0", "ml/train/net:v0")
    assert version.digest == f"wandb:{server.collection('real').members[0].artifact.digest}"
    assert registry.find("wandb-registry-model/real", version.digest).name == "v0"
    assert registry.find("ml/train/net", "latest").digest == version.digest
    fetched = fetch(registry, version, tmp_path)
    assert (fetched.path / "net.bin").read_bytes() == b"weights" * 1000
    assert (fetched.path / "code" / "labels.txt").read_text() == "0\n1\n"


def test_a_migrated_model_registry_and_a_teams_own_are_read_by_their_old_names(
    server: WandbServer, tmp_path: Path
) -> None:
    made = server.publish("net", {"net.bin": b"1"}, link="migrated", aliases=("production",))
    server.state.moved["web", "model-registry"] = ("acme-org", "wandb-registry-model")
    old = server.state.add_project("ml", "model-registry")
    with server.state.lock:
        portfolio = server.state.collection(old, "kept", "PORTFOLIO", "model")
        server.state.join(portfolio, made)
    registry = open_wandb({**server.environ, "WANDB_API_KEY": OUTSIDER_KEY}, tmp_path)
    assert registry.find("web/model-registry/migrated", "production").name == "v0"
    registry = open_wandb(server.environ, tmp_path)
    stage = take(registry, registry.look("ml/model-registry/kept", "production"), "v0")
    assert stage.holder
    assert portfolio.aliases["production"].artifact is made


def test_a_stage_of_a_runs_own_collection_is_moved_too(server: WandbServer, tmp_path: Path) -> None:
    for weights in (b"1", b"2"):
        server.publish("own", {"net.bin": weights}, project="solo")
    registry = open_wandb(server.environ, tmp_path)
    stage = take(registry, registry.look("ml/solo/own", "production"), "v0")
    stage = take(registry, stage, "v1")
    assert [each.version for each in registry.look("ml/solo/own", "production").moves] == ["v0", "v1"]


def test_the_record_stands_in_the_metadata_beside_what_the_user_wrote(
    server: WandbServer, world: WandbWorld
) -> None:
    server.publish("net-own", {"net.bin": b"x"}, link=world.name, metadata={"accuracy": 0.98})
    stage = take_first(world, "v0")
    found = world.metadata("v0")
    assert found["accuracy"] == 0.98
    assert (
        found["cml-action"]["stages"][f"acme-org/{world.collection}:production"]["moves"][0]["who"] == "ada"
    )
    assert (world.holder("production"), world.holder(mark("production"))) == ("v0", "v0")
    assert "production" not in mark("production")
    assert stage.moves[0].version == "v0"


def test_the_number_of_requests_does_not_depend_on_the_number_of_versions(
    server: WandbServer, world: WandbWorld
) -> None:
    world.add({"net.bin": "first"})
    state, collection = server.state, server.collection(world.name)
    with state.lock:
        home = state.collection(state.add_project("ml", "many"), world.name, "SEQUENCE", "model")
        for number in range(10_000):
            made = state.create_artifact(home, f"{number:032x}", "MANIFEST_MD5", deduplicate=False)
            made.state = "COMMITTED"
            state.join(home, made)
            state.join(collection, made)
    registry = world.open()
    server.calls.clear()
    stage = take(registry, registry.look(world.collection, "production"), "v9000")
    assert registry.find(world.collection, "production").name == "v9000"
    assert server.count("ProjectArtifacts|CollectionAliases") == 0
    assert server.count("graphql") < 35
    server.calls.clear()
    first = next(iter(registry.versions(world.collection)))
    assert (first.name, server.count("ProjectArtifacts")) == ("v10000", 1)
    assert stage.holder


def test_a_job_that_ends_between_any_two_writes_leaves_a_holder_and_is_finished_by_the_next(
    server: WandbServer, world: WandbWorld
) -> None:
    writes = "UpdateArtifact|LinkArtifact|AddAliases|DeleteArtifactPortfolio"
    versions = [world.add({"net.bin": text}) for text in ("a", "b")]
    registry = world.open()
    stage = take(registry, take_first(world, versions[1]), versions[0])
    ends = []
    for done in range(10):
        previous, target = versions[done % 2], versions[1 - done % 2]
        server.heal()
        server.stop_after(done, writes)
        try:
            take(registry, stage, target)
            ends.append("finished")
        except RefusedError:
            ends.append("before" if world.holder("production") == previous else "after")
        server.heal()
        assert world.holder("production") in {previous, target}
        stage = registry.settle(registry.look(world.collection, "production"))
        if not stage.holder or stage.holder.name != target:
            stage = take(registry, stage, target)
        assert stage.doubts == ()
        assert world.holder("production") == world.holder(mark("production")) == target
        if ends[-1] == "finished":
            break
    assert ends == [*["before"] * 3, *["after"] * 3, "finished"]
    assert [each.number for each in stage.moves] == list(range(1, len(stage.moves) + 1))


def test_a_lost_answer_does_not_record_a_move_twice(server: WandbServer, world: WandbWorld) -> None:
    versions = [world.add({"net.bin": text}) for text in "abc"]
    stage = take_first(world, versions[0])
    for version, call in zip(versions[1:], ("LinkArtifact", "AddAliases"), strict=True):
        server.fail(call, Fault(lost=True), times=1)
        stage = take(world.open(), stage, version)
    assert [each.version for each in stage.moves] == versions
    assert world.open().look(world.collection, "production").moves == stage.moves


def test_of_two_jobs_that_have_both_recorded_the_first_claim_wins(
    server: WandbServer, world: WandbWorld
) -> None:
    versions = [world.add({"net.bin": text}) for text in ("a", "b")]
    looked = take_first(world, world.add({"net.bin": "c"}))
    before_claims = len(world.claims)
    for _ in range(3):
        server.meet("LinkArtifact", 2)
        won: list[str] = []

        def race(version: str, looked: Stage = looked, won: list[str] = won) -> None:
            try:
                take(world.open(), looked, version)
                won.append(version)
            except MovedError as error:
                assert "holds it now, moved there by ada" in error.what  # noqa: PT017

        racers = [threading.Thread(target=race, args=(each,)) for each in versions]
        for each in racers:
            each.start()
        for each in racers:
            each.join()
        server.heal()
        before, looked = looked, world.open().look(world.collection, "production")
        assert len(won) == 1
        assert (world.holder("production"), len(looked.moves)) == (won[0], len(before.moves) + 1)
        assert not looked.doubts
    assert len(world.claims) <= before_claims + 1


def test_a_job_that_claims_long_after_others_have_moved_on_has_lost(
    server: WandbServer, world: WandbWorld
) -> None:
    versions = [world.add({"net.bin": text}) for text in "abcd"]
    late = take_first(world, versions[0])
    before, lost = len(world.claims), []

    def slow() -> None:
        with pytest.raises(MovedError) as caught:
            take(world.open(), late, versions[3])
        lost.append(caught.value)

    go_on, links = server.hold("LinkArtifact"), server.count("LinkArtifact")
    thread = threading.Thread(target=slow)
    thread.start()
    while server.count("LinkArtifact") == links:  # the slow one is held, and no other
        time.sleep(0.01)
    stage = take(world.open(), late, versions[1])
    take(world.open(), stage, versions[2])
    go_on.set()
    thread.join()
    assert len(lost) == 1
    assert world.holder("production") == versions[2]
    assert [each.version for each in world.open().look(world.collection, "production").moves] == versions[:3]
    assert len(world.claims) <= before + 1


def test_a_version_that_carries_the_record_takes_the_stage_back_after_a_move_by_hand(
    world: WandbWorld,
) -> None:
    versions = [world.add({"net.bin": text}) for text in ("a", "b")]
    take_first(world, versions[0])
    world.move_by_hand("production", versions[1])
    registry = world.open()
    stage = take(registry, registry.look(world.collection, "production"), versions[0])
    assert [(each.kind, each.version) for each in stage.moves] == [
        ("promote", versions[0]),
        ("outside", versions[1]),
        ("promote", versions[0]),
    ]
    assert world.holder("production") == versions[0]


def test_a_record_that_was_deleted_by_hand_is_missed_and_the_next_moves_work(world: WandbWorld) -> None:
    versions = [world.add({"net.bin": text}) for text in "abc"]
    stage = take(world.open(), take_first(world, versions[0]), versions[1])
    world.artifact(versions[1]).metadata = "{}"
    registry = world.open()
    stage = registry.look(world.collection, "production")
    assert "edited by hand" in stage.doubts[0]
    for version in (versions[2], versions[0], versions[1]):
        stage = take(registry, stage, version)
        assert world.holder("production") == version
    assert not stage.doubts or "gap" in stage.doubts[0]


def test_a_protected_alias_is_said_to_be_protected_and_the_claim_is_taken_back(
    server: WandbServer, world: WandbWorld
) -> None:
    versions = [world.add({"net.bin": text}) for text in ("a", "b")]
    stage = take_first(world, versions[0])
    server.registry.protected.add("production")

    with pytest.raises(RefusedError) as caught:
        take(world.open(), stage, versions[1])

    assert "`production` may be protected there" in caught.value.what
    assert "an admin of the registry" in caught.value.fix
    assert caught.value.exit_code == 3
    assert world.holder("production") == versions[0]
    assert not world.open().look(world.collection, "production").pending
    assert take(world.open(key=ADMIN_KEY), stage, versions[1]).moves[-1].version == versions[1]


def test_a_key_that_has_expired_is_named_as_the_cause_and_not_shown(world: WandbWorld) -> None:
    key = "f" * 40
    with pytest.raises(RefusedError, match="does not accept the key") as caught:
        world.open(key=key).find(world.collection, "production")
    assert "WANDB_API_KEY" in caught.value.fix
    assert key not in f"{caught.value!r} {caught.value}"


def test_without_a_key_the_variable_is_named_and_nobody_is_asked(world: WandbWorld) -> None:
    with pytest.raises(UsageError, match="no key for W&B") as caught:
        open_wandb({"WANDB_BASE_URL": "http://127.0.0.1:9"}, world.folder).find("a/b/c", "production")
    assert "WANDB_API_KEY" in caught.value.fix


def test_a_key_that_may_only_read_reads_and_moves_nothing(world: WandbWorld) -> None:
    versions = [world.add({"net.bin": text}) for text in ("a", "b")]
    take_first(world, versions[0])
    registry = world.open(key=READ_ONLY_KEY)
    stage = registry.look(world.collection, "production")
    assert registry.find(world.collection, "production").name == versions[0]
    with pytest.raises(RefusedError, match="cannot be written: the key may not write to where it was logged"):
        take(registry, stage, versions[1])
    assert world.open().look(world.collection, "production") == stage


def test_where_only_the_source_may_not_be_written_it_is_named(server: WandbServer, world: WandbWorld) -> None:
    world.add({"net.bin": "a"})
    registry = world.open(key=OUTSIDER_KEY)
    with pytest.raises(RefusedError, match=r"cannot be written|does not find it"):
        take(registry, registry.look(world.collection, "production"), "v0")
    assert world.holder("production") == ""
    assert server.count("LinkArtifact") == 0


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=502, body="<html>bad gateway"), Fault(status=429), Fault(lost=True)],
)
def test_a_fault_that_passes_is_not_noticed(server: WandbServer, world: WandbWorld, fault: Fault) -> None:
    version = world.add({"net.bin": "a"})
    registry = world.open()
    server.fail("ArtifactMembershipByName", fault, times=1)
    assert registry.find(world.collection, version).name == version


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=200, body="<html>Please log in"), "answered with a web page instead of data"),
        (Fault(half=True), "broke its answer off"),
        (Fault(delay_s=3), "did not answer in time"),
        (Fault(status=403), "does not allow it to this key"),
        (Fault(status=404), "does not find it, or does not show it"),
    ],
)
def test_a_fault_that_stays_is_one_sentence(
    server: WandbServer, world: WandbWorld, fault: Fault, words: str
) -> None:
    world.add({"net.bin": "a"})
    registry = world.open(patience_s=1)
    _ = registry.door.api
    server.fail("ArtifactMembershipByName", fault)

    with pytest.raises(OutsideError) as caught:
        registry.find(world.collection, "v0")

    assert words in caught.value.what
    assert f"W&B ({server.url.removeprefix('http://')})" in caught.value.what
    assert caught.value.fix
    assert "\n" not in caught.value.what


def test_a_server_that_stays_broken_and_one_that_is_not_there_are_given_up(
    server: WandbServer, world: WandbWorld
) -> None:
    world.add({"net.bin": "a"})
    registry = world.open()
    _ = registry.door.api
    server.fail("ArtifactMembershipByName", Fault(status=503))
    with pytest.raises(OutsideError, match="answered 503 several times"):
        registry.find(world.collection, "v0")
    nobody = open_wandb({**server.environ, "WANDB_BASE_URL": "http://127.0.0.1:9"}, world.folder)
    with pytest.raises(OutsideError, match=r"W&B \(127\.0\.0\.1:9\) (cannot be reached|did not answer)"):
        nobody.find(world.collection, "v0")


def test_files_that_were_changed_in_the_storage_are_refused(world: WandbWorld, tmp_path: Path) -> None:
    version = world.add({"net.bin": "a", "labels.txt": "b"})
    world.artifact(version).files["net.bin"].content = b"changed"
    registry = world.open()
    with pytest.raises(OutsideError, match=r"is not what its digest .* says"):
        fetch(registry, registry.find(world.collection, version), tmp_path)


def test_a_download_that_breaks_off_once_or_meets_500_is_completed(
    server: WandbServer, world: WandbWorld, tmp_path: Path
) -> None:
    version = world.add({"net.bin": "a" * 100_000})
    registry = world.open()
    server.fail("GET /storage", Fault(half=True), times=1)
    server.fail("GET /storage", Fault(status=500), times=1)
    fetched = fetch(registry, registry.find(world.collection, version), tmp_path)
    assert fetched.path.read_text() == "a" * 100_000


def test_a_file_whose_name_leads_out_of_its_folder_is_not_written(world: WandbWorld, tmp_path: Path) -> None:
    registry = world.open()
    for name in ("../outside.bin", "/tmp/outside.bin", "a/../../outside.bin"):  # noqa: S108 -- never written
        found = registry.find(world.collection, world.add({name: "a"}))
        with pytest.raises(OutsideError, match="leads out of its folder"):
            fetch(registry, found, tmp_path)
    assert not list(tmp_path.parent.glob("**/outside.bin"))


def test_a_reference_to_a_file_elsewhere_is_not_followed(world: WandbWorld, tmp_path: Path) -> None:
    version = world.add({"net.bin": "a"})
    secret = tmp_path / "secret"
    secret.write_text("secret")
    world.artifact(version).files["net.bin"].reference = secret.as_uri()
    registry = world.open()
    with pytest.raises(OutsideError, match=r"refers to a file elsewhere, `net\.bin`"):
        fetch(registry, registry.find(world.collection, version), tmp_path)


def test_what_can_be_no_collection_and_no_alias_is_said_before_anybody_is_asked(
    server: WandbServer, world: WandbWorld
) -> None:
    registry = world.open()
    _ = registry.door.api
    server.calls.clear()
    with pytest.raises(UsageError, match="is no collection of W&B's"):
        registry.find("a/b/c/d", "production")
    with pytest.raises(UsageError, match="can be no alias"):
        registry.look(world.collection, "prod/uction")
    assert server.count("graphql") == 0


def test_an_organization_that_the_key_does_not_belong_to_is_named(world: WandbWorld) -> None:
    with pytest.raises(UsageError, match="acme") as caught:
        world.open().find("other/wandb-registry-model/mnist", "production")
    assert "organization/wandb-registry-NAME/COLLECTION" in caught.value.fix


QUIET = """
import os, sys
from pathlib import Path
from cml_action.registry.wandb import open_wandb
registry = open_wandb(dict(os.environ), Path(sys.argv[1]))
version = registry.find(sys.argv[2], "v0")
registry.download(version, Path(sys.argv[1]) / "files")
"""


def test_the_client_prints_nothing_and_writes_into_the_private_folder_only(
    world: WandbWorld, tmp_path: Path
) -> None:
    world.add({"net.bin": "a"})
    here, home, private = (tmp_path / each for each in ("here", "home", "private"))
    for each in (here, home, private, private / "files"):
        each.mkdir()
    environ = {**world.environ, "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(private), world.collection],
        capture_output=True,
        check=False,
        cwd=here,
        env=environ,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(here.iterdir())
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert json.loads(json.dumps(world.environ)) == dict(world.server.environ)
