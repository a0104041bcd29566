from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cml_action.event import Event
from cml_action.github import connect
from cml_action.publish.comment import MAX_BODY, Left, leave_comment, marker
from cml_action.publish.place import Commit, Issue, Nowhere, Place, PullRequestOfCommit
from tests.services.proxy import NOT_ACCESSIBLE, Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.emulator import Emulator, Fresh

TITLE = "Data and statistics"


def run(number: int, attempt: int = 1) -> Event:
    return Event(name="push", run_id=number, run_attempt=attempt, sha="0" * 39 + "1")


class Thread:
    """One place for comments, and what people see there."""

    def __init__(self, emulator: Emulator, proxy: Proxy, fresh: Fresh, place: Place) -> None:
        self.emulator, self.proxy, self.fresh, self.place = emulator, proxy, fresh, place
        self.token = emulator.workflow_token(issues="write", pull_requests="write", contents="write")

    def leave(self, body: str, event: Event | None = None, *, title: str = TITLE, token: str = "") -> Left:
        with connect(token or self.token, self.proxy.url) as client:
            repo = client.get_repo(self.fresh.name)
            return leave_comment(repo, self.place, title=title, body=body, event=event or run(1))

    def comments(self) -> list[Any]:
        with self.emulator.connect() as client:
            repo = client.get_repo(self.fresh.name)
            if isinstance(self.place, Commit):
                return list(repo.get_commit(self.place.sha).get_comments())
            return list(repo.get_issue(self.fresh.pull.number).get_comments())

    def bodies(self) -> list[str]:
        """Return what a reader sees: each comment without the hidden lines."""
        return ["\n".join(_visible(comment.body)) for comment in self.comments()]

    def write(self, body: str, token: str = "") -> Any:
        """Leave a comment as somebody else's program or a person would."""
        client = self.emulator.connect(token or self.token)
        repo = client.get_repo(self.fresh.name)
        if isinstance(self.place, Commit):
            return repo.get_commit(self.place.sha).create_comment(body)
        return repo.get_issue(self.fresh.pull.number).create_comment(body)


def _visible(body: str) -> list[str]:
    return [line for line in body.splitlines() if not line.startswith("<!--")]


@pytest.fixture(params=["pull request", "commit"])
def thread(request: pytest.FixtureRequest, emulator: Emulator, proxy: Proxy, fresh: Fresh) -> Thread:
    on_pull = request.param == "pull request"
    place = Issue(number=fresh.pull.number) if on_pull else Commit(sha=fresh.head_sha)
    return Thread(emulator, proxy, fresh, place)


@pytest.fixture
def pull(emulator: Emulator, proxy: Proxy, fresh: Fresh) -> Thread:
    return Thread(emulator, proxy, fresh, Issue(number=fresh.pull.number))


def test_the_first_run_leaves_a_comment_with_three_requests(thread: Thread) -> None:
    left = thread.leave("### All checks passed")

    assert left.outcome == "created"
    assert thread.bodies() == ["### All checks passed"]
    assert left.url.endswith(f"comment-{thread.comments()[0].id}")
    assert thread.proxy.count() == 3  # look, write, look whether somebody else did the same


def test_the_next_run_updates_the_comment_with_two_requests(thread: Thread) -> None:
    first = thread.leave("old")
    thread.proxy.calls.clear()

    second = thread.leave("new", run(2))

    assert second == Left(outcome="updated", url=first.url)
    assert thread.bodies() == ["new"]
    assert [call.split()[0] for call in thread.proxy.calls] == ["GET", "PATCH"]


def test_a_comment_that_says_the_same_already_is_not_written_again(thread: Thread) -> None:
    thread.leave("same")
    thread.proxy.calls.clear()

    assert thread.leave("same").outcome == "unchanged"
    assert thread.proxy.count() == 1


