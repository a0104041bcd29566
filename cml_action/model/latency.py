"""How fast a model is, and whether it is slower than production: measured in turns, decided on intervals.

Candidate and production run in alternating blocks of a few milliseconds, in a random order within each
round, so that whatever the machine does (a busy neighbour, a clock that slows down) happens to both. What
is compared is a round with itself:

    ratio of p50 = median over the rounds of (median of the candidate's block / median of production's block)

A slow second makes both blocks of a round slow and leaves their ratio alone. A process that waits is woken
where it ran before: on a machine with more work than processors, one side can have a processor for itself
all the while and the other share one (of a model beside itself, ratios of 0.55 and 1.60 were seen). So both
blocks of a round begin on the same processor, and each round draws one. Calls of 20 ms or more are left to
the system, which moves them while they last: begun on a busy processor, each is moved at another moment, and
the ratio's interval was 1.8 times as wide.

p95 is a property of all calls, so its ratio is that of the quantiles of all calls of either side. Both get a
percentile bootstrap interval (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13) in
which whole rounds are drawn, because calls within a block are not independent. The interval of a single
side, where nothing cancels, draws runs of neighbouring rounds, as what slows a machine lasts longer than a
round: the circular block bootstrap (Politis and Romano, 1992), in runs of n^(1/3) rounds (Künsch, *Annals of
Statistics* 17, 1989).

**Looking more than once.** Rounds are added until every demand is decided: the data are looked at after
fixed shares of the most rounds (1/8, 1/4, 1/2, all). Each look is one more chance of a false alarm, so the
looks share an error of 5 %, half of it on the side that fails. By Bonferroni's inequality (Dunn, *JASA* 56,
1961) their errors add up to that at most, however the looks depend on each other and however they share.
Each gets a share like its rounds', as what is hard to tell is told by the last one: an error spending
function (Lan and DeMets, *Biometrika* 70, 1983) that grows with the data.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    #: Given a number of calls and one that draws the processor to begin on (None: the system's choice), makes
    #: the calls in a row and returns the nanoseconds of each.
    Block: TypeAlias = Callable[[int, int | None], Sequence[int]]

Side: TypeAlias = Literal["candidate", "production"]
Quantile: TypeAlias = Literal["p50", "p95", "p99"]
Decision: TypeAlias = Literal["pass", "fail", "unclear"]

QUANTILES: dict[Quantile, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
#: The error over all looks together, on both sides.
ALPHA = 0.05
_LOOKS = (1 / 8, 1 / 4, 1 / 2, 1)
_RESAMPLES = 2000
_AT_ONCE = 200
#: Seconds that the calls of a block take, about.
BLOCK_S = 0.010
_FEWEST_ROUNDS, _FIRST_LOOK = 24, 12
#: The most rounds and the most seconds of all rounds together: of a model with short calls, and with long.
_SHORT, _LONG = (640, 20.0), (200, 45.0)
_MOST_CALLS = 1000
#: Draws of a processor: more than machines have, by far.
_DRAWS = 1 << 30
#: The first call of a block finds the caches filled by the other model: calls of 5 ms took 1.5 % longer, and
#: the second was like all others. Of long calls it is less.
_LONG_S = 0.02
#: So many calls have to lie beyond a quantile before it is judged; of a block so many are drawn from.
_BEYOND, _DRAWN_OF_BLOCK = 10, 25


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A limit on a quantile: of the candidate's own seconds, or of its ratio to production."""

    quantile: Quantile
    limit: float
    ratio: bool


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with the ends of its interval, at the level that the looks leave."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How it is measured.

    :param calls: calls of a block that count; `settling`: calls before them that do not.
    :param draws: whether each round begins on a processor that is drawn.
    :param looks: after how many rounds the data are looked at; the last is the most.
    :param most_s: seconds after which the next look is the last: a machine that stalls gets no more rounds.
    """

    calls: int
    settling: int
    looks: tuple[int, ...]
    most_s: float = math.inf
    draws: bool = True

    def level(self, rounds: int) -> float:
        """Return the level of the intervals of the look after so many rounds."""
        at = next((look for look in self.looks if look >= rounds), self.looks[-1])
        return 1 - ALPHA * at / sum(self.looks)


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What was measured and decided.

    :param seconds: n rounds by k calls, of each side.
    :param took_s: how long measuring took, waiting for the answers included.
    :param decisions: one for each demand, in their order.
    """

    seconds: Mapping[Side, Floats]
    plan: Plan
    demands: tuple[Demand, ...]
    intervals: tuple[Interval, ...]
    decisions: tuple[Decision, ...]
    took_s: float
    seed: int

    @property
    def rounds(self) -> int:
        """How many rounds were run."""
        return len(self.seconds["candidate"])

    @property
    def level(self) -> float:
        """The level of the intervals."""
        return self.plan.level(self.rounds)

    def quantile(self, side: Side, name: Quantile) -> float:
        """Return a quantile of all calls of one side, in seconds."""
        return float(np.quantile(self.seconds[side], QUANTILES[name]))

    def interval(self, demand: Demand) -> Interval:
        """Return the interval of one measure, demanded or not."""
        return interval(self.seconds, demand, self.level, self.seed)

    @property
    def noise(self) -> float:
        """How far the medians of one model's blocks spread on this machine: half their middle 90 %, relative.

        Of production where there is one: that model is known.
        """
        medians = np.median(self.seconds.get("production", self.seconds["candidate"]), axis=1)
        low, middle, high = np.quantile(medians, [0.05, 0.5, 0.95])
        return float((high - low) / (2 * middle))


