from __future__ import annotations

from typing import Any

import pytest

from cml_action.errors import UsageError
from cml_action.event import Event
from cml_action.model.reference import Reference, find, parse, said
from cml_action.promotion.target import _REFERENCE

#: What W&B's automations send, with the variables that its documentation lists.
WANDB = {
    "event_type": "ADD_ARTIFACT_ALIAS",
    "event_author": "ada",
    "artifact_version": "wandb-artifact://_id/QXJ0",
    "artifact_version_string": "team/mnist/net:v7",
    "artifact_collection_name": "mnist",
    "project_name": "mnist",
    "entity_name": "team",
}


def dispatch(payload: Any) -> Event:
    return Event(name="repository_dispatch", payload={"client_payload": payload})


def of(payload: Any) -> Reference | None:
    return find("", dispatch(payload), None)


def test_wandbs_automation_names_a_version() -> None:
    found = of(WANDB)
    assert found
    assert (found.text, found.kind) == ("team/mnist/net:v7", "version")
    assert said(dispatch(WANDB))["event_author"] == "ada"


def test_a_plain_path_is_a_path() -> None:
    found = of({"model_path": "models/run 3/net.pt"})
    assert found
    assert (found.text, found.kind) == ("models/run 3/net.pt", "path")


def test_inputs_of_a_workflow_name_the_model_as_well() -> None:
    event = Event(name="workflow_dispatch", payload={"inputs": {"model": "models/net.pt", "debug": "true"}})
    assert find("", event, None) == Reference(
        text="models/net.pt", kind="path", origin="`model` of the event"
    )


def test_the_input_goes_before_the_event_and_the_event_before_the_policy() -> None:
    event = dispatch({"model_path": "b.pt"})
    found = (find("a.pt", event, "c.pt"), find("", event, "c.pt"), find("", Event(), "c.pt"))
    assert [each.text for each in found if each] == ["a.pt", "b.pt", "c.pt"]
    assert find("", Event(), None) is None


def test_a_push_carries_no_model_whatever_its_payload_holds() -> None:
    assert (
        find("", Event(name="push", payload={"inputs": {"model": "x"}, "client_payload": WANDB}), None)
        is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "net.pt; rm -rf /",
        "$(rm -rf /)",
        "`id`",
        "net.pt && curl example.com",
        "net.pt | tee x",
        "../..",
        "models/../../secret",
        "/etc/passwd",
        "~/net.pt",
        "C:\\net.pt",
        "-rf",
        "models/-rf",
        "net\n::set-output name=x::y",
        "net\0.pt",
        "'net.pt'",
        "<img>",
        "https://example.com/net.pt",
        "file:///etc/passwd",
        "a:b:c",
        "",
        " ",
        "x" * 1_000_000,
        "a/" * 400,
    ],
)
def test_what_is_neither_a_path_nor_a_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "`model_path` of the event")
    assert "`model_path` of the event" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n::" not in caught.value.what


@pytest.mark.parametrize("value", [7, True, ["a.pt"], {"path": "a.pt"}, 1.5])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="neither a path"):
        of({"model_path": value})


@pytest.mark.parametrize("payload", [None, "net.pt", 7, [], {}, {"model_path": ""}, {"model_path": None}])
def test_a_payload_without_a_model_names_none(payload: Any) -> None:
    assert of(payload) is None


@pytest.mark.parametrize(
    "text",
    [
        "net:production",
        "net:v3",
        "wandb-registry-model/mnist:v1",
        "org/wandb-registry-model/mnist:staging",
        f"wandb-registry-model/mnist@wandb:{'2e' * 16}",
        f"mnist@sha256:{'a' * 64}",
        f"sha256:{'a' * 64}",
        "mnist@v1.2.3",
        "mnist@v1.2.3-rc.1",
        "mnist:v1.2.3+cu118",
        "mnist#production",
        "My Model:3",
    ],
)
def test_versions(text: str) -> None:
    assert parse(text, "the input `model`").kind == "version"
    assert _REFERENCE.fullmatch(text)  # what a gate takes, `promote` takes as well


@pytest.mark.parametrize("text", ["models/net@2.pt", "models@2/net.pt", "a@b", "net+cu118.pt"])
def test_paths_that_look_like_versions(text: str) -> None:
    assert parse(text, "the input `model`").kind == "path"
