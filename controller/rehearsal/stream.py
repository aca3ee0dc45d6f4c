"""Simulated requests through a gateway, and what Prometheus gets to see of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from controller.rehearsal.chance import binomial, geometric, poisson
from controller.rehearsal.traffic import Effect, Traffic


@dataclass(slots=True)
class Totals:
    """Counters of one version since the beginning."""

    requests: int
    bad: int
    slower: list[int]
    """By bound, as the stream has them."""

    def copy(self) -> "Totals":
        """Give what a scrape keeps."""
        return Totals(self.requests, self.bad, self.slower.copy())


@dataclass(slots=True)
class _Arm:
    extra: float
    """Share of requests that fails on top of what fails anyway."""
    late: Sequence[float]
    """Share of requests slower than each bound."""
    next_scrape: float
    totals: Totals
    scraped: Totals
    rates: tuple[float, ...] = (0.0,)
    """Requests per second: of users; of testers, and copies that nobody gets an answer to."""
    backlog: int = 0
    """Failures of a burst that has not ended yet."""

    def answer(self, random: Random, requests: int, failing: float, burst: float) -> int:
        """Answer so many requests; give how many failed."""
        totals = self.totals
        if burst > 1.0:
            for _ in range(binomial(random, requests, failing / burst)):
                self.backlog += geometric(random, burst)
            bad = min(requests, self.backlog)
            self.backlog -= bad
        else:
            bad = binomial(random, requests, failing)
        if self.extra:
            bad += binomial(random, requests - bad, self.extra)
        totals.requests += requests
        totals.bad += bad
        left, before = requests, 1.0
        for at, share in enumerate(self.late):
            if not left:
                break
            left = binomial(random, left, share / before)
            before = share
            totals.slower[at] += left
        return bad


@dataclass(slots=True)
class Stream:
    """Two versions behind a gateway; time is in seconds since the beginning."""

    traffic: Traffic
    effect: Effect
    bounds: tuple[float, ...]
    """Bucket bounds to count by; none: how long requests take does not matter."""
    random: Random
    now: float = 0.0
    users: int = 0
    """Users' requests that the candidate has answered so far."""
    harmed: int = 0
    """Of these, the failed ones, or those that its slowness hit if that is what is wrong with it."""
    _arms: dict[str, _Arm] = field(default_factory=dict)
    _switch: tuple[float, float, bool, float] | None = None
    """When the gateway follows, to which share, with testing routes or not, and which share is copied."""
    _phase: float = 0.0

    def __post_init__(self) -> None:
        traffic, effect = self.traffic, self.effect
        usual = [traffic.latency.slower(bound) for bound in self.bounds]
        late = effect.slower(traffic.latency, self.bounds)
        extra = 0.0
        if effect.errors is not None:
            extra = max(0.0, (effect.errors - traffic.base_error) / (1.0 - traffic.base_error))
        for name, more, slow in (("candidate", extra, late), ("stable", 0.0, usual)):
            nothing = Totals(0, 0, [0] * len(self.bounds))
            first = self.random.random() * traffic.scrape
            self._arms[name] = _Arm(more, slow, first, nothing, nothing.copy())
        self._phase = self.random.random()
        self._open(0.0, testing=False)

    def route(self, share: float, *, testing: bool, copied: float = 0.0) -> None:
        """Write new routes: the candidate's share, and what is copied to it, from 0 to 1.

        The gateway follows a little later.
        """
        self._switch = (self.now + self.traffic.lag, share, testing, copied)

    def advance(self, to: float) -> None:
        """Let time pass."""
        arms = tuple(self._arms.values())
        while self.now < to:
            until = min(to, *(arm.next_scrape for arm in arms))
            if self._switch is not None:
                until = min(until, self._switch[0])
            self._flow(until)
            for arm in arms:
                if arm.next_scrape <= until:
                    arm.scraped = arm.totals.copy()
                    arm.next_scrape += self.traffic.scrape
            if self._switch is not None and self._switch[0] <= until:
                _, share, testing, copied = self._switch
                self._open(share, testing=testing, copied=copied)
                self._switch = None

    def seen(self, role: str) -> Totals:
        """Give the counters of a version as Prometheus has them now."""
        return self._arms[role].scraped

    def _open(self, share: float, *, testing: bool, copied: float = 0.0) -> None:
        rps = self.traffic.rps
        beside = rps * copied + (self.traffic.testers if testing else 0.0)
        self._arms["candidate"].rates = (rps * share, beside)
        self._arms["stable"].rates = (rps * (1.0 - share), 0.0)

    def _flow(self, until: float) -> None:
        lasted, random, burst = until - self.now, self.random, self.traffic.burst
        failing = self.traffic.failing((self.now + until) / 2, self._phase)
        for name, arm in self._arms.items():
            of_users, beside = (poisson(random, rate * lasted) if rate else 0 for rate in arm.rates)
            bad = arm.answer(random, of_users, failing, burst) if of_users else 0
            if beside:
                arm.answer(random, beside, failing, burst)
            if name == "candidate" and of_users:
                self.users += of_users
                slowed = self.effect.slowed
                self.harmed += binomial(random, of_users, slowed) if slowed else bad
        self.now = until