def test_a_persons_token_finds_its_own_comment_too(thread: Thread) -> None:
    person = thread.emulator.token
    thread.leave("old", token=person)
    thread.proxy.calls.clear()

    assert thread.leave("new", run(2), token=person).outcome == "updated"
    assert thread.bodies() == ["new"]
    assert thread.proxy.count() == 3  # one more, to ask whose token it is


def test_the_marker_is_the_first_thing_in_the_comment_and_the_run_the_second(thread: Thread) -> None:
    thread.leave("text", run(7, attempt=2))

    lines = thread.comments()[0].body.splitlines()
    assert lines[0] == "<!-- cml-action: Data and statistics -->"
    assert lines[1] == f"<!-- cml-action run=7 attempt=2 commit={'0' * 39}1 -->"


def test_two_titles_have_two_comments(thread: Thread) -> None:
    thread.leave("data", title="Data")
    thread.leave("model", title="Model")
    thread.leave("data again", run(2), title="Data")

    assert thread.bodies() == ["data again", "model"]


def test_a_marker_that_a_person_pasted_is_not_ours(thread: Thread) -> None:
    pasted = f"{marker(TITLE)}\nlook at this"
    thread.write(pasted, token=thread.emulator.token)

    assert thread.leave("ours").outcome == "created"
    assert thread.leave("ours, later", run(2)).outcome == "updated"
    assert thread.comments()[0].body == pasted
    assert thread.bodies() == ["look at this", "ours, later"]


def test_a_persons_token_leaves_the_comments_of_an_app_alone(thread: Thread) -> None:
    thread.leave("of the app")

    assert thread.leave("of a person", run(2), token=thread.emulator.token).outcome == "created"
    assert thread.bodies() == ["of the app", "of a person"]


def test_a_marker_in_the_middle_of_a_text_is_not_ours(thread: Thread) -> None:
    quoted = f"> {marker(TITLE)}\nwhat is this?"
    thread.write(quoted)

    assert thread.leave("ours").outcome == "created"
    assert quoted in [comment.body for comment in thread.comments()]


@pytest.mark.parametrize("repetition", range(10))
@pytest.mark.parametrize("runs", [(1, 2), (2, 1)])
def test_two_runs_that_race_leave_one_comment_of_the_later_run(
    pull: Thread, runs: tuple[int, int], repetition: int
) -> None:
    pull.proxy.meet("POST", "/comments", parties=2)  # both have looked and found nothing

    outcomes = together(*[lambda n=n: pull.leave(f"run {n}", run(n)) for n in runs])

    assert pull.bodies() == ["run 2"], f"repetition {repetition}"
    assert sum(left.outcome == "created" for left in outcomes) == 1


def test_two_runs_that_race_on_a_commit_leave_one_comment(thread: Thread) -> None:
    thread.proxy.meet("POST", "/comments", parties=2)

    together(lambda: thread.leave("run 1", run(1)), lambda: thread.leave("run 2", run(2)))

    assert thread.bodies() == ["run 2"]


def test_five_jobs_of_one_run_leave_one_comment_and_say_what_to_change(pull: Thread) -> None:
    pull.proxy.meet("POST", "/comments", parties=5)

    lefts = together(*[lambda n=n: pull.leave(f"job {n}") for n in range(5)])

    assert len(pull.bodies()) == 1
    assert sorted(left.outcome for left in lefts) == ["created"] + ["skipped"] * 4
    assert all("`title`" in left.reason for left in lefts if left.outcome == "skipped")


def test_an_older_run_does_not_overwrite_a_newer_one(thread: Thread) -> None:
    newer = thread.leave("run 9", run(9))

    older = thread.leave("run 8", run(8))

    assert (older.outcome, older.url) == ("skipped", newer.url)
    assert "later run" in older.reason
    assert thread.bodies() == ["run 9"]


def test_a_later_attempt_of_the_same_run_overwrites(thread: Thread) -> None:
    thread.leave("first attempt", run(9, attempt=1))

    assert thread.leave("second attempt", run(9, attempt=2)).outcome == "updated"
    assert thread.leave("first again", run(9, attempt=1)).outcome == "skipped"
    assert thread.bodies() == ["second attempt"]


