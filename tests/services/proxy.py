"""A stand-in for GitHub's bad days, and for answers that the emulator lacks.

It stands in front of the emulator, passes everything on, counts it, and answers what a test asked it to: a
refusal, a rate limit, half a body, nothing at all. `commits/{sha}/pulls` it computes from the emulator's own
pull requests; `GET /user` it refuses to a workflow's token, as GitHub does; `POST /graphql` is `graphql.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.services.answering import Handler, answering
from tests.services.deployments import Deployments
from tests.services.graphql import answer as graphql_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.services.runs import Recorded

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}
NOT_ACCESSIBLE = {"message": "Resource not accessible by integration", "status": "403"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How a request goes wrong, once for each time that it is asked for.

    :param status: answered instead of passing the request on; None passes it on.
    :param delay_s: waited before anything else.
    :param half: the answer breaks off in the middle of its body.
    :param reset: the connection is reset before the request is passed on; `lost`: after it was answered.
    """

    status: int | None = None
    message: Any = "Server Error"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    half: bool = False
    reset: bool = False
    lost: bool = False


@dataclass
class _Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    left: int


class Proxy:
    """What a test sees of the proxy."""

    def __init__(self, emulator_url: str, prefix: str, *, graphql: bool) -> None:
        self.emulator_url = emulator_url
        self.prefix = prefix
        self.graphql = graphql
        self.url = ""
        #: Runs that have ended, by their number; the emulator cannot make any.
        self.runs: dict[int, Recorded] = {}
        #: Commits of a Git server of its own, and those of the emulator that stand for them.
        self.pushed: dict[str, str] = {}
        #: Every request that came in, `METHOD /path?query`, in the order of arrival.
        self.calls: list[str] = []
        self.deployments = Deployments()
        #: Asked before each request is passed on, with `before`, and before it is answered, with `after`:
        #: whether to break off there.
        self.breaks_off: Callable[[str, str], bool] = lambda _when, _call: False
        self._rules: list[_Rule] = []
        self._gates: list[tuple[str, re.Pattern[str], threading.Barrier]] = []
        self._lock = threading.Lock()
        #: The emulator reads a reference before it has read what is sent: of two updates at once it takes
        #: both.
        self.one_reference_at_a_time = threading.Lock()

    def fail(self, method: str, path: str, fault: Fault, *, times: int = 1_000_000) -> None:
        """Let the next requests of a method to a path (a regular expression, searched) go wrong."""
        self._rules.append(_Rule(method, re.compile(path), fault, times))

    def meet(self, method: str, path: str, parties: int) -> None:
        """Hold requests until so many have come, then pass all of them on: a race on every run."""
        self._gates.append((method, re.compile(path), threading.Barrier(parties)))

    def count(self, method: str = "") -> int:
        """Return how many requests came in, of one method or of all."""
        return sum(call.startswith(f"{method} " if method else "") for call in self.calls)

    def arrived(self, method: str, path: str) -> Fault | None:
        """Record a request and return what shall happen to it."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            rule = next(
                (r for r in self._rules if r.method == method and r.path.search(path) and r.left), None
            )
            if rule:
                rule.left -= 1
        for gate_method, gate_path, barrier in self._gates:
            if gate_method == method and gate_path.search(path):
                with contextlib.suppress(threading.BrokenBarrierError):
                    barrier.wait(timeout=5)
        return rule.fault if rule else None


@contextlib.contextmanager
def running_proxy(emulator_url: str, *, prefix: str = "", graphql: bool = True) -> Iterator[Proxy]:
    """Start a proxy on a free port and stop it at the end.

    :param prefix: `/api/v3` for the addresses of a GitHub Enterprise Server.
    :param graphql: whether there is a GraphQL API.
    """
    proxy = Proxy(emulator_url, prefix, graphql=graphql)

    class Ours(_Handler):
        state = proxy

    with answering(Ours) as url:
        proxy.url = url + prefix
        yield proxy


class _Handler(Handler):
    state: Proxy

    def respond(self) -> None:
        sent = self.body()
        path = self.path.removeprefix(self.state.prefix)
        for commit, there in self.state.pushed.items():
            path, sent = path.replace(commit, there), sent.replace(commit.encode(), there.encode())
        fault = self.state.arrived(self.command, path) or Fault()
        call = f"{self.command} {path}"
        if self.state.breaks_off("before", call):
            self.reset()
            return
        time.sleep(fault.delay_s)
        if fault.reset:
            self.reset()
            return
        if fault.status is not None:
            message = {"message": fault.message} if isinstance(fault.message, str) else fault.message
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.answer(fault.status, text, fault.headers, half=fault.half)
            return
        answer = self.state.deployments.answer(self.command, path, sent, self.state.url)
        answer = answer or self._instead(path, sent)
        status, headers, body = answer or self._pass_on(self.command, path, sent)
        if fault.lost or self.state.breaks_off("after", call):
            self.reset()
            return
        self.answer(status, body, headers, half=fault.half)

    def _instead(self, path: str, sent: bytes) -> tuple[int, Mapping[str, str], bytes] | None:
        route = urlsplit(path).path
        if route in {"/graphql", "/api/graphql"} and self.state.graphql:
            answered = graphql_answer(sent, self._rest)
            return 200, {"Content-Type": "application/json"}, json.dumps(answered).encode()
        if route == "/user" and "ghs_" in self.headers.get("Authorization", ""):
            return 403, {}, json.dumps(NOT_ACCESSIBLE).encode()
        if self.command == "POST" and re.fullmatch(r"/repos/[^/]+/[^/]+/pulls", route):
            with self.state.one_reference_at_a_time:
                return self._second_pull_request(route, json.loads(sent)) or self._pass_on("POST", path, sent)
        if answered := self._recorded(route):
            return answered
        if asked := re.fullmatch(r"(/repos/[^/]+/[^/]+)/commits/([0-9a-f]{40})/pulls", route):
            pulls = pulls_of_commit(asked[1], asked[2], self._get)
            return 200, {"Content-Type": "application/json"}, json.dumps(pulls).encode()
        return None

    def _recorded(self, route: str) -> tuple[int, Mapping[str, str], bytes] | None:
        """Answer for runs that have ended, and for what they left."""
        if asked := re.fullmatch(r"/repos/[^/]+/[^/]+/actions/runs/(\d+)(/artifacts)?", route):
            run = self.state.runs.get(int(asked[1]))
            if run:
                return _json(run.listed(f"{self.state.url}{route}") if asked[2] else run.record)
        if asked := re.fullmatch(r"/repos/[^/]+/[^/]+/actions/artifacts/(\d+)/zip", route):
            # GitHub's storage is another host, with a signature in its address.
            return (
                302,
                {"Location": f"http://localhost:{urlsplit(self.state.url).port}/stored/{asked[1]}"},
                b"",
            )
        if asked := re.fullmatch(r"/stored/(\d+)", route):
            if self.headers.get("Authorization"):  # as Azure's storage answers
                return 403, {}, b"Server failed to authenticate the request"
            run, at = self.state.runs[int(asked[1]) // 100], int(asked[1]) % 100
            return 200, {"Content-Type": "application/zip"}, run.artifacts[at][1]
        return None

    def _second_pull_request(self, route: str, sent: Mapping[str, Any]) -> Any:
        """Refuse a second open pull request of a branch, which GitHub does and the emulator does not."""
        for pull in self._get(f"{route}?state=open&per_page=100"):
            if (pull["head"]["ref"], pull["base"]["ref"]) == (sent["head"], sent["base"]):
                words = f"A pull request already exists for {pull['head']['label']}."
                error = {"resource": "PullRequest", "code": "custom", "message": words}
                return 422, {}, json.dumps({"message": "Validation Failed", "errors": [error]}).encode()
        return None

    def _get(self, path: str) -> Any:
        status, _, body = self._pass_on("GET", path, b"")
        return json.loads(body) if status == http.client.OK else []

    def _rest(self, verb: str, path: str, sent: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        status, _, body = self._pass_on(verb, path, json.dumps(sent).encode() if sent is not None else b"")
        return status, json.loads(body)

    def _pass_on(self, method: str, path: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(urlsplit(self.state.emulator_url).netloc, timeout=60)
        moves = method == "PATCH" and "/git/refs/" in path
        with self.state.one_reference_at_a_time if moves else contextlib.nullcontext():
            try:
                connection.request(method, path, body=sent or None, headers=headers)
                response = connection.getresponse()
                body = response.read()
            finally:
                connection.close()
        here, there = self.state.url, self.state.emulator_url
        kept = {
            name: value.replace(there, here)
            for name, value in response.getheaders()
            if name.lower() not in _HOP_BY_HOP
        }
        return response.status, kept, body.replace(there.encode(), here.encode())


def _json(answer: Any) -> tuple[int, Mapping[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(answer, default=str).encode()


def pulls_of_commit(repo: str, sha: str, get: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Compute what `GET …/commits/{sha}/pulls` answers ("List pull requests associated with a commit").

    A pull request belongs to its commits. The emulator leaves its head where it was when it was opened, so
    that the branch's present commit counts as well, and is shown as the head; and it lists the commit of the
    base among them.
    """
    found = []
    for pull in get(f"{repo}/pulls?state=all&per_page=100"):
        branch = get(f"{repo}/branches/{pull['head']['ref']}")
        head = branch["commit"]["sha"] if branch else pull["head"]["sha"]
        commits = [commit["sha"] for commit in get(f"{repo}/pulls/{pull['number']}/commits?per_page=100")]
        if sha in {head, pull["head"]["sha"], *commits} - {pull["base"]["sha"]}:
            found.append({**pull, "head": {**pull["head"], "sha": head}})
    return found
