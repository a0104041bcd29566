from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.services.emulator import Fresh


def test_a_fresh_repository_has_a_pull_request_whose_head_is_ahead_of_its_base(fresh: Fresh) -> None:
    assert fresh.pull.base.ref == "main"
    assert fresh.pull.head.sha == fresh.head_sha != fresh.base_sha == fresh.pull.base.sha


def test_the_event_of_a_pull_request_carries_its_number_and_revisions(fresh: Fresh) -> None:
    event = fresh.pull_request_event()

    assert event["number"] == fresh.pull.number
    assert event["pull_request"]["head"]["sha"] == fresh.head_sha  # type: ignore[index]
