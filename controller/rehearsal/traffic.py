"""What users send and what they get: an application's traffic, and what is wrong with a candidate."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of a histogram in the usual client libraries, in seconds."""
_LARGEST_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Lognormal:
    """How long requests take, told by two quantiles."""

    median: float
    p99: float
    """In seconds, like the median; larger than it."""

    def slower(self, seconds: float) -> float:
        """Give the share of requests that take longer."""
        spread = math.log(self.p99 / self.median) / NormalDist().inv_cdf(0.99)
        return 0.5 * math.erfc(math.log(seconds / self.median) / spread / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class Measured:
    """How long requests take, told by a histogram's buckets."""

    bounds: tuple[float, ...]
    """In seconds, ascending."""
    shares: tuple[float, ...]
    """Of requests slower than each bound; not ascending."""

    def slower(self, seconds: float) -> float:
        """Give the share of requests that take longer; between bounds by the logarithm of time."""
        at = bisect.bisect_left(self.bounds, seconds)
        if at == len(self.bounds):
            return self.shares[-1] if seconds == self.bounds[-1] else 0.0
        upper, after = self.bounds[at], self.shares[at]
        if seconds == upper:
            return after
        if at == 0:
            return 1.0 - (1.0 - after) * seconds / upper
        lower, before = self.bounds[at - 1], self.shares[at - 1]
        way = math.log(seconds / lower) / math.log(upper / lower)
        return before + (after - before) * way


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an application's users send, and what they get of a version that is all right."""

    rps: float
    """Requests per second on the main route."""
    base_error: float = 0.001
    """Share of requests that fail anyway."""
    burst: float = 1.0
    """Mean length of a row of failures; 1: each comes by itself."""
    drift: float = 1.0
    """Largest over smallest failing share, in a slow wave through both versions."""
    drift_period: float = 1200.0
    """Seconds from one crest to the next."""
    latency: Lognormal | Measured = Lognormal(0.06, 0.3)
    testers: float = 0.0
    """Requests per second that testing routes send to the candidate, where there are any."""
    scrape: float = 15.0
    """Seconds between two looks of Prometheus at a pod."""
    lag: float = 1.0
    """Seconds until the gateway follows new routes."""

    def failing(self, at: float, phase: float) -> float:
        """Give the failing share at this second; `phase`, from 0 to 1, says where the wave begins."""
        if self.drift == 1.0:
            return self.base_error
        wave = math.sin(2 * math.pi * (at / self.drift_period + phase))
        return min(self.base_error * math.pow(self.drift, wave / 2), _LARGEST_SHARE)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is wrong with a candidate; `Effect()`: nothing."""

    errors: float | None = None
    """Share of its requests that fail; None: as many as of stable's."""
    slowed: float = 0.0
    """Share of its requests that take longer."""
    slowdown: float = 1.0
    """How many times as long those take."""

    @property
    def name(self) -> str:
        """Show as `5% errors`, `all requests 2x slower`, `5% of requests 10x slower`, `as good as stable`."""
        parts = [] if self.errors is None else [f"{self.errors * 100:g}% errors"]
        if self.slowed:
            which = "all requests" if self.slowed == 1.0 else f"{self.slowed * 100:g}% of requests"
            parts.append(f"{which} {self.slowdown:g}x slower")
        return ", ".join(parts) or "as good as stable"

    def slower(self, latency: Lognormal | Measured, bounds: Sequence[float]) -> list[float]:
        """Give the share of the candidate's requests that take longer than each bound."""
        usual = [latency.slower(bound) for bound in bounds]
        if not self.slowed:
            return usual
        late = [latency.slower(bound / self.slowdown) for bound in bounds]
        return [
            (1.0 - self.slowed) * each + self.slowed * slow for each, slow in zip(usual, late, strict=True)
        ]
