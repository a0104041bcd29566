from __future__ import annotations

import json

import pytest

from cml_action.errors import UsageError
from cml_action.inputs import MODES, VARIABLE, from_environment, parse

KNOWN = ", ".join(f"`{mode}`" for mode in MODES)


def complaint(**given: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse({name.replace("_", "-"): value for name, value in given.items()})
    return str(caught.value)


def test_several_modes_run_in_the_order_in_which_they_are_written() -> None:
    assert parse({"mode": "pull, stats\ncomment"}).mode == ("pull", "stats", "comment")


def test_an_unknown_mode_is_answered_with_a_suggestion() -> None:
    assert complaint(mode="pull, stat") == (
        f"There is no mode `stat`. Did you mean `stats`?\nKnown are {KNOWN}."
    )


def test_an_unknown_input_is_answered_with_a_suggestion() -> None:
    assert complaint(mode="stats", lable="species").startswith(
        "There is no input `lable`. Did you mean `label`?"
    )


def test_a_missing_mode_names_what_is_allowed() -> None:
    assert complaint(mode=" ") == (f"The input `mode` is missing.\nName one or several of {KNOWN}.")


def test_a_word_that_is_not_allowed_is_answered_with_those_that_are() -> None:
    assert complaint(mode="stats", fail_on="warning") == (
        "The input `fail-on` is `warning`. Did you mean `warn`?\nAllowed are `fail`, `warn`, `never`."
    )


@pytest.mark.parametrize("jobs", ["0", "-3", "many", "1.5"])
def test_a_number_that_is_none_is_named(jobs: str) -> None:
    assert complaint(mode="pull", jobs=jobs).startswith(f"The input `jobs` is `{jobs}`.")


def test_an_empty_input_is_one_that_was_not_set() -> None:
    inputs = parse({"mode": "stats", "config": "", "jobs": "", "data": ""})
    assert (inputs.config, inputs.jobs, inputs.data) == ("cml.yaml", None, ())


def test_lists_are_separated_by_newlines_and_commas() -> None:
    assert parse({"mode": "stats", "data": "a.csv\n b.csv ,c d.csv\n"}).data == ("a.csv", "b.csv", "c d.csv")


def test_the_token_does_not_show_where_inputs_are_printed() -> None:
    assert "ghp_abc" not in repr(parse({"mode": "stats", "github-token": "ghp_abc"}))


def test_the_composite_action_hands_over_one_json_value() -> None:
    assert from_environment({VARIABLE: json.dumps({"mode": "pull", "jobs": None})}) == {
        "mode": "pull",
        "jobs": "",
    }


def test_the_container_gets_a_variable_an_input() -> None:
    environ = {"INPUT_MODE": "pull", "INPUT_WORKING-DIRECTORY": "sub", "HOME": "/root"}
    assert from_environment(environ) == {"mode": "pull", "working-directory": "sub"}


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_inputs_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=VARIABLE):
        from_environment({VARIABLE: text})


def test_what_a_form_or_a_block_of_yaml_adds_around_a_text_is_not_meant() -> None:
    asked = parse({"mode": "gate", "model": " mnist:v1 \n", "to": "\n", "gates": "  - a\n  - b\n"})
    assert (asked.model, asked.to, asked.gates) == ("mnist:v1", "", "  - a\n  - b")
    assert parse({"mode": "stats", "label": " species"}).label == " species"
