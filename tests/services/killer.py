"""Kill a step at the n-th point of its talk with the outside, as a runner that is taken away does."""

from __future__ import annotations

import os
import re
import signal
import threading
from typing import TYPE_CHECKING

from tests.services.forked import start_step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.process import BaseProcess

    from tests.services.proxy import Proxy
    from tests.services.wandb_server import WandbServer

#: Requests that change something: being killed after them differs from being killed before the next.
_WRITES = re.compile(
    r"(POST|PATCH|PUT|DELETE) .*(receive-pack|mlflow/(?!.*search)|/deployments|/dispatches|graphql)"
)


#: Whether to kill before requests that only read as well. It takes minutes: nothing has changed since the
#: write before, so that the same is found there.
EVERYWHERE = bool(os.environ.get("KILL_EVERYWHERE"))


class Killer:
    """Counts the points, and kills at one of them: before and after each request that changes something.

    :param at: which point, from 1.
    """

    def __init__(self, at: int, *proxies: Proxy | WandbServer) -> None:
        self.at, self.passed = at, 0
        self.killed_at = ""
        self._lock, self._started = threading.Lock(), threading.Event()
        self._victim: BaseProcess | None = None
        self._proxies = proxies

    def run(self, given: Mapping[str, str]) -> int | None:
        """Run a step; return its exit code, negative where it was killed."""
        for each in self._proxies:
            each.breaks_off = self._breaks_off
        try:
            self._victim, _ = start_step(given)
            self._started.set()
            self._victim.join(180)
            return self._victim.exitcode
        finally:
            for each in self._proxies:
                each.breaks_off = lambda _when, _call: False

    def _breaks_off(self, when: str, call: str) -> bool:
        self._started.wait()
        with self._lock:
            if self.killed_at:
                return when == "before"
            if not _WRITES.match(call) and (when == "after" or not EVERYWHERE):
                return False
            self.passed += 1
            if self.passed != self.at:
                return False
            self.killed_at = f"{when} {call}"
        assert self._victim
        os.killpg(int(self._victim.pid or 0), signal.SIGKILL)
        return True
