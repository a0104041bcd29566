"""A web address that takes what it is sent: a deployer's webhook."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.services.answering import Handler, answering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass
class Receiver:
    """What came in, and with which status the next requests are answered before the others get 204."""

    url: str = ""
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Listen on a free port, and stop at the end."""
    receiver = Receiver()

    class Ours(Handler):
        def respond(self) -> None:
            receiver.got.append((dict(self.headers), self.body()))
            self.answer(receiver.answers.pop(0) if receiver.answers else 204)

    with answering(Ours) as url:
        receiver.url = f"{url}/deploy"
        yield receiver
