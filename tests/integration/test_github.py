from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

import pytest
from github import GithubException

from cml_action.errors import OutsideError, UsageError
from cml_action.event import Event
from cml_action.github import connect, github_errors, may_not_write
from cml_action.publish.comment import leave_comment
from cml_action.publish.place import Issue
from tests.services.contract import faults_of_answer
from tests.services.listening import free_port
from tests.services.proxy import NOT_ACCESSIBLE, Fault, Proxy, running_proxy

if TYPE_CHECKING:
    from tests.services.emulator import Emulator, Fresh

SECRET = "ghs_verysecret0123456789"


def names(url: str, fresh: Fresh, token: str, *, patience_s: float = 90) -> list[str]:
    """Ask for something that needs one request."""
    with connect(token, url, patience_s=patience_s) as client, github_errors("list the branches"):
        return [branch.name for branch in client.get_repo(fresh.name).get_branches()]


def test_connecting_calls_nobody(proxy: Proxy, fresh: Fresh) -> None:
    with connect(SECRET, proxy.url) as client:
        client.get_repo(fresh.name).get_issue(1)

    assert proxy.count() == 0


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault(status=500), 2),
        (Fault(status=502), 2),
        (Fault(status=429, message="slow down", headers={"Retry-After": "1"}), 1),
        (Fault(status=403, message="slow down", headers={"Retry-After": "1"}), 1),
        (Fault(reset=True), 1),
    ],
)
def test_a_fault_that_passes_is_not_noticed(
    proxy: Proxy, fresh: Fresh, emulator: Emulator, fault: Fault, times: int
) -> None:
    proxy.fail("GET", "/branches", fault, times=times)

    assert names(proxy.url, fresh, emulator.token) == ["feature", "main"]
    assert proxy.count() == times + 1


@pytest.mark.parametrize("status", [403, 429])
def test_an_exhausted_rate_limit_is_waited_for_until_its_reset(
    proxy: Proxy, fresh: Fresh, emulator: Emulator, status: int
) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}
    fault = Fault(status=status, message="API rate limit exceeded for installation.", headers=headers)
    proxy.fail("GET", "/branches", fault, times=1)

    assert names(proxy.url, fresh, emulator.token) == ["feature", "main"]


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_rate_limit_beyond_our_patience_says_when_to_come_back(
    proxy: Proxy, fresh: Fresh, emulator: Emulator, status: int
) -> None:
    proxy.fail("GET", "/branches", Fault(status=status, message="slow", headers={"Retry-After": "3600"}))
    began = time.monotonic()

    with pytest.raises(OutsideError, match="asks to wait 3600 s") as caught:
        names(proxy.url, fresh, emulator.token)

    again = time.strftime("%H:", time.gmtime(time.time() + 3600))
    assert f"Run the job again after {again}" in caught.value.fix
    assert time.monotonic() - began < 2
    assert proxy.count() == 1


def test_waits_add_up_to_no_more_than_our_patience(proxy: Proxy, fresh: Fresh, emulator: Emulator) -> None:
    proxy.fail("GET", "/branches", Fault(status=429, message="slow", headers={"Retry-After": "1"}))

    with pytest.raises(OutsideError, match="rate limit"):
        names(proxy.url, fresh, emulator.token, patience_s=2)

    assert proxy.count() == 3


def test_a_server_that_stays_broken_is_given_up(proxy: Proxy, fresh: Fresh, emulator: Emulator) -> None:
    proxy.fail("GET", "/branches", Fault(status=502))
    began = time.monotonic()

    with pytest.raises(OutsideError, match="GitHub answered 502 several times"):
        names(proxy.url, fresh, emulator.token)

    assert time.monotonic() - began < 12


def test_answers_that_always_break_off_are_given_up(proxy: Proxy, fresh: Fresh) -> None:
    proxy.fail("GET", "/comments", Fault(half=True))

    with connect(SECRET, proxy.url) as client, pytest.raises(OutsideError, match="broke off half way"):
        leave_comment(client.get_repo(fresh.name), Issue(number=1), title="t", body="b", event=Event())


def test_a_closed_port_is_given_up_soon(fresh: Fresh) -> None:
    began, port = time.monotonic(), free_port()

    with pytest.raises(OutsideError) as caught:
        names(f"http://127.0.0.1:{port}", fresh, SECRET)

    assert caught.value.what == f"Could not list the branches: there is no connection to 127.0.0.1:{port}."
    assert "GITHUB_API_URL" in caught.value.fix
    assert time.monotonic() - began < 5


