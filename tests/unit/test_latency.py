"""The decision on latency, with simulated clocks: no test here depends on the machine's speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cml_action.model.latency import Demand, Interval, Plan, Side, Timings, decide, interval, measure, plan

RATIO = Demand(quantile="p50", limit=1.10, ratio=True)
QUICK = Plan(calls=8, settling=0, looks=(12, 25, 50, 100))


class Machine:
    """A clock on which two models take turns.

    :param drift: how much slower it is after `lasts_s` seconds.
    :param neighbour: how much slower it is while its neighbour is busy, which comes and goes.
    :param tick_ns: the clock's resolution.
    """

    def __init__(
        self,
        seed: int,
        *,
        drift: float = 0.0,
        neighbour: float = 0.0,
        outliers: float = 0.0,
        tick_ns: int = 1,
    ) -> None:
        self.chance = np.random.default_rng(seed)
        self.now, self.drift, self.neighbour, self.outliers = 0.0, drift, neighbour, outliers
        self.tick_ns = tick_ns
        self.busy, self.until = False, 0.0

    def call(self, seconds: float) -> int:
        while self.now >= self.until:
            self.busy = not self.busy
            self.until += self.chance.exponential(40 * seconds)
        slower = 1 + self.drift * self.now + (self.neighbour if self.busy else 0)
        spent = seconds * slower * float(np.exp(abs(self.chance.normal(0, 0.03))))
        if self.chance.random() < self.outliers:
            spent *= 1 + self.chance.exponential(5)
        begin, self.now = self.now, self.now + spent
        tick = self.tick_ns
        return int(self.now * 1e9) // tick * tick - int(begin * 1e9) // tick * tick

    def run(self, slower: float, *, call_s: float = 1e-3, seed: int = 0, planned: Plan = QUICK) -> Timings:
        return measure(
            {
                "candidate": lambda calls, _: [self.call(call_s * slower) for _ in range(calls)],
                "production": lambda calls, _: [self.call(call_s) for _ in range(calls)],
            },
            planned,
            [RATIO],
            seed=seed,
        )


NOISE = {
    "quiet": {},
    "the clock slows down by half": {"drift": 0.5},
    "a neighbour comes and goes": {"neighbour": 0.4},
    "every fiftieth call takes several times as long": {"outliers": 0.02},
    "a clock with ticks of a twentieth of a call": {"tick_ns": 50_000},
    "all of it": {"drift": 0.3, "neighbour": 0.3, "outliers": 0.02, "tick_ns": 10_000},
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_a_model_is_never_found_slower_than_itself(noise: dict[str, float]) -> None:
    found = [Machine(seed, **noise).run(1.0, seed=seed).decisions[0] for seed in range(20)]  # type: ignore[arg-type]
    assert "fail" not in found
    assert found.count("pass") >= 19


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_a_fifth_slower_is_found_each_time(noise: dict[str, float]) -> None:
    found = [Machine(seed, **noise).run(1.2, seed=seed).decisions[0] for seed in range(20)]  # type: ignore[arg-type]
    assert found == ["fail"] * 20


def test_a_processor_that_is_shared_slows_both_sides_alike() -> None:
    """On the first of two processors, by whose number a block begins, something else runs all the while."""
    chance = np.random.default_rng(4)

    def block(calls: int, draw: int) -> list[int]:
        return [int(1e6 * (1 + (draw % 2 == 0)) * chance.normal(1.0, 0.02)) for _ in range(calls)]

    found = measure({"candidate": block, "production": block}, QUICK, [RATIO], seed=0)
    assert found.decisions == ("pass",)
    assert found.intervals[0].low < 1 < found.intervals[0].high < 1.02
    assert found.noise > 0.3  # blocks began on both of them


@pytest.mark.parametrize(("call_s", "drawn"), [(0.0002, True), (0.005, True), (0.05, False)])
def test_long_calls_begin_where_the_system_has_them(call_s: float, *, drawn: bool) -> None:
    draws: list[int | None] = []

    def block(calls: int, draw: int | None) -> list[int]:
        draws.append(draw)
        return [int(call_s * 1e9)] * calls

    measure({"candidate": block, "production": block}, plan(call_s, 2), [RATIO], seed=0)
    assert draws[::2] == draws[1::2]  # both sides of a round alike
    assert {draw is not None for draw in draws} == {drawn}


def test_a_clear_case_ends_with_the_first_look_and_a_close_one_takes_all_rounds() -> None:
    assert Machine(1).run(1.0).rounds == QUICK.looks[0]
    close = Machine(1, neighbour=0.3, outliers=0.02).run(1.10)
    assert close.rounds == QUICK.looks[-1]
    assert close.decisions == ("unclear",)


def test_on_the_limit_itself_false_alarms_over_all_looks_stay_below_the_level() -> None:
    # The worst case: the truth is the limit. 2.5 % are allowed; 120 trials with that rate exceed 8 in 1 %.
    failed = [
        Machine(seed).run(1.10, seed=seed, planned=Plan(calls=3, settling=0, looks=(12, 24, 48, 96)))
        for seed in range(120)
    ]
    assert sum(each.decisions[0] == "fail" for each in failed) <= 8


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    # 95 % of 120 is 114; with that rate fewer than 108 come in 1 %.
    inside = 0
    for seed in range(120):
        timings = Machine(seed, neighbour=0.2).run(
            1.05, seed=seed, planned=Plan(calls=3, settling=0, looks=(60,))
        )
        inside += timings.intervals[0].low <= 1.05 <= timings.intervals[0].high
    assert inside >= 108


def test_the_looks_share_an_error_of_five_percent_by_their_rounds() -> None:
    errors = [1 - QUICK.level(rounds) for rounds in QUICK.looks]
    assert sum(errors) == pytest.approx(0.05)
    assert errors[3] == pytest.approx(2 * errors[2])
    assert QUICK.level(90) == QUICK.level(100)  # the time was up before the last look
    assert Plan(calls=1, settling=0, looks=(60,)).level(60) == pytest.approx(0.95)


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert Machine(3).run(1.07).intervals == Machine(3).run(1.07).intervals


def test_p95_is_not_judged_on_too_few_calls() -> None:
    machine = Machine(5)
    demand = Demand(quantile="p95", limit=1.10, ratio=True)
    blocks = {
        "candidate": lambda calls, _: [machine.call(0.05) for _ in range(calls)],
        "production": lambda calls, _: [machine.call(0.05) for _ in range(calls)],
    }
    few = measure(blocks, Plan(calls=1, settling=0, looks=(50, 100)), [demand], seed=0)  # type: ignore[arg-type]
    assert few.decisions == ("unclear",)
    many = measure(blocks, Plan(calls=1, settling=0, looks=(50, 200)), [demand], seed=0)  # type: ignore[arg-type]
    assert (many.decisions, many.rounds) == (("pass",), 200)


def test_a_slower_tail_is_found_where_the_median_is_the_same() -> None:
    chance = np.random.default_rng(2)

    def block(tail: float, calls: int) -> list[int]:
        slow = chance.random(calls) < 0.1
        return [int(1e6 * chance.normal(1.0, 0.02) * (tail if each else 1)) for each in slow]

    found = measure(
        {"candidate": lambda calls, _: block(2.0, calls), "production": lambda calls, _: block(1.2, calls)},
        QUICK,
        [RATIO, Demand(quantile="p95", limit=1.10, ratio=True)],
        seed=0,
    )
    assert found.decisions == ("pass", "fail")


@pytest.mark.parametrize("ratio", [True, False])
def test_p95_lies_in_its_interval_also_where_every_so_many_calls_are_slow(ratio: bool) -> None:  # noqa: FBT001
    chance = np.random.default_rng(8)
    # Of 25 calls of a block at equal distances all are slow, or none.
    slow = np.where(np.arange(400) % 16 == 0, 3.0, 1.0)
    sides: dict[Side, Any] = {
        side: chance.normal(1e-3, 2e-5, size=(40, 400)) * slow * chance.normal(1, 0.1, size=(40, 1))
        for side in ("candidate", "production")
    }
    found = interval(sides, Demand(quantile="p95", limit=1.1, ratio=ratio), 0.95, seed=1)
    assert found.low < found.estimate < found.high


def test_an_absolute_limit_is_judged_on_the_lower_end() -> None:
    limit = Demand(quantile="p95", limit=0.1, ratio=False)
    assert decide(limit, Interval(estimate=0.12, low=0.101, high=0.13)) == "fail"
    assert decide(limit, Interval(estimate=0.12, low=0.099, high=0.13)) == "unclear"
    assert decide(limit, Interval(estimate=0.08, low=0.07, high=0.1)) == "pass"


def test_what_slows_a_machine_for_seconds_widens_the_interval_of_a_single_side() -> None:
    chance = np.random.default_rng(0)
    calls = chance.normal(1.0, 0.01, size=(100, 4))
    lasting = np.repeat([1.0, 1.3, 1.0, 1.3], 25)[:, None]  # a quarter of the time each
    coming_and_going = np.tile([1.0, 1.3], 50)[:, None]
    demand = Demand(quantile="p50", limit=1, ratio=False)
    widths = []
    for slower in (lasting, coming_and_going):
        found = interval({"candidate": calls * slower}, demand, 0.95, 0)
        widths.append(found.high - found.low)
    assert widths[0] >= widths[1]


@pytest.mark.parametrize(
    ("call_s", "calls", "settling"), [(2e-4, 50, 1), (5e-3, 2, 1), (5e-2, 1, 0), (1e-6, 1000, 1), (2.0, 1, 0)]
)
def test_a_block_lasts_some_milliseconds(call_s: float, calls: int, settling: int) -> None:
    found = plan(call_s, 2)
    assert (found.calls, found.settling) == (calls, settling)


def test_rounds_fit_into_the_time_and_a_slow_model_gets_the_fewest() -> None:
    assert plan(5e-3, 2).looks == (80, 160, 320, 640)
    assert plan(5e-2, 2).looks == (25, 50, 100, 200)
    assert plan(0.1, 2).looks == (25, 50, 100, 200)
    assert (plan(5e-3, 2).most_s, plan(0.1, 2).most_s) == (20, 45)
    assert plan(10.0, 2).looks == (12, 24)


def test_without_demands_it_ends_with_the_second_look() -> None:
    machine = Machine(0)
    found = measure(
        {"candidate": lambda calls, _: [machine.call(1e-3) for _ in range(calls)]}, QUICK, [], seed=0
    )
    assert (found.rounds, found.decisions) == (25, ())
    assert 0 < found.noise < 0.1
