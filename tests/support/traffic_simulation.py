"""Requests that were never sent: how many are bad, or slow, drawn exactly as chance would have it.

No normal approximation anywhere: the tests that are tried on it live from counts of 0, 1 and 2.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from statistics import NormalDist


BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds of Prometheus' client libraries, in seconds."""

_FEW = 30.0


def seeded(name: str) -> Random:
    """Give the chance that belongs to one simulation: the same in every run."""
    return Random(name)  # noqa: S311  # a simulation has no secrets


def binomial(rng: Random, trials: int, share: float) -> int:
    """Draw how many of the trials succeed, each with the chance `share`."""
    if share > 0.5:
        return trials - binomial(rng, trials, 1 - share)
    successes = 0
    while trials * share > _FEW:  # where does the middle one of the trials' uniform numbers lie?
        middle = (trials + 1) // 2
        value = rng.betavariate(middle, trials + 1 - middle)
        if value <= share:
            successes, trials, share = successes + middle, trials - middle, (share - value) / (1 - value)
        else:
            trials, share = middle - 1, share / value
    return successes + _few(rng, trials, share)


def bad_requests(rng: Random, requests: int, share: float, burst: float = 1.0) -> int:
    """Draw how many requests are bad, in bursts of geometric size with this mean."""
    if burst == 1:
        return binomial(rng, requests, share)
    stops = math.log1p(-1 / burst)
    bursts = binomial(rng, requests, share / burst)
    return min(requests, sum(1 + int(math.log(1 - rng.random()) / stops) for _ in range(bursts)))


def latency_shares(sigma: float, slow: float = 0.0, factor: float = 1.0) -> tuple[float, ...]:
    """Give the chance of each bucket, the one beyond the last bound included.

    Args:
        sigma: Of the logarithm of the latency, whose median is 60 ms.
        slow: Share of the requests that take `factor` times as long as usual.
        factor: See there.

    """
    usual = NormalDist(math.log(0.06), sigma)
    below = [
        (1 - slow) * usual.cdf(math.log(bound)) + slow * usual.cdf(math.log(bound / factor))
        for bound in BOUNDS
    ]
    return tuple(after - before for before, after in pairwise([0.0, *below, 1.0]))


def slower(rng: Random, requests: int, shares: Sequence[float]) -> list[int]:
    """Draw how many requests are slower than each bound, from `latency_shares`."""
    return list(_slower(rng, requests, shares))


def _slower(rng: Random, left: int, shares: Sequence[float]) -> Iterator[int]:
    chance = 1.0
    for share in shares[:-1]:
        left -= binomial(rng, left, min(share / chance, 1.0)) if left else 0
        chance -= share
        yield left


def _few(rng: Random, trials: int, share: float) -> int:
    """Invert the distribution, from 0 successes upwards."""
    if not trials or not share:
        return 0
    odds, probability, rest = share / (1 - share), (1 - share) ** trials, rng.random()
    for successes in range(trials):
        if rest < probability:
            return successes
        rest -= probability
        probability *= odds * (trials - successes) / (successes + 1)
    return trials
