"""What a history says about itself: gaps, and which version was before which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cml_action.registry.protocol import Move

if TYPE_CHECKING:
    from collections.abc import Sequence


def gaps(moves: Sequence[Move]) -> tuple[str, ...]:
    """Return a sentence for each place where a record does not follow from the one before it."""
    found, before = [], ""
    for at, move in enumerate(moves):
        if move.previous != before and (at or move.number > 1 or move.previous):
            found.append(
                f"The record has a gap before move {move.number}: it began at `{move.previous or 'nothing'}`,"
                f" and the record until then ends at `{before or 'nothing'}`."
            )
        before = move.version
    return tuple(found)


def with_outside(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Return recorded moves with those between them that nobody recorded.

    There a record begins at another version than the one before it led to, and its number is the next one.
    Where a number is missing as well, a record was lost: that is a gap.
    """
    found: list[Move] = []
    version, number = "", 0
    for move in moves:
        if move.previous != version and move.number == number + 1:
            by = Move(number=0, alias=move.alias, version=move.previous, previous=version, kind="outside")
            found.append(by)
        found.append(move)
        version, number = move.version, move.number
    return tuple(found)


def line(moves: Sequence[Move]) -> tuple[str, ...]:
    """Return the versions that a series of rollbacks leads through, the present one last.

    A promotion puts its version on top. A rollback to an earlier version takes off what lies above it, so
    that the next rollback goes further back; one to a version that was taken off (a roll-forward) puts it
    on top again. Whoever moves a stage back by other means has rolled back.

    >>> # promote 1, 2, 3; rollback (to 2); rollback (to 1)
    """
    stack: list[str] = []
    for move in moves:
        if move.kind != "promote" and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        elif move.version and (not stack or stack[-1] != move.version):
            stack.append(move.version)
    return tuple(stack)
