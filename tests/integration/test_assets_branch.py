from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

import github
import pytest

from cml_action.errors import OutsideError
from cml_action.github import connect
from cml_action.publish import branch as branch_module
from cml_action.publish.assets import StoreRefusedError
from cml_action.publish.branch import BranchStore
from cml_action.publish.pictures import Picture
from tests.services.graphql import faults_of_operation
from tests.services.images import png
from tests.services.proxy import NOT_ACCESSIBLE, Fault, Proxy, running_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.emulator import Emulator, Fresh

NOVEMBER = date(2026, 11, 26)


def picture(seed: int, size_bytes: int = 0) -> Picture:
    return Picture(data=png(seed, size_bytes), kind="png", name=f"{seed}.png")


class Assets:
    """The assets branch of a test's repository, and what lies on it."""

    def __init__(self, emulator: Emulator, proxy: Proxy, fresh: Fresh) -> None:
        self.emulator, self.proxy, self.fresh = emulator, proxy, fresh
        self.token = emulator.workflow_token(contents="write", pull_requests="read", checks="read")

    def put(
        self, *pictures: Picture, day: date = NOVEMBER, token: str = "", keep: int | None = 90
    ) -> dict[str, str]:
        with connect(token or self.token, self.proxy.url) as client:
            repo = client.get_repo(self.fresh.name)
            return BranchStore(
                repo, "cml-assets", keep_days=keep, server_url="https://github.com", today=lambda: day
            ).put(pictures)

    def files(self) -> list[str]:
        tree = self.fresh.repo.get_git_tree("cml-assets", recursive=True).tree
        return sorted(entry.path for entry in tree if entry.type == "blob")

    def commits(self) -> int:
        return self.fresh.repo.get_commits(sha="cml-assets").totalCount


@pytest.fixture(params=["GraphQL", "Git data API"])
def assets(request: pytest.FixtureRequest, emulator: Emulator, fresh: Fresh) -> Iterator[Assets]:
    with running_proxy(emulator.url, graphql=request.param == "GraphQL") as proxy:
        yield Assets(emulator, proxy, fresh)


@pytest.fixture
def bulk(emulator: Emulator, proxy: Proxy, fresh: Fresh) -> Assets:
    return Assets(emulator, proxy, fresh)


def test_the_first_pictures_make_an_orphan_branch_that_shares_nothing_with_the_code(assets: Assets) -> None:
    one, two = picture(1), picture(2)

    addresses = assets.put(one, two)

    assert assets.files() == sorted(["README.md", f"2026-11/{one.digest}.png", f"2026-11/{two.digest}.png"])
    first = list(assets.fresh.repo.get_commits(sha="cml-assets"))[-1]
    assert not first.parents
    assert addresses[one.digest] == (
        f"https://github.com/{assets.fresh.name}/blob/cml-assets/2026-11/{one.digest}.png?raw=true"
    )


def test_what_lies_on_the_branch_is_the_picture_byte_by_byte(assets: Assets) -> None:
    one = picture(1, 5000)

    assets.put(one)

    found = assets.fresh.repo.get_contents(f"2026-11/{one.digest}.png", ref="cml-assets")
    assert not isinstance(found, list)
    assert found.decoded_content == one.data


def test_the_same_picture_is_stored_once_and_a_second_report_makes_no_commit(assets: Assets) -> None:
    first = assets.put(picture(1), picture(1))
    commits = assets.commits()

    assert assets.put(picture(1)) == first
    assert assets.commits() == commits
    assert len(assets.files()) == 2


def test_a_report_of_twenty_pictures_is_one_commit_of_two_calls(bulk: Assets) -> None:
    bulk.put(picture(0))
    commits = bulk.commits()
    bulk.proxy.calls.clear()

    bulk.put(*map(picture, range(1, 21)))

    assert bulk.commits() == commits + 1
    assert bulk.proxy.calls == ["POST /graphql", "POST /graphql"]
    assert len(bulk.files()) == 22


