"""Simulated requests for the tests of evidence: seeded, exact for small counts."""

import math
import random
from collections.abc import Callable, Iterator

from analysis.evidence import Arm


Draw = Callable[[random.Random, int, float], int]
"""Gives the number of bad requests among so many, at this rate."""


def seeded(seed: int) -> random.Random:
    """Give a source that tells the same story every time."""
    return random.Random(seed)  # noqa: S311  # a simulation


def independent(source: random.Random, requests: int, rate: float) -> int:
    """Draw from the binomial distribution by leaping from one bad request to the next."""
    bad, at, leap = -1, 0, math.log1p(-rate)
    while at <= requests:
        at += int(math.log(1.0 - source.random()) / leap) + 1
        bad += 1
    return bad


def in_bursts(source: random.Random, requests: int, rate: float, mean: float = 5.0) -> int:
    """Draw bursts whose length is geometric, so that the rate is the same."""
    bad = 0
    for _ in range(independent(source, requests, rate / mean)):
        bad += int(math.log(1.0 - source.random()) / math.log1p(-1 / mean)) + 1
    return min(bad, requests)


def windows(
    source: random.Random,
    rates: tuple[float, float],
    requests: Iterator[tuple[int, int]],
    draw: Draw = independent,
) -> Iterator[tuple[Arm, Arm]]:
    """Give the candidate and stable of each window, at these rates."""
    for own, other in requests:
        yield Arm(own, draw(source, own, rates[0])), Arm(other, draw(source, other, rates[1]))