def test_a_person_at_a_terminal_overwrites_any_run(thread: Thread) -> None:
    thread.leave("run 9", run(9))

    assert thread.leave("by hand", Event()).outcome == "updated"
    assert thread.leave("run 10", run(10)).outcome == "updated"


def test_of_several_comments_the_first_stays_and_the_rest_goes(thread: Thread) -> None:
    for text in ("one", "two", "three"):
        thread.write(f"{marker(TITLE)}\n{text}")

    first = thread.comments()[0].id

    left = thread.leave("now", run(5))

    assert left.outcome == "updated"
    assert [comment.id for comment in thread.comments()] == [first]
    assert thread.bodies() == ["now"]


def test_a_comment_deleted_between_finding_and_updating_is_made_anew(thread: Thread) -> None:
    thread.leave("old")
    gone = thread.comments()[0]
    thread.proxy.fail("PATCH", "/comments/", Fault(delay_s=0.5), times=1)

    def delete() -> None:
        while not thread.proxy.count("PATCH"):
            time.sleep(0.01)
        gone.delete()

    left, _ = together(lambda: thread.leave("new", run(2)), delete)

    assert left.outcome == "created"
    assert thread.bodies() == ["new"]


def test_the_comment_is_found_in_a_long_discussion(pull: Thread) -> None:
    for number in range(120):
        pull.write(f"remark {number}")
    pull.leave("old")
    pull.proxy.calls.clear()

    assert pull.leave("new", run(2)).outcome == "updated"
    assert pull.proxy.count("GET") == 2  # a hundred a page
    assert pull.bodies().count("new") == 1


def test_a_read_only_token_is_a_reason_and_not_an_error(thread: Thread) -> None:
    token = thread.emulator.workflow_token(issues="read", pull_requests="read", contents="read")

    left = thread.leave("text", token=token)

    assert left.outcome == "skipped"
    assert "may not" in left.reason
    assert thread.bodies() == []


def test_the_reason_names_the_permission_that_github_names(pull: Thread) -> None:
    needed = {"X-Accepted-GitHub-Permissions": "issues=write; pull_requests=write"}
    pull.proxy.fail("POST", "/comments", Fault(status=403, message=NOT_ACCESSIBLE, headers=needed))

    left = pull.leave("text")

    assert left.outcome == "skipped"
    assert left.reason == (
        "the token may not do that (Resource not accessible by integration); "
        "it needs `issues: write` or `pull-requests: write`"
    )


def test_a_token_that_may_not_see_the_discussion_is_a_reason(pull: Thread) -> None:
    pull.proxy.fail("GET", "/comments", Fault(status=404, message="Not Found"))

    assert pull.leave("text").reason == "it does not exist, or the token may not see it"


def test_a_locked_conversation_is_a_reason(pull: Thread) -> None:
    locked = "Unable to create comment because issue is locked."
    pull.proxy.fail("POST", "/comments", Fault(status=403, message=locked))

    assert pull.leave("text") == Left(outcome="skipped", reason="the conversation is locked")


def test_no_place_is_a_reason_and_no_request(pull: Thread) -> None:
    pull.place = Nowhere(reason="nobody asked")

    assert pull.leave("text") == Left(outcome="skipped", reason="nobody asked")
    assert pull.proxy.count() == 0


def test_a_push_comments_on_the_open_pull_request_of_its_commit(pull: Thread) -> None:
    pull.place = PullRequestOfCommit(sha=pull.fresh.head_sha, else_commit=True)

    pull.leave("text")

    assert pull.bodies() == ["text"]