def plan(call_s: float, sides: int) -> Plan:
    """Choose the calls of a block and the number of rounds.

    :param call_s: seconds of one call, about, of the slower side.
    """
    calls = max(1, min(_MOST_CALLS, math.ceil(BLOCK_S / max(call_s, 1e-9))))
    short = call_s < _LONG_S
    settling = int(short)
    round_s = sides * (settling + calls) * call_s
    most_rounds, most_s = _SHORT if short else _LONG
    most = max(_FEWEST_ROUNDS, min(most_rounds, int(most_s / round_s)))
    looks = sorted({max(_FIRST_LOOK, math.ceil(most * share)) for share in _LOOKS})
    least_s = looks[0] * round_s
    return Plan(
        calls=calls, settling=settling, looks=tuple(looks), most_s=max(most_s, 2 * least_s), draws=short
    )


def measure(
    blocks: Mapping[Side, Block],
    plan: Plan,
    demands: Sequence[Demand],
    *,
    seed: int,
    advance: Callable[[int], Any] = lambda _: None,
) -> Timings:
    """Run rounds until every demand is decided, or the rounds are used up.

    :param blocks: one for each side; `candidate` is always there.
    :param demands: without any, the rounds end with the second look.
    :param advance: is told how many rounds were added.
    """
    began = time.monotonic()
    chance = np.random.default_rng(seed)
    sides = list(blocks)
    found: dict[Side, list[Sequence[int]]] = {side: [] for side in sides}
    seconds: dict[Side, Floats] = {}
    intervals: tuple[Interval, ...] = ()
    decisions: tuple[Decision, ...] = ()
    done = 0
    for at, look in enumerate(plan.looks):
        while done < look and (done < _FIRST_LOOK or time.monotonic() - began < plan.most_s):
            draw = int(chance.integers(_DRAWS)) if plan.draws else None
            for side in chance.permutation(len(sides)):
                times = blocks[sides[side]](plan.settling + plan.calls, draw)
                found[sides[side]].append(times[plan.settling :])
            advance(1)
            done += 1
        seconds = {side: _seconds(times, chance) for side, times in found.items()}
        intervals = tuple(interval(seconds, each, plan.level(done), seed) for each in demands)
        decisions = tuple(
            decide(each, shown, enough=enough(done * plan.calls, each.quantile))
            for each, shown in zip(demands, intervals, strict=True)
        )
        if done < look or ("unclear" not in decisions and (demands or at > 0)):
            break
    return Timings(
        seconds=seconds,
        plan=plan,
        demands=tuple(demands),
        intervals=intervals,
        decisions=decisions,
        took_s=time.monotonic() - began,
        seed=seed,
    )


