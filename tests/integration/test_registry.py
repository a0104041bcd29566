"""What every registry does alike. A backend joins by a fixture for its `World`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cml_action.errors import OutsideError, UsageError
from cml_action.model.verdict import Evidence
from cml_action.registry.fetch import fetch
from cml_action.registry.history import line
from cml_action.registry.protocol import Kept, MovedError, NotThereError
from tests.services.race import race, take

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.registries import World


def test_a_version_is_found_by_its_number_and_by_an_alias(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    found = registry.find(world.collection, first)
    assert (found.name, found.reference) == (first, f"{world.collection}:{first}")
    assert registry.find(world.collection, second).name == second
    take(registry, registry.look(world.collection, "production"), first)
    assert world.open().find(world.collection, "production").name == first


def test_an_alias_that_does_not_exist_is_answered_with_those_that_do(world: World) -> None:
    version, registry = world.add({"model.bin": "one"}), world.open()
    take(registry, registry.look(world.collection, "production"), version)
    with pytest.raises(NotThereError) as caught:
        registry.find(world.collection, "producton")
    assert "Did you mean `production`?" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_version_and_a_collection_that_do_not_exist_are_named(world: World) -> None:
    world.add({"model.bin": "one"})
    with pytest.raises(NotThereError, match=r"no version v?99"):
        world.open().find(world.collection, "v99.0.0" if world.backend == "git" else "v99")
    with pytest.raises(NotThereError, match="nowhere"):
        world.open().find("nowhere", "production")


def test_a_deleted_version_is_not_there(world: World) -> None:
    version = world.add({"model.bin": "one"})
    world.add({"model.bin": "two"})
    world.delete(version)
    with pytest.raises(NotThereError, match=r"deleted|deregistered"):
        world.open().find(world.collection, version)


def test_a_file_and_a_folder_are_downloaded_and_known_by_their_sha256(world: World, tmp_path: Path) -> None:
    registry = world.open()
    file = fetch(registry, registry.find(world.collection, world.add({"model.bin": "one"})), tmp_path)
    assert file.path.read_text() == "one"
    assert file.digest == "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    files = {"weights.bin": "w", "code/config.json": "{}"}
    folder = fetch(registry, registry.find(world.collection, world.add(files)), tmp_path)
    assert {
        str(path.relative_to(folder.path)): path.read_text()
        for path in folder.path.rglob("*")
        if path.is_file()
    } == files


def test_files_with_another_digest_than_the_recorded_one_are_refused(world: World, tmp_path: Path) -> None:
    registry = world.open()
    version = registry.find(world.collection, world.add({"model.bin": "one"}))
    with pytest.raises(OutsideError, match="are not those that were recorded"):
        fetch(registry, version, tmp_path, expected=f"sha256:{'0' * 64}")


def test_files_that_are_lost_are_named(world: World, tmp_path: Path) -> None:
    version = world.add({"model.bin": "one"})
    world.spoil(version)
    registry = world.open()
    with pytest.raises(NotThereError, match=f"{world.collection}:{version}"):
        fetch(registry, registry.find(world.collection, version), tmp_path)


def test_a_stage_that_nobody_holds_is_empty(world: World) -> None:
    world.add({"model.bin": "one"})
    stage = world.open().look(world.collection, "production")
    assert (stage.holder, stage.moves, stage.next, stage.pending, stage.doubts) == (None, (), 1, False, ())


def test_moves_are_numbered_and_recorded(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    stage = take(registry, registry.look(world.collection, "production"), first, why="It is the first")
    stage = take(
        registry, stage, second, who="Grace O'Hara", why='Better: "98 %" – 測試', run_url="https://x/1"
    )
    assert (stage.holder and stage.holder.name, stage.next) == (second, 3)
    seen = world.open().look(world.collection, "production")
    assert seen.holder
    assert (seen.holder.name, seen.next, seen.pending, seen.doubts) == (second, 3, False, ())
    assert [(each.number, each.version, each.previous) for each in seen.moves] == [
        (1, first, ""),
        (2, second, first),
    ]
    assert (seen.moves[1].who, seen.moves[1].why, seen.moves[1].run_url) == (
        "Grace O'Hara",
        'Better: "98 %" – 測試',
        "https://x/1",
    )


def test_stages_do_not_touch_each_other(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    take(registry, registry.look(world.collection, "production"), first)
    take(registry, registry.look(world.collection, "production-eu"), second)
    held = {
        name: registry.look(world.collection, name).holder
        for name in ("production", "production-eu", "staging")
    }
    assert {name: each and each.name for name, each in held.items()} == {
        "production": first,
        "production-eu": second,
        "staging": None,
    }


def test_whoever_looked_before_another_moved_is_told_who_holds_it(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    ours, theirs = world.open(), world.open()
    looked = ours.look(world.collection, "production")
    take(theirs, theirs.look(world.collection, "production"), second, who="grace", run_url="https://x/7")
    with pytest.raises(MovedError) as caught:
        take(ours, looked, first)
    assert f"`{second}` holds it now, moved there by grace" in caught.value.what
    assert "https://x/7" in caught.value.what
    assert caught.value.exit_code == 3
    stage = ours.look(world.collection, "production")
    assert stage.holder
    assert (stage.holder.name, len(stage.moves)) == (second, 1)


def test_of_jobs_that_move_at_once_exactly_one_wins_each_time_and_none_is_lost(world: World) -> None:
    versions = [world.add({"model.bin": "one"}), world.add({"model.bin": "two"})]
    for at in range(4):
        won = race(world, "production", versions)
        stage = world.open().look(world.collection, "production")
        assert len(won) == 1
        assert stage.holder
        assert (stage.holder.name, len(stage.moves), stage.doubts) == (won[0], at + 1, ())


def test_a_version_that_does_not_exist_takes_no_stage(world: World) -> None:
    version = world.add({"model.bin": "one"})
    registry = world.open()
    stage = take(registry, registry.look(world.collection, "production"), version)
    with pytest.raises(NotThereError):
        take(registry, stage, "v99.0.0" if world.backend == "git" else "99")
    assert world.open().look(world.collection, "production").moves == stage.moves


def test_a_move_made_by_hand_counts_and_is_told_apart(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    looked = take(registry, registry.look(world.collection, "production"), first)
    world.move_by_hand("production", second)
    stage = registry.look(world.collection, "production")
    assert stage.holder
    assert (stage.holder.name, stage.moves[-1].kind, stage.moves[-1].version) == (second, "outside", second)
    with pytest.raises(MovedError):
        take(registry, looked, second)
    back = take(registry, stage, first)
    assert back.holder
    assert back.holder.name == first
    assert (
        world.open().look(world.collection, "production").holder
        == world.open().look(world.collection, "production").holder
    )


def test_who_held_a_stage_by_hand_before_a_move_stays_known_and_can_be_gone_back_to(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    world.move_by_hand("production", first)
    registry = world.open()
    take(registry, registry.look(world.collection, "production"), second)
    stage = world.open().look(world.collection, "production")
    assert [(each.kind, each.version) for each in stage.moves] == [("outside", first), ("promote", second)]
    assert (line(stage.moves), stage.doubts) == ((first, second), ())


def test_a_record_edited_by_hand_is_named_and_the_next_move_works(world: World) -> None:
    first, second = world.add({"model.bin": "one"}), world.add({"model.bin": "two"})
    registry = world.open()
    take(registry, registry.look(world.collection, "production"), first)
    world.edit_record("production")
    stage = registry.look(world.collection, "production")
    assert "by hand" in " ".join(stage.doubts)
    assert stage.holder
    assert stage.holder.name == first
    take(registry, stage, second)
    held = world.open().look(world.collection, "production").holder
    assert held
    assert held.name == second


def evidence(digest: str, **more: str) -> Evidence:
    return Evidence(
        verdict="pass",
        reference="model",
        digest=digest,
        policy_digest=f"sha256:{'1' * 64}",
        checks=({"id": "size", "status": "pass"},),
        **more,  # type: ignore[arg-type]
    )


def test_evidence_is_kept_beside_its_version_and_the_last_gate_counts(world: World, tmp_path: Path) -> None:
    registry = world.open()
    version = registry.find(world.collection, world.add({"model.bin": "one"}))
    other = registry.find(world.collection, world.add({"model.bin": "two"}))
    assert registry.evidence(version) is None
    digest = fetch(registry, version, tmp_path).digest
    for started in ("2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z"):
        kept = Kept(evidence=evidence(digest, started=started), source_digest=version.digest)
        registry.keep_evidence(version, kept)
        assert world.open().evidence(version) == kept
    assert world.open().evidence(other) is None


def test_a_version_is_found_by_its_digest_once_a_gate_saw_it(world: World, tmp_path: Path) -> None:
    registry = world.open()
    version = registry.find(world.collection, world.add({"model.bin": "one"}))
    digest = fetch(registry, version, tmp_path).digest
    with pytest.raises(NotThereError, match=digest):
        registry.find(world.collection, digest)
    registry.keep_evidence(version, Kept(evidence=evidence(digest)))
    assert registry.find(world.collection, digest).name == version.name
    twin = registry.find(world.collection, world.add({"model.bin": "one"}))
    registry.keep_evidence(twin, Kept(evidence=evidence(digest)))
    with pytest.raises(UsageError, match=r"2 versions of .* have the digest") as caught:
        registry.find(world.collection, digest)
    assert version.name in str(caught.value)
    assert twin.name in str(caught.value)


def test_versions_are_listed_newest_first(world: World) -> None:
    names = [world.add({"model.bin": text}) for text in ("one", "two", "three")]
    assert [each.name for each in world.open().versions(world.collection)] == names[::-1]
