from __future__ import annotations

from typing import Any

import pytest

from cml_action.errors import UsageError
from cml_action.registry.wandbevent import Automation, read_automation

FILLED = {
    "event_type": "ADD_ARTIFACT_ALIAS",
    "event_author": "ada",
    "alias": "staging",
    "artifact_version": "wandb-artifact://_id/QXJ0aWZhY3Q6NTE3ODg5ODg3",
    "artifact_version_string": "acme-org/wandb-registry-model/mnist:staging",
    "artifact_collection_name": "mnist",
    "project_name": "wandb-registry-model",
    "entity_name": "acme-org",
}


def test_an_automation_names_the_version_and_who_did_what() -> None:
    assert read_automation(FILLED) == Automation(
        collection="acme-org/wandb-registry-model/mnist",
        wanted="staging",
        artifact_id="QXJ0aWZhY3Q6NTE3ODg5ODg3",
        kind="ADD_ARTIFACT_ALIAS",
        author="ada",
    )


def test_the_version_alone_is_enough() -> None:
    found = read_automation({"artifact_version_string": "ml/model-registry/mnist:v3"})
    assert found
    assert (found.reference, found.artifact_id) == ("ml/model-registry/mnist:v3", "")


def test_a_payload_that_names_no_version_is_somebody_elses() -> None:
    assert read_automation({"model": "models/net.pt"}) is None
    assert read_automation({}) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("artifact_version_string", "mnist:staging", "no|not `entity/project/collection:version`"),
        ("artifact_version_string", "a/b/c/mnist:staging", "not `entity/project/collection:version`"),
        ("artifact_version_string", "a/b/mnist", "not `entity/project/collection:version`"),
        ("artifact_version_string", "${artifact_version_string}", "W&B has not filled it in"),
        ("artifact_version_string", None, "is not text"),
        ("artifact_version_string", "a/b/mnist:v1\n::error::x", "characters that no name has"),
        ("artifact_version_string", "a/b/mnist:" + "v" * 2000, "or too many"),
        ("artifact_version", "QXJ0aWZhY3Q6NTE3ODg5ODg3", "no identifier of W&B's"),
        ("entity_name", "other", "contradicts itself.*`entity_name` is `other`"),
        ("project_name", "model-registry", "contradicts itself"),
        ("artifact_collection_name", "cifar", "contradicts itself"),
        ("event_author", ["ada"], "is not text"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_automation({**FILLED, name: value})
    assert caught.value.fix
    assert "\n" not in caught.value.what


def test_an_event_about_a_claim_is_no_model() -> None:
    claim = "cml-action-claim-0cbbf8ab29db4531"
    given = {"artifact_version_string": f"acme-org/wandb-registry-model/{claim}:v0"}
    with pytest.raises(UsageError, match="it is no model") as caught:
        read_automation(given)
    assert "An artifact alias is added" in caught.value.fix
