"""How soon harm is found, and how often where there is none: the documented numbers, on simulated traffic.

Stable's requests are bad in 0.1% of all cases, unless said otherwise, and alpha is 0.01 for the one test
that is tried. Every simulation has its own seed, so a number changes only if the statistics do.
"""

import math
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import count
from random import Random

import pytest

from analysis.dispersion import dispersion, observed
from analysis.evidence import Arm, Logs, above, log_mean_exp, safe, worse
from config.status import Dispersion
from traffic_simulation import BOUNDS, bad_requests, binomial, latency_shares, seeded, slower


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


USUAL = 0.001
NEEDED = math.log(1 / 0.01)
STEP = 20
"""The candidate's requests in a window: what the numbers of requests are rounded up to."""
ENDLESS = 50_000


def quantiles(values: list[int]) -> tuple[int, int]:
    """Give the median and the 90th percentile."""
    values = sorted(values)
    return values[len(values) // 2], values[len(values) * 9 // 10]


def as_soon_as(found: tuple[int, int], expected: tuple[int, int]) -> bool:
    """Compare medians within a tenth or one window; the 90th percentile has more chance in it."""
    return (
        abs(found[0] - expected[0]) <= max(STEP, 0.1 * expected[0]) and found[1] <= 1.15 * expected[1] + STEP
    )


def stable_beside(candidate: int, weight: float) -> int:
    return round(candidate * (1 - weight) / weight)


def until_harm(rng: Random, share: float, weight: float, tolerate: float, temper: float = 1) -> int:
    """Count the candidate's requests until harm is shown."""
    other, logs = stable_beside(STEP, weight), Logs()
    for requests in count(STEP, STEP):
        candidate = Arm(STEP, binomial(rng, STEP, share))
        logs = worse(logs, candidate, Arm(other, binomial(rng, other, USUAL)), tolerate, temper)
        if log_mean_exp(logs) >= NEEDED or requests >= ENDLESS:
            return requests
    raise AssertionError


@pytest.mark.parametrize(
    ("share", "weight", "tolerate", "expected"),
    [
        (0.05, 0.05, 1, (60, 120)),
        (0.05, 0.1, 1, (80, 140)),
        (0.05, 0.5, 1, (180, 300)),
        (0.01, 0.05, 1, (420, 1000)),
        (0.01, 0.1, 1, (520, 1120)),
        (0.01, 0.5, 1, (1120, 2140)),
        (0.005, 0.05, 1, (1420, 3180)),
        (0.005, 0.1, 1, (1540, 3400)),
        (0.005, 0.5, 1, (3260, 6460)),
        (0.05, 0.05, 1.5, (60, 140)),
        (0.05, 0.1, 1.5, (100, 160)),
        (0.05, 0.5, 1.5, (260, 400)),
        (0.01, 0.05, 1.5, (580, 1300)),
        (0.01, 0.1, 1.5, (680, 1460)),
        (0.01, 0.5, 1.5, (1820, 3420)),
    ],
)
def test_a_worse_candidate_is_found_after_so_many_of_its_requests(
    share: float, weight: float, tolerate: float, expected: tuple[int, int]
) -> None:
    rng = seeded(f"{share} {weight} {tolerate}")
    found = quantiles([until_harm(rng, share, weight, tolerate) for _ in range(600)])
    assert as_soon_as(found, expected), found


def test_bursts_cost_time() -> None:
    rng = seeded("time")
    found = quantiles([until_harm(rng, 0.05, 0.1, 1.5, 1 / 9) for _ in range(400)])
    assert as_soon_as(found, (680, 880)), found


GOOD = 360
"""Windows in which the candidate is as good as stable: an hour."""


def until_late_harm(rng: Random, share: float, weight: float, usual: float, good: int) -> int:
    """Count the candidate's requests from when it turns bad, after so many good windows."""
    other, logs = stable_beside(STEP, weight), Logs()
    for window in count(1):
        candidate = Arm(STEP, binomial(rng, STEP, share if window > good else usual))
        logs = worse(logs, candidate, Arm(other, binomial(rng, other, usual)), 1.5, 1)
        if window > good and (log_mean_exp(logs) >= NEEDED or (window - good) * STEP >= ENDLESS):
            return (window - good) * STEP
    raise AssertionError


@pytest.mark.parametrize(
    ("share", "weight", "usual", "at_once", "expected"),
    [
        (0.05, 0.1, 0.005, (160, 300), (340, 600)),
        (0.05, 0.5, 0.001, (260, 420), (500, 720)),
        (0.01, 0.1, 0.001, (680, 1460), (1420, 2600)),
    ],
)
def test_harm_that_begins_after_a_good_hour_takes_little_more_than_twice_as_long(
    share: float, weight: float, usual: float, at_once: tuple[int, int], expected: tuple[int, int]
) -> None:
    rng = seeded(f"late {share} {weight}")
    late = quantiles([until_late_harm(rng, share, weight, usual, GOOD) for _ in range(200)])
    soon = quantiles([until_late_harm(rng, share, weight, usual, 0) for _ in range(200)])
    assert as_soon_as(soon, at_once), soon
    assert as_soon_as(late, expected), late


LOOKS = 150
WEIGHTS = (0.01, 0.05, 0.1, 0.25, 0.5)
REQUESTS = 500
"""In 10 seconds, at 50 a second."""


def steady(_look: int) -> float:
    return USUAL


def rising(look: int) -> float:
    """Grow fivefold over the rollout."""
    return USUAL * (1 + 4 * look / (LOOKS - 1))


def windows(rng: Random, rate: Callable[[int], float], burst: float) -> Iterator[tuple[Arm, Arm]]:
    """Give what candidate and stable, which are equal, answer in a rollout of five steps."""
    for look in range(LOOKS):
        requests = round(REQUESTS * WEIGHTS[look * len(WEIGHTS) // LOOKS])
        yield (
            Arm(requests, bad_requests(rng, requests, rate(look), burst)),
            Arm(REQUESTS - requests, bad_requests(rng, REQUESTS - requests, rate(look), burst)),
        )


def false_alarms(
    seed: str,
    rollouts: int,
    tolerate: float,
    rate: Callable[[int], float] = steady,
    burst: float = 1,
    *,
    tempered: bool = False,
) -> float:
    """Give the share of the rollouts of a candidate just like stable that are rolled back."""
    rng = seeded(seed)
    return sum(_alarmed(rng, tolerate, rate, burst, tempered=tempered) for _ in range(rollouts)) / rollouts


def _alarmed(
    rng: Random, tolerate: float, rate: Callable[[int], float], burst: float, *, tempered: bool
) -> bool:
    before = [Arm(REQUESTS, bad_requests(rng, REQUESTS, rate(0), burst)) for _ in range(60 * tempered)]
    sums, logs = reduce(observed, before, Dispersion()), Logs()
    for candidate, stable in windows(rng, rate, burst):
        logs = worse(logs, candidate, stable, tolerate, 1 / dispersion(sums) if tempered else 1)
        if candidate.bad and log_mean_exp(logs) >= NEEDED:
            return True
        sums = observed(sums, stable)
    return False


@pytest.mark.parametrize("rate", [steady, rising])
def test_equal_versions_are_hardly_ever_rolled_back(rate: Callable[[int], float]) -> None:
    assert false_alarms(f"equal {rate.__name__}", 2000, 1, rate) <= 0.01
    assert false_alarms(f"tolerated {rate.__name__}", 1000, 1.5, rate) <= 0.003


def test_long_rollouts_of_equal_versions_are_hardly_ever_rolled_back_either() -> None:
    """New bets in a thousand windows are no thousand new chances of a false alarm."""

    def alarmed(rng: Random) -> bool:
        harm, beyond, most = Logs(), Logs(), 0.0
        for _ in range(1000):
            candidate = Arm(50, binomial(rng, 50, 0.01))
            harm = worse(harm, candidate, Arm(450, binomial(rng, 450, 0.01)), 1, 1)
            beyond = above(beyond, candidate, 0.01, 1)
            most = max(most, log_mean_exp(harm), log_mean_exp(beyond))
        return most >= NEEDED

    rng = seeded("long")
    assert sum(alarmed(rng) for _ in range(150)) / 150 <= 0.02


def test_bursts_that_are_taken_into_account_are_no_harm() -> None:
    assert false_alarms("bursts", 2000, 1, burst=5, tempered=True) <= 0.02
    assert false_alarms("bursts, tolerated", 2000, 1.5, burst=5, tempered=True) <= 0.01


@pytest.mark.parametrize(("bad", "alarms"), [(USUAL, 0.36), (5 * USUAL, 0.8)])
def test_bursts_that_are_not_would_be(bad: float, alarms: float) -> None:
    found = false_alarms(f"raw {bad}", 500, 1, lambda _look: bad, burst=5)
    assert found == pytest.approx(alarms, abs=0.07)


def false_alarms_beside_a_young_stable(past: int, bad: float, burst: float, rollouts: int) -> float:
    """Give the share of equal candidates, at 25% of 200 requests a window, that are rolled back."""
    rng = seeded(f"young {past} {bad} {burst}")

    def counted(requests: int) -> Arm:
        return Arm(requests, bad_requests(rng, requests, bad, burst))

    def alarmed() -> bool:
        sums, logs = reduce(observed, [counted(200) for _ in range(past)], Dispersion()), Logs()
        for _ in range(60):
            candidate, stable = counted(50), counted(150)
            logs = worse(logs, candidate, stable, 1.5, 1 / dispersion(sums))
            if candidate.bad and log_mean_exp(logs) >= NEEDED:
                return True
            sums = observed(sums, stable)
        return False

    return sum(alarmed() for _ in range(rollouts)) / rollouts


@pytest.mark.parametrize(
    ("past", "bad", "burst", "at_most", "taken_for_calm"),
    [(0, 0.01, 5, 0.03, 0.1), (2, 0.03, 5, 0.02, 0.04), (0, 0.01, 10, 0.08, 0.15)],
)
def test_a_stable_that_was_hardly_seen_makes_few_candidates_look_harmful(
    past: int,
    bad: float,
    burst: float,
    at_most: float,
    taken_for_calm: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert false_alarms_beside_a_young_stable(past, bad, burst, 400) <= at_most
    monkeypatch.setattr("analysis.dispersion.UNKNOWN", 1.0)
    assert false_alarms_beside_a_young_stable(past, bad, burst, 400) >= taken_for_calm


def test_a_candidate_at_its_limit_is_hardly_ever_rolled_back() -> None:
    def alarmed(rng: Random) -> bool:
        logs = Logs()
        for _ in range(LOOKS):
            logs = above(logs, Arm(50, binomial(rng, 50, 0.01)), 0.01, 1)
            if log_mean_exp(logs) >= NEEDED:
                return True
        return False

    rng = seeded("limit")
    assert sum(alarmed(rng) for _ in range(1000)) / 1000 <= 0.01


@pytest.mark.parametrize(
    ("share", "expected"), [(0.05, (160, 300)), (0.03, (400, 860)), (0.02, (1420, 2880))]
)
def test_a_candidate_above_its_limit_is_found_without_stable(share: float, expected: tuple[int, int]) -> None:
    """The limit is 1%."""

    def until_found(rng: Random) -> int:
        logs = Logs()
        for requests in count(STEP, STEP):
            logs = above(logs, Arm(STEP, binomial(rng, STEP, share)), 0.01, 1)
            if log_mean_exp(logs) >= NEEDED:
                return requests
        raise AssertionError

    rng = seeded(f"above {share}")
    found = quantiles([until_found(rng) for _ in range(1000)])
    assert as_soon_as(found, expected), found


def until_safe(rng: Random, share: float, weight: float, most: int) -> int:
    """Count the candidate's requests until it is shown not to be 3 times worse, at most until `most`."""
    other, logs = stable_beside(100, weight), Logs()
    for requests in range(100, most, 100):
        logs = safe(logs, Arm(100, binomial(rng, 100, share)), Arm(other, binomial(rng, other, USUAL)), 3, 1)
        if log_mean_exp(logs) >= math.log(1 / 0.05):
            return requests
    return most


def test_a_good_candidate_is_shown_to_be_safe_after_so_many_requests() -> None:
    rng = seeded("safe")
    median, late = quantiles([until_safe(rng, USUAL, 0.1, ENDLESS) for _ in range(300)])
    assert median == pytest.approx(3600, rel=0.1)
    assert late <= 10_000


def test_a_candidate_as_bad_as_must_not_be_counts_as_safe_no_more_often_than_agreed() -> None:
    """At most 5%, and nearly that often; in 500 tries 7% may be chance."""
    rng = seeded("unsafe")
    assert sum(until_safe(rng, 3 * USUAL, 0.1, 15_000) < 15_000 for _ in range(500)) / 500 <= 0.07


SIGMA = 0.75
"""Of the logarithm of the latencies; 3% of stable's requests take longer than 250 ms."""


def until_slow(rng: Random, shares: tuple[float, ...], tolerate: float, good: int = 0) -> int:
    """Count the candidate's requests, at 10% weight, until it is shown to be slower.

    It is so from the beginning, or after so many good windows; they are not counted.
    """
    other, usual = stable_beside(STEP, 0.1), latency_shares(SIGMA)
    logs = [Logs()] * len(BOUNDS)
    for requests in count((1 - good) * STEP, STEP):
        own_shares = shares if requests > 0 else usual
        counted = zip(slower(rng, STEP, own_shares), slower(rng, other, usual), logs, strict=True)
        logs = [worse(before, Arm(STEP, own), Arm(other, its), tolerate, 1) for own, its, before in counted]
        shown = log_mean_exp([log_mean_exp(each) for each in logs]) >= NEEDED
        if requests > 0 and (shown or requests >= ENDLESS):
            return requests
    raise AssertionError


@pytest.mark.parametrize(
    ("slow", "factor", "tolerate", "expected"),
    [
        (0.05, 10, 1, (200, 360)),
        (0.02, 10, 1, (600, 1200)),
        (1, 1.2, 1, (820, 1600)),
        (0.05, 10, 1.5, (260, 460)),
        (0.02, 10, 1.5, (860, 1600)),
    ],
)
def test_a_slower_candidate_is_found_whatever_became_slower(
    slow: float, factor: float, tolerate: float, expected: tuple[int, int]
) -> None:
    rng, shares = seeded(f"{slow} {factor} {tolerate}"), latency_shares(SIGMA, slow, factor)
    found = quantiles([until_slow(rng, shares, tolerate) for _ in range(200)])
    assert abs(found[0] - expected[0]) <= max(STEP, 0.15 * expected[0]), found
    assert found[1] <= 1.25 * expected[1], found


def test_a_candidate_that_becomes_slow_late_is_found_too() -> None:
    rng, shares = seeded("late"), latency_shares(SIGMA, 0.05, 10)
    found = quantiles([until_slow(rng, shares, 1.5, good=120) for _ in range(40)])
    assert as_soon_as(found, (400, 700)), found


# The simulated traffic is as chance would have it.


@pytest.mark.parametrize(
    ("trials", "share"), [(1, 0.3), (20, 0.001), (20, 0.6), (380, 0.01), (500, 0.5), (3000, 0.05)]
)
def test_counts_are_binomial(trials: int, share: float) -> None:
    """By chi squared, over all numbers of successes that are to be expected, and those on either side."""
    rng, draws = seeded(f"{trials} {share}"), 4000
    found = [binomial(rng, trials, share) for _ in range(draws)]
    chances = [
        math.exp(
            math.lgamma(trials + 1) - math.lgamma(n + 1) - math.lgamma(trials - n + 1)
            + n * math.log(share) + (trials - n) * math.log1p(-share)
        )
        for n in range(trials + 1)
    ]  # fmt: skip
    likely = [n for n, chance in enumerate(chances) if chance * draws >= 10]
    rest = draws * (1 - math.fsum(chances[n] for n in likely))
    chi_squared = sum((found.count(n) - draws * chances[n]) ** 2 / (draws * chances[n]) for n in likely)
    unlikely = sum(n not in likely for n in found)
    assert chi_squared <= len(likely) + 4 * math.sqrt(2 * len(likely))
    assert abs(unlikely - rest) <= 4 * math.sqrt(rest) + 1
    assert binomial(rng, trials, 0) == 0
    assert binomial(rng, trials, 1) == trials


def test_bursts_have_the_mean_and_the_dispersion_that_they_should() -> None:
    """A geometric size of mean 5 has a dispersion of 2 x 5 - 1."""
    rng = seeded("bursts")
    found = [Arm(500, bad_requests(rng, 500, 0.01, 5)) for _ in range(4000)]
    assert sum(arm.bad for arm in found) / 4000 == pytest.approx(5, rel=0.05)
    assert dispersion(reduce(observed, found, Dispersion())) == pytest.approx(9, rel=0.1)


def test_latencies_are_lognormal() -> None:
    rng = seeded("latencies")
    found = slower(rng, 100_000, latency_shares(SIGMA))
    assert found == sorted(found, reverse=True)
    for bound, share in ((0.05, 0.596), (0.1, 0.248), (0.25, 0.0286), (0.5, 0.00233)):
        assert found[BOUNDS.index(bound)] / 100_000 == pytest.approx(share, rel=0.1)
