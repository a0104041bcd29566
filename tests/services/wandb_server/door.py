"""A stand-in for the W&B server's HTTP: GraphQL, files up and down, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.services.answering import Handler, answering
from tests.services.wandb_server.answers import answer, load_schema
from tests.services.wandb_server.shown import Asked
from tests.services.wandb_server.state import Account, Artifact, Collection, File, Run, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLSchema

KEY = "0123456789abcdef0123456789abcdef01234567"
#: A key of an account that may read only.
READ_ONLY_KEY = "0123456789abcdef0123456789abcdef0readonly"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How a request goes wrong, once for each time that it is asked for.

    :param status: answered instead of doing what was asked; None does it.
    :param body: what is answered with that status, JSON where it is not HTML.
    :param delay_s: waited before anything else.
    :param half: the answer breaks off in the middle of its body.
    :param lost: what was asked is done, and the connection is reset before the answer.
    """

    status: int | None = None
    body: str = '{"errors": [{"message": "something went wrong"}]}'
    delay_s: float = 0
    half: bool = False
    lost: bool = False


@dataclass
class _Rule:
    call: re.Pattern[str]
    fault: Fault
    left: int


class WandbServer:
    """What a test sees of the server: a team `ml` in the organisation `acme`, whose entity is `acme-org`.

    `registry` is the organisation's registry of models, `wandb-registry-model`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.state = State()
        #: Every request, `METHOD /path Operation`, in the order of arrival.
        self.calls: list[str] = []
        #: What a document asked that the schema does not know: the client and this stand-in have parted.
        self.unknown: list[str] = []
        self.schema: GraphQLSchema = load_schema()
        self._rules: list[_Rule] = []
        self._gates: list[tuple[re.Pattern[str], threading.Barrier]] = []
        self._after: list[tuple[re.Pattern[str], Callable[[], object]]] = []
        self._held: list[tuple[re.Pattern[str], threading.Event]] = []
        self._end: tuple[re.Pattern[str], int] | None = None
        #: As a proxy's (`proxy.py`), asked about what changes something: GraphQL's mutations.
        self.breaks_off: Callable[[str, str], bool] = lambda _when, _call: False
        self._lock = threading.Lock()
        self.state.accounts[KEY] = Account(username="robot", teams=("ml",))
        self.state.accounts[READ_ONLY_KEY] = Account(username="reader", teams=("ml",), read_only=True)
        self.state.organizations["acme"] = ("acme-org", ("ml",))
        self.registry = self.state.add_project("acme-org", "wandb-registry-model")

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which the client finds it."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def publish(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        project: str = "demo",
        link: str = "",
        aliases: tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Log a version as a run of the team's would, and link it into the registry `model`.

        :param link: collection of the registry to link it into, which is where `aliases` are set.
        """
        digests = {path: _md5(content) for path, content in files.items()}
        lines = "".join(f"{path}:{digest}\n" for path, digest in sorted(digests.items()))
        digest = hashlib.md5(f"wandb-artifact-manifest-v1\n{lines}".encode()).hexdigest()  # noqa: S324 -- W&B's own
        state = self.state
        with state.lock:
            home = state.add_project("ml", project)
            sequence = state.collection(home, name, "SEQUENCE", "model")
            artifact = state.create_artifact(sequence, digest, "MANIFEST_MD5", deduplicate=True)
            if artifact.state == "PENDING":
                artifact.run = home.runs.setdefault("train", Run(state.new_id("Run"), "train", home))
                artifact.metadata = json.dumps(dict(metadata or {}))
                for path, content in files.items():
                    artifact.files[path] = self._keep(path, digests[path], content, artifact)
                contents = {path: {"digest": digests[path], "size": len(files[path])} for path in files}
                manifest = json.dumps(
                    {
                        "version": 1,
                        "storagePolicy": "wandb-storage-policy-v1",
                        "storagePolicyConfig": {"storageLayout": "V2"},
                        "contents": contents,
                    }
                ).encode()
                artifact.manifest = self._keep("wandb_manifest.json", _md5(manifest), manifest, artifact)
                state.commit(artifact)
            collection = sequence
            if link:
                collection = state.collection(self.registry, link, "PORTFOLIO", "model")
                state.join(collection, artifact)
            for alias in aliases:
                state.move_alias(collection, alias, artifact)
        return artifact

    def collection(self, name: str) -> Collection:
        """Return a collection of the registry, to look at."""
        return self.registry.collections[name]

    def holder(self, name: str, alias: str) -> str:
        """Return which version of a registry's collection holds an alias, as `v3`; empty where none does."""
        with self.state.lock:
            member = self.collection(name).aliases.get(alias)
            return f"v{member.number}" if member else ""

    def fail(self, call: str, fault: Fault, *, times: int = 1_000_000) -> None:
        """Let the next requests go wrong that match a regular expression, searched in what `calls` holds."""
        self._rules.append(_Rule(re.compile(call), fault, times))

    def meet(self, call: str, parties: int) -> None:
        """Hold requests until so many have come, then let all of them pass: a race on every run."""
        self._gates.append((re.compile(call), threading.Barrier(parties)))

    def hold(self, call: str) -> threading.Event:
        """Hold the next request that matches until the event is set."""
        event = threading.Event()
        self._held.append((re.compile(call), event))
        return event

    def stop_after(self, times: int, call: str) -> None:
        """Do so many more requests that match, then refuse all: to a job it is the end, wherever it is."""
        self._end = (re.compile(call), times)

    def after(self, call: str, do: Callable[[], object]) -> None:
        """Do something once, when the next request that matches has been done and is not answered yet."""
        self._after.append((re.compile(call), do))

    def done(self, call: str) -> None:
        """Do what was asked for after this request."""
        with self._lock:
            found = next((each for each in self._after if each[0].search(call)), None)
            if found:
                self._after.remove(found)
        if found:
            found[1]()

    def heal(self) -> None:
        """Forget all faults, gates and calls."""
        with self._lock:
            self._end = None
            self._rules.clear()
            self._gates.clear()
            self.calls.clear()

    def count(self, call: str) -> int:
        """Return how many requests matched a regular expression."""
        return sum(bool(re.search(call, each)) for each in self.calls)

    def arrived(self, call: str) -> Fault:
        """Record a request and return what shall happen to it."""
        with self._lock:
            self.calls.append(call)
            rule = next((each for each in self._rules if each.left and each.call.search(call)), None)
            if rule:
                rule.left -= 1
            if self._end and "/graphql" in call:
                last, left = self._end
                if left == 0:
                    return Fault(status=401)
                self._end = (last, left - bool(last.search(call)))
            held = next((each for each in self._held if each[0].search(call)), None)
            if held:
                self._held.remove(held)
        if held:
            held[1].wait(timeout=60)
        for gate, barrier in self._gates:
            if gate.search(call):
                with contextlib.suppress(threading.BrokenBarrierError):
                    barrier.wait(timeout=5)
        return rule.fault if rule else Fault()

    def _keep(self, name: str, digest: str, content: bytes, artifact: Artifact) -> File:
        file = File(self.state.new_id("File"), name, digest, content, artifact)
        self.state.files[file.id] = file
        return file


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()  # noqa: S324 -- W&B's own digest


