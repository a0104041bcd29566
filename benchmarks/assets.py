"""Pictures on the assets branch: what a report of twenty costs, and whether ten writers at once lose one.

`python -m benchmarks.assets [ROUNDS]`. GitHub is an emulator on this machine, behind a proxy that lets
every call wait as long as a network does; the upload of one picture a call, as CML did it, goes to a server
that waits the same.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cml_action.event import Event
from cml_action.github import connect
from cml_action.publish.branch import BranchStore
from cml_action.publish.comment import leave_comment
from cml_action.publish.pictures import Picture
from cml_action.publish.place import Issue
from cml_action.publish.server import ServerStore
from tests.services.answering import Handler, answering
from tests.services.emulator import Emulator, fresh_repository, running_emulator
from tests.services.images import png
from tests.services.proxy import Fault, running_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cml_action.publish.assets import Store

PICTURES, SIZE_BYTES = 20, 200_000
DELAY_S = 0.2
WRITERS, ROUNDS = 10, 200
BAR = 0.40


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, running_emulator(Path(folder)) as emulator:
        met = calls_and_time(emulator)
        lost = writers(emulator, rounds)
    return 0 if met and not lost else 1


def calls_and_time(emulator: Emulator) -> bool:
    """Compare a comment with twenty pictures, three ways."""
    pictures = [
        Picture(data=png(seed, SIZE_BYTES), kind="png", name=f"{seed}.png") for seed in range(PICTURES)
    ]
    print(
        f"A comment with {PICTURES} pictures of {SIZE_BYTES:,} bytes; a call waits {DELAY_S * 1000:.0f} ms.\n"
    )
    print(f"| {'pictures go to':34} | calls | seconds |\n|:{'-' * 35}|------:|--------:|")
    found = {}
    with running_server() as server:
        ways: dict[str, tuple[bool, Callable[[BranchStore], Store]]] = {
            "a server, one call a picture": (True, lambda _: ServerStore(server.url)),
            "the assets branch, GraphQL": (True, lambda branch: branch),
            "the assets branch, Git data API": (False, lambda branch: branch),
        }
        for name, (graphql, store) in ways.items():
            found[name] = one_comment(emulator, server, pictures, store, graphql=graphql)
            print(f"| {name:34} | {found[name][0]:5} | {found[name][1]:7.2f} |")
    (calls, seconds), (bulk_calls, bulk_seconds) = list(found.values())[:2]
    print(f"\ncalls: {bulk_calls / calls:.0%}, time: {bulk_seconds / seconds:.0%}; the bar is {BAR:.0%}.\n")
    return bulk_calls / calls <= BAR and bulk_seconds / seconds <= BAR


def one_comment(
    emulator: Emulator,
    server: Server,
    pictures: list[Picture],
    store: Callable[[BranchStore], Store],
    *,
    graphql: bool,
) -> tuple[int, float]:
    """Store the pictures and leave the comment, and return calls and seconds."""
    fresh = fresh_repository(emulator)
    with running_proxy(emulator.url, graphql=graphql) as proxy:
        client = connect(emulator.token, proxy.url)
        repo = client.get_repo(fresh.name)
        branch = BranchStore(repo, "cml-assets")
        branch.put(
            [Picture(data=png(1000), kind="png", name="x.png")]
        )  # the branch is there, as in any later run
        proxy.calls.clear()
        server.calls = 0
        for verb in ("GET", "POST", "PATCH"):
            proxy.fail(verb, "", Fault(delay_s=DELAY_S))
        began = time.monotonic()
        addresses = store(branch).put(pictures)
        body = "\n".join(f"![]({address})" for address in addresses.values())
        leave_comment(repo, Issue(number=fresh.pull.number), title="t", body=body, event=Event(run_id=1))
        return proxy.count() + server.calls, time.monotonic() - began


@dataclass
class Server:
    """Takes a file a call and answers with an address, as CML's asset server did."""

    url: str = ""
    calls: int = 0


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Start it on a free port and stop it at the end."""
    state = Server()

    class Ours(Handler):
        def respond(self) -> None:
            self.body()
            state.calls += 1
            time.sleep(DELAY_S)
            self.answer(200, f"https://asset.example/{state.calls}".encode())

    with answering(Ours) as state.url:
        yield state


def writers(emulator: Emulator, rounds: int) -> int:
    """Let ten writers add a picture of their own at the same moment, and count what is missing at the end."""
    fresh = fresh_repository(emulator)
    start = threading.Barrier(WRITERS)
    began = time.monotonic()
    with running_proxy(emulator.url) as proxy:

        def write(number: int) -> None:
            for round_ in range(rounds):
                if (
                    round_ % 20 == 0
                ):  # the emulator allows 5,000 requests a token, and the stand-in makes many
                    token = emulator.workflow_token(contents="write")
                    store = BranchStore(
                        connect(token, proxy.url, timeout_s=300).get_repo(fresh.name), "cml-assets"
                    )
                start.wait(timeout=3600)
                store.put([picture(round_ * WRITERS + number)])

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        tries = sum(call == "POST /graphql" for call in proxy.calls) / 2
    tree = fresh.repo.get_git_tree("cml-assets", recursive=True).tree
    there = {entry.path.rpartition("/")[2] for entry in tree}
    wanted = {picture(number).file_name for number in range(rounds * WRITERS)}
    print(
        f"{WRITERS} writers at once, {rounds} rounds: {len(wanted)} pictures, {len(wanted - there)} lost;"
        f" {tries / len(wanted):.1f} tries a picture, {time.monotonic() - began:.0f} s."
    )
    return len(wanted - there)


def picture(seed: int) -> Picture:
    return Picture(data=png(seed), kind="png", name=f"{seed}.png")


if __name__ == "__main__":
    sys.exit(main())