def test_a_second_push_updates_the_comment_that_the_pull_request_has(pull: Thread) -> None:
    pull.leave("first push")
    made = pull.fresh.repo.create_file("more.dvc", "More", "outs: []\n", branch="feature")
    pull.place = PullRequestOfCommit(sha=made["commit"].sha, else_commit=True)

    assert pull.leave("second push", run(2)).outcome == "updated"
    assert pull.bodies() == ["second push"]


def test_a_push_that_another_one_followed_comments_on_its_own_commit(pull: Thread) -> None:
    pull.fresh.repo.create_file("more.dvc", "More", "outs: []\n", branch="feature")
    pull.place = PullRequestOfCommit(sha=pull.fresh.head_sha, else_commit=True)

    pull.leave("first push, late")

    assert pull.bodies() == []


def test_a_push_without_a_pull_request_comments_on_the_commit(thread: Thread) -> None:
    base = Commit(sha=thread.fresh.base_sha)
    thread.place = PullRequestOfCommit(sha=base.sha, else_commit=True)

    thread.leave("text")

    thread.place = base
    assert thread.bodies() == ["text"]


def test_a_closed_pull_request_is_not_the_place_of_its_commit(pull: Thread) -> None:
    pull.fresh.pull.edit(state="closed")
    pull.place = PullRequestOfCommit(sha=pull.fresh.head_sha, else_commit=False)

    left = pull.leave("text")

    assert left.outcome == "skipped"
    assert left.reason == f"no open pull request has {pull.fresh.head_sha[:7]} as its head"


def test_a_commit_that_github_does_not_know_is_a_reason(pull: Thread) -> None:
    sha = "f" * 40
    pull.proxy.fail("GET", "/pulls$", Fault(status=422, message=f"No commit found for SHA: {sha}"))
    pull.place = PullRequestOfCommit(sha=sha, else_commit=True)

    assert pull.leave("text").outcome == "skipped"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, message="slow down", headers={"Retry-After": "1"}), id="429"),
        pytest.param(Fault(status=403, message="abuse", headers={"Retry-After": "1"}), id="403"),
        pytest.param(Fault(status=500), id="500"),
        pytest.param(Fault(half=True), id="half"),
        pytest.param(Fault(reset=True), id="reset"),
        pytest.param(Fault(lost=True), id="lost"),
        pytest.param(Fault(delay_s=0.3), id="slow"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_passing_fault_leaves_exactly_one_comment(pull: Thread, method: str, fault: Fault) -> None:
    if method == "PATCH":
        pull.leave("old")
    pull.proxy.fail(method, "/comments", fault, times=1)

    left = pull.leave("new", run(2))

    assert left.outcome != "skipped"
    assert pull.bodies() == ["new"]


def test_a_body_beyond_the_limit_is_the_callers_fault(pull: Thread) -> None:
    with pytest.raises(ValueError, match="at most"):
        pull.leave("x" * (MAX_BODY + 1))


def test_a_body_at_the_limit_fits_with_the_longest_title(pull: Thread) -> None:
    pull.leave("x" * MAX_BODY, run(10**15, attempt=10**6), title="é#" * 500)

    assert len(pull.comments()[0].body) <= 65_536


@pytest.mark.parametrize(
    "title", ["a --> <img src=x>", "a\n-->\n# b", "--!>", ">", "->", "", "@everyone #1", "a--b", "データ"]
)
def test_no_title_breaks_out_of_the_hidden_line(title: str) -> None:
    hidden = marker(title)

    inside = hidden.removeprefix("<!-- ").removesuffix(" -->")
    assert "\n" not in hidden
    assert not {">", "<", "@"} & set(inside)
    assert "--" not in inside


def test_titles_that_look_alike_once_made_safe_stay_apart() -> None:
    titles = ["a b", "a  b", "a_b", "a<b", "a>b", "a--b", "a-b", "a" * 200, "a" * 201, "A b", marker("a<b")]

    assert len({marker(title) for title in titles}) == len(titles)


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Do all of it at the same time and return what came of each."""
    start = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        start.wait(timeout=10)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))