def test_a_server_that_does_not_answer_in_time_is_given_up(proxy: Proxy, fresh: Fresh) -> None:
    proxy.fail("GET", "/branches", Fault(delay_s=2))

    with (
        connect(SECRET, proxy.url, timeout_s=1) as client,
        pytest.raises(OutsideError, match="did not answer in time"),
        github_errors("list the branches"),
    ):
        client.get_repo(fresh.name).get_branches()[0]

    assert proxy.count() == 3


def test_a_host_without_an_address_is_given_up_soon(fresh: Fresh) -> None:
    with pytest.raises(OutsideError, match=r"no connection to github\.invalid"):
        names("http://github.invalid", fresh, SECRET)


def test_a_wrong_token_is_named_as_the_cause_and_not_shown(proxy: Proxy, fresh: Fresh) -> None:
    proxy.fail("GET", "/branches", Fault(status=401, message="Bad credentials"))

    with pytest.raises(OutsideError) as caught:
        names(proxy.url, fresh, SECRET)

    assert str(caught.value) == (
        "Could not list the branches: GitHub does not accept the token (Bad credentials).\n"
        "Check `github-token`: it may have expired, or be for another server."
    )
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_refusal_says_which_permission_to_add(proxy: Proxy, fresh: Fresh, emulator: Emulator) -> None:
    needed = {"X-Accepted-GitHub-Permissions": "contents=read,deployments=write"}
    proxy.fail("GET", "/branches", Fault(status=403, message=NOT_ACCESSIBLE, headers=needed))

    with pytest.raises(OutsideError) as caught:
        names(proxy.url, fresh, emulator.token)

    assert caught.value.fix == "Add to the job's `permissions:` `contents: read` and `deployments: write`."
    assert proxy.count() == 1  # a refusal is not tried again


def test_a_repository_that_is_not_there_and_one_out_of_sight_are_said_to_look_the_same(
    proxy: Proxy, fresh: Fresh, emulator: Emulator
) -> None:
    proxy.fail("GET", "/branches", Fault(status=404, message="Not Found"))

    with pytest.raises(OutsideError, match="does not find it") as caught:
        names(proxy.url, fresh, emulator.token)

    assert "without access" in caught.value.fix


def test_what_github_finds_wrong_is_told(proxy: Proxy, fresh: Fresh, emulator: Emulator) -> None:
    found = {"message": "Validation Failed", "errors": [{"code": "custom", "message": "body is too long"}]}
    proxy.fail("GET", "/branches", Fault(status=422, message=found))

    with pytest.raises(OutsideError, match=r"\(Validation Failed body is too long\)"):
        names(proxy.url, fresh, emulator.token)


@pytest.mark.parametrize(
    ("status", "expected"), [(401, False), (403, True), (404, True), (422, False), (500, False)]
)
def test_a_token_that_may_not_write_is_told_from_other_faults(status: int, expected: bool) -> None:  # noqa: FBT001
    assert may_not_write(GithubException(status, {"message": "no"}, {})) is expected


def test_an_empty_token_and_an_address_that_is_none_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="no token"):
        connect("", "https://api.github.com")
    with pytest.raises(UsageError, match=r"'ghe\.example\.com', not a web address"):
        connect(SECRET, "ghe.example.com")


def test_an_enterprise_server_is_reached_below_its_path(emulator: Emulator, fresh: Fresh) -> None:
    with running_proxy(emulator.url, prefix="/api/v3") as server:
        place = Issue(number=fresh.pull.number)
        for number in (1, 2):
            with connect(emulator.workflow_token(issues="write"), server.url) as client:
                repo = client.get_repo(fresh.name)
                event = Event(name="push", run_id=number)
                leave_comment(repo, place, title="t", body=f"run {number}", event=event)

    assert server.url.endswith("/api/v3")
    assert [call.split()[0] for call in server.calls] == ["GET", "POST", "GET", "GET", "PATCH"]


def test_the_stand_in_for_pull_requests_of_a_commit_answers_in_githubs_shape(
    proxy: Proxy, fresh: Fresh
) -> None:
    with connect(SECRET, proxy.url) as client:
        _, pulls = client.requester.requestJsonAndCheck(
            "GET", f"/repos/{fresh.name}/commits/{fresh.head_sha}/pulls"
        )

    assert [pull["number"] for pull in pulls] == [fresh.pull.number]
    route = "/repos/{owner}/{repo}/commits/{commit_sha}/pulls"
    assert faults_of_answer(route, pulls) == []
    assert faults_of_answer(route, [{**pulls[0], "head": {}, "number": "1"}])
