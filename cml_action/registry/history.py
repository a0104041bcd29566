"""What a history says about itself: gaps, and which version was before which."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cml_action.registry.protocol import Move


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


def line(moves: Sequence[Move]) -> tuple[str, ...]:
    """Return the versions that a series of rollbacks leads through, the present one last.

    A promotion puts its version on top. A rollback to an earlier version takes off what lies above it, so
    that the next rollback goes further back; one to a version that was taken off (a roll-forward) puts it
    on top again.

    >>> # promote 1, 2, 3; rollback (to 2); rollback (to 1)
    """
    stack: list[str] = []
    for move in moves:
        if move.kind == "rollback" and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        elif move.version and (not stack or stack[-1] != move.version):
            stack.append(move.version)
    return tuple(stack)