@contextlib.contextmanager
def running_wandb() -> Iterator[WandbServer]:
    """Start the server on a free port and stop it at the end."""
    server = WandbServer()

    class Ours(_Handler):
        wandb = server

    with answering(Ours) as server.url:
        yield server


class _Handler(Handler):
    wandb: WandbServer

    def respond(self) -> None:
        sent = self.body()
        verb = operation = ""
        if self.path == "/graphql":
            found = re.search(r"(query|mutation)\s+(\w+)", json.loads(sent).get("query", ""))
            verb, operation = found.groups() if found else ("", "")
        call = f"{self.command} {self.path} {operation}".rstrip()
        fault = self.wandb.arrived(call)
        if verb == "mutation" and self.wandb.breaks_off("before", call):
            self.reset()
            return
        time.sleep(fault.delay_s)
        if fault.status is not None:
            kind = "text/html" if fault.body.startswith("<") else "application/json"
            self.answer(fault.status, fault.body.encode(), {"Content-Type": kind}, half=fault.half)
            return
        status, body, kind = self._do(sent)
        self.wandb.done(call)
        if fault.lost or (verb == "mutation" and self.wandb.breaks_off("after", call)):
            self.reset()
            return
        self.answer(status, body, {"Content-Type": kind}, half=fault.half)

    def _do(self, sent: bytes) -> tuple[int, bytes, str]:
        if self.path.startswith("/storage/"):  # signed addresses: whoever has one may use it
            return self._file(self.path.removeprefix("/storage/"), sent)
        account = self._account()
        if not account:
            return self._json(401, {"errors": [{"message": "user is not logged in"}], "data": None})
        if self.path == "/graphql":
            status, result = answer(
                self.wandb.schema, Asked(self.wandb.state, account, self.wandb.url), json.loads(sent)
            )
            if status == http.client.BAD_REQUEST and "data" not in result:
                self.wandb.unknown.append(f"{json.loads(sent)['query']}\n{result}")
            return self._json(status, result)
        if self.path.startswith("/files/"):  # a run's log and history, which nobody reads here
            return self._json(200, {})
        return self._json(404, {"error": "not found"})

    def _file(self, file_id: str, sent: bytes) -> tuple[int, bytes, str]:
        with self.wandb.state.lock:
            file = self.wandb.state.files.get(file_id)
            if file and self.command == "PUT":
                if file.artifact and file.artifact.state != "PENDING":
                    return self._json(403, {"error": "a committed version does not change"})
                file.content = sent
                return 200, b"", "text/plain"
            if file and self.command == "GET":
                return 200, file.content, "application/octet-stream"
        return self._json(404, {"error": "not found"})

    def _account(self) -> Account | None:
        given = self.headers.get("Authorization", "")
        if not given.startswith("Basic "):
            return None
        user, _, key = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
        return self.wandb.state.accounts.get(key) if user == "api" else None

    @staticmethod
    def _json(status: int, body: object) -> tuple[int, bytes, str]:
        return status, json.dumps(body).encode(), "application/json"