def decide(demand: Demand, found: Interval, *, enough: bool = True) -> Decision:
    """Fail where the whole interval lies beyond the limit, pass where all of it lies within."""
    if not enough:
        return "unclear"
    if found.low > demand.limit:
        return "fail"
    return "pass" if found.high <= demand.limit else "unclear"


def enough(calls: int, quantile: Quantile) -> bool:
    """Whether enough calls lie beyond a quantile to say where it is.

    A bootstrap cannot draw what was not seen: of 20 calls none lies beyond the true p95 in 36 % of all cases.
    """
    return calls * (1 - QUANTILES[quantile]) >= _BEYOND or quantile == "p50"


def interval(seconds: Mapping[Side, Floats], demand: Demand, level: float, seed: int) -> Interval:
    """Return the bootstrap interval of what a demand is about."""
    chance = np.random.default_rng([seed, len(seconds["candidate"])])
    candidate, share = seconds["candidate"], QUANTILES[demand.quantile]
    n = len(candidate)
    if not demand.ratio:
        runs = max(1, round(n ** (1 / 3)))
        estimate = float(np.quantile(candidate, share))
        (drawn,) = _relative([candidate], share, lambda size: _runs(n, runs, size, chance), chance)
        return _percentile(estimate, estimate * drawn, level)
    production = seconds["production"]
    if demand.quantile == "p50":
        rounds = np.log(np.median(candidate, axis=1) / np.median(production, axis=1))
        rows = chance.integers(n, size=(_RESAMPLES, n))
        ratio = _percentile(float(np.median(rounds)), np.median(rounds[rows], axis=1), level)
        return Interval(estimate=math.exp(ratio.estimate), low=math.exp(ratio.low), high=math.exp(ratio.high))
    drawn = _relative([candidate, production], share, lambda size: chance.integers(n, size=(size, n)), chance)
    estimate = float(np.quantile(candidate, share) / np.quantile(production, share))
    return _percentile(estimate, estimate * drawn[0] / drawn[1], level)


def _relative(
    sides: Sequence[Floats],
    share: float,
    rows: Callable[[int], NDArray[np.int64]],
    chance: np.random.Generator,
) -> Floats:
    """Return a quantile for each resample of the rounds in parts of the quantile itself: sides by resamples.

    Of a block with many calls some are drawn, the same of each: the quantile of all lies elsewhere by a
    little, so what a resample tells is how far from its own.
    """
    calls = sides[0].shape[1]
    some = np.sort(chance.permutation(calls)[:_DRAWN_OF_BLOCK])
    thin = [side[:, some] for side in sides]
    found: list[list[Floats]] = [[] for _ in sides]
    for _ in range(_RESAMPLES // _AT_ONCE):
        picked = rows(_AT_ONCE)
        for at, side in enumerate(thin):
            found[at].append(np.quantile(side[picked].reshape(_AT_ONCE, -1), share, axis=1))
    own = np.array([[np.quantile(side, share)] for side in thin])
    return np.asarray(np.array([np.concatenate(each) for each in found]) / own, dtype=np.float64)


def _runs(n: int, length: int, size: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Draw n rounds in runs of neighbours, the first after the last."""
    starts = chance.integers(n, size=(size, math.ceil(n / length)))
    rows = (starts[:, :, None] + np.arange(length)) % n
    return rows.reshape(size, -1)[:, :n]


def _percentile(estimate: float, drawn: Floats, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate=estimate, low=float(low), high=float(high))


def _seconds(times: Sequence[Sequence[int]], chance: np.random.Generator) -> Floats:
    """Return nanoseconds as seconds, spread over the clock's tick.

    A clock that moves in ticks gives the same few numbers again and again. The median of such numbers jumps
    from one to the next, and its bootstrap interval is a point. A value is known to its tick and no better:
    it is drawn from there. The tick is the greatest common divisor of all times, one nanosecond on Linux.
    """
    whole = np.asarray(times, dtype=np.int64)
    tick = max(1, int(np.gcd.reduce(whole, axis=None)))
    spread = whole + tick * chance.uniform(-0.5, 0.5, size=whole.shape)
    return np.asarray(np.maximum(spread, 0.5) / 1e9, dtype=np.float64)
