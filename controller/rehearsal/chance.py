"""Random counts. The standard library has them only in newer versions of Python."""

import math
from random import Random


_FEW = 10.0
_MANY = 100.0
"""From this mean on, arrivals are as good as normally distributed."""


def binomial(random: Random, trials: int, share: float) -> int:
    """Draw how many of `trials` succeed, each with the chance `share`; exact for any size."""
    if trials <= 0 or share <= 0.0:
        return 0
    if share >= 1.0:
        return trials
    if share > 0.5:
        return trials - binomial(random, trials, 1.0 - share)
    return (_by_gaps if trials * share < _FEW else _by_rejection)(random, trials, share)


def poisson(random: Random, mean: float) -> int:
    """Draw how many arrive; from a mean of 100 on a normal approximation, rounded."""
    if mean >= _MANY:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, left = -1, mean
    while left >= 0.0:
        left -= random.expovariate(1.0)
        count += 1
    return count


def geometric(random: Random, mean: float) -> int:
    """Draw the size of a burst: 1, 2, 3, ... with this mean."""
    if mean <= 1.0:
        return 1
    return 1 + int(math.log(1.0 - random.random()) / math.log1p(-1.0 / mean))


def _by_gaps(random: Random, trials: int, share: float) -> int:
    """Jump from success to success: as many steps as there are successes."""
    scale, at, count = math.log1p(-share), 0, 0
    while True:
        at += int(math.log(1.0 - random.random()) / scale) + 1
        if at > trials:
            return count
        count += 1


def _by_rejection(random: Random, trials: int, share: float) -> int:
    """Hoermann 1993, algorithm BTRS: transformed rejection with squeeze, for a mean of at least 10."""
    spread = math.sqrt(trials * share * (1.0 - share))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * share
    centre = trials * share + 0.5
    safe, alpha = 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    odds, mode = math.log(share / (1.0 - share)), math.floor((trials + 1) * share)
    highest = math.lgamma(mode + 1) + math.lgamma(trials - mode + 1)
    while True:
        v, u = random.random(), random.random() - 0.5
        us = 0.5 - abs(u)
        if us <= 0.0:
            continue
        found = math.floor((2.0 * a / us + b) * u + centre)
        if not 0 <= found <= trials:
            continue
        if us >= 0.07 and v <= safe:
            return found
        v *= alpha / (a / (us * us) + b)
        likely = highest - math.lgamma(found + 1) - math.lgamma(trials - found + 1)
        if v <= 0.0 or math.log(v) <= likely + (found - mode) * odds:
            return found
