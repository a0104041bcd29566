from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cml_action.errors import UsageError
from cml_action.install import asked_for
from cml_action.model.verdict import Evidence
from cml_action.promotion import lock
from cml_action.registry.history import gaps, line, with_outside
from cml_action.registry.kept import read_kept
from cml_action.registry.mlflow import MlflowRegistry
from cml_action.registry.protocol import Kept, Move, Version, read_move

if TYPE_CHECKING:
    from pathlib import Path


def moves(*steps: tuple[str, str]) -> list[Move]:
    found: list[Move] = []
    for number, (kind, version) in enumerate(steps, start=1):
        before = found[-1].version if found else ""
        found.append(
            Move(number=number, alias="production", version=version, previous=before, kind=kind)  # type: ignore[arg-type]
        )
    return found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], ()),
        ([("promote", "1"), ("promote", "2")], ("1", "2")),
        ([("promote", "1"), ("promote", "2"), ("rollback", "1")], ("1",)),
        ([("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "2")], ("1", "2")),
        ([("promote", "1"), ("promote", "2"), ("rollback", "1"), ("rollback", "2")], ("1", "2")),
        ([("promote", "1"), ("promote", "2"), ("rollback", "1"), ("promote", "3")], ("1", "3")),
        ([("promote", "1"), ("outside", "2"), ("promote", "3")], ("1", "2", "3")),
        ([("promote", "1"), ("outside", ""), ("promote", "3")], ("1", "3")),
        ([("promote", "1"), ("promote", "2"), ("outside", "1")], ("1",)),
    ],
)
def test_rollbacks_lead_through_the_versions_that_were_promoted_on_top_of_each_other(
    steps: list[tuple[str, str]], expected: tuple[str, ...]
) -> None:
    assert line(moves(*steps)) == expected


def test_a_move_that_was_deleted_from_the_record_is_a_gap() -> None:
    found = moves(("promote", "1"), ("promote", "2"), ("promote", "3"))
    assert gaps(found) == ()
    (said,) = gaps([found[0], found[2]])
    assert said.startswith("The record has a gap before move 3: it began at `2`")
    assert gaps(with_outside([found[0], found[2]])) == (said,)


def test_who_held_a_stage_between_two_records_was_put_there_by_other_means() -> None:
    recorded = [
        Move(number=1, alias="production", version="6", previous="5"),
        Move(number=2, alias="production", version="9", previous="8"),
    ]
    found = with_outside(recorded)
    assert [(each.kind, each.version, each.previous) for each in found] == [
        ("outside", "5", ""),
        ("promote", "6", "5"),
        ("outside", "8", "6"),
        ("promote", "9", "8"),
    ]
    assert gaps(found) == ()
    assert line(found) == ("5", "6", "8", "9")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"number": "1", "alias": "a", "version": "1"}', '{"number": 1, "alias": 2}']
)
def test_a_record_that_was_edited_into_nonsense_is_none(text: str) -> None:
    assert read_move(text) is None


def test_a_record_is_read_as_it_was_written() -> None:
    move = Move(number=3, alias="production", version="v1.0.0", why='"quotes"\nand lines – 測試')
    assert "\n" not in move.to_json()
    assert read_move(move.to_json()) == move


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "mnist:\n  production: v2\n"),
        ("mnist:\n  production: v1\n", "mnist:\n  production: v2\n"),
        ("mnist:\n  # held\n  staging: v2\n", "mnist:\n  production: v2\n  # held\n  staging: v2\n"),
        ("other:\n  production: v1\n", "other:\n  production: v1\nmnist:\n  production: v2\n"),
        (
            "other:\n  production: v1\nmnist:\n  staging: v1\n  production: v1\nmore:\n  production: v1\n",
            "other:\n  production: v1\nmnist:\n  staging: v1\n  production: v2\nmore:\n  production: v1\n",
        ),
    ],
)
def test_only_the_line_of_the_stage_changes(before: str, after: str) -> None:
    changed = lock.with_version(before, "mnist", "production", "v2")
    assert changed.removeprefix(lock._HEAD) == after  # noqa: SLF001 -- the comment that a new file begins with


def test_a_number_stays_a_text() -> None:
    assert lock.parse(lock.with_version("", "on", "production", "3")) == {"on": {"production": "3"}}


@pytest.mark.parametrize(
    "text", ["mnist: v1", "- mnist", "mnist: {production: v1", "mnist: {production: [v1]}"]
)
def test_a_lock_file_of_another_shape_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"registry\.lock\.yaml"):
        lock.with_version(text, "mnist", "production", "v2")


def test_a_line_that_cannot_be_changed_is_named() -> None:
    with pytest.raises(UsageError, match="could not be changed") as caught:
        lock.with_version("mnist: {production: v1}\n", "mnist", "production", "v2")
    assert caught.value.fix == (
        "Write `mnist:` on a line of its own, and the line `  production: v2` below it."
    )


@pytest.mark.parametrize(
    ("inputs", "policy", "families"),
    [
        ('{"mode": "promote"}', "", ("base", "git")),
        ('{"mode": "promote", "registry": "mlflow"}', "", ("base", "mlflow")),
        ('{"mode": "rollback"}', "registry:\n  backend: wandb\n", ("base", "wandb")),
        ('{"mode": "rollback"}', "registry: {backend: mlflow, collection: mnist}\n", ("base", "mlflow")),
        ('{"mode": "promote"}', "model:\n  path: a\nother:\n  backend: wandb\n", ("base", "git")),
        (
            '{"mode": "promote"}',
            "registry:\n# backend: wandb\n\n  backend: mlflow # git\n",
            ("base", "mlflow"),
        ),
        ('{"mode": "promote", "registry": "mlflow "}', "", ("base", "mlflow")),
    ],
)
def test_a_promotion_installs_the_client_of_its_registry_alone(
    inputs: str, policy: str, families: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "cml.yaml").write_text(policy)
    assert asked_for({"CML_ACTION_INPUTS": inputs, "GITHUB_WORKSPACE": str(tmp_path)}) == families


def test_evidence_of_many_checks_fits_into_a_tag_of_mlflow_2() -> None:
    class Client:
        def set_model_version_tag(self, _name: str, _version: str, key: str, value: str) -> None:
            assert len(value) <= 5_000  # mlflow.utils.validation
            tags[key] = value

    tags: dict[str, str] = {}
    checks = tuple({"id": f"model/latency/{at}", "status": "pass", "message": "x" * 200} for at in range(40))
    digest = f"sha256:{'1' * 64}"
    evidence = Evidence(
        verdict="pass", reference="mnist:1", digest=digest, policy_digest=digest, checks=checks
    )
    registry = MlflowRegistry(client=Client(), server="http://mlflow")  # type: ignore[arg-type]
    registry.keep_evidence(Version(collection="mnist", name="1"), Kept(evidence=evidence))
    kept = read_kept(tags["cml-action.evidence"], shown_as="the tag").evidence
    assert [each["id"] for each in kept.checks] == [each["id"] for each in checks]
