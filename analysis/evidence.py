"""Worse than stable, above its limit, or safe? Tests that may be looked at after every scrape.

Each test is an e-process: a bet against a null hypothesis whose winnings E have a
mean of at most 1, at any time, if that hypothesis is true. So the chance that E
ever reaches 1/alpha is at most alpha (Ville's inequality), however often one
looks. It is kept as log-likelihood ratios, one per alternative, which are
averaged: the alternative that fits need not be known.

Nor is it known when harm begins. A bet that ran through good hours is almost
lost, and would have to be won back first. So the tests for harm keep a reserve,
and begin new bets from it in every window: its winnings and those of all bets
are still those of one gambler who began with 1.

Comparing needs no known rate, and allows one that drifts: let a and b be the
factors of a bad request of the candidate and of stable. With mean numbers of
bad requests m and n, the mean of E is at most exp(m (a - 1) + n (b - 1)), which
is 1 where m : n is as the null hypothesis says. Only that bad requests come
independently is assumed; where they do not, `temper` makes the test calmer.

Sources: Lindon & Malek 2022 (arXiv 2011.03567); Turner, Ly & Gruenwald 2024; for new bets: Shin, Ramdas
& Rinaldo 2024 (arXiv 2203.03532).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


WORSE = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Alternatives of the harm tests, in multiples of what is tolerated."""
BETTER = (0.5, 0.75, 1.0, 1.25)
"""Alternatives of the test for safety, as ratios."""

BEGINNINGS = 500.0
"""The reserve is halved after so many windows that told something, and later ever more slowly."""

_LARGEST_SHARE = 0.99

Logs = tuple[float, ...]
"""Logarithms of what the bets are worth, one per alternative; empty: nothing was tested yet.

Each began at 0. Those of the tests for harm end with the reserve, which did as well.
"""


class Arm(NamedTuple):
    """One version in one window."""

    requests: int
    bad: int


def worse(logs: Logs, candidate: Arm, stable: Arm, tolerate: float, temper: float) -> Logs:
    """Test by one window: "the candidate's requests are at most `tolerate` times as often bad as stable's".

    Args:
        logs: As this function gave them for the window before; empty at first. Others begin anew.
        candidate: Of this window.
        stable: Of this window; without requests nothing can be compared.
        tolerate: The ratio of the null hypothesis.
        temper: Between 0 and 1: less than 1 where bad requests come in bursts.

    """
    alternatives = [tolerate * gain for gain in WORSE]
    known = _with_new_bets(logs, told=candidate.requests > 0 and stable.requests > 0)
    return _added(known, [*_compared(candidate, stable, tolerate, alternatives), 0.0], temper)


def safe(logs: Logs, candidate: Arm, stable: Arm, must_not_exceed: float, temper: float) -> Logs:
    """Test "the candidate is at least `must_not_exceed` times worse than stable"; see `worse`."""
    return _added(logs, _compared(candidate, stable, must_not_exceed, BETTER), temper)


def above(logs: Logs, candidate: Arm, limit: float, temper: float) -> Logs:
    """Test "at most the share `limit` of the candidate's requests is bad", without looking at stable."""
    good = candidate.requests - candidate.bad
    alternatives = [max(limit, min(_LARGEST_SHARE, limit * gain)) for gain in WORSE]
    gains = [
        candidate.bad * math.log(share / limit) + good * (math.log1p(-share) - math.log1p(-limit))
        for share in alternatives
    ]
    return _added(_with_new_bets(logs, told=candidate.requests > 0), [*gains, 0.0], temper)


def log_mean_exp(logs: Sequence[float]) -> float:
    """Give ln E: the logarithm of the mean of what the bets are worth; 0 if nothing was tested."""
    if not logs:
        return 0.0
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(each - largest) for each in logs) / len(logs))


def _compared(candidate: Arm, stable: Arm, null: float, alternatives: Sequence[float]) -> list[float]:
    """Say how much likelier each alternative makes it that these bad requests, not those, are whose they are.

    At ratio r a bad request is the candidate's with the chance theta = o r / (1 + o r),
    where o is the candidate's requests over stable's. Written so that no digits
    are lost where theta is near 0 or 1, and a bad request never counts for the
    wrong side.
    """
    if not stable.requests:
        return [0.0] * len(alternatives)
    odds = candidate.requests / stable.requests
    return [
        candidate.bad * math.log1p((ratio - null) / (null * (1 + odds * ratio)))
        - stable.bad * math.log1p(odds * (ratio - null) / (1 + odds * null))
        for ratio in alternatives
    ]


def _added(logs: Logs, gains: Sequence[float], temper: float) -> Logs:
    known = logs or (0.0,) * len(gains)
    return tuple(before + temper * gain for before, gain in zip(known, gains, strict=True))


def _with_new_bets(logs: Logs, *, told: bool) -> Logs:
    """Stake a part of the reserve evenly on all alternatives, unless the window tells nothing.

    The part falls with the reserve, so that something is left whenever harm begins.
    """
    *bets, reserve = logs if len(logs) == len(WORSE) + 1 else (0.0,) * (len(WORSE) + 1)
    if told:
        stake = 2 * reserve - math.log(BEGINNINGS * len(WORSE))
        bets = [_log_sum(bet, stake) for bet in bets]
        reserve += math.log1p(-math.exp(reserve) / BEGINNINGS)
    return (*bets, reserve)


def _log_sum(one: float, other: float) -> float:
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))