def test_a_server_without_graphql_takes_a_blob_a_call_and_one_commit(
    emulator: Emulator, fresh: Fresh
) -> None:
    with running_proxy(emulator.url, graphql=False) as proxy:
        assets = Assets(emulator, proxy, fresh)
        assets.put(picture(0))
        commits = assets.commits()
        proxy.calls.clear()
        assets.put(*map(picture, range(1, 6)))

    assert assets.commits() == commits + 1
    assert sum("git/blobs" in call for call in proxy.calls) == 5
    assert len(proxy.calls) == 12  # is there GraphQL, where is the branch, what is on it; and four to write


def test_very_large_reports_are_several_commits(bulk: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_module, "_MOST_IN_A_COMMIT", 3000)
    bulk.put(*(picture(seed, 1000) for seed in range(5)))

    assert len(bulk.files()) == 6


def test_ten_writers_at_the_same_moment_lose_no_picture(assets: Assets) -> None:
    """Two rounds here; `benchmarks/assets.py` makes two hundred."""
    common, start = picture(500), threading.Barrier(10)

    def write(number: int) -> None:
        for round_ in range(2):
            start.wait(timeout=60)
            assets.put(picture(100 * round_ + number), common)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(write, range(10)))

    wanted = [picture(100 * round_ + number) for round_ in range(2) for number in range(10)]
    stored = [f"2026-11/{each.file_name}" for each in (*wanted, common)]
    assert assets.files() == sorted([*stored, "README.md"])


def test_a_token_that_may_only_read_is_refused_with_the_permission_to_add(assets: Assets) -> None:
    assets.put(picture(1))
    reading = assets.emulator.workflow_token(contents="read")

    with pytest.raises(StoreRefusedError) as caught:
        assets.put(picture(2), token=reading)

    assert "Could not store pictures on the branch `cml-assets`: the token may not do that" in str(
        caught.value
    )
    assert "`contents: write`" in str(caught.value)
    assert len(assets.files()) == 2


def test_where_there_is_no_branch_yet_a_token_that_may_only_read_is_refused_as_well(assets: Assets) -> None:
    with pytest.raises(StoreRefusedError, match="may not do that"):
        assets.put(picture(2), token=assets.emulator.workflow_token(contents="read"))


def test_a_protected_branch_is_named(assets: Assets) -> None:
    assets.put(picture(1))
    reviews = {"required_approving_review_count": 1}
    rules = {"required_pull_request_reviews": reviews, "enforce_admins": True, "restrictions": None}
    route = f"/repos/{assets.fresh.name}/branches/cml-assets/protection"
    assets.fresh.repo.requester.requestJsonAndCheck(
        "PUT", route, input={**rules, "required_status_checks": None}
    )

    with pytest.raises(StoreRefusedError) as caught:
        assets.put(picture(2))

    assert str(caught.value) == (
        "Could not store pictures on the branch `cml-assets`: it is protected.\n"
        "Exclude it from the repository's rules, or name another one (`assets: branch:NAME`)."
    )


def test_a_repository_without_commits_is_named(assets: Assets) -> None:
    # The emulator makes trees in an empty repository; GitHub does not ("Git database", 409).
    assets.proxy.fail("POST", "/git/", Fault(status=409, message="Git Repository is empty."))

    with pytest.raises(StoreRefusedError, match="the repository has no commits yet"):
        assets.put(picture(1))


def test_a_secondary_rate_limit_in_the_middle_is_waited_out(assets: Assets) -> None:
    assets.put(picture(0))
    slow = Fault(status=403, message="You have exceeded a secondary rate limit", headers={"Retry-After": "1"})
    assets.proxy.fail("POST", "graphql|git/trees", slow, times=1)

    assets.put(picture(1))

    assert f"2026-11/{picture(1).file_name}" in assets.files()


