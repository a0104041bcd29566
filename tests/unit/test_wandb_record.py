from __future__ import annotations

from typing import Any

from cml_action.registry.protocol import Move
from cml_action.registry.wandbrecord import (
    MOST_MOVES,
    Record,
    read_evidence,
    read_record,
    with_evidence,
    with_record,
)

STAGE = "acme/wandb-registry-model/mnist:production"


def moves(first: int, count: int) -> tuple[Move, ...]:
    names = range(first, first + count)
    return tuple(
        Move(number=at, alias="production", version=f"v{at}", previous=f"v{at - 1}" if at > 1 else "")
        for at in names
    )


def test_a_record_is_read_as_it_was_written_and_leaves_alone_what_else_is_there() -> None:
    record = Record(id="b", after="a", older="0", moves=moves(1, 3), over=True)
    metadata = with_record({"accuracy": 0.9, "cml-action": {"evidence": {"x": 1}}}, STAGE, record)
    other = with_record(
        metadata, "acme/wandb-registry-model/mnist:staging", Record(id="c", moves=moves(1, 1))
    )
    assert read_record(other, STAGE) == record
    assert (other["accuracy"], read_evidence(other)) == (0.9, '{"x": 1}')
    assert read_record(with_evidence(other, '{"x": 2}'), STAGE) == record


def test_a_history_that_was_shortened_has_no_gap_and_one_that_lost_a_move_has() -> None:
    assert Record(moves=moves(1, 5)).doubts == ()
    assert Record(moves=moves(7, MOST_MOVES)).doubts == ()
    assert "gap before move 7" in Record(moves=moves(7, 3)).doubts[0]
    torn = (*moves(7, MOST_MOVES - 1), *moves(500, 1))
    assert "gap before move 500" in Record(moves=torn).doubts[0]


def test_what_was_edited_into_nonsense_is_left_out_and_said() -> None:
    whole = with_record({}, STAGE, Record(id="b", moves=moves(1, 3)))
    nonsense: list[Any] = [None, "x", {"cml-action": []}, {"cml-action": {"stages": 3}}]
    for each in nonsense[2:]:
        assert read_record(each, STAGE) is None
    for spoiled in ([], "x", [*whole["cml-action"]["stages"][STAGE]["moves"], 7]):
        whole["cml-action"]["stages"][STAGE]["moves"] = spoiled
        found = read_record(whole, STAGE)
        assert found
        assert found.edited