def test_a_rate_limit_that_asks_for_an_hour_is_an_error_and_loses_no_picture_that_was_there(
    assets: Assets,
) -> None:
    assets.put(picture(0))
    slow = Fault(
        status=403, message="You have exceeded a secondary rate limit", headers={"Retry-After": "3600"}
    )
    assets.proxy.fail("POST", "graphql|git/trees", slow)

    with pytest.raises(OutsideError, match="rate limit asks to wait 3600 s"):
        assets.put(picture(1))
    assert f"2026-11/{picture(0).file_name}" in assets.files()


@pytest.mark.parametrize("fault", [Fault(lost=True), Fault(half=True), Fault(status=502), Fault(reset=True)])
def test_an_answer_that_is_lost_leaves_every_picture_once(assets: Assets, fault: Fault) -> None:
    assets.put(picture(0))
    assets.proxy.fail("POST", "graphql" if assets.proxy.graphql else "git/commits", fault, times=1)

    assets.put(picture(1))

    assert assets.files().count(f"2026-11/{picture(1).file_name}") == 1


def test_old_months_go_and_what_an_open_pull_request_shows_stays(assets: Assets) -> None:
    gone, shown, described = picture(1), picture(2), picture(3)
    june = assets.put(gone, shown, described, day=date(2026, 6, 10))
    assets.put(picture(4), day=date(2026, 10, 1), keep=None)
    assets.fresh.pull.create_issue_comment(f"![]({june[shown.digest]})")
    assets.fresh.pull.edit(body=f"![]({june[described.digest]})")

    assets.put(picture(5))

    assert [path for path in assets.files() if path.startswith("2026-06")] == sorted(
        f"2026-06/{each.file_name}" for each in (shown, described)
    )
    assert len(assets.files()) == 5


def test_a_picture_of_last_month_is_kept(assets: Assets) -> None:
    assets.put(picture(1), day=date(2026, 9, 1))  # its month ended 57 days ago

    assets.put(picture(2))

    assert f"2026-09/{picture(1).file_name}" in assets.files()


def test_nothing_goes_where_github_does_not_say_what_is_shown(assets: Assets) -> None:
    assets.put(picture(1), day=date(2026, 1, 1))
    assets.proxy.fail("GET", r"/pulls\?", Fault(status=403, message=NOT_ACCESSIBLE["message"]))

    assets.put(picture(2))

    assert f"2026-01/{picture(1).file_name}" in assets.files()


def test_a_report_with_nothing_new_asks_for_no_old_months(assets: Assets) -> None:
    assets.put(picture(1), day=date(2026, 1, 1))
    assets.put(picture(2))
    assets.proxy.calls.clear()

    assets.put(picture(3))

    assert not [call for call in assets.proxy.calls if "/pulls" in call]


def test_what_is_sent_is_what_githubs_schema_takes() -> None:
    looked = {
        "owner": "o",
        "name": "r",
        "ref": "refs/heads/b",
        "root": "refs/heads/b:",
        "folder": "b:2026-11",
    }
    change = {"additions": [{"path": "a.png", "contents": "AA=="}], "deletions": [{"path": "b.png"}]}
    written: dict[str, Any] = {
        "branch": {"repositoryNameWithOwner": "o/r", "branchName": "b"},
        "message": {"headline": "Add"},
        "expectedHeadOid": "0" * 40,
        "fileChanges": change,
    }

    assert faults_of_operation(branch_module.LOOK, looked) == []
    assert faults_of_operation(branch_module.COMMIT, {"input": written}) == []


def test_the_emulator_moves_a_branch_only_forward_as_github_does(fresh: Fresh) -> None:
    route, back = f"/repos/{fresh.name}/git/refs/heads/feature", {"sha": fresh.base_sha, "force": False}

    with pytest.raises(github.GithubException) as caught:
        fresh.repo.requester.requestJsonAndCheck("PATCH", route, input=back)

    assert caught.value.status == 422
    assert "fast" in str(caught.value.data).lower()
